//! Whole requests through a plugin, in a host that keeps its series in the crate's own registry: as
//! a proxy written in Rust would embed the core.

#![allow(clippy::expect_used, reason = "helpers of tests")]

mod mock;

use mock::Mock;
use stats_core::plugin::{Plugin, Stream};
use stats_core::workload::Workload;

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
    plugin.on_log(&mock, &mut Stream::default());
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
        *mock.lists[0].1.last_mut().unwrap() = vec![0];
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
    let mut plugin = mock.plugin("metadata_exchange", "");
    let declared = ["downstream_peer", "upstream_peer"];
    assert_eq!(
        *mock.declared.borrow(),
        declared,
        "with the plugin, before any request"
    );
    let calls = mock.calls_of_a_request(&mut plugin);
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
fn what_an_access_logger_cannot_do_is_said_once() {
    let extra = r#"{"extra_metrics": ["requests_in_flight"]}"#;
    for (root_id, config, warnings) in [("stats", "", 0), ("", "", 1), ("stats", extra, 1)] {
        let mock = mock::inbound();
        let mut plugin = mock.plugin(root_id, config);
        for _ in 0..3 {
            plugin.on_log(&mock, &mut Stream::only_logged());
        }
        let logged = mock.logged.borrow();
        assert_eq!(logged.len(), warnings, "{root_id:?} {config}: {logged:?}");
        let counted: u64 = counts(&mock, "reporter").iter().map(|(_, n)| n).sum();
        assert_eq!(counted, 3);
    }
}

#[test]
fn an_access_logger_counts_requests_without_a_response_and_no_connections() {
    let mut mock = mock::inbound();
    mock.lists.clear();
    let mut plugin = mock.plugin("stats", "");
    plugin.on_log(&mock, &mut Stream::only_logged());
    assert_eq!(counts(&mock, "response_code"), []);

    mock.request.insert(":method", b"GET".to_vec());
    plugin.on_log(&mock, &mut Stream::only_logged());
    assert_eq!(counts(&mock, "response_code"), [("0".to_owned(), 1)]);
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

/// The names of the labels of the only sample that begins so.
fn labels(mock: &Mock, name: &str) -> Vec<String> {
    let samples = mock.samples(name);
    assert_eq!(samples.len(), 1, "{samples:#?}");
    let (_, labels) = samples[0].split_once('{').unwrap_or_default();
    let names = labels
        .split("\",")
        .filter_map(|label| label.split_once('='));
    names.map(|(name, _)| name.to_owned()).collect()
}

#[test]
fn labels_are_overridden_added_and_removed_and_the_later_entry_wins() {
    let mut mock = mock::inbound();
    mock.typed("expr.version", b"v9", "s");
    mock.typed("expr.code", &200_i64.to_ne_bytes(), "i");
    mock.typed("expr.secure", &[1], "b");
    mock.unparsable.push("((");
    let configuration = r#"{"metrics": [
        {"dimensions": {"zone": "expr.secure", "area": "expr.fails", "source_version": "expr.code"}},
        {"name": "requests_total", "dimensions": {"source_version": "expr.version"}},
        {"name": "requests_total", "tags_to_remove": ["response_flags"]},
        {"name": "requests_total", "dimensions": {"destination_app": "((", "broken": "(("}},
        {"name": "request_bytes", "drop": true}
    ]}"#;
    mock.request(&mut mock.plugin("", configuration));
    assert_eq!(counts(&mock, "source_version"), expected(&[("v9", 1)]));
    assert_eq!(counts(&mock, "zone"), expected(&[("true", 1)]));
    assert_eq!(counts(&mock, "area"), expected(&[("unknown", 1)]));
    let names = labels(&mock, "istio_requests_total");
    assert_eq!(names.len(), 25 - 2 + 2, "{names:?}");
    assert_eq!(
        names[names.len() - 2..],
        ["area", "zone"],
        "added ones last, by name"
    );
    let others = &mock.samples("istio_response_bytes_count")[0];
    assert!(others.contains("source_version=\"200\"") && others.contains("destination_app="));
    assert!(mock.samples("istio_request_bytes").is_empty());
    let logged = mock.logged.borrow();
    assert!(
        logged
            .iter()
            .any(|line| line.contains("\"((\" does not parse")),
        "{logged:?}"
    );
}

#[test]
fn an_entry_applies_only_where_its_condition_holds() {
    let mut mock = mock::inbound();
    mock.typed("expr.slow", &[0], "b");
    let configuration = r#"{"metrics": [
        {"match": "expr.slow", "dimensions": {"speed": "expr.speed"}},
        {"match": "expr.fails", "drop": true}
    ]}"#;
    let mut plugin = mock.plugin("", configuration);
    mock.request(&mut plugin);
    assert!(!mock.samples("istio_requests_total")[0].contains("speed"));
    mock.typed("expr.slow", &[1], "b");
    mock.typed("expr.speed", b"slow", "s");
    mock.request(&mut plugin);
    let samples = mock.samples("istio_requests_total");
    assert_eq!(samples.len(), 2);
    assert!(
        samples
            .iter()
            .any(|sample| sample.contains("speed=\"slow\"")),
        "{samples:#?}"
    );
}

#[test]
fn metrics_of_ones_own_have_only_their_own_labels() {
    let mut mock = mock::inbound();
    mock.typed("expr.size", &42_i64.to_ne_bytes(), "i");
    mock.typed("expr.name", b"x", "s");
    let configuration = r#"{
        "definitions": [
            {"name": "bytes_total", "value": "expr.size", "type": "COUNTER"},
            {"name": "level", "value": "expr.size", "type": "GAUGE"},
            {"name": "sizes", "value": "expr.size", "type": "HISTOGRAM"},
            {"name": "requests_total", "value": "expr.size"}
        ],
        "metrics": [{"name": "level", "dimensions": {"name": "expr.name"}}]
    }"#;
    let mut plugin = mock.plugin("", configuration);
    mock.request(&mut plugin);
    mock.request(&mut plugin);
    assert_eq!(mock.samples("istio_bytes_total"), ["istio_bytes_total 84"]);
    assert_eq!(mock.samples("istio_level"), ["istio_level{name=\"x\"} 42"]);
    assert_eq!(mock.samples("istio_sizes_sum"), ["istio_sizes_sum 84"]);
    assert_eq!(counts(&mock, "reporter"), expected(&[("destination", 2)]));
}

#[test]
fn a_waypoint_faces_both_sides() {
    let mut mock = mock::inbound();
    mock.set("xds.cluster_name", b"inbound-vip|9898|http|podinfo");
    mock.response
        .insert("x-envoy-peer-metadata", mock::metadata("podinfo", "test"));
    let calls = mock.calls_of_a_request(&mut mock.plugin("", r#"{"reporter": "SERVER_GATEWAY"}"#));
    assert!(
        calls.contains(&"set Request x-envoy-peer-metadata".to_owned()),
        "{calls:#?}"
    );
    assert!(
        calls.contains(&"set Response x-envoy-peer-metadata".to_owned()),
        "{calls:#?}"
    );
    assert_eq!(counts(&mock, "reporter"), expected(&[("waypoint", 1)]));
    assert_eq!(counts(&mock, "source_workload"), expected(&[("cart", 1)]));
    assert_eq!(
        counts(&mock, "destination_workload"),
        expected(&[("podinfo", 1)])
    );
}

#[test]
fn the_peer_comes_from_the_first_source_that_knows_it() {
    let baggage = b"k8s.deployment.name=from-baggage".to_vec();
    let native = |mock: &mut Mock| {
        let pair = [
            &1_u32.to_ne_bytes()[..],
            &8_u32.to_ne_bytes(),
            &11_u32.to_ne_bytes(),
        ]
        .concat();
        let map = [&pair[..], b"workload\0from-filter\0"].concat();
        mock.set("filter_state.downstream_peer", &map);
    };
    let source = |mock: &Mock, configuration: &str| {
        let before = counts(mock, "source_workload");
        mock.request(&mut mock.plugin("", configuration));
        let after = counts(mock, "source_workload");
        let new = after
            .into_iter()
            .find(|count| !before.contains(count))
            .expect("one more");
        new.0
    };
    let mut mock = mock::inbound();
    mock.request.insert("baggage", baggage);
    assert_eq!(source(&mock, ""), "cart", "headers before baggage");
    assert_eq!(
        source(&mock, r#"{"peer_sources": ["baggage", "headers"]}"#),
        "from-baggage"
    );
    native(&mut mock);
    assert_eq!(
        source(&mock, ""),
        "from-filter",
        "filter state before headers"
    );
    assert_eq!(
        source(&mock, r#"{"peer_sources": ["headers", "filter_state"]}"#),
        "cart"
    );
    mock.request.remove("x-envoy-peer-metadata");
    assert_eq!(
        source(&mock, r#"{"peer_sources": ["headers", "baggage"]}"#),
        "from-baggage"
    );
    assert_eq!(source(&mock, r#"{"peer_sources": []}"#), "unknown");
}

#[test]
fn more_clusters_than_are_remembered_are_known_all_the_same() {
    const CLUSTERS: u64 = 10_001;
    let mut mock = mock::inbound();
    let mut plugin = mock.plugin("", "");
    for number in (0..CLUSTERS).chain([0, 1, 0, CLUSTERS]) {
        let cluster = format!("inbound|{number}||");
        mock.lists = vec![("connection.id", mock::ended(200, &cluster))];
        mock.request(&mut plugin);
    }
    let all = [("podinfo".to_owned(), CLUSTERS + 4)];
    assert_eq!(counts(&mock, "destination_service_name"), all);
}

#[test]
fn a_cluster_may_disable_the_exchange() {
    let introduces = |metadata: Vec<u8>, name: &str, configuration: &str| {
        let mut mock = mock::outbound();
        mock.set("xds.cluster_metadata", &metadata);
        mock.set("xds.cluster_name", name.as_bytes());
        let calls = mock.calls_of_a_request(&mut mock.plugin("", configuration));
        let sets = calls
            .iter()
            .filter(|call| call.starts_with("set Request"))
            .count();
        let removes = calls
            .iter()
            .filter(|call| call.starts_with("remove Request"))
            .count();
        assert_eq!(sets + removes, 2, "{calls:#?}");
        sets == 2
    };
    let skip = r#"{"skip_external_clusters": true}"#;
    let plain = || mock::istio_cluster(&[]);
    assert!(introduces(plain(), "c", ""));
    assert!(!introduces(mock::istio_cluster(&["disable_mx"]), "c", ""));
    assert!(introduces(mock::istio_cluster(&["external"]), "c", ""));
    assert!(!introduces(mock::istio_cluster(&["external"]), "c", skip));
    assert!(introduces(plain(), "PassthroughCluster", ""));
    assert!(!introduces(plain(), "PassthroughCluster", skip));
}

#[test]
fn requests_in_flight_come_back_to_zero_also_without_a_log() {
    let mock = mock::inbound();
    let configuration = r#"{"extra_metrics": ["requests_started_total", "requests_in_flight"]}"#;
    let mut plugin = mock.plugin("", configuration);
    let (mut one, mut other) = (Stream::default(), Stream::default());
    plugin.on_request_headers(&mock, &mut one);
    plugin.on_request_headers(&mock, &mut other);
    let value = |name| {
        mock.samples(name)[0]
            .rsplit(' ')
            .next()
            .expect("a value")
            .to_owned()
    };
    assert_eq!(value("istio_requests_in_flight"), "2");
    plugin.on_log(&mock, &mut one);
    plugin.on_done(&mock, &mut one);
    plugin.on_done(&mock, &mut other);
    // Refused before its headers got here: it never began.
    plugin.on_log(&mock, &mut Stream::default());
    assert_eq!(value("istio_requests_in_flight"), "0");
    assert_eq!(value("istio_requests_started_total"), "2");
}

#[test]
fn the_first_byte_is_the_responses_headers() {
    let mock = mock::inbound();
    let mut plugin = mock.plugin(
        "",
        r#"{"extra_metrics": ["response_first_byte_milliseconds"]}"#,
    );
    let mut stream = Stream::default();
    plugin.on_request_headers(&mock, &mut stream);
    mock.time.set(7_900_000);
    plugin.on_response_headers(&mock, &mut stream);
    plugin.on_log(&mock, &mut stream);
    let samples = mock.samples("istio_response_first_byte_milliseconds_sum");
    assert!(samples[0].ends_with(" 7"), "{samples:?}");
}

#[test]
fn a_known_peer_has_a_success_and_an_error_series_from_the_first_request() {
    let mut mock = mock::inbound();
    let mut plugin = mock.plugin("", r#"{"zero_initialize": true}"#);
    mock.request(&mut plugin);
    assert_eq!(
        counts(&mock, "response_code"),
        expected(&[("200", 1), ("500", 0)])
    );
    mock.request.remove("x-envoy-peer-metadata");
    mock.request(&mut plugin);
    assert_eq!(
        counts(&mock, "source_workload").len(),
        3,
        "none for an unknown peer"
    );
}

#[test]
fn a_reason_says_why_a_peer_is_unknown() {
    let reason = |change: fn(&mut Mock)| {
        let mut mock = mock::inbound();
        change(&mut mock);
        mock.request(&mut mock.plugin("", r#"{"peer_unknown_reason": true}"#));
        counts(&mock, "peer_unknown_reason")[0].0.clone()
    };
    assert_eq!(reason(|_| ()), "-");
    assert_eq!(
        reason(|mock| drop(mock.request.remove("x-envoy-peer-metadata"))),
        "no_metadata"
    );
    let sends = |mock: &mut Mock, value: Vec<u8>| {
        mock.request.insert("x-envoy-peer-metadata", value);
    };
    assert_eq!(
        reason(|mock| drop(mock.request.insert("x-envoy-peer-metadata", b"?".into()))),
        "undecodable"
    );
    let mut mock = mock::inbound();
    sends(&mut mock, vec![b'A'; 9000]);
    mock.request(&mut mock.plugin("", r#"{"peer_unknown_reason": true}"#));
    assert_eq!(
        counts(&mock, "peer_unknown_reason"),
        expected(&[("oversized", 1)])
    );
}

#[test]
fn an_operation_is_the_template_that_fits() {
    let mut mock = mock::inbound();
    let mut plugin = mock.plugin("", r#"{"request_operations": ["GET /reviews/{id}"]}"#);
    mock.request.insert(":method", b"GET".to_vec());
    for path in ["/reviews/1", "/reviews/2?x", "/other"] {
        mock.request.insert(":path", path.into());
        mock.request(&mut plugin);
    }
    assert_eq!(
        counts(&mock, "request_operation"),
        expected(&[("GET /reviews/{id}", 2), ("unknown", 1)])
    );
}

#[test]
fn only_allowed_labels_stay_and_the_prefix_is_ours() {
    let mock = mock::inbound();
    let configuration =
        r#"{"stat_prefix": "mesh", "allowed_labels": ["response_code", "reporter"]}"#;
    mock.request(&mut mock.plugin("", configuration));
    assert_eq!(
        labels(&mock, "mesh_requests_total"),
        ["reporter", "response_code"]
    );
    assert!(mock.samples("istio_").is_empty());
    assert_eq!(mock.samples("mesh_build").len(), 1);
    assert!(mock.logged.borrow()[0].contains("Kiali"));
}

#[test]
fn grpc_messages_are_reported_while_a_request_is_open_and_at_its_end() {
    let mut mock = mock::inbound();
    mock.request
        .insert("content-type", b"application/grpc".to_vec());
    mock.set("xds.cluster_name", b"inbound|9898||");
    mock.set_integer("connection.id", 7);
    let mut plugin = mock.plugin("", "");
    let mut stream = Stream::default();
    plugin.on_request_headers(&mock, &mut stream);
    plugin.on_response_headers(&mock, &mut stream);
    assert!(plugin.on_tick(), "five seconds are the default");
    let value = |mock: &Mock, name| {
        let samples = mock.samples(name);
        assert!(samples.len() <= 1, "one label set: {samples:#?}");
        samples
            .first()
            .map(|sample| sample.rsplit(' ').next().expect("a value").to_owned())
    };
    mock.set("filter_state.envoy.filters.http.grpc_stats", b"3,1");
    plugin.on_report(&mock, &mut stream);
    assert_eq!(
        value(&mock, "istio_request_messages_total").as_deref(),
        Some("3")
    );
    plugin.on_report(&mock, &mut stream);
    assert_eq!(
        value(&mock, "istio_request_messages_total").as_deref(),
        Some("3")
    );
    mock.set("filter_state.envoy.filters.http.grpc_stats", b"5,9");
    plugin.on_log(&mock, &mut stream);
    assert_eq!(
        value(&mock, "istio_request_messages_total").as_deref(),
        Some("5")
    );
    assert_eq!(
        value(&mock, "istio_response_messages_total").as_deref(),
        Some("9")
    );
    assert_eq!(labels(&mock, "istio_request_messages_total").len(), 20);
    let sample = &mock.samples("istio_request_messages_total")[0];
    assert!(sample.contains("source_workload=\"cart\""), "{sample}");
    assert!(
        mock.logged.borrow().is_empty(),
        "{:?}",
        mock.logged.borrow()
    );
}

#[test]
fn a_label_on_messages_is_what_it_was_when_the_request_began() {
    let mut mock = mock::inbound();
    mock.request
        .insert("content-type", b"application/grpc".to_vec());
    mock.set("xds.cluster_name", b"inbound|9898||");
    mock.set_integer("connection.id", 7);
    mock.typed("expr.path", b"/begun", "s");
    let mut plugin = mock.plugin("", r#"{"metrics": [{"dimensions": {"at": "expr.path"}}]}"#);
    let mut stream = Stream::default();
    plugin.on_request_headers(&mock, &mut stream);
    // While the request is open there are no headers to evaluate.
    let expression = mock.lists.remove(0);
    mock.set("filter_state.envoy.filters.http.grpc_stats", b"3,1");
    plugin.on_report(&mock, &mut stream);
    mock.set("filter_state.envoy.filters.http.grpc_stats", b"4,1");
    mock.lists.insert(0, expression);
    plugin.on_log(&mock, &mut stream);
    let samples = mock.samples("istio_request_messages_total");
    assert_eq!(samples.len(), 1, "{samples:#?}");
    assert!(
        samples[0].contains("at=\"/begun\"") && samples[0].ends_with(" 4"),
        "{samples:?}"
    );
}

#[test]
fn what_no_label_shows_does_not_fill_the_table() {
    let mut mock = mock::inbound();
    mock.attributes.remove("xds.cluster_metadata");
    let configuration = r#"{"max_series": 4, "allowed_labels": ["reporter", "response_code"]}"#;
    let mut plugin = mock.plugin("", configuration);
    for n in 0..20 {
        mock.request
            .insert(":authority", format!("host-{n}").into_bytes());
        mock.request(&mut plugin);
    }
    assert_eq!(counts(&mock, "response_code"), expected(&[("200", 20)]));
}

#[test]
fn a_peer_that_says_nothing_leaves_it_to_the_next_source() {
    let mut mock = mock::inbound();
    mock.request.insert("x-envoy-peer-metadata", Vec::new());
    mock.request
        .insert("baggage", b"k8s.deployment.name=cart".to_vec());
    mock.request(&mut mock.plugin("", ""));
    assert_eq!(counts(&mock, "source_workload"), expected(&[("cart", 1)]));
}

#[test]
fn stats_alone_take_the_headers_from_the_exchange_beside_them() {
    let mut mock = mock::inbound();
    mock.request(&mut mock.plugin("metadata_exchange", ""));
    let published = mock.published.borrow()["downstream_peer"].clone();
    mock.set("downstream_peer", &published);
    mock.request(&mut mock.plugin("stats", r#"{"peer_sources": ["headers"]}"#));
    assert_eq!(counts(&mock, "source_workload"), expected(&[("cart", 1)]));
}

#[test]
fn clusters_are_looked_at_every_few_seconds_however_seldom_is_reported() {
    let mock = mock::inbound();
    for (configured, tick) in [("1s", 1000), ("0s", 5000), ("3600s", 5000), ("0.001s", 100)] {
        let configuration = format!(r#"{{"tcp_reporting_duration": "{configured}"}}"#);
        let plugin = mock.plugin("", &configuration);
        assert_eq!(plugin.tick().as_millis(), tick, "{configured}");
    }
    let mut plugin = mock.plugin("", r#"{"tcp_reporting_duration": "12s"}"#);
    let due: Vec<_> = (0..6).map(|_| plugin.on_tick()).collect();
    assert_eq!(due, [false, false, true, false, false, true]);
}

#[test]
fn listeners_of_both_directions_may_share_a_plugin() {
    let mut mock = mock::inbound();
    let mut plugin = mock.plugin("", "");
    mock.request(&mut plugin);
    let outbound = mock::outbound();
    mock.lists.extend(outbound.lists.clone());
    mock.set_integer("xds.listener_direction", 2);
    mock.request(&mut plugin);
    mock.set_integer("xds.listener_direction", 1);
    mock.request(&mut plugin);
    assert_eq!(
        counts(&mock, "reporter"),
        expected(&[("destination", 2), ("source", 1)])
    );
    plugin.release(&mock);
    assert_eq!(mock.forgotten.borrow().len(), mock.compiled.borrow().len());
}

#[test]
fn an_application_that_introduces_itself_like_a_peer_is_still_counted_as_outbound() {
    // All requests were inbound so far, so this one is taken for another until it has ended.
    let mut mock = mock::inbound();
    let mut plugin = mock.plugin("", "");
    mock.request(&mut plugin);
    mock.lists = mock::outbound().lists;
    mock.set_integer("xds.listener_direction", 2);
    for _ in 0..3 {
        mock.request(&mut plugin);
    }
    assert_eq!(
        counts(&mock, "reporter"),
        expected(&[("destination", 1), ("source", 3)])
    );
    let calls = mock.calls_of_a_request(&mut plugin);
    assert!(
        calls.contains(&"set Request x-envoy-peer-metadata".to_owned()),
        "what it sent is replaced: {calls:?}"
    );
}

#[test]
fn stats_alone_learn_the_direction_with_the_connection() {
    let mut mock = mock::inbound();
    let mut plugin = mock.plugin("stats", "");
    mock.request(&mut plugin);
    let outbound = mock::outbound();
    mock.lists = outbound.lists;
    mock.set_integer("xds.listener_direction", 2);
    for (_, list) in &mut mock.lists {
        list[8] = 8_i64.to_ne_bytes().to_vec();
    }
    for _ in 0..3 {
        mock.request(&mut plugin);
    }
    assert_eq!(
        counts(&mock, "reporter"),
        expected(&[("destination", 1), ("source", 3)])
    );
}

#[test]
fn the_pods_of_a_deployment_share_a_label_set() {
    let mut mock = mock::inbound();
    let mut plugin = mock.plugin("", "");
    let mut metrics = Vec::new();
    for pod in ["cart-0", "cart-1", "cart-2"] {
        let workload = Workload {
            instance: pod.into(),
            name: "cart".into(),
            ..Workload::UNKNOWN
        };
        mock.request
            .insert("x-envoy-peer-metadata", mock::introduction(&workload));
        mock.request(&mut plugin);
        metrics.push(mock.metrics.borrow().len());
    }
    assert_eq!(counts(&mock, "source_workload"), expected(&[("cart", 3)]));
    assert_eq!(metrics[0], metrics[2], "no metric is defined again");
}

#[test]
fn an_upstream_that_was_not_reached_did_not_respond() {
    let mut mock = mock::outbound();
    mock.response.clear();
    for (_, list) in &mut mock.lists {
        list[1] = (1_i64 << 5).to_ne_bytes().to_vec();
    }
    mock.request(&mut mock.plugin("", r#"{"peer_unknown_reason": true}"#));
    assert_eq!(
        counts(&mock, "peer_unknown_reason"),
        expected(&[("no_response", 1)])
    );
}
