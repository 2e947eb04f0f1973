//! Which calls our module makes for a request once everything about it has been seen before, as
//! probes that make only some of them. `tests/probes.rs` holds these lists to what the module does.
//!
//! Not here: how a probe becomes a module; see [`probe`](super::probe).

use harness::SidecarDirection;
use stats_core::host::HeaderMap::{Request, Response};
use stats_core::http::exchange::{ID_HEADER, METADATA_HEADER};

use super::probe::{Probe, ProbeCall};
use crate::attributes;

/// A part of what a request costs.
pub struct Part {
    /// Its name.
    pub name: &'static str,
    /// A module that does what the parts before it do, and this.
    pub probe: Probe,
}

/// The parts of a request's cost, each with those before it.
pub fn parts(direction: SidecarDirection) -> Vec<Part> {
    let kinds: [(&str, IsOfKind); 5] = [
        ("callbacks", |_| false),
        ("attributes", |call| {
            matches!(call, ProbeCall::Attribute(_) | ProbeCall::Evaluate(_))
        }),
        ("header reads", |call| {
            matches!(call, ProbeCall::Read(..) | ProbeCall::ReadAll(_))
        }),
        ("header writes", |call| {
            matches!(call, ProbeCall::Write(..) | ProbeCall::Remove(..))
        }),
        ("records", |call| {
            matches!(call, ProbeCall::Count | ProbeCall::Observe)
        }),
    ];
    let all = all(direction);
    let part = |(nth, (name, _)): (usize, &(&'static str, _))| {
        let so_far = |calls: &[ProbeCall]| {
            let wanted = |call: &&ProbeCall| kinds.iter().take(nth + 1).any(|(_, is)| is(call));
            calls.iter().filter(wanted).copied().collect()
        };
        Part {
            name,
            probe: Probe {
                on_request_headers: so_far(&all.on_request_headers),
                on_response_headers: so_far(&all.on_response_headers),
                on_log: so_far(&all.on_log),
            },
        }
    };
    kinds.iter().enumerate().map(part).collect()
}

type IsOfKind = fn(&ProbeCall) -> bool;

/// All calls of exchange and stats in one filter.
pub fn all(direction: SidecarDirection) -> Probe {
    let (id, metadata) = (
        "sidecar~10.1.2.3~podinfo-6f8d4c7b9-x2x5z.test~test.svc.cluster.local",
        METADATA,
    );
    let content_type = ProbeCall::Read(Request, "content-type");
    let records = [
        ProbeCall::Count,
        ProbeCall::Observe,
        ProbeCall::Observe,
        ProbeCall::Observe,
    ];
    match direction {
        SidecarDirection::Inbound => Probe {
            on_request_headers: vec![
                ProbeCall::ReadAll(Request),
                ProbeCall::Remove(Request, METADATA_HEADER),
                ProbeCall::Remove(Request, ID_HEADER),
            ],
            on_response_headers: vec![
                ProbeCall::Write(Response, ID_HEADER, id),
                ProbeCall::Write(Response, METADATA_HEADER, metadata),
            ],
            on_log: [
                &[ProbeCall::Evaluate(attributes::INBOUND), content_type][..],
                &records,
            ]
            .concat(),
        },
        SidecarDirection::Outbound => Probe {
            on_request_headers: vec![
                ProbeCall::Attribute(attributes::CLUSTER_NAME),
                ProbeCall::Write(Request, ID_HEADER, id),
                ProbeCall::Write(Request, METADATA_HEADER, metadata),
            ],
            on_response_headers: vec![
                ProbeCall::Read(Response, METADATA_HEADER),
                ProbeCall::Remove(Response, METADATA_HEADER),
                ProbeCall::Remove(Response, ID_HEADER),
            ],
            on_log: [
                &[
                    ProbeCall::Evaluate(attributes::OUTBOUND_PLAIN),
                    content_type,
                ][..],
                &records,
            ]
            .concat(),
        },
    }
}

/// As long as a real one.
const METADATA: &str = "ClIKBWxhYmVscxJJKkcKHwoDYXBwEhgaFnBvZGluZm8tcHJpbWFyeS1wb2RpbmZvCiQKB3ZlcnNpb24SGRoXcG9kaW5mby1wcmltYXJ5LXBvZGluZm8xClIKBWxhYmVscxJJKkcKHwoDYXBwEhgaFnBvZGluZm8tcHJpbWFyeS1wb2RpbmZvCiQKB3ZlcnNpb24SGRoXcG9kaW5mby1wcmltYXJ5LXBvZGluZm8xClIKBWxhYmVscxJJKkcKHwoDYXBwEhgaFnBvZGluZm8tcHJpbWFyeS1wb2RpbmZvCiQKB3ZlcnNpb24SGRoXcG9kaW5mby1wcmltYXJ5LXBvZGluZm8xClIKBWxhYmVscxJJKkcKHwoDYXBwEhgaFnBvZGluZm8tcHJpbWFyeS1wb2RpbmZvCiQKB3ZlcnNpb24SGRoXcG9kaW5mby1wcmltYXJ5";
