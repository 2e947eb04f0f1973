//! The protobuf messages that a host hands over, with the fields that are read. Field numbers are
//! those of Envoy's `config.core.v3`.

use alloc::string::String;
use alloc::vec::Vec;

/// `google.protobuf.Struct`. A map is on the wire a list of entries, and is kept as one: a real one has
/// a few dozen, and code for a tree would be a tenth of the module.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Struct {
    #[prost(message, repeated, tag = "1")]
    fields: Vec<Field>,
}

/// An entry of a [`Struct`].
#[derive(Clone, PartialEq, prost::Message)]
struct Field {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<Value>,
}

/// `google.protobuf.Value`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Value {
    /// What it is; nothing for what nobody here reads, numbers and null.
    #[prost(oneof = "Kind", tags = "3, 4, 5, 6")]
    pub kind: Option<Kind>,
}

/// What a [`Value`] can be.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Kind {
    /// A text.
    #[prost(string, tag = "3")]
    Text(String),
    /// True or false.
    #[prost(bool, tag = "4")]
    Bool(bool),
    /// A struct.
    #[prost(message, tag = "5")]
    Struct(Struct),
    /// A list.
    #[prost(message, tag = "6")]
    List(List),
}

/// `google.protobuf.ListValue`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct List {
    /// Its elements.
    #[prost(message, repeated, tag = "1")]
    pub values: Vec<Value>,
}

impl Struct {
    /// What is at `key`. Of several the last counts, as protobuf has it.
    pub fn get(&self, key: &str) -> Option<&Kind> {
        let field = self.fields.iter().rev().find(|field| field.key == key)?;
        field.value.as_ref()?.kind.as_ref()
    }

    /// Whether there is anything at `key`.
    pub fn contains_key(&self, key: &str) -> bool {
        self.fields.iter().any(|field| field.key == key)
    }

    /// The text at `key`, or nothing where there is no text.
    pub fn text(&self, key: &str) -> &str {
        match self.get(key) {
            Some(Kind::Text(text)) => text,
            _ => "",
        }
    }

    /// The struct at `key`.
    pub fn nested(&self, key: &str) -> Option<&Self> {
        match self.get(key) {
            Some(Kind::Struct(nested)) => Some(nested),
            _ => None,
        }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Puts something at `key` in a struct that was made of such calls, which is sorted. One that
    /// was received need not be.
    pub fn insert(&mut self, key: &str, kind: Kind) {
        let value = Some(Value { kind: Some(kind) });
        match self.fields.binary_search_by(|field| (*field.key).cmp(key)) {
            Ok(at) => self.fields[at].value = value,
            Err(at) => {
                let key = key.into();
                self.fields.insert(at, Field { key, value });
            }
        }
    }
}

impl<'a> FromIterator<(&'a str, Kind)> for Struct {
    fn from_iter<T: IntoIterator<Item = (&'a str, Kind)>>(entries: T) -> Self {
        let mut fields = Self::default();
        for (key, kind) in entries {
            fields.insert(key, kind);
        }
        fields
    }
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
    pub fn istio(&self) -> Option<&Struct> {
        let mut filters = self.filter_metadata.iter().rev();
        filters.find(|entry| entry.filter == ISTIO)?.fields.as_ref()
    }
}
