//! The protobuf messages that a host hands over, with the fields that are read. Field numbers are
//! those of Envoy's `config.core.v3`.

use alloc::collections::BTreeMap;
use alloc::string::String;

pub use prost_types::{ListValue, Struct, Value, value::Kind};

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
    pub locality: Option<Locality>,
}

/// `envoy.config.core.v3.Locality`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Locality {
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
    /// By filter; Istio's is under `istio`.
    #[prost(btree_map = "string, message", tag = "1")]
    pub filter_metadata: BTreeMap<String, Struct>,
}

/// The text at `key`, or nothing where there is no text.
pub fn text<'a>(fields: &'a Struct, key: &str) -> &'a str {
    match fields.fields.get(key).and_then(|value| value.kind.as_ref()) {
        Some(Kind::StringValue(text)) => text,
        _ => "",
    }
}

/// The struct at `key`.
pub fn nested<'a>(fields: &'a Struct, key: &str) -> Option<&'a Struct> {
    match fields.fields.get(key).and_then(|value| value.kind.as_ref()) {
        Some(Kind::StructValue(nested)) => Some(nested),
        _ => None,
    }
}

/// A text value.
pub fn text_value(text: &str) -> Value {
    Value {
        kind: Some(Kind::StringValue(text.into())),
    }
}
