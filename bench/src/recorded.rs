//! A proxy that answers from what was recorded of one request, as often as it comes: what is measured
//! with it is the core, and hardly the proxy.
//!
//! Only the answers and a count of the calls are here. Which requests are measured is in
//! [`scenarios`](crate::scenarios); how a compiled module reaches a [`Recorded`] is in
//! [`engine`](crate::engine).

mod calls;
mod host;
mod messages;
mod wire;

use std::cell::{Cell, OnceCell, RefCell};
use std::io::Write;

use stats_core::exchange::{ID_HEADER, METADATA_HEADER};
use stats_core::host::HeaderMap;

use self::messages::{cluster_metadata, node, workload};
use self::wire::{elements, list, pairs};
use crate::peers;

pub use self::calls::{HostCall, HostCalls};

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

/// The place of a header's value, made where there is none.
fn slot<'a>(headers: &'a mut Vec<(&'static str, Vec<u8>)>, name: &'static str) -> &'a mut Vec<u8> {
    let at = headers.iter().position(|(known, _)| *known == name);
    let at = at.unwrap_or_else(|| {
        headers.push((name, Vec::new()));
        headers.len() - 1
    });
    &mut headers[at].1
}

#[cfg(test)]
mod tests {
    use stats_core::host::Attributes;

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
