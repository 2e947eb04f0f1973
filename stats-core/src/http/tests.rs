//! A request's life: what a plugin keeps of it, and what it asks and changes, callback by callback.

use alloc::string::String;
use alloc::vec::Vec;

use super::*;
use crate::host::End;
use crate::host::memory::{MemoryHost, MemoryMetrics};
use crate::host::{HeaderMap, ListenerDirection, MessageCounts};
use crate::peer::unknown::UnknownReason;
use crate::peer::workload::Workload;

fn host(direction: ListenerDirection) -> MemoryHost {
    let mut host = MemoryHost::new(MemoryMetrics::default());
    host.direction = direction;
    host.facts.response_code = 200;
    host
}

fn plugin(host: &mut MemoryHost, role: Role, configuration: &str) -> Plugin {
    let proxy = LocalProxy {
        id: "sidecar~here".into(),
        ..LocalProxy::default()
    };
    let configured = Plugin::configure(host, role, proxy, configuration.as_bytes());
    configured.expect("a configuration")
}

/// The calls that a callback makes.
fn calls(host: &mut MemoryHost, callback: impl FnOnce(&mut MemoryHost)) -> Vec<String> {
    host.calls.start_notes();
    callback(host);
    host.calls.take_notes()
}

#[test]
fn the_direction_is_asked_for_by_the_first_callback_and_kept() {
    let mut host = host(ListenerDirection::Inbound);
    let mut plugin = plugin(&mut host, Role::Telemetry, "");
    let mut request = Request::default();
    let first = calls(&mut host, |host| {
        plugin.on_request_headers(host, &mut request);
    });
    assert_eq!(first[0], "listener direction");
    assert_eq!(request.direction, Some(Direction::Inbound));
    let rest = calls(&mut host, |host| {
        plugin.on_response_headers(host, &mut request);
        plugin.on_log(host, &mut request);
    });
    assert!(!rest.contains(&"listener direction".into()), "{rest:?}");
}

#[test]
fn inbound_the_peer_is_taken_from_the_request_and_replied_to_in_the_response() {
    let mut host = host(ListenerDirection::Inbound);
    host.request.set(exchange::ID_HEADER, "id");
    let mut plugin = plugin(&mut host, Role::Telemetry, r#"{"direction": "inbound"}"#);
    let mut request = Request::default();
    plugin.on_request_headers(&mut host, &mut request);
    assert!(request.downstream.has_id && !request.downstream.has_metadata);
    assert_eq!(request.downstream.reason, UnknownReason::NoMetadata);
    assert!(request.upstream.is_none());
    let reply = calls(&mut host, |host| {
        plugin.on_response_headers(host, &mut request);
    });
    let expected = [
        "set Response x-envoy-peer-metadata-id",
        "remove Response x-envoy-peer-metadata",
    ];
    assert_eq!(reply, expected);
}

#[test]
fn outbound_headers_are_injected_and_the_peer_is_taken_from_the_response() {
    let mut host = host(ListenerDirection::Outbound);
    let mut plugin = plugin(&mut host, Role::Telemetry, r#"{"direction": "outbound"}"#);
    let mut request = Request::default();
    let injected = calls(&mut host, |host| {
        plugin.on_request_headers(host, &mut request);
    });
    let sets = injected.iter().filter(|call| call.starts_with("set"));
    assert_eq!(sets.count(), 2);
    let written = &host.written[HeaderMap::Request as usize];
    assert_eq!(written.get(exchange::ID_HEADER), Some(&b"sidecar~here"[..]));
    let metadata = Workload::UNKNOWN.to_exchange("");
    let sent = written.get(exchange::METADATA_HEADER).map(<[u8]>::len);
    assert_eq!(sent, Some(metadata.len().div_ceil(3) * 4), "base64 of it");
    assert_eq!(
        request.reason(Direction::Outbound),
        UnknownReason::NoResponse
    );
    plugin.on_response_headers(&mut host, &mut request);
    assert_eq!(
        request.reason(Direction::Outbound),
        UnknownReason::NoMetadata
    );
    assert_eq!(request.exchanged(End::Upstream), None);
}

#[test]
fn a_response_of_the_proxys_own_may_come_without_a_request() {
    for direction in [ListenerDirection::Inbound, ListenerDirection::Outbound] {
        let mut host = host(direction);
        let mut plugin = plugin(&mut host, Role::Telemetry, "");
        let mut request = Request::default();
        plugin.on_response_headers(&mut host, &mut request);
        let recorded = calls(&mut host, |host| plugin.on_log(host, &mut request));
        assert_eq!(recorded.iter().filter(|call| *call == "add").count(), 1);
    }
}

#[test]
fn stats_alone_do_nothing_before_the_end() {
    let mut host = host(ListenerDirection::Inbound);
    let mut plugin = plugin(&mut host, Role::Stats, "");
    let mut request = Request::default();
    let before = calls(&mut host, |host| {
        plugin.on_request_headers(host, &mut request);
        plugin.on_response_headers(host, &mut request);
    });
    assert_eq!(before, [""; 0]);
}

#[test]
fn a_request_in_flight_ends_once_however_it_ends() {
    let mut host = host(ListenerDirection::Inbound);
    let configuration = r#"{"extra_metrics": ["requests_in_flight"]}"#;
    let mut plugin = plugin(&mut host, Role::Stats, configuration);
    let mut request = Request::default();
    plugin.on_request_headers(&mut host, &mut request);
    assert!(request.in_flight);
    let ends = calls(&mut host, |host| {
        plugin.on_log(host, &mut request);
        plugin.on_done(host, &mut request);
        plugin.on_done(host, &mut request);
    });
    let is = |call: &&String| *call == "change gauge -1";
    assert_eq!(ends.iter().filter(is).count(), 1, "{ends:?}");
}

#[test]
fn messages_of_a_request_whose_peer_is_not_known_wait_for_its_end() {
    let mut host = host(ListenerDirection::Inbound);
    host.request.set("content-type", "application/grpc");
    host.facts.grpc_messages = Some(MessageCounts {
        request: 2,
        response: 1,
    });
    let mut plugin = plugin(&mut host, Role::Telemetry, r#"{"direction": "inbound"}"#);
    let mut request = Request::default();
    plugin.on_request_headers(&mut host, &mut request);
    let adds = |calls: &[String]| calls.iter().filter(|call| *call == "add").count();
    let open = calls(&mut host, |host| plugin.on_report(host, &mut request));
    assert_eq!(adds(&open), 0, "{open:?}");
    let finished = calls(&mut host, |host| plugin.on_log(host, &mut request));
    assert_eq!(
        adds(&finished),
        3,
        "both kinds of messages, and the request"
    );
}
