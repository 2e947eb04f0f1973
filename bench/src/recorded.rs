//! A proxy that answers from what was recorded of one request, as often as it comes: what is measured
//! with it is the core, and hardly the proxy.
//!
//! Only the answers and a count of the calls are here. Which requests are measured is in
//! [`scenarios`](crate::scenarios); how a compiled module reaches a [`Recorded`] is in
//! [`engine`](crate::engine).

mod calls;
pub mod messages;

use stats_core::host::memory::{MemoryFacts, MemoryHost, MemoryMetrics};
use stats_core::host::{ClusterFacts, End, HeaderMap, ListenerDirection, LocalProxy, Value};
use stats_core::http::exchange::{ID_HEADER, METADATA_HEADER};
use stats_core::intern::seed::Seed;
use stats_core::labels::service::NamedService;
use stats_core::peer::principals::Principals;
use stats_core::peer::workload::Workload;

pub use self::calls::{HostCall, HostCalls};
use crate::peers;

const CLIENT: &[u8] = b"spiffe://cluster.local/ns/shop/sa/cart";
const SERVER: &[u8] = b"spiffe://cluster.local/ns/shop/sa/podinfo";

/// A proxy with one request in it.
pub struct Recorded {
    /// What it answers, without a registry: what is measured are not the series.
    pub host: MemoryHost,
    /// The proxy itself.
    pub local: LocalProxy,
    /// Which headers carry the peer's metadata.
    peer_headers_in: HeaderMap,
}

impl Recorded {
    /// A request from `cart` to `podinfo` over mutual TLS, as podinfo's sidecar sees it.
    pub fn inbound() -> Self {
        let mut proxy = Self::new("podinfo", HeaderMap::Request, "inbound|9898||");
        proxy.host.direction = ListenerDirection::Inbound;
        proxy.host.downstream = principals(CLIENT, SERVER);
        proxy.set_peer(&peers::headers(0));
        proxy
    }

    /// The same request, as cart's sidecar sees it.
    pub fn outbound() -> Self {
        let cluster = "outbound|9898||podinfo.shop.svc.cluster.local";
        let mut proxy = Self::new("cart", HeaderMap::Response, cluster);
        proxy.host.direction = ListenerDirection::Outbound;
        proxy.host.facts.upstream = principals(SERVER, CLIENT);
        proxy.set_peer(&peers::headers(0));
        proxy
    }

    /// The inbound request after another filter has exchanged metadata and published the peer.
    pub fn behind_an_exchange() -> Self {
        let mut proxy = Self::inbound();
        proxy.host.request.clear();
        proxy.set_authority(0);
        let peer = workload("cart").to_filter_state();
        proxy.host.peers.published[End::Downstream as usize] = Some(peer);
        proxy
    }

    /// The inbound request to a cluster that does not say which service it is for, so that the
    /// authority names it.
    pub fn inbound_by_authority() -> Self {
        let mut proxy = Self::inbound();
        proxy.host.cluster = ClusterFacts::default();
        proxy
    }

    fn new(local: &str, peer_headers_in: HeaderMap, cluster: &str) -> Self {
        let mut host = MemoryHost::new(MemoryMetrics::default());
        host.facts = MemoryFacts {
            response_code: 200,
            duration: Some(4_200_000),
            request_bytes: 300,
            response_bytes: 500,
            cluster: cluster.into(),
            route: "default".into(),
            connection: Some(7),
            ..MemoryFacts::default()
        };
        host.cluster.service = Some(NamedService {
            host: "podinfo.shop.svc.cluster.local".into(),
            name: Some("podinfo".into()),
            namespace: "shop".into(),
        });
        host.expressions.values = vec![
            ("request.method", Value::Text(b"GET")),
            ("request.url_path", Value::Text(b"/reviews/7")),
        ];
        for (name, value) in [
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
        ] {
            host.request.set(name, value);
        }
        let mut proxy = Self {
            host,
            local: local_proxy(local),
            peer_headers_in,
        };
        proxy.set_authority(0);
        proxy
    }

    /// From now on the peer has this id and this metadata.
    pub fn set_peer(&mut self, (id, metadata): &(String, String)) {
        let headers = match self.peer_headers_in {
            HeaderMap::Request => &mut self.host.request,
            HeaderMap::Response => &mut self.host.response,
        };
        headers.set(ID_HEADER, id);
        headers.set(METADATA_HEADER, metadata);
    }

    /// From now on the request is for the service with this number.
    pub fn set_authority(&mut self, number: u64) {
        let authority = format!("service-{number}.shop.svc.cluster.local:9898");
        self.host.request.set(":authority", authority);
    }

    /// The calls so far, as a module makes them.
    pub fn calls(&self) -> HostCalls {
        HostCalls::of_core(&self.host.calls.counts())
    }

    /// Expressions that were compiled and have no value here: then something else is measured than
    /// was meant.
    pub fn problems(&self) -> Vec<String> {
        let compiled = self.host.expressions.compiled.iter().flatten();
        let unknown = compiled.filter(|text| {
            let mut values = self.host.expressions.values.iter();
            !values.any(|(known, _)| *known == text.as_str())
        });
        unknown
            .map(|text| format!("nothing is recorded for `{text}`"))
            .collect()
    }
}

fn principals(peer: &[u8], local: &[u8]) -> Principals<Vec<u8>> {
    Principals {
        peer: peer.into(),
        local: local.into(),
    }
}

/// A workload of the shop.
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

/// The sidecar of a workload of the shop.
fn local_proxy(name: &str) -> LocalProxy {
    LocalProxy {
        id: format!("sidecar~10.0.0.1~{name}-7d9f6c8b4d-x2x5z.shop~shop.svc.cluster.local"),
        workload: workload(name),
        labels: Vec::new(),
        owner: format!("kubernetes://apis/apps/v1/namespaces/shop/deployments/{name}"),
        version: String::new(),
        seed: Seed::new([7; 16]),
    }
}

#[cfg(test)]
mod tests {
    use stats_core::host::Expressions;

    use super::*;

    #[test]
    fn an_expression_without_a_value_is_a_problem() {
        let mut proxy = Recorded::inbound();
        proxy.host.compile("request.method");
        assert_eq!(proxy.problems(), [""; 0]);
        proxy.host.compile("no.such");
        assert!(proxy.problems()[0].contains("`no.such`"));
    }
}
