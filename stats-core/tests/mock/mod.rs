//! The requests that the tests send through a host in memory, and what it logged.

#![allow(dead_code, reason = "each test uses its part")]
#![allow(clippy::unwrap_used, reason = "a mock is part of a test")]

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, Once};

use stats_core::host::memory::{MemoryFacts, MemoryHost, MemoryMetrics};
use stats_core::host::{ClusterFacts, ListenerDirection, LocalProxy, Value};
use stats_core::http::Plugin;
use stats_core::http::request::Request;
use stats_core::http::role::Role;
use stats_core::intern::seed::Seed;
use stats_core::labels::service::NamedService;
use stats_core::peer::principals::Principals;
use stats_core::peer::workload::Workload;
use stats_core::registry::Registry;

pub const MTLS_LOCAL: &str = "spiffe://cluster.local/ns/test/sa/default";
pub const MTLS_PEER: &str = "spiffe://cluster.local/ns/shop/sa/cart";

/// A host in memory, the proxy that it is, and its page.
pub struct Mock {
    pub host: MemoryHost,
    pub proxy: LocalProxy,
    pub registry: Arc<Mutex<Registry>>,
}

impl Deref for Mock {
    type Target = MemoryHost;

    fn deref(&self) -> &MemoryHost {
        &self.host
    }
}

impl DerefMut for Mock {
    fn deref_mut(&mut self) -> &mut MemoryHost {
        &mut self.host
    }
}

impl Default for Mock {
    fn default() -> Self {
        Self::with_registry(Arc::default())
    }
}

/// A request from `cart` to `podinfo`, as podinfo's sidecar sees it.
pub fn inbound() -> Mock {
    inbound_into(Arc::default())
}

/// The same, with the series in a registry that others may share.
pub fn inbound_into(registry: Arc<Mutex<Registry>>) -> Mock {
    let mut mock = Mock::with_registry(registry);
    mock.proxy = proxy("podinfo", "test");
    mock.direction = ListenerDirection::Inbound;
    mock.cluster = podinfo_cluster("podinfo");
    mock.downstream = principals(MTLS_PEER, MTLS_LOCAL);
    mock.facts = finished(200, "inbound|9898||");
    mock.request.set("x-envoy-peer-metadata-id", "sidecar~cart");
    mock.request
        .set("x-envoy-peer-metadata", metadata("cart", "shop"));
    mock.request.set(":authority", "podinfo:9898");
    mock
}

/// A request from `cart` to `podinfo`, as cart's sidecar sees it.
pub fn outbound() -> Mock {
    outbound_into(Arc::default())
}

/// The same, with the series in a registry that others may share.
pub fn outbound_into(registry: Arc<Mutex<Registry>>) -> Mock {
    let mut mock = Mock::with_registry(registry);
    mock.proxy = proxy("cart", "shop");
    mock.direction = ListenerDirection::Outbound;
    mock.cluster = podinfo_cluster("podinfo");
    mock.facts = finished(200, "outbound|9898||podinfo.test.svc.cluster.local");
    mock.facts.upstream = principals(MTLS_LOCAL, MTLS_PEER);
    mock.request.set(":authority", "podinfo:9898");
    mock.response
        .set("x-envoy-peer-metadata-id", "sidecar~podinfo");
    mock.response
        .set("x-envoy-peer-metadata", metadata("podinfo", "test"));
    mock
}

/// A request that has ended.
pub fn finished(response_code: u32, cluster: &str) -> MemoryFacts {
    MemoryFacts {
        response_code,
        duration: Some(4_200_000),
        request_bytes: 300,
        response_bytes: 500,
        cluster: cluster.into(),
        route: "default".into(),
        connection: Some(7),
        ..MemoryFacts::default()
    }
}

pub fn principals(peer: &str, local: &str) -> Principals<Vec<u8>> {
    Principals {
        peer: peer.into(),
        local: local.into(),
    }
}

/// Cluster metadata that names a service in the namespace `test`.
pub fn podinfo_cluster(name: &str) -> ClusterFacts {
    ClusterFacts {
        service: Some(NamedService {
            host: format!("{name}.test.svc.cluster.local"),
            name: Some(name.into()),
            namespace: "test".into(),
        }),
        ..ClusterFacts::default()
    }
}

/// The value of the metadata header of a workload.
pub fn metadata(name: &str, namespace: &str) -> String {
    encoded(&workload(name, namespace))
}

/// The value of the metadata header of a workload.
pub fn encoded(workload: &Workload) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(workload.to_exchange(""))
}

fn workload(name: &str, namespace: &str) -> Workload {
    Workload {
        instance: format!("{name}-0"),
        namespace: namespace.into(),
        name: name.into(),
        cluster: "c1".into(),
        canonical_service: name.into(),
        app: name.into(),
        ..Workload::UNKNOWN
    }
}

/// The sidecar of a workload.
fn proxy(name: &str, namespace: &str) -> LocalProxy {
    LocalProxy {
        id: format!("sidecar~10.0.0.1~{name}-0.{namespace}~{namespace}.svc.cluster.local"),
        workload: workload(name, namespace),
        labels: Vec::new(),
        owner: String::new(),
        version: "1.30.0".into(),
        seed: Seed::new(*b"0123456789abcdef"),
    }
}

impl Mock {
    fn with_registry(registry: Arc<Mutex<Registry>>) -> Self {
        capture_logs();
        Self {
            host: MemoryHost::new(MemoryMetrics::new(registry.clone())),
            proxy: LocalProxy::default(),
            registry,
        }
    }

    /// What a user's expression evaluates to, from now on.
    pub fn value(&mut self, expression: &'static str, value: Value<'static>) {
        self.expressions
            .values
            .retain(|(known, _)| *known != expression);
        self.expressions.values.push((expression, value));
    }

    /// A plugin in this host.
    pub fn plugin(&mut self, role: Role, configuration: &str) -> Plugin {
        let proxy = self.proxy.clone();
        Plugin::configure(&mut self.host, role, proxy, configuration.as_bytes()).unwrap()
    }

    /// A plugin for exchange and stats.
    pub fn telemetry(&mut self, configuration: &str) -> Plugin {
        self.plugin(Role::Telemetry, configuration)
    }

    /// One whole request.
    pub fn send(&mut self, plugin: &mut Plugin) {
        let mut request = Request::default();
        plugin.on_request_headers(&mut self.host, &mut request);
        plugin.on_response_headers(&mut self.host, &mut request);
        plugin.on_log(&mut self.host, &mut request);
    }

    /// One whole request through a new plugin.
    pub fn send_with(&mut self, configuration: &str) {
        let mut plugin = self.telemetry(configuration);
        self.send(&mut plugin);
    }

    /// The calls of one whole request.
    pub fn calls_of_a_request(&mut self, plugin: &mut Plugin) -> Vec<String> {
        self.calls.start_notes();
        self.send(plugin);
        self.calls.take_notes()
    }

    /// The whole page.
    pub fn page(&self) -> String {
        self.registry.lock().unwrap().exposition()
    }

    /// The lines of the page that begin so.
    pub fn samples(&self, name: &str) -> Vec<String> {
        let page = self.page();
        page.lines()
            .filter(|line| line.starts_with(name))
            .map(str::to_owned)
            .collect()
    }
}

thread_local! {
    static LOGGED: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// What this thread logged since this was last asked.
pub fn logged() -> Vec<String> {
    LOGGED.take()
}

struct Logger;

impl log::Log for Logger {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let line = format!("{}: {}", record.level(), record.args());
        LOGGED.with_borrow_mut(|logged| logged.push(line));
    }

    fn flush(&self) {}
}

fn capture_logs() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&Logger).unwrap();
        log::set_max_level(log::LevelFilter::Trace);
    });
}
