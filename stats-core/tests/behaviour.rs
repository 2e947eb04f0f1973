//! Whole requests through a plugin, in a host that keeps its series in the crate's own registry: as
//! a proxy written in Rust would embed the core.

#![allow(clippy::expect_used, reason = "helpers of tests")]

mod mock;

use mock::Mock;
use stats_core::plugin::{Plugin, Stream};

/// The values of a label on all `istio_requests_total` samples, each with its count.
fn counts(mock: &Mock, label: &str) -> Vec<(String, u64)> {
    let samples = mock.samples("istio_requests_total");
    let count = |sample: &String| {
        let (labels, count) = sample.rsplit_once(' ').expect("a sample");
        let value = labels
            .split(&format!("{label}=\""))
            .nth(1)
            .expect("the label");
        let value = value.split('"').next().expect("its end");
        (value.to_owned(), count.parse().expect("a number"))
    };
    samples.iter().map(count).collect()
}

fn expected(counts: &[(&str, u64)]) -> Vec<(String, u64)> {
    counts
        .iter()
        .map(|(value, count)| ((*value).to_owned(), *count))
        .collect()
}

#[test]
fn the_whole_page_of_an_inbound_request() {
    let mock = mock::inbound();
    mock.request(&mut mock.plugin("", ""));
    insta::assert_snapshot!(mock.registry.borrow().exposition());
}

#[test]
fn the_whole_page_of_an_outbound_request() {
    let mock = mock::outbound();
    mock.request(&mut mock.plugin("", ""));
    insta::assert_snapshot!(mock.registry.borrow().exposition());
}

#[test]
fn every_request_is_counted_once_in_all_four_metrics() {
    let mock = mock::inbound();
    let mut plugin = mock.plugin("", "");
    for _ in 0..50 {
        mock.request(&mut plugin);
    }
    assert_eq!(counts(&mock, "reporter"), expected(&[("destination", 50)]));
    for histogram in [
        "request_duration_milliseconds",
        "request_bytes",
        "response_bytes",
    ] {
        let samples = mock.samples(&format!("istio_{histogram}_count"));
        assert_eq!(samples.len(), 1);
        assert!(samples[0].ends_with(" 50"), "{}", samples[0]);
    }
}

#[test]
fn a_request_that_the_expression_fails_on_is_read_one_by_one() {
    // No route: no cluster, no route name.
    let mut mock = mock::inbound();
    mock.lists.clear();
    mock.attributes.remove("xds.cluster_metadata");
    mock.set_integer("response.code", 404);
    mock.set_integer("response.flags", 1 << 8);
    mock.set_integer("request.duration", 1_000_000);
    mock.set_integer("connection.id", 7);
    mock.request(&mut mock.plugin("", ""));
    assert_eq!(counts(&mock, "response_code"), expected(&[("404", 1)]));
    assert_eq!(counts(&mock, "response_flags"), expected(&[("NR", 1)]));
    assert_eq!(
        counts(&mock, "destination_service"),
        expected(&[("podinfo:9898", 1)])
    );
    assert_eq!(
        counts(&mock, "connection_security_policy"),
        expected(&[("mutual_tls", 1)])
    );
}

#[test]
fn a_request_of_which_nothing_is_known_is_counted() {
    let mock = Mock::default();
    let mut plugin = mock.plugin("", "");
    plugin.on_log(&mock, &Stream::default());
    assert_eq!(counts(&mock, "reporter"), expected(&[("source", 1)]));
    assert_eq!(counts(&mock, "response_code"), expected(&[("0", 1)]));
}

#[test]
fn the_outbound_query_follows_the_upstream_from_plaintext_to_tls_and_back() {
    let principals = |mock: &Mock, plugin: &mut Plugin| {
        mock.request(plugin);
        counts(mock, "source_principal")
    };
    let mut mock = mock::outbound();
    let mut plugin = mock.plugin("", "");
    let mtls = (mock::MTLS_PEER, 1);
    assert_eq!(principals(&mock, &mut plugin), expected(&[mtls]));

    let plaintext = |mock: &mut Mock| {
        mock.lists.remove(0);
        mock.lists[0].1[7] = vec![0];
    };
    plaintext(&mut mock);
    assert_eq!(
        principals(&mock, &mut plugin),
        expected(&[mtls, ("unknown", 1)])
    );

    // Only asked for certificates again because the upstream says that it has TLS.
    mock.lists = mock::outbound().lists;
    assert_eq!(
        principals(&mock, &mut plugin),
        expected(&[(mock::MTLS_PEER, 2), ("unknown", 1)])
    );
}

#[test]
fn principals_are_asked_for_once_per_downstream_connection() {
    let mut mock = mock::inbound();
    let mut plugin = mock.plugin("", "");
    let asks = |mock: &Mock, plugin: &mut Plugin| {
        let calls = mock.calls_of_a_request(plugin);
        calls.iter().filter(|call| call.contains("uri_san")).count()
    };
    assert_eq!(asks(&mock, &mut plugin), 2);
    assert_eq!(asks(&mock, &mut plugin), 0);
    // Another connection, without certificates.
    mock.lists[0].1[7] = 8_i64.to_ne_bytes().to_vec();
    mock.attributes.retain(|path, _| !path.contains("uri_san"));
    assert_eq!(asks(&mock, &mut plugin), 2);
    let policies = counts(&mock, "connection_security_policy");
    assert_eq!(policies, expected(&[("mutual_tls", 2), ("none", 1)]));
}

#[test]
fn a_clusters_metadata_is_looked_at_again_after_a_tick() {
    let mut mock = mock::inbound();
    let mut plugin = mock.plugin("", "");
    mock.request(&mut plugin);
    mock.set("xds.cluster_metadata", &mock::podinfo_cluster("renamed"));
    mock.request(&mut plugin);
    assert_eq!(
        counts(&mock, "destination_service_name"),
        expected(&[("podinfo", 2)])
    );
    plugin.on_tick();
    mock.request(&mut plugin);
    assert_eq!(
        counts(&mock, "destination_service_name"),
        expected(&[("podinfo", 2), ("renamed", 1)])
    );
}

#[test]
fn beyond_max_series_requests_are_counted_in_the_overflow_and_one_line_says_so() {
    let mut mock = mock::inbound();
    mock.attributes.remove("xds.cluster_metadata");
    let mut plugin = mock.plugin("", r#"{"max_series": 3}"#);
    for n in 0..20 {
        mock.request
            .insert(":authority", format!("host-{n}").into_bytes());
        mock.request(&mut plugin);
    }
    let by_host = expected(&[
        ("host-0", 1),
        ("host-1", 1),
        ("host-2", 1),
        ("overflow", 17),
    ]);
    assert_eq!(counts(&mock, "destination_service"), by_host);
    assert_eq!(mock.logged.borrow().len(), 1);

    // What has its series keeps it.
    mock.request.insert(":authority", b"host-1".to_vec());
    mock.request(&mut plugin);
    assert_eq!(
        counts(&mock, "destination_service")[1],
        ("host-1".to_owned(), 2)
    );
}

#[test]
fn without_the_host_header_fallback_the_authority_is_not_read() {
    let mut mock = mock::outbound();
    mock.attributes.remove("xds.cluster_metadata");
    let configuration = r#"{"disable_host_header_fallback": true}"#;
    mock.request(&mut mock.plugin("", configuration));
    assert_eq!(
        counts(&mock, "destination_service"),
        expected(&[("unknown", 1)])
    );
    mock.request(&mut mock.plugin("", ""));
    assert_eq!(
        counts(&mock, "destination_service"),
        expected(&[("podinfo:9898", 1), ("unknown", 1)])
    );
}

#[test]
fn a_peer_that_asks_for_nothing_gets_no_answer() {
    let mut mock = mock::inbound();
    mock.request.remove("x-envoy-peer-metadata-id");
    mock.request.remove("x-envoy-peer-metadata");
    let calls = mock.calls_of_a_request(&mut mock.plugin("", ""));
    assert!(
        !calls.iter().any(|call| call.starts_with("set Response")),
        "{calls:#?}"
    );
    assert_eq!(
        counts(&mock, "source_workload"),
        expected(&[("unknown", 1)])
    );
}

#[test]
fn a_peer_that_sends_one_header_gets_that_one() {
    for name in ["x-envoy-peer-metadata-id", "x-envoy-peer-metadata"] {
        let mut mock = mock::inbound();
        mock.request.remove(name);
        let calls = mock.calls_of_a_request(&mut mock.plugin("", ""));
        assert!(
            !calls.contains(&format!("set Response {name}")),
            "{calls:#?}"
        );
        assert_eq!(
            calls
                .iter()
                .filter(|call| call.starts_with("set Response"))
                .count(),
            1
        );
    }
}

#[test]
fn two_filters_meet_through_filter_state() {
    let mock = mock::inbound();
    let calls = mock.calls_of_a_request(&mut mock.plugin("metadata_exchange", ""));
    assert!(
        calls.contains(&"declare downstream_peer".to_owned()),
        "{calls:#?}"
    );
    assert!(
        calls.contains(&"publish downstream_peer".to_owned()),
        "{calls:#?}"
    );
    assert!(
        mock.samples("istio_").is_empty(),
        "an exchange filter counts nothing"
    );
}

#[test]
fn what_a_plugin_compiled_it_gives_back() {
    for mock in [mock::inbound(), mock::outbound()] {
        let mut plugin = mock.plugin("", "");
        mock.request(&mut plugin);
        plugin.release(&mock);
        assert_eq!(mock.forgotten.borrow().len(), mock.compiled.borrow().len());
    }
}

#[test]
fn an_unknown_root_id_is_refused_with_the_known_ones() {
    let error = Plugin::configure(&mock::inbound(), b"stat", b"")
        .err()
        .expect("an error");
    assert_eq!(
        error.to_string(),
        "configuration at root_id: found \"stat\", wants \"\" or \"telemetry\", \
         \"metadata_exchange\", \"stats\", \"stats_inbound\" or \"stats_outbound\""
    );
}
