//! A host that is not proxy-wasm: in memory, typed, its series in a registry that two threads share.
//! What the page shows is what Envoy shows of the same requests, label for label.

#![allow(clippy::expect_used, reason = "helpers of tests")]

mod mock;

use std::sync::{Arc, Mutex};
use std::thread;

use mock::Mock;
use stats_core::host::memory::MemoryHost;
use stats_core::http::Plugin;
use stats_core::http::request::Request;
use stats_core::peer::workload::Workload;
use stats_core::registry::Registry;

/// The pages of the demo's two Envoys after ten requests, as the end-to-end tests hold them.
const DESTINATION: &str = include_str!("../../tests/golden/demo.destination.prom");
const SOURCE: &str = include_str!("../../tests/golden/demo.source.prom");

/// The demo's workload, which calls itself.
fn podinfo() -> Workload {
    Workload {
        instance: "podinfo-0".into(),
        namespace: "test".into(),
        name: "podinfo".into(),
        cluster: "c199d81d4e3104a5d90254b2a210914c8".into(),
        canonical_service: "podinfo".into(),
        app: "podinfo".into(),
        ..Workload::UNKNOWN
    }
}

/// The demo's request, in one of its two sidecars.
fn demo(mut mock: Mock) -> Mock {
    mock.proxy.workload = podinfo();
    let principals = mock::principals(mock::MTLS_LOCAL, mock::MTLS_LOCAL);
    mock.downstream = principals.clone();
    mock.facts.upstream = principals;
    for headers in [&mut mock.host.request, &mut mock.host.response] {
        headers.set("x-envoy-peer-metadata-id", "sidecar~podinfo");
        headers.set("x-envoy-peer-metadata", mock::encoded(&podinfo()));
    }
    mock
}

/// Drives five requests from their headers to their end.
fn send_five(mut host: MemoryHost, mut plugin: Plugin) {
    for _ in 0..5 {
        let mut request = Request::default();
        plugin.on_request_headers(&mut host, &mut request);
        plugin.on_response_headers(&mut host, &mut request);
        plugin.on_log(&mut host, &mut request);
        plugin.on_done(&mut host, &mut request);
    }
}

/// A page with its buckets and sums as `~`, as the golden pages have them: Envoy's depend on time and
/// on its own headers.
fn readable(page: &str) -> String {
    let line = |line: &str| {
        let (labels, value) = line.rsplit_once(' ').unwrap_or((line, ""));
        let is_bound = labels.contains(",le=\"") && !labels.contains("le=\"+Inf\"");
        let varies = is_bound || labels.contains("_sum{");
        format!("{labels} {}\n", if varies { "~" } else { value })
    };
    page.lines().map(line).collect()
}

#[track_caller]
fn assert_page(mock: fn(Arc<Mutex<Registry>>) -> Mock, configuration: &str, golden: &str) {
    let registry = Arc::<Mutex<Registry>>::default();
    let workers = [(); 2].map(|()| {
        let mut mock = demo(mock(registry.clone()));
        let plugin = mock.telemetry(configuration);
        let Mock { host, .. } = mock;
        thread::spawn(move || send_five(host, plugin))
    });
    for worker in workers {
        worker.join().expect("a worker ends well");
    }
    let page = registry.lock().expect("a registry").exposition();
    for (page, golden) in readable(&page).lines().zip(golden.lines()) {
        assert_eq!(page, golden);
    }
    assert_eq!(page.lines().count(), golden.lines().count());
}

#[test]
fn two_threads_make_the_page_of_an_inbound_envoy() {
    assert_page(
        mock::inbound_into,
        r#"{"direction": "inbound"}"#,
        DESTINATION,
    );
}

#[test]
fn two_threads_make_the_page_of_an_outbound_envoy() {
    assert_page(mock::outbound_into, r#"{"direction": "auto"}"#, SOURCE);
}
