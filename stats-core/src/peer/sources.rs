//! Where a peer may come from beside the exchange's headers: filter state that another filter set,
//! the `baggage` header, the endpoint's metadata. In which order they are asked is in
//! [`gather::peers`](crate::gather::peers).

use alloc::string::String;
use alloc::vec::Vec;

use percent_encoding::percent_decode_str;
use prost::Message;

use super::wire::Struct;
use super::workload::{FilterStateValues, Workload};
use crate::bytes::{bounded, bounded_text};

/// A source of peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerSource {
    /// The filter state `downstream_peer` or `upstream_peer`, as Istio's native exchange sets it.
    FilterState,
    /// The exchange's two headers.
    Headers,
    /// The client's `baggage` header; inbound only.
    Baggage,
    /// The endpoint's metadata, as Istio's control plane sends it; outbound only.
    Endpoint,
}

impl PeerSource {
    /// All of them, in the order in which they are asked unless configured.
    pub const ALL: [Self; 4] = [
        Self::FilterState,
        Self::Headers,
        Self::Baggage,
        Self::Endpoint,
    ];

    /// The name in a configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FilterState => "filter_state",
            Self::Headers => "headers",
            Self::Baggage => "baggage",
            Self::Endpoint => "endpoint",
        }
    }
}

/// The header of [W3C Baggage](https://www.w3.org/TR/baggage/).
pub const BAGGAGE_HEADER: &str = "baggage";

/// The workload in a `baggage` header; `None` where there is none in it.
#[inline(never)] // for size, see Cargo.toml
pub fn from_baggage(header: &[u8]) -> Option<Workload> {
    let mut workload = Workload::default();
    for member in core::str::from_utf8(header).ok()?.split(',') {
        // Properties behind a semicolon do not concern workloads.
        let member = member.split(';').next().unwrap_or_default();
        let Some((key, value)) = member.split_once('=') else {
            continue;
        };
        let field = match key.trim() {
            "k8s.namespace.name" => &mut workload.namespace,
            "k8s.cluster.name" => &mut workload.cluster,
            "k8s.instance.name" => &mut workload.instance,
            "service.name" => &mut workload.canonical_service,
            "service.version" => &mut workload.canonical_revision,
            "app.name" => &mut workload.app,
            "app.version" => &mut workload.version,
            "cloud.region" => &mut workload.locality.region,
            "cloud.availability_zone" => &mut workload.locality.zone,
            key => {
                let kind = key
                    .strip_prefix("k8s.")
                    .and_then(|key| key.strip_suffix(".name"));
                let Some(kind) = kind.and_then(Workload::known_kind) else {
                    continue;
                };
                workload.kind = kind;
                &mut workload.name
            }
        };
        *field = percent_decoded(value.trim());
    }
    for (one, other) in [
        (&mut workload.canonical_service, &mut workload.app),
        (&mut workload.canonical_revision, &mut workload.version),
    ] {
        if one.is_empty() {
            one.clone_from(other);
        } else if other.is_empty() {
            other.clone_from(one);
        }
    }
    (workload != Workload::default()).then_some(workload)
}

/// The workload in an endpoint's metadata: under `istio`, `workload`, one text of at least five parts.
#[inline(never)] // for size, see Cargo.toml
pub fn from_endpoint(text: &[u8]) -> Option<Workload> {
    let text = core::str::from_utf8(text).ok()?;
    let mut parts = text.split(';').map(|part| String::from(bounded_text(part)));
    let workload = Workload {
        name: parts.next()?,
        namespace: parts.next()?,
        canonical_service: parts.next()?,
        canonical_revision: parts.next()?,
        cluster: parts.next()?,
        ..Workload::default()
    };
    Some(workload)
}

/// The workload that an exchange filter of this module published: a serialized
/// `google.protobuf.Struct`.
#[inline(never)] // for size, see Cargo.toml
pub fn from_published(fields: &[u8]) -> Option<Workload> {
    let fields = Struct::decode(fields).ok()?;
    Some(Workload::from_filter_state(&fields))
}

/// Writes the peer that a native filter left in filter state as one run of bytes: a cached peer is
/// found by it. Nothing is written where there is no peer in the values.
pub fn join_filter_state(values: FilterStateValues<'_>, out: &mut Vec<u8>) {
    out.clear();
    if values.iter().all(|value| value.is_empty()) {
        return;
    }
    for value in values {
        out.extend(bounded(value).iter().filter(|byte| **byte != 0));
        out.push(0);
    }
}

/// The workload in what [`join_filter_state`] wrote.
#[inline(never)] // for size, see Cargo.toml
pub fn from_joined(bytes: &[u8]) -> Option<Workload> {
    let mut values = bytes.split(|&byte| byte == 0);
    let mut workload = Workload::default();
    for field in Workload::FILTER_STATE {
        workload.set_filter_state(field, &String::from_utf8_lossy(values.next()?));
    }
    Some(workload)
}

fn percent_decoded(text: &str) -> String {
    bounded_text(&percent_decode_str(text).decode_utf8_lossy()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::workload::Locality;
    use proptest::prelude::*;

    #[test]
    fn baggage_names_a_workload() {
        let header =
            b"k8s.namespace.name=shop, k8s.deployment.name=cart;p=1,service.name=cart-svc,\
            service.version=v1,k8s.cluster.name=c1,k8s.instance.name=cart-0,cloud.region=eu,\
            cloud.availability_zone=eu-1,other=x,broken";
        let expected = Workload {
            namespace: "shop".into(),
            name: "cart".into(),
            kind: "deployment",
            canonical_service: "cart-svc".into(),
            canonical_revision: "v1".into(),
            app: "cart-svc".into(),
            version: "v1".into(),
            cluster: "c1".into(),
            instance: "cart-0".into(),
            locality: Locality {
                region: "eu".into(),
                zone: "eu-1".into(),
            },
            ..Workload::default()
        };
        assert_eq!(from_baggage(header), Some(expected));
    }

    #[test]
    fn baggage_falls_back_from_service_to_app_and_is_decoded() {
        let workload = from_baggage(b"app.name=a%20b,app.version=%zz").expect("a workload");
        assert_eq!(workload.canonical_service, "a b");
        assert_eq!(workload.canonical_revision, "%zz");
    }

    #[test]
    fn other_baggage_names_no_workload() {
        for header in [&b""[..], b"user=1", b"\xff", b"k8s.statefulset.name=x"] {
            assert_eq!(from_baggage(header), None);
        }
    }

    #[test]
    fn an_endpoint_names_a_workload_in_five_parts() {
        let workload = from_endpoint(b"podinfo;test;podinfo-svc;v2;c1;more").unwrap();
        let parts = [
            workload.name,
            workload.namespace,
            workload.canonical_service,
            workload.canonical_revision,
            workload.cluster,
        ];
        assert_eq!(parts, ["podinfo", "test", "podinfo-svc", "v2", "c1"]);
        assert_eq!(from_endpoint(b"podinfo;test;podinfo;v2"), None);
        assert_eq!(from_endpoint(b""), None);
    }

    #[test]
    fn filter_state_is_joined_and_split_again() {
        let mut joined = Vec::new();
        let values = Workload::FILTER_STATE.map(|key| match key {
            "workload" => &b"cart"[..],
            "type" => b"deployment",
            _ => b"",
        });
        join_filter_state(values, &mut joined);
        let workload = from_joined(&joined).expect("a workload");
        assert_eq!((&*workload.name, workload.kind), ("cart", "deployment"));
        join_filter_state([b""; Workload::FILTER_STATE.len()], &mut joined);
        assert!(joined.is_empty());
    }

    proptest! {
        #[test]
        fn no_input_panics(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = from_baggage(&bytes);
            let _ = from_endpoint(&bytes);
            let _ = from_published(&bytes);
            let mut joined = Vec::new();
            join_filter_state([&bytes; Workload::FILTER_STATE.len()], &mut joined);
            let _ = from_joined(&joined);
        }
    }
}
