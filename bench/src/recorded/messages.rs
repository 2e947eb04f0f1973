//! The messages of a proxy that are recorded: nodes and the metadata of a cluster.

use prost::Message;
use stats_core::proto::{Kind, List, Metadata, Node, Struct, Value};
use stats_core::workload::Workload;

/// A workload of the shop.
pub fn workload(name: &str) -> Workload {
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
pub fn node(name: &str) -> Vec<u8> {
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
pub fn cluster_metadata() -> Vec<u8> {
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
