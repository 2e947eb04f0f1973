//! The metadata of a peer, encoded without the module's own code.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use harness::client::request;
use http_body_util::Full;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{Method, Request};
use prost::Message;
use prost_types::value::Kind;
use prost_types::{Struct, Value};

/// The header of a peer's id.
pub const ID: HeaderName = HeaderName::from_static("x-envoy-peer-metadata-id");
/// The header of a peer's metadata.
pub const METADATA: HeaderName = HeaderName::from_static("x-envoy-peer-metadata");

/// A peer's metadata as the header carries it: the base64 of a `google.protobuf.Struct`.
pub fn metadata(fields: &[(&str, Value)]) -> String {
    STANDARD.encode(structure(fields).encode_to_vec())
}

/// The metadata of a workload with a name, a namespace, and labels that match them.
pub fn workload(namespace: &str, name: &str) -> String {
    let labels = [
        ("app", text(name)),
        ("service.istio.io/canonical-name", text(name)),
    ];
    metadata(&[
        ("NAMESPACE", text(namespace)),
        ("WORKLOAD_NAME", text(name)),
        (
            "LABELS",
            Value {
                kind: Some(Kind::StructValue(structure(&labels))),
            },
        ),
    ])
}

/// The labels of a request from [`workload`], as the inbound sidecar reports them.
pub fn source<'a>(namespace: &'a str, name: &'a str) -> [(&'static str, &'a str); 4] {
    [
        ("source_workload", name),
        ("source_workload_namespace", namespace),
        ("source_app", name),
        ("source_canonical_service", name),
    ]
}

/// The fields of a metadata header, with the labels as `LABELS.name`.
pub fn decode(header: &HeaderValue) -> BTreeMap<String, String> {
    let bytes = STANDARD.decode(header).expect("padded standard base64");
    let fields = Struct::decode(&bytes[..]).expect("a Struct").fields;
    let mut flat = BTreeMap::new();
    for (name, value) in fields {
        match value.kind {
            Some(Kind::StructValue(nested)) => {
                let inner = nested.fields.into_iter();
                flat.extend(inner.map(|(label, value)| (format!("{name}.{label}"), string(value))));
            }
            kind => drop(flat.insert(name, string(Value { kind }))),
        }
    }
    flat
}

/// A string as a field of a Struct.
pub fn text(text: &str) -> Value {
    Value {
        kind: Some(Kind::StringValue(text.to_owned())),
    }
}

/// Nested Structs, deep enough to overflow the stack of a recursive decoder.
pub fn nested(depth: usize) -> Value {
    (0..depth).fold(text("at last"), |value, _| Value {
        kind: Some(Kind::StructValue(structure(&[("LABELS", value)]))),
    })
}

/// GET of `/version` with these two headers.
pub fn request_of(id: impl AsRef<[u8]>, metadata: impl AsRef<[u8]>) -> Request<Full<Bytes>> {
    let mut request = request(Method::GET, "/version").unwrap();
    request
        .headers_mut()
        .insert(ID, HeaderValue::from_bytes(id.as_ref()).unwrap());
    request.headers_mut().insert(
        METADATA,
        HeaderValue::from_bytes(metadata.as_ref()).unwrap(),
    );
    request
}

fn structure(fields: &[(&str, Value)]) -> Struct {
    Struct {
        fields: fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect(),
    }
}

fn string(value: Value) -> String {
    match value.kind {
        Some(Kind::StringValue(text)) => text,
        other => panic!("{other:?} is no string"),
    }
}
