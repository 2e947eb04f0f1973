//! Where a peer may come from beside the exchange's headers: filter state that another filter set,
//! the `baggage` header, the endpoint's metadata.

use alloc::string::String;
use alloc::vec::Vec;

use prost::Message;

use crate::pairs;
use crate::proto::{Metadata, Struct};
use crate::stat_name::bounded;
use crate::workload::Workload;

/// A source of peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerSource {
    /// The filter state `downstream_peer` or `upstream_peer`, as Istio's native exchange sets it.
    FilterState,
    /// The exchange's two headers.
    Headers,
    /// The caller's `baggage` header; inbound only.
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

/// The workload in a `baggage` header; `None` where it tells of none.
#[inline(never)] // for size, see Cargo.toml
pub fn from_baggage(header: &[u8]) -> Option<Workload> {
    let mut workload = Workload::default();
    for member in core::str::from_utf8(header).ok()?.split(',') {
        // Properties behind a semicolon are not ours.
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
            "cloud.region" => &mut workload.region,
            "cloud.availability_zone" => &mut workload.zone,
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

/// The workload in an endpoint's metadata, a serialized `envoy.config.core.v3.Metadata`: under
/// `istio`, `workload`, one text of at least five parts.
#[inline(never)] // for size, see Cargo.toml
pub fn from_endpoint(metadata: &[u8]) -> Option<Workload> {
    let metadata = Metadata::decode(metadata).ok()?;
    let text = metadata.istio()?.text("workload");
    let mut parts = text.split(';').map(|part| String::from(text_bounded(part)));
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

/// The workload that an exchange filter of ours published, a serialized `google.protobuf.Struct`.
#[inline(never)] // for size, see Cargo.toml
pub fn from_published(fields: &[u8]) -> Option<Workload> {
    let fields = Struct::decode(fields).ok()?;
    Some(Workload::from_filter_state(&fields))
}

/// Writes a peer in filter state in a form that does not depend on the order of the host's map: the
/// same peer always gives the same bytes. Nothing is written where there is no peer in it.
///
/// Native filters keep a `Struct`, which arrives as [pairs]; those are also what CEL sees of the
/// `Struct` that our own exchange publishes.
pub fn normalize_filter_state(map: &[u8], out: &mut Vec<u8>) {
    out.clear();
    for field in Workload::FILTER_STATE {
        let value = pairs::entries(map).find(|(key, _)| *key == field.as_bytes());
        let value = value.map_or(&b""[..], |(_, value)| bounded(value));
        out.extend_from_slice(value);
        out.push(0);
    }
    if out.iter().all(|&byte| byte == 0) {
        out.clear();
    }
}

/// The workload in what [`normalize_filter_state`] wrote.
#[inline(never)] // for size, see Cargo.toml
pub fn from_normalized(bytes: &[u8]) -> Option<Workload> {
    let mut values = bytes.split(|&byte| byte == 0).map(core::str::from_utf8);
    let mut values = core::iter::from_fn(|| values.next()?.ok());
    let mut workload = Workload::default();
    for field in Workload::FILTER_STATE {
        workload.set_filter_state(field, values.next()?);
    }
    Some(workload)
}

fn text_bounded(text: &str) -> &str {
    core::str::from_utf8(bounded(text.as_bytes())).unwrap_or_default()
}

fn percent_decoded(text: &str) -> String {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let escape = (byte == b'%')
            .then(|| after.split_first_chunk::<2>())
            .flatten();
        let escaped = escape.and_then(|(digits, after)| {
            let digits = core::str::from_utf8(digits).ok()?;
            Some((u8::from_str_radix(digits, 16).ok()?, after))
        });
        let (byte, after) = escaped.unwrap_or((byte, after));
        decoded.push(byte);
        rest = after;
    }
    String::from_utf8_lossy(bounded(&decoded)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{Kind, Struct};
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
            region: "eu".into(),
            zone: "eu-1".into(),
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
    fn baggage_of_others_names_nobody() {
        for header in [&b""[..], b"user=1", b"\xff", b"k8s.statefulset.name=x"] {
            assert_eq!(from_baggage(header), None);
        }
    }

    fn endpoint(text: &str) -> Vec<u8> {
        let fields = Struct::from_iter([("workload", Kind::Text(text.into()))]);
        Metadata::of_istio(fields).encode_to_vec()
    }

    #[test]
    fn an_endpoint_names_a_workload_in_five_parts() {
        let workload = from_endpoint(&endpoint("podinfo;test;podinfo-svc;v2;c1;more")).unwrap();
        let parts = [
            workload.name,
            workload.namespace,
            workload.canonical_service,
            workload.canonical_revision,
            workload.cluster,
        ];
        assert_eq!(parts, ["podinfo", "test", "podinfo-svc", "v2", "c1"]);
        assert_eq!(from_endpoint(&endpoint("podinfo;test;podinfo;v2")), None);
        assert_eq!(from_endpoint(b""), None);
    }

    #[test]
    fn filter_state_reads_the_same_in_any_order() {
        let map = |entries: &[(&str, &str)]| {
            let size = |n: usize| u32::try_from(n).unwrap().to_ne_bytes();
            let mut bytes = size(entries.len()).to_vec();
            for (key, value) in entries {
                bytes.extend([size(key.len()), size(value.len())].concat());
            }
            for (key, value) in entries {
                bytes.extend([key.as_bytes(), b"\0", value.as_bytes(), b"\0"].concat());
            }
            bytes
        };
        let (mut one, mut other) = (Vec::new(), Vec::new());
        let entries = [
            ("workload", "cart"),
            ("type", "deployment"),
            ("labels", "?"),
        ];
        normalize_filter_state(&map(&entries), &mut one);
        normalize_filter_state(&map(&[entries[1], entries[0]]), &mut other);
        assert_eq!(one, other);
        let workload = from_normalized(&one).expect("a workload");
        assert_eq!((&*workload.name, workload.kind), ("cart", "deployment"));
        normalize_filter_state(&map(&[]), &mut one);
        assert!(one.is_empty());
    }

    proptest! {
        #[test]
        fn nothing_that_comes_can_do_harm(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = from_baggage(&bytes);
            let _ = from_endpoint(&bytes);
            let mut normalized = Vec::new();
            normalize_filter_state(&bytes, &mut normalized);
            let _ = from_normalized(&normalized);
        }
    }
}
