//! What one request costs once everything about it has been seen before: which calls into the host,
//! and no allocation.

mod mock;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use mock::Mock;
use stats_core::workload::Workload;

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

fn allocations_of_100_requests(mock: &Mock, root_id: &str) -> usize {
    allocations_of_100_requests_with(mock, root_id, "")
}

fn allocations_of_100_requests_with(mock: &Mock, root_id: &str, configuration: &str) -> usize {
    let mut plugin = mock.plugin(root_id, configuration);
    for _ in 0..3 {
        mock.request(&mut plugin);
    }
    let before = ALLOCATIONS.get();
    for _ in 0..100 {
        mock.request(&mut plugin);
    }
    ALLOCATIONS.get() - before
}

fn calls_of_a_steady_request(mock: &Mock, root_id: &str) -> Vec<String> {
    let mut plugin = mock.plugin(root_id, "");
    for _ in 0..3 {
        mock.request(&mut plugin);
    }
    mock.calls_of_a_request(&mut plugin)
}

#[test]
fn an_inbound_request_makes_exactly_these_calls() {
    let expected = [
        "get Request x-envoy-peer-metadata-id x-envoy-peer-metadata",
        "remove Request x-envoy-peer-metadata",
        "remove Request x-envoy-peer-metadata-id",
        "set Response x-envoy-peer-metadata-id",
        "set Response x-envoy-peer-metadata",
        "evaluate",
        "get Request content-type",
        "record",
        "record",
        "record",
        "record",
    ];
    assert_eq!(calls_of_a_steady_request(&mock::inbound(), ""), expected);
}

#[test]
fn an_outbound_request_makes_exactly_these_calls() {
    let expected = [
        "attribute xds.cluster_name",
        "set Request x-envoy-peer-metadata-id",
        "set Request x-envoy-peer-metadata",
        "get Response x-envoy-peer-metadata",
        "remove Response x-envoy-peer-metadata",
        "remove Response x-envoy-peer-metadata-id",
        "evaluate",
        "get Request content-type",
        "record",
        "record",
        "record",
        "record",
    ];
    assert_eq!(calls_of_a_steady_request(&mock::outbound(), ""), expected);
}

#[test]
fn stats_alone_make_these_calls() {
    let expected = [
        "evaluate",
        "get Request content-type",
        "attribute downstream_peer",
        "record",
        "record",
        "record",
        "record",
    ];
    let mut mock = mock::inbound();
    let published = Workload {
        name: "cart".into(),
        ..Workload::UNKNOWN
    };
    mock.set("downstream_peer", &published.to_filter_state());
    assert_eq!(calls_of_a_steady_request(&mock, "stats_inbound"), expected);
}

#[test]
fn a_grpc_request_with_messages_asks_for_its_facts_once() {
    let mut mock = mock::inbound();
    mock.request
        .insert("content-type", b"application/grpc".to_vec());
    mock.set("filter_state.envoy.filters.http.grpc_stats", b"2,3");
    mock.set_integer("response.grpc_status", 0);
    let calls = calls_of_a_steady_request(&mock, "");
    let asked = |what: &str| calls.iter().filter(|call| call.contains(what)).count();
    assert_eq!(asked("evaluate"), 1, "{calls:?}");
    assert_eq!(asked("record"), 6, "{calls:?}");
    // The messages so far and the status.
    assert_eq!(asked("attribute"), 2, "{calls:?}");
}

#[test]
fn nothing_is_allocated_in_either_direction_or_role() {
    for mock in [mock::inbound(), mock::outbound()] {
        for root_id in ["", "stats", "metadata_exchange"] {
            assert_eq!(
                allocations_of_100_requests(&mock, root_id),
                0,
                "root_id {root_id:?}"
            );
        }
    }
}

#[test]
fn nor_with_labels_conditions_and_extras() {
    let configuration = r#"{
        "metrics": [{"dimensions": {"mine": "request.path"}, "match": "request.ok"}],
        "extra_metrics": ["requests_started_total", "requests_in_flight"],
        "request_operations": ["GET /a"],
        "peer_unknown_reason": true,
        "zero_initialize": true
    }"#;
    let mut mock = mock::inbound();
    mock.typed("request.path", b"/a", "s");
    mock.typed("request.ok", &[1], "b");
    assert_eq!(
        allocations_of_100_requests_with(&mock, "", configuration),
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
