//! Envoy's own messages about a proxy and its clusters, for hosts that are handed them, with the fields that
//! are used. Field numbers are those of Envoy's `config.core.v3`.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use prost::Message;

use super::{ClusterFacts, LocalProxy};
use crate::intern::seed::Seed;
use crate::labels::service::NamedService;
use crate::peer::wire::{Kind, Struct};
use crate::peer::workload::Workload;

/// This proxy, from its serialized node and 16 random bytes.
#[inline(never)] // for size, see Cargo.toml
pub fn local_proxy(node: &[u8], random: [u8; 16]) -> LocalProxy {
    local_proxy_of(Node::decode(node).unwrap_or_default(), random)
}

/// This proxy, from its node and 16 random bytes.
pub fn local_proxy_of(node: Node, random: [u8; 16]) -> LocalProxy {
    let metadata = node.metadata.unwrap_or_default();
    let mut workload = Workload::from_struct(&metadata, &[]);
    if let Some(locality) = node.locality {
        workload.set_locality(&locality.region, &locality.zone);
    }
    LocalProxy {
        id: node.id,
        workload,
        labels: metadata.nested("LABELS").map(texts).unwrap_or_default(),
        owner: metadata.text("OWNER").to_owned(),
        version: metadata.text("ISTIO_VERSION").to_owned(),
        seed: Seed::new(random),
    }
}

/// What a cluster's serialized metadata says.
#[inline(never)] // for size, see Cargo.toml
pub fn cluster(metadata: &[u8]) -> ClusterFacts {
    let metadata = Metadata::decode(metadata).unwrap_or_default();
    metadata.istio().map(cluster_of).unwrap_or_default()
}

/// What a cluster's metadata says under `istio`.
pub fn cluster_of(istio: &Struct) -> ClusterFacts {
    let is_true = |key| matches!(istio.get(key), Some(Kind::Bool(true)));
    ClusterFacts {
        service: first_service(istio),
        disables_exchange: is_true("disable_mx"),
        external: is_true("external"),
    }
}

fn texts(labels: &Struct) -> Vec<(String, String)> {
    let texts = labels.texts();
    texts
        .map(|(name, text)| (name.to_owned(), text.to_owned()))
        .collect()
}

fn first_service(istio: &Struct) -> Option<NamedService> {
    let Some(Kind::List(services)) = istio.get("services") else {
        return None;
    };
    let Some(Kind::Struct(service)) = &services.values.first()?.kind else {
        return None;
    };
    Some(NamedService {
        host: service.text("host").into(),
        name: service
            .contains_key("name")
            .then(|| service.text("name").into()),
        namespace: service.text("namespace").into(),
    })
}

/// `envoy.config.core.v3.Node`: who this proxy is.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Node {
    /// The node's id, such as `sidecar~10.0.0.1~podinfo-0.test~test.svc.cluster.local`.
    #[prost(string, tag = "1")]
    pub id: String,
    /// What the control plane told about the workload.
    #[prost(message, optional, tag = "3")]
    pub metadata: Option<Struct>,
    /// Where the proxy runs.
    #[prost(message, optional, tag = "4")]
    pub locality: Option<NodeLocality>,
}

/// `envoy.config.core.v3.Locality`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct NodeLocality {
    /// The region.
    #[prost(string, tag = "1")]
    pub region: String,
    /// The zone within the region.
    #[prost(string, tag = "2")]
    pub zone: String,
}

/// `envoy.config.core.v3.Metadata`: what a cluster or an endpoint carries.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Metadata {
    #[prost(message, repeated, tag = "1")]
    filter_metadata: Vec<FilterMetadata>,
}

/// What one filter finds in a [`Metadata`].
#[derive(Clone, PartialEq, prost::Message)]
struct FilterMetadata {
    #[prost(string, tag = "1")]
    filter: String,
    #[prost(message, optional, tag = "2")]
    fields: Option<Struct>,
}

/// Under which filter's name Istio's control plane writes.
const ISTIO: &str = "istio";

impl Metadata {
    /// Metadata that Istio's control plane wrote.
    pub fn of_istio(fields: Struct) -> Self {
        Self {
            filter_metadata: Vec::from([FilterMetadata {
                filter: ISTIO.into(),
                fields: Some(fields),
            }]),
        }
    }

    /// What Istio's control plane wrote.
    fn istio(&self) -> Option<&Struct> {
        let mut filters = self.filter_metadata.iter().rev();
        filters.find(|entry| entry.filter == ISTIO)?.fields.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::wire::{List, StructValue};

    fn metadata(istio: Struct) -> Vec<u8> {
        Metadata::of_istio(istio).encode_to_vec()
    }

    fn struct_of(entries: &[(&str, &str)]) -> Struct {
        let entries = entries.iter();
        entries
            .map(|(key, text)| (*key, Kind::Text((*text).into())))
            .collect()
    }

    #[test]
    fn region_and_zone_come_from_the_nodes_locality() {
        let node = Node {
            id: "id".into(),
            metadata: Some(struct_of(&[
                ("NAME", "podinfo-0"),
                ("ISTIO_VERSION", "1.30"),
            ])),
            locality: Some(NodeLocality {
                region: "eu".into(),
                zone: "eu-1".into(),
            }),
        };
        let proxy = local_proxy(&node.encode_to_vec(), [0; 16]);
        let locality = &proxy.workload.locality;
        assert_eq!(
            (
                &*proxy.workload.instance,
                &*locality.region,
                &*locality.zone
            ),
            ("podinfo-0", "eu", "eu-1")
        );
        assert_eq!((&*proxy.id, &*proxy.version), ("id", "1.30"));
    }

    #[test]
    fn a_node_that_does_not_decode_is_an_unknown_workload() {
        let proxy = local_proxy(b"\xff", [0; 16]);
        assert_eq!(proxy.workload, Workload::UNKNOWN);
    }

    #[test]
    fn a_cluster_names_its_first_service_and_its_flags() {
        let service = struct_of(&[("host", "podinfo.test.svc"), ("namespace", "test")]);
        let values = [service, struct_of(&[("host", "other")])].map(|service| StructValue {
            kind: Some(Kind::Struct(service)),
        });
        let istio = Struct::from_iter([
            (
                "services",
                Kind::List(List {
                    values: values.into(),
                }),
            ),
            ("external", Kind::Bool(true)),
        ]);
        let expected = ClusterFacts {
            service: Some(NamedService {
                host: "podinfo.test.svc".into(),
                name: None,
                namespace: "test".into(),
            }),
            disables_exchange: false,
            external: true,
        };
        assert_eq!(cluster(&metadata(istio)), expected);
        let disabled = Struct::from_iter([("disable_mx", Kind::Bool(true))]);
        assert!(cluster(&metadata(disabled)).disables_exchange);
    }

    #[test]
    fn metadata_without_a_service_names_none() {
        let empty_list = Kind::List(List { values: Vec::new() });
        for istio in [
            Struct::default(),
            struct_of(&[("services", "x")]),
            Struct::from_iter([("services", empty_list)]),
        ] {
            assert_eq!(cluster(&metadata(istio)), ClusterFacts::default());
        }
        assert_eq!(cluster(b"\xff"), ClusterFacts::default());
        assert_eq!(cluster(b""), ClusterFacts::default());
    }
}
