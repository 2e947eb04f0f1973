//! A proxy that answers from what was recorded of one request, as often as it comes: what is measured
//! with it is the core, and hardly the proxy.
//!
//! Only the answers and a count of the calls are here. Which requests are measured is in
//! [`scenarios`](crate::scenarios); how a compiled module reaches a [`Recorded`] is in
//! [`engine`](crate::engine).

use std::cell::{Cell, OnceCell, RefCell};
use std::io::Write;

use prost::Message;
use stats_core::exchange::{ID_HEADER, METADATA_HEADER};
use stats_core::host::{
    Attributes, Clock, Expression, HeaderMap, Headers, Log, LogLevel, MetricId, MetricKind, Metrics,
};
use stats_core::proto::{Kind, List, Metadata, Node, Struct, Value};
use stats_core::workload::Workload;

use crate::peers;

/// More than any configuration here compiles.
const MAX_EXPRESSIONS: usize = 32;

const CLIENT: &str = "spiffe://cluster.local/ns/shop/sa/cart";
const SERVER: &str = "spiffe://cluster.local/ns/shop/sa/podinfo";

/// A proxy with one request in it.
pub struct Recorded {
    answers: Vec<Answer>,
    request: Vec<(&'static str, Vec<u8>)>,
    response: Vec<(&'static str, Vec<u8>)>,
    /// Which headers a peer introduces itself with.
    peer_headers_in: HeaderMap,
    /// What each expression evaluates to, prepared when it is compiled.
    expressions: [OnceCell<Vec<u8>>; MAX_EXPRESSIONS],
    calls: [Cell<u64>; HostCall::ALL.len()],
    defined: Cell<u32>,
    last_defined: RefCell<String>,
    problems: RefCell<Vec<String>>,
    time: Cell<u64>,
}

/// A call into the proxy, told apart as the ABI does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "`HostCall::name` says it")]
pub enum HostCall {
    GetHeader,
    GetHeaders,
    SetHeader,
    RemoveHeader,
    GetProperty,
    SetProperty,
    Compile,
    Evaluate,
    Forget,
    Declare,
    Define,
    Record,
    Change,
    Time,
    Log,
    GetBuffer,
    GetShared,
    SetShared,
    SetTickPeriod,
    SetEffectiveContext,
}

impl HostCall {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 20] = [
        Self::GetHeader,
        Self::GetHeaders,
        Self::SetHeader,
        Self::RemoveHeader,
        Self::GetProperty,
        Self::SetProperty,
        Self::Compile,
        Self::Evaluate,
        Self::Forget,
        Self::Declare,
        Self::Define,
        Self::Record,
        Self::Change,
        Self::Time,
        Self::Log,
        Self::GetBuffer,
        Self::GetShared,
        Self::SetShared,
        Self::SetTickPeriod,
        Self::SetEffectiveContext,
    ];

    /// The function of the ABI, and for a foreign function also which.
    pub const fn name(self) -> &'static str {
        match self {
            Self::GetHeader => "proxy_get_header_map_value",
            Self::GetHeaders => "proxy_get_header_map_pairs",
            Self::SetHeader => "proxy_replace_header_map_value",
            Self::RemoveHeader => "proxy_remove_header_map_value",
            Self::GetProperty => "proxy_get_property",
            Self::SetProperty => "proxy_set_property",
            Self::Compile => "proxy_call_foreign_function expr_create",
            Self::Evaluate => "proxy_call_foreign_function expr_evaluate",
            Self::Forget => "proxy_call_foreign_function expr_delete",
            Self::Declare => "proxy_call_foreign_function declare_property",
            Self::Define => "proxy_define_metric",
            Self::Record => "proxy_record_metric",
            Self::Change => "proxy_increment_metric",
            Self::Time => "proxy_get_current_time_nanoseconds",
            Self::Log => "proxy_log",
            Self::GetBuffer => "proxy_get_buffer_bytes",
            Self::GetShared => "proxy_get_shared_data",
            Self::SetShared => "proxy_set_shared_data",
            Self::SetTickPeriod => "proxy_set_tick_period_milliseconds",
            Self::SetEffectiveContext => "proxy_set_effective_context",
        }
    }
}

/// How often each call was made, in the order of [`HostCall::ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostCalls([u64; HostCall::ALL.len()]);

impl HostCalls {
    /// How often this call was made.
    pub fn of(&self, call: HostCall) -> u64 {
        self.0[call as usize]
    }

    /// How many calls were made.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The calls since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut calls = *self;
        for (now, before) in calls.0.iter_mut().zip(earlier.0) {
            *now -= before;
        }
        calls
    }
}

/// What the proxy knows under a name.
struct Answer {
    /// As an expression spells it: `xds.cluster_name`.
    name: &'static str,
    /// As a path spells it, with NUL for the dots.
    path: String,
    value: Vec<u8>,
    /// The code of its type, for an expression that asks for it: see `stats_core::cel`.
    code: &'static [u8],
}

impl Recorded {
    /// A request from `cart` to `podinfo` over mutual TLS, as podinfo's sidecar sees it.
    pub fn inbound() -> Self {
        let mut proxy = Self::new("podinfo", HeaderMap::Request, "inbound|9898||");
        proxy.integer("xds.listener_direction", 1);
        proxy.text("connection.uri_san_peer_certificate", CLIENT);
        proxy.text("connection.uri_san_local_certificate", SERVER);
        proxy.boolean("has(upstream.tls_version)", false);
        proxy.set_peer(&peers::headers(0));
        proxy
    }

    /// The same request, as cart's sidecar sees it.
    pub fn outbound() -> Self {
        let cluster = "outbound|9898||podinfo.shop.svc.cluster.local";
        let mut proxy = Self::new("cart", HeaderMap::Response, cluster);
        proxy.integer("xds.listener_direction", 2);
        proxy.text("upstream.uri_san_peer_certificate", SERVER);
        proxy.text("upstream.uri_san_local_certificate", CLIENT);
        proxy.text("upstream.tls_version", "TLSv1.3");
        proxy.boolean("has(upstream.tls_version)", true);
        proxy.set_peer(&peers::headers(0));
        proxy
    }

    /// The inbound request after another filter has exchanged metadata and published the peer.
    pub fn behind_an_exchange() -> Self {
        let mut proxy = Self::inbound();
        proxy.request.retain(|(name, _)| *name == ":authority");
        let peer = workload("cart").to_filter_state();
        proxy.answer("downstream_peer", peer, b"m");
        proxy
    }

    /// The inbound request to a cluster that does not say which service it is for, so that the
    /// authority names it.
    pub fn inbound_by_authority() -> Self {
        let mut proxy = Self::inbound();
        proxy
            .answers
            .retain(|answer| answer.name != "xds.cluster_metadata");
        proxy
    }

    fn new(local: &str, peer_headers_in: HeaderMap, cluster: &str) -> Self {
        let mut proxy = Self {
            answers: Vec::new(),
            request: Vec::new(),
            response: Vec::new(),
            peer_headers_in,
            expressions: [const { OnceCell::new() }; MAX_EXPRESSIONS],
            calls: [const { Cell::new(0) }; HostCall::ALL.len()],
            defined: Cell::new(0),
            last_defined: RefCell::default(),
            problems: RefCell::default(),
            time: Cell::new(0),
        };
        proxy.text("xds.cluster_name", cluster);
        proxy.text("xds.route_name", "default");
        proxy.integer("connection.id", 7);
        proxy.integer("response.code", 200);
        proxy.integer("response.flags", 0);
        proxy.integer("request.duration", 4_200_000);
        proxy.integer("request.total_size", 300);
        proxy.integer("response.total_size", 500);
        proxy.text("request.method", "GET");
        proxy.text("request.url_path", "/reviews/7");
        proxy.answer("xds.node", node(local), b"m");
        proxy.answer("xds.cluster_metadata", cluster_metadata(), b"m");
        let headers = [
            (":method", "GET"),
            (":path", "/reviews/7"),
            (":scheme", "http"),
            ("user-agent", "Go-http-client/1.1"),
            ("accept-encoding", "gzip"),
            (
                "traceparent",
                "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            ),
            ("x-forwarded-proto", "http"),
            ("x-request-id", "3f1f3a0e-8a4b-9d0c-a4e2-6b1f6cf6a0d7"),
        ];
        let headers = headers.map(|(name, value)| (name, value.as_bytes().to_vec()));
        proxy.request.extend(headers);
        proxy.set_authority(0);
        proxy
    }

    /// From now on the peer introduces itself with this id and this metadata.
    pub fn set_peer(&mut self, (id, metadata): &(String, String)) {
        let headers = match self.peer_headers_in {
            HeaderMap::Request => &mut self.request,
            HeaderMap::Response => &mut self.response,
        };
        for (name, value) in [(ID_HEADER, id), (METADATA_HEADER, metadata)] {
            let header = slot(headers, name);
            header.clear();
            header.extend(value.as_bytes());
        }
    }

    /// From now on the request is for the service with this number.
    pub fn set_authority(&mut self, number: u64) {
        let authority = slot(&mut self.request, ":authority");
        authority.clear();
        // A vector takes whatever is written.
        let _ = write!(authority, "service-{number}.shop.svc.cluster.local:9898");
    }

    /// The calls so far.
    pub fn calls(&self) -> HostCalls {
        HostCalls(self.calls.each_ref().map(Cell::get))
    }

    /// Counts a call that has no trait of the core: a module makes some of its own.
    pub fn count(&self, call: HostCall) {
        let calls = &self.calls[call as usize];
        calls.set(calls.get() + 1);
    }

    /// What the proxy was last asked to define.
    pub fn last_defined(&self) -> String {
        self.last_defined.borrow().clone()
    }

    /// Warnings and errors that were logged, and expressions with an element that has no answer
    /// here: then something else is measured than was meant.
    pub fn problems(&self) -> Vec<String> {
        self.problems.borrow().clone()
    }

    fn text(&mut self, name: &'static str, value: &str) {
        self.answer(name, value.into(), b"s");
    }

    fn integer(&mut self, name: &'static str, value: i64) {
        self.answer(name, value.to_ne_bytes().to_vec(), b"i");
    }

    fn boolean(&mut self, name: &'static str, value: bool) {
        self.answer(name, vec![u8::from(value)], b"b");
    }

    fn answer(&mut self, name: &'static str, value: Vec<u8>, code: &'static [u8]) {
        let path = name.replace('.', "\0");
        self.answers.push(Answer {
            name,
            path,
            value,
            code,
        });
    }

    /// All headers of a map, as the proxy serializes them.
    pub fn all_headers(&self, map: HeaderMap) -> Vec<u8> {
        self.count(HostCall::GetHeaders);
        let headers = self.map(map).iter();
        pairs(headers.map(|(name, value)| (name.as_bytes(), value.as_slice())))
    }

    fn find_header(&self, map: HeaderMap, name: &str) -> Option<&[u8]> {
        let found = self.map(map).iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| &**value)
    }

    fn map(&self, map: HeaderMap) -> &[(&'static str, Vec<u8>)] {
        match map {
            HeaderMap::Request => &self.request,
            HeaderMap::Response => &self.response,
        }
    }

    /// What an expression evaluates to: the answer to its text, a list of answers, or an answer and
    /// the code of its type. An error names what has no answer.
    fn prepare<'a>(&self, expression: &'a str) -> Result<Vec<u8>, &'a str> {
        let find = |name: &'a str| {
            let known = |answer: &&Answer| answer.name == name;
            self.answers.iter().find(known).ok_or(name)
        };
        let typed = expression.strip_prefix("[(\n");
        if let Some((name, _)) = typed.and_then(|text| text.split_once("\n)].map(")) {
            let Answer { value, code, .. } = find(name)?;
            return Ok(list(&[value, code]));
        }
        let inner = expression.strip_prefix('[');
        match inner.and_then(|text| text.strip_suffix(']')) {
            Some(inner) => {
                let answers = elements(inner).into_iter().map(find);
                let values = answers.map(|answer| answer.map(|answer| &*answer.value));
                Ok(list(&values.collect::<Result<Vec<_>, _>>()?))
            }
            None => Ok(find(expression)?.value.clone()),
        }
    }
}

impl Headers for Recorded {
    fn header(&self, map: HeaderMap, name: &str) -> Option<&[u8]> {
        self.count(HostCall::GetHeader);
        self.find_header(map, name)
    }

    fn headers<const N: usize>(&self, map: HeaderMap, names: [&str; N]) -> [Option<&[u8]>; N] {
        self.count(HostCall::GetHeaders);
        names.map(|name| self.find_header(map, name))
    }

    fn set_header(&self, _map: HeaderMap, _name: &str, _value: &[u8]) {
        self.count(HostCall::SetHeader);
    }

    fn remove_header(&self, _map: HeaderMap, _name: &str) {
        self.count(HostCall::RemoveHeader);
    }
}

impl Attributes for Recorded {
    fn attribute(&self, path: &str) -> Option<&[u8]> {
        self.count(HostCall::GetProperty);
        let found = self.answers.iter().find(|answer| answer.path == path);
        found.map(|answer| &*answer.value)
    }

    fn compile(&self, expression: &str) -> Option<Expression> {
        self.count(HostCall::Compile);
        match self.prepare(expression) {
            Ok(value) => {
                let free = self
                    .expressions
                    .iter()
                    .position(|slot| slot.get().is_none())?;
                self.expressions[free].set(value).ok()?;
                Some(Expression(free as u32))
            }
            Err(unknown) => {
                let problem = format!("nothing is recorded for `{unknown}` in `{expression}`");
                self.problems.borrow_mut().push(problem);
                None
            }
        }
    }

    fn evaluate(&self, expression: Expression) -> Option<&[u8]> {
        self.count(HostCall::Evaluate);
        let slot = self.expressions.get(expression.0 as usize)?;
        slot.get().map(|value| &**value)
    }

    fn forget(&self, _expression: Expression) {
        self.count(HostCall::Forget);
    }

    fn declare_struct(&self, _name: &str) {
        self.count(HostCall::Declare);
    }

    fn publish(&self, _name: &str, _value: &[u8]) {
        self.count(HostCall::SetProperty);
    }
}

impl Metrics for Recorded {
    fn define(&self, _kind: MetricKind, stat_name: &str) -> Option<MetricId> {
        self.count(HostCall::Define);
        let mut last = self.last_defined.borrow_mut();
        last.clear();
        last.push_str(stat_name);
        self.defined.set(self.defined.get() + 1);
        Some(MetricId(self.defined.get()))
    }

    fn record(&self, _metric: MetricId, _value: u64) {
        self.count(HostCall::Record);
    }

    fn change(&self, _gauge: MetricId, _by: i64) {
        self.count(HostCall::Change);
    }
}

impl Clock for Recorded {
    fn now(&self) -> u64 {
        self.count(HostCall::Time);
        self.time.set(self.time.get() + 1_000);
        self.time.get()
    }
}

impl Log for Recorded {
    fn log(&self, level: LogLevel, message: &str) {
        self.count(HostCall::Log);
        if level != LogLevel::Debug {
            self.problems.borrow_mut().push(message.to_owned());
        }
    }
}

/// The place of a header's value, made where there is none.
fn slot<'a>(headers: &'a mut Vec<(&'static str, Vec<u8>)>, name: &'static str) -> &'a mut Vec<u8> {
    let at = headers.iter().position(|(known, _)| *known == name);
    let at = at.unwrap_or_else(|| {
        headers.push((name, Vec::new()));
        headers.len() - 1
    });
    &mut headers[at].1
}

/// The elements of a list, split at the commas that are its own.
fn elements(list: &str) -> Vec<&str> {
    let (mut depth, mut quoted) = (0_u32, false);
    let is_end = |c| {
        match c {
            '\'' => quoted = !quoted,
            '(' | '[' | '{' if !quoted => depth += 1,
            ')' | ']' | '}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0 && !quoted
    };
    list.split(is_end).map(str::trim).collect()
}

/// A list as the proxy serializes it: pairs of an element and nothing.
fn list(elements: &[&[u8]]) -> Vec<u8> {
    let nothing = &b""[..];
    pairs(elements.iter().map(|element| (*element, nothing)))
}

/// Pairs as the proxy serializes them.
fn pairs<'a>(pairs: impl ExactSizeIterator<Item = (&'a [u8], &'a [u8])> + Clone) -> Vec<u8> {
    let size = |size: usize| (size as u32).to_ne_bytes();
    let mut bytes = size(pairs.len()).to_vec();
    for (key, value) in pairs.clone() {
        bytes.extend([size(key.len()), size(value.len())].concat());
    }
    for (key, value) in pairs {
        bytes.extend([key, b"\0", value, b"\0"].concat());
    }
    bytes
}

fn workload(name: &str) -> Workload {
    Workload {
        instance: format!("{name}-7d9f6c8b4d-x2x5z"),
        namespace: "shop".into(),
        name: name.into(),
        cluster: "Kubernetes".into(),
        canonical_service: name.into(),
        canonical_revision: "v1".into(),
        app: name.into(),
        version: "v1".into(),
        ..Workload::UNKNOWN
    }
}

/// The node message of a workload's sidecar: metadata has the keys of the exchange.
fn node(name: &str) -> Vec<u8> {
    let owner = format!("kubernetes://apis/apps/v1/namespaces/shop/deployments/{name}");
    let own = workload(name).to_exchange(&owner);
    Node {
        id: format!("sidecar~10.0.0.1~{name}-7d9f6c8b4d-x2x5z.shop~shop.svc.cluster.local"),
        metadata: Struct::decode(&*own).ok(),
        locality: None,
    }
    .encode_to_vec()
}

/// The metadata of podinfo's cluster, which names its service.
fn cluster_metadata() -> Vec<u8> {
    let service = [
        ("host", "podinfo.shop.svc.cluster.local"),
        ("name", "podinfo"),
        ("namespace", "shop"),
    ];
    let service = service.map(|(key, text)| (key, Kind::Text(text.to_owned())));
    let kind = Some(Kind::Struct(service.into_iter().collect()));
    let services = Kind::List(List {
        values: vec![Value { kind }],
    });
    Metadata::of_istio(Struct::from_iter([("services", services)])).encode_to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_split_at_its_own_commas() {
        assert_eq!(
            elements("a.b, has(c, 'd'), 'e, (f' in g , [h, i]"),
            ["a.b", "has(c, 'd')", "'e, (f' in g", "[h, i]"]
        );
    }

    #[test]
    fn expressions_have_the_recorded_answers() {
        let proxy = Recorded::inbound();
        let evaluated = |expression| {
            let compiled = proxy.compile(expression).unwrap();
            proxy.evaluate(compiled).unwrap()
        };
        let code = 200_i64.to_ne_bytes();
        let list = evaluated("[response.code, xds.route_name]");
        assert_eq!(stats_core::pairs::list(list), Some([&code[..], b"default"]));
        assert_eq!(evaluated("response.code"), code);
        let mut text = Vec::new();
        let typed = stats_core::cel::typed("response.code");
        stats_core::cel::print(&mut text, evaluated(&typed)).unwrap();
        assert_eq!(text, b"200");
        assert_eq!(proxy.problems(), [""; 0]);
    }

    #[test]
    fn an_expression_without_an_answer_is_a_problem() {
        let proxy = Recorded::inbound();
        assert_eq!(proxy.compile("[response.code, no.such]"), None);
        assert!(proxy.problems()[0].contains("`no.such`"));
    }
}
