//! What one request costs once everything about it has been seen before: which calls into the host,
//! and no allocation.

mod mock;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use mock::Mock;
use stats_core::host::{End, MessageCounts, Value};
use stats_core::http::role::Role;
use stats_core::peer::workload::Workload;

const INBOUND: &str = r#"{"direction": "inbound"}"#;
const OUTBOUND: &str = r#"{"direction": "outbound"}"#;

/// Counts what this thread allocates.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: forwards to the system's allocator as it was called.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations_of_100_requests(mock: &mut Mock, role: Role, configuration: &str) -> usize {
    let mut plugin = mock.plugin(role, configuration);
    for _ in 0..3 {
        mock.send(&mut plugin);
    }
    let before = ALLOCATIONS.get();
    for _ in 0..100 {
        mock.send(&mut plugin);
    }
    ALLOCATIONS.get() - before
}

fn calls_of_a_steady_request(mock: &mut Mock, role: Role, configuration: &str) -> Vec<String> {
    let mut plugin = mock.plugin(role, configuration);
    for _ in 0..3 {
        mock.send(&mut plugin);
    }
    mock.calls_of_a_request(&mut plugin)
}

#[test]
fn an_inbound_request_makes_exactly_these_calls() {
    let expected = [
        "get all of Request x-envoy-peer-metadata-id x-envoy-peer-metadata",
        "remove Request x-envoy-peer-metadata",
        "remove Request x-envoy-peer-metadata-id",
        "set Response x-envoy-peer-metadata-id",
        "set Response x-envoy-peer-metadata",
        "finished request",
        "get Request content-type",
        "add",
        "observe",
        "observe",
        "observe",
    ];
    let mut mock = mock::inbound();
    assert_eq!(
        calls_of_a_steady_request(&mut mock, Role::Telemetry, INBOUND),
        expected
    );
    // Unless it is configured, the direction is asked for once more.
    let calls = calls_of_a_steady_request(&mut mock, Role::Telemetry, "");
    assert_eq!(calls[0], "listener direction");
    assert_eq!(calls[1..], expected);
}

#[test]
fn an_outbound_request_makes_exactly_these_calls() {
    let expected = [
        "cluster name",
        "set Request x-envoy-peer-metadata-id",
        "set Request x-envoy-peer-metadata",
        "get Response x-envoy-peer-metadata",
        "remove Response x-envoy-peer-metadata",
        "remove Response x-envoy-peer-metadata-id",
        "finished request",
        "get Request content-type",
        "add",
        "observe",
        "observe",
        "observe",
    ];
    let mut mock = mock::outbound();
    assert_eq!(
        calls_of_a_steady_request(&mut mock, Role::Telemetry, OUTBOUND),
        expected
    );
}

#[test]
fn stats_alone_make_these_calls() {
    let expected = [
        "finished request",
        "get Request content-type",
        "published peer",
        "add",
        "observe",
        "observe",
        "observe",
    ];
    let mut mock = mock::inbound();
    let published = Workload {
        name: "cart".into(),
        ..Workload::UNKNOWN
    };
    mock.peers.published[End::Downstream as usize] = Some(published.to_filter_state());
    assert_eq!(
        calls_of_a_steady_request(&mut mock, Role::Stats, INBOUND),
        expected
    );
}

#[test]
fn a_grpc_request_with_messages_asks_for_its_facts_once() {
    let mut mock = mock::inbound();
    mock.request.set("content-type", "application/grpc");
    mock.facts.grpc_messages = Some(MessageCounts {
        request: 2,
        response: 3,
    });
    mock.facts.grpc_status = Some(0);
    let calls = calls_of_a_steady_request(&mut mock, Role::Telemetry, INBOUND);
    let asked = |what: &str| calls.iter().filter(|call| *call == what).count();
    assert_eq!(asked("finished request"), 1, "{calls:?}");
    assert_eq!(asked("add") + asked("observe"), 6, "{calls:?}");
    assert_eq!(asked("grpc messages"), 1, "{calls:?}");
    assert_eq!(asked("grpc status"), 1, "{calls:?}");
    assert_eq!(calls.len(), 15, "{calls:?}");
}

#[test]
fn nothing_is_allocated_in_either_direction_or_role() {
    for mut mock in [mock::inbound(), mock::outbound()] {
        for role in [Role::Telemetry, Role::Stats, Role::MetadataExchange] {
            assert_eq!(
                allocations_of_100_requests(&mut mock, role, ""),
                0,
                "{role:?}"
            );
        }
    }
}

#[test]
fn nothing_is_allocated_with_labels_conditions_and_extra_metrics_either() {
    let configuration = r#"{
        "metrics": [{"dimensions": {"mine": "request.path"}, "match": "request.ok"}],
        "extra_metrics": ["requests_started_total", "requests_in_flight"],
        "request_operations": ["GET /a"],
        "peer_unknown_reason": true,
        "zero_initialize": true
    }"#;
    let mut mock = mock::inbound();
    mock.value("request.path", Value::Text(b"/a"));
    mock.value("request.ok", Value::Bool(true));
    assert_eq!(
        allocations_of_100_requests(&mut mock, Role::Telemetry, configuration),
        0
    );
    assert!(mock.samples("istio_requests_total")[0].contains("mine=\"/a\""));
}

#[test]
fn the_allocator_counts() {
    let before = ALLOCATIONS.get();
    drop(std::hint::black_box(Box::new(1)));
    assert_eq!(ALLOCATIONS.get() - before, 1);
}
