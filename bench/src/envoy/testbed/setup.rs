//! What a testbed is like, and the bootstraps of its Envoys that follow from it.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use harness::envoy::EnvoyOptions;
use harness::envoy_config::{
    cluster, http_connection_manager, istio_metadata, lb_endpoint, metrics_cluster, router,
    socket_address, stats_config,
};
use harness::{ProxyNode, SidecarDirection};
use serde_json::{Value, json};
use stats_core::http::exchange::{ID_HEADER, METADATA_HEADER};

use crate::envoy::load::{PEER_ID, PEER_METADATA};
use crate::envoy::variant::Variant;
use crate::peers;

/// How many copies of a variant a chain has.
pub const COPIES: u32 = 10;

/// The name of the listener of the Envoy that answers.
pub const UPSTREAM: &str = "upstream";

/// How the Envoys run.
pub fn options() -> EnvoyOptions {
    EnvoyOptions {
        log_level: "warning".to_owned(),
        ..EnvoyOptions::default()
    }
}

/// An address that is never connected to, for an Envoy that is sent no request.
pub const NO_UPSTREAM: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9);

/// What a testbed is like beside its variants.
#[derive(Clone, Debug)]
pub struct TestbedSetup {
    /// The direction of the requests.
    pub direction: SidecarDirection,
    /// Copies of each variant.
    pub copies: u32,
    /// Whether the cluster's metadata names its service; otherwise the request's authority does.
    pub service_is_known: bool,
    /// Whether each request names the peer that sends it; otherwise it is always the same peer.
    pub peers_differ: bool,
    /// Whether Envoy's rules take labels out of stat names, as they must on a real proxy.
    pub label_rules: bool,
}

impl TestbedSetup {
    /// That of a service known to the mesh, called by one peer.
    pub fn usual(direction: SidecarDirection) -> Self {
        Self {
            direction,
            copies: COPIES,
            service_is_known: true,
            peers_differ: false,
            label_rules: true,
        }
    }
}

impl TestbedSetup {
    /// The measured Envoy's bootstrap.
    pub fn bootstrap(&self, variants: &[Variant], upstream: SocketAddr) -> Value {
        let mut cluster = cluster(self.cluster(), &[lb_endpoint(&socket_address(upstream))]);
        if self.service_is_known {
            let service = json!({ "host": "podinfo.test.svc.cluster.local", "name": "podinfo", "namespace": "test" });
            cluster["metadata"] = istio_metadata(&json!({ "services": [service] }));
        }
        let node = match self.direction {
            SidecarDirection::Inbound => ProxyNode::podinfo(),
            SidecarDirection::Outbound => ProxyNode::new("shop", "cart"),
        };
        let listener = |(nth, variant)| listener(self, nth, variant);
        let mut clusters = vec![cluster];
        let metrics_of: BTreeSet<&str> = variants
            .iter()
            .filter_map(|variant| variant.metrics_of.as_deref())
            .collect();
        if !metrics_of.is_empty() {
            let list: Vec<&str> = metrics_of.into_iter().collect();
            clusters.push(metrics_cluster(&format!("[{}]", list.join(","))));
        }
        let mut bootstrap = json!({
            "node": node.to_json(),
            // Merging histograms is no part of a request, and would fall on some bursts only.
            "stats_flush_interval": "299s",
            "static_resources": {
                "listeners": variants.iter().enumerate().map(listener).collect::<Vec<_>>(),
                "clusters": clusters,
            },
        });
        if self.label_rules {
            let added = variants.iter().flat_map(|variant| variant.added_labels);
            let added: Vec<String> = added.map(|&label| label.to_owned()).collect();
            bootstrap["stats_config"] = stats_config(&added);
        }
        bootstrap
    }

    fn cluster(&self) -> &'static str {
        match self.direction {
            SidecarDirection::Inbound => "inbound|9898||",
            SidecarDirection::Outbound => "outbound|9898||podinfo.test.svc.cluster.local",
        }
    }

    /// A filter in front of each copy that sets the peer's metadata headers, because each copy strips
    /// them. The bare chain has these filters too.
    fn peer_filter(&self) -> Value {
        let (id, metadata) = if self.peers_differ {
            (
                format!("%REQ({PEER_ID})%"),
                format!("%REQ({PEER_METADATA})%"),
            )
        } else {
            peers::headers(0)
        };
        let set = |key: &str, value: &str| {
            json!({ "append": {
                "header": { "key": key, "value": value },
                "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
            } })
        };
        let side = match self.direction {
            SidecarDirection::Inbound => "request_mutations",
            SidecarDirection::Outbound => "response_mutations",
        };
        json!({
            "name": "envoy.filters.http.header_mutation",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
                "mutations": { side: [set(ID_HEADER, &id), set(METADATA_HEADER, &metadata)] },
            },
        })
    }
}

/// The name of a variant's listener.
pub fn listener_name(nth: usize) -> String {
    format!("variant_{nth}")
}

fn listener(setup: &TestbedSetup, nth: usize, variant: &Variant) -> Value {
    let routes = json!({
        "name": "traffic",
        "virtual_hosts": [{
            "name": "all",
            "domains": ["*"],
            "routes": [{
                "name": "default",
                "match": { "prefix": "/" },
                "route": { "cluster": setup.cluster(), "timeout": "0s" },
            }],
        }],
    });
    let peer = [setup.peer_filter()];
    let (in_front, behind): (&[Value], &[Value]) = match setup.direction {
        SidecarDirection::Inbound => (&peer, &[]),
        // Responses pass through the chain in reverse.
        SidecarDirection::Outbound => (&[], &peer),
    };
    let mut filters = [in_front, &variant.in_front, behind].concat();
    for _ in 0..setup.copies {
        filters.extend([in_front, &variant.filters, behind].concat());
    }
    filters.push(router());
    let mut manager = http_connection_manager("traffic", &routes, &filters);
    manager["typed_config"]["access_log"] = vec![variant.loggers.as_slice(); setup.copies as usize]
        .concat()
        .into();
    json!({
        "name": listener_name(nth),
        "address": any_port(),
        "traffic_direction": setup.direction.of_listener(),
        "filter_chains": [{ "filters": [manager] }],
    })
}

/// An Envoy that answers every request alike.
pub fn upstream() -> Value {
    let routes = json!({
        "name": UPSTREAM,
        "virtual_hosts": [{
            "name": UPSTREAM,
            "domains": ["*"],
            "routes": [{
                "match": { "prefix": "/" },
                "direct_response": { "status": 200, "body": { "inline_string": "{\"version\":\"6.9.0\"}\n" } },
            }],
        }],
    });
    json!({
        "static_resources": { "listeners": [{
            "name": UPSTREAM,
            "address": any_port(),
            "filter_chains": [{ "filters": [http_connection_manager(UPSTREAM, &routes, &[router()])] }],
        }] },
    })
}

fn any_port() -> Value {
    json!({ "socket_address": { "address": "127.0.0.1", "port_value": 0 } })
}
