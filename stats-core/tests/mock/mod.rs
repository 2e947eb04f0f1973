//! A host that is told what to answer, and notes each call.

#![allow(dead_code, reason = "each test uses its part")]
#![allow(clippy::unwrap_used, reason = "a mock is part of a test")]

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use prost::Message;
use stats_core::host::{
    Attributes, Clock, Expression, HeaderMap, Headers, Log, LogLevel, MetricId, MetricKind, Metrics,
};
use stats_core::plugin::{Plugin, Stream};
use stats_core::proto::{Kind, List, Metadata, Node, Struct, Value};
use stats_core::registry::{ENVOY_BOUNDS, Metric, Registry};
use stats_core::stat_name;
use stats_core::workload::Workload;

pub const MTLS_LOCAL: &str = "spiffe://cluster.local/ns/test/sa/default";
/// The id of the connection of all requests.
const CONNECTION: i64 = 7;

pub const MTLS_PEER: &str = "spiffe://cluster.local/ns/shop/sa/cart";

#[derive(Default)]
pub struct Mock {
    /// By path, segments separated by a dot.
    pub attributes: BTreeMap<String, Vec<u8>>,
    /// What an expression evaluates to, by a text that it contains; the first that fits.
    pub lists: Vec<(&'static str, Vec<Vec<u8>>)>,
    pub request: BTreeMap<&'static str, Vec<u8>>,
    pub response: BTreeMap<&'static str, Vec<u8>>,
    /// Calls are counted always, noted only while this is set: noting allocates.
    pub notes: Cell<bool>,
    pub calls: RefCell<Vec<String>>,
    pub call_count: Cell<usize>,
    /// The time, in nanoseconds; a call takes none.
    pub time: Cell<u64>,
    pub declared: RefCell<Vec<String>>,
    pub published: RefCell<BTreeMap<String, Vec<u8>>>,
    /// Expressions that do not parse, by a text that they contain.
    pub unparsable: Vec<&'static str>,
    pub compiled: RefCell<Vec<String>>,
    pub forgotten: RefCell<Vec<u32>>,
    pub logged: RefCell<Vec<String>>,
    pub registry: RefCell<Registry>,
    pub metrics: RefCell<Vec<Metric>>,
}

/// A request from `cart` to `podinfo`, as podinfo's sidecar sees it.
pub fn inbound() -> Mock {
    let mut mock = Mock::default();
    mock.set_integer("xds.listener_direction", 1);
    mock.set("xds.node", &node("podinfo", "test"));
    mock.set("xds.cluster_metadata", &podinfo_cluster("podinfo"));
    mock.set("connection.uri_san_peer_certificate", MTLS_PEER.as_bytes());
    mock.set(
        "connection.uri_san_local_certificate",
        MTLS_LOCAL.as_bytes(),
    );
    mock.lists
        .push(("connection.id", ended(200, "inbound|9898||")));
    mock.request
        .insert("x-envoy-peer-metadata-id", b"sidecar~cart".to_vec());
    mock.request
        .insert("x-envoy-peer-metadata", metadata("cart", "shop"));
    mock.request.insert(":authority", b"podinfo:9898".to_vec());
    mock
}

/// A request from `cart` to `podinfo`, as cart's sidecar sees it.
pub fn outbound() -> Mock {
    let mut mock = Mock::default();
    mock.set_integer("xds.listener_direction", 2);
    mock.set("xds.node", &node("cart", "shop"));
    mock.set("xds.cluster_metadata", &podinfo_cluster("podinfo"));
    mock.set("upstream.uri_san_peer_certificate", MTLS_LOCAL.as_bytes());
    mock.set("upstream.uri_san_local_certificate", MTLS_PEER.as_bytes());
    let cluster = "outbound|9898||podinfo.test.svc.cluster.local";
    mock.set("xds.cluster_name", cluster.as_bytes());
    let mut mtls = ended(200, cluster);
    mtls.push(MTLS_LOCAL.as_bytes().to_vec());
    mtls.push(MTLS_PEER.as_bytes().to_vec());
    mock.lists.push(("uri_san", mtls));
    let mut plain = ended(200, cluster);
    plain.push(vec![1]);
    mock.lists.push(("tls_version", plain));
    mock.request.insert(":authority", b"podinfo:9898".to_vec());
    mock.response
        .insert("x-envoy-peer-metadata-id", b"sidecar~podinfo".to_vec());
    mock.response
        .insert("x-envoy-peer-metadata", metadata("podinfo", "test"));
    mock
}

/// What the expressions have in common: code, flags, duration, sizes, cluster, route and connection.
pub fn ended(code: i64, cluster: &str) -> Vec<Vec<u8>> {
    let integers = [code, 0, 4_200_000, 300, 500];
    let mut list: Vec<_> = integers.iter().map(|i| i.to_ne_bytes().to_vec()).collect();
    list.push(cluster.into());
    list.push(b"default".to_vec());
    list.push(CONNECTION.to_ne_bytes().to_vec());
    list
}

/// Cluster metadata that names a service in the namespace `test`.
pub fn podinfo_cluster(name: &str) -> Vec<u8> {
    let host = format!("{name}.test.svc.cluster.local");
    let service = strings(&[("host", &host), ("name", name), ("namespace", "test")]);
    let kind = Some(Kind::Struct(service));
    let services = Kind::List(List {
        values: vec![Value { kind }],
    });
    Metadata::of_istio(Struct::from_iter([("services", services)])).encode_to_vec()
}

/// Cluster metadata with these flags under `istio`.
pub fn istio_cluster(flags: &[&str]) -> Vec<u8> {
    let flags = flags.iter().map(|name| (*name, Kind::Bool(true)));
    Metadata::of_istio(flags.collect()).encode_to_vec()
}

/// The value of the metadata header of a workload.
pub fn metadata(name: &str, namespace: &str) -> Vec<u8> {
    let node = Node::decode(&*node(name, namespace)).unwrap();
    introduction(&Workload::from_node(&node, &[]))
}

/// The value of the metadata header that introduces a workload.
pub fn introduction(workload: &Workload) -> Vec<u8> {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD
        .encode(workload.to_exchange(""))
        .into_bytes()
}

/// The node message of a workload's sidecar.
fn node(name: &str, namespace: &str) -> Vec<u8> {
    let mut metadata = strings(&[
        ("NAME", &format!("{name}-0")),
        ("NAMESPACE", namespace),
        ("WORKLOAD_NAME", name),
        ("CLUSTER_ID", "c1"),
        ("ISTIO_VERSION", "1.30.0"),
    ]);
    let labels = strings(&[("app", name), ("service.istio.io/canonical-name", name)]);
    metadata.insert("LABELS", Kind::Struct(labels));
    let id = format!("sidecar~10.0.0.1~{name}-0.{namespace}~{namespace}.svc.cluster.local");
    Node {
        id,
        metadata: Some(metadata),
        locality: None,
    }
    .encode_to_vec()
}

fn strings(entries: &[(&str, &str)]) -> Struct {
    let entries = entries
        .iter()
        .map(|(k, v)| (*k, Kind::Text((*v).to_owned())));
    entries.collect()
}

impl Mock {
    pub fn set(&mut self, path: &str, value: &[u8]) {
        self.attributes.insert(path.to_owned(), value.to_vec());
    }

    pub fn set_integer(&mut self, path: &str, value: i64) {
        self.set(path, &value.to_ne_bytes());
    }

    /// What a user's expression, which contains this text, evaluates to.
    pub fn typed(&mut self, expression: &'static str, value: &[u8], code: &str) {
        let typed = vec![value.to_vec(), code.as_bytes().to_vec()];
        self.lists.insert(0, (expression, typed));
    }

    /// A plugin in this host.
    pub fn plugin(&self, root_id: &str, configuration: &str) -> Plugin {
        Plugin::configure(self, root_id.as_bytes(), configuration.as_bytes()).unwrap()
    }

    /// One whole request.
    pub fn request(&self, plugin: &mut Plugin) {
        let mut stream = Stream::default();
        plugin.on_request_headers(self, &mut stream);
        plugin.on_response_headers(self, &mut stream);
        plugin.on_log(self, &mut stream);
    }

    /// The calls of one whole request.
    pub fn calls_of_a_request(&self, plugin: &mut Plugin) -> Vec<String> {
        self.calls.take();
        self.notes.set(true);
        self.request(plugin);
        self.notes.set(false);
        self.calls.take()
    }

    /// The lines of the page that begin so.
    pub fn samples(&self, name: &str) -> Vec<String> {
        let page = self.registry.borrow().exposition();
        page.lines()
            .filter(|line| line.starts_with(name))
            .map(str::to_owned)
            .collect()
    }

    fn note(&self, call: impl FnOnce() -> String) {
        self.call_count.set(self.call_count.get() + 1);
        if self.notes.get() {
            self.calls.borrow_mut().push(call());
        }
    }

    fn map(&self, map: HeaderMap) -> &BTreeMap<&'static str, Vec<u8>> {
        match map {
            HeaderMap::Request => &self.request,
            HeaderMap::Response => &self.response,
        }
    }
}

impl Headers for Mock {
    fn header(&self, map: HeaderMap, name: &str) -> Option<&[u8]> {
        self.note(|| format!("get {map:?} {name}"));
        self.map(map).get(name).map(Vec::as_slice)
    }

    fn headers<const N: usize>(&self, map: HeaderMap, names: [&str; N]) -> [Option<&[u8]>; N] {
        self.note(|| format!("get {map:?} {}", names.join(" ")));
        names.map(|name| self.map(map).get(name).map(Vec::as_slice))
    }

    fn set_header(&self, map: HeaderMap, name: &str, _value: &[u8]) {
        self.note(|| format!("set {map:?} {name}"));
    }

    fn remove_header(&self, map: HeaderMap, name: &str) {
        self.note(|| format!("remove {map:?} {name}"));
    }
}

impl Attributes for Mock {
    fn attribute(&self, path: &str) -> Option<&[u8]> {
        self.note(|| format!("attribute {}", path.replace('\0', ".")));
        // Compared in place: looking up by a dotted copy would allocate.
        let same = |known: &str| {
            known.len() == path.len()
                && known
                    .bytes()
                    .zip(path.bytes())
                    .all(|(k, p)| k == p || (k == b'.' && p == 0))
        };
        let found = self.attributes.iter().find(|(known, _)| same(known));
        found.map(|(_, value)| value.as_slice())
    }

    fn compile(&self, expression: &str) -> Option<Expression> {
        self.note(|| "compile".to_owned());
        if self.unparsable.iter().any(|part| expression.contains(part)) {
            return None;
        }
        self.compiled.borrow_mut().push(expression.to_owned());
        Some(Expression(
            u32::try_from(self.compiled.borrow().len()).unwrap() - 1,
        ))
    }

    fn evaluate(&self, expression: Expression) -> Option<&[u8]> {
        self.note(|| "evaluate".to_owned());
        let compiled = self.compiled.borrow();
        let text = &compiled[expression.0 as usize];
        let (_, list) = self.lists.iter().find(|(part, _)| text.contains(part))?;
        Some(cached_pairs(list))
    }

    fn forget(&self, expression: Expression) {
        self.forgotten.borrow_mut().push(expression.0);
    }

    fn declare_struct(&self, name: &str) {
        self.declared.borrow_mut().push(name.to_owned());
    }

    fn publish(&self, name: &str, value: &[u8]) {
        self.note(|| format!("publish {name}"));
        let known = self
            .published
            .borrow()
            .get(name)
            .is_some_and(|known| known == value);
        if !known {
            let mut published = self.published.borrow_mut();
            published.insert(name.to_owned(), value.to_vec());
        }
    }
}

impl Metrics for Mock {
    fn define(&self, kind: MetricKind, stat_name: &str) -> Option<MetricId> {
        self.note(|| "define".to_owned());
        let (labels, name) = stat_name::parse(stat_name).unwrap();
        let mut registry = self.registry.borrow_mut();
        let metric = match kind {
            MetricKind::Counter => Metric::Counter(registry.counter(name, "", &labels).unwrap()),
            MetricKind::Gauge => Metric::Gauge(registry.gauge(name, "", &labels).unwrap()),
            MetricKind::Histogram => {
                let histogram = registry.histogram(name, "", &labels, &ENVOY_BOUNDS);
                Metric::Histogram(histogram.unwrap())
            }
        };
        self.metrics.borrow_mut().push(metric);
        Some(MetricId(
            u32::try_from(self.metrics.borrow().len()).unwrap() - 1,
        ))
    }

    fn record(&self, metric: MetricId, value: u64) {
        self.note(|| "record".to_owned());
        self.metrics.borrow()[metric.0 as usize].record(value);
    }

    fn change(&self, gauge: MetricId, by: i64) {
        self.note(|| format!("change {by}"));
        match &self.metrics.borrow()[gauge.0 as usize] {
            Metric::Gauge(gauge) => gauge.add(by),
            other => unreachable!("{other:?} is no gauge"),
        }
    }
}

impl Clock for Mock {
    fn now(&self) -> u64 {
        self.note(|| "now".to_owned());
        self.time.get()
    }
}

impl Log for Mock {
    fn log(&self, level: LogLevel, message: &str) {
        self.logged
            .borrow_mut()
            .push(format!("{level:?}: {message}"));
    }
}

/// The list as the host serializes it, made once for each list and never freed: `evaluate` hands
/// out a borrow.
fn cached_pairs(list: &[Vec<u8>]) -> &'static [u8] {
    type Known = (Vec<Vec<u8>>, &'static [u8]);
    thread_local! {
        static CACHE: RefCell<BTreeMap<usize, Known>> = RefCell::default();
    }
    CACHE.with_borrow_mut(|cache| {
        let key = list.as_ptr() as usize;
        match cache.get(&key) {
            Some((known, pairs)) if known == list => pairs,
            _ => {
                let pairs: &'static [u8] = pairs(list).leak();
                cache.insert(key, (list.to_vec(), pairs));
                pairs
            }
        }
    })
}

fn pairs(list: &[Vec<u8>]) -> Vec<u8> {
    let size = |n: usize| u32::try_from(n).unwrap().to_ne_bytes();
    let mut bytes = size(list.len()).to_vec();
    for element in list {
        bytes.extend(size(element.len()));
        bytes.extend(size(0));
    }
    for element in list {
        bytes.extend(element);
        bytes.extend([0, 0]);
    }
    bytes
}
