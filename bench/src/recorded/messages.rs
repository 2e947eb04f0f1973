//! The messages of a proxy that are recorded: nodes and the metadata of a cluster.

use prost::Message;
use stats_core::host::LocalProxy;
use stats_core::host::envoy::{Metadata, Node};
use stats_core::labels::service::NamedService;
use stats_core::peer::wire::{Kind, List, Struct, StructValue};

/// The node message of a sidecar: its metadata has the keys of the exchange.
pub fn node(proxy: &LocalProxy) -> Vec<u8> {
    let own = proxy.workload.to_exchange(&proxy.owner);
    Node {
        id: proxy.id.clone(),
        metadata: Struct::decode(&*own).ok(),
        locality: None,
    }
    .encode_to_vec()
}

/// The metadata of a cluster that names this service.
pub fn cluster_metadata(service: &NamedService) -> Vec<u8> {
    let fields = [
        ("host", Some(&service.host)),
        ("name", service.name.as_ref()),
        ("namespace", Some(&service.namespace)),
    ];
    let fields = fields
        .into_iter()
        .filter_map(|(key, text)| Some((key, Kind::Text(text?.clone()))));
    let kind = Some(Kind::Struct(fields.collect()));
    let services = Kind::List(List {
        values: vec![StructValue { kind }],
    });
    Metadata::of_istio(Struct::from_iter([("services", services)])).encode_to_vec()
}
