//! Whole requests through a plugin, in a host that keeps its series in the crate's own registry: as
//! a proxy written in Rust would embed the core.

#![allow(clippy::expect_used, reason = "helpers of tests")]

mod mock;

use mock::Mock;
use stats_core::host::memory::MemoryFacts;
use stats_core::host::{ClusterFacts, End, ListenerDirection, MessageCounts, Value};
use stats_core::http::Plugin;
use stats_core::http::request::Request;
use stats_core::http::role::Role;
use stats_core::peer::principals::Principals;
use stats_core::peer::workload::Workload;

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

#[expect(clippy::unnecessary_wraps, reason = "as the host has it")]
fn messages(request: u64, response: u64) -> Option<MessageCounts> {
    Some(MessageCounts { request, response })
}

#[test]
fn the_whole_page_of_an_inbound_request() {
    let mut mock = mock::inbound();
    mock.send_with("");
    insta::assert_snapshot!(mock.page());
}

#[test]
fn the_whole_page_of_an_outbound_request() {
    let mut mock = mock::outbound();
    mock.send_with("");
    insta::assert_snapshot!(mock.page());
}

#[test]
fn every_request_is_counted_once_in_all_four_metrics() {
    let mut mock = mock::inbound();
    let mut plugin = mock.telemetry("");
    for _ in 0..50 {
        mock.send(&mut plugin);
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
fn a_request_without_a_route_is_counted_with_what_is_known() {
    let mut mock = mock::inbound();
    mock.cluster = ClusterFacts::default();
    mock.facts = MemoryFacts {
        response_code: 404,
        response_flags: 1 << 8,
        duration: Some(1_000_000),
        connection: Some(7),
        ..MemoryFacts::default()
    };
    mock.send_with("");
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
    let mut mock = Mock::default();
    let mut plugin = mock.telemetry("");
    plugin.on_log(&mut mock.host, &mut Request::default());
    assert_eq!(counts(&mock, "reporter"), expected(&[("source", 1)]));
    assert_eq!(counts(&mock, "response_code"), expected(&[("0", 1)]));
}

#[test]
fn upstream_principals_are_those_of_each_request() {
    let mut mock = mock::outbound();
    let mut plugin = mock.telemetry("");
    let mtls = (mock::MTLS_PEER, 1);
    mock.send(&mut plugin);
    assert_eq!(counts(&mock, "source_principal"), expected(&[mtls]));

    mock.facts.upstream = Principals::default();
    mock.send(&mut plugin);
    assert_eq!(
        counts(&mock, "source_principal"),
        expected(&[mtls, ("unknown", 1)])
    );

    mock.facts.upstream = mock::outbound().host.facts.upstream;
    mock.send(&mut plugin);
    assert_eq!(
        counts(&mock, "source_principal"),
        expected(&[(mock::MTLS_PEER, 2), ("unknown", 1)])
    );
}

#[test]
fn principals_are_asked_for_once_per_downstream_connection() {
    let mut mock = mock::inbound();
    let mut plugin = mock.telemetry("");
    let asks = |mock: &mut Mock, plugin: &mut Plugin| {
        let calls = mock.calls_of_a_request(plugin);
        let is = |call: &&String| *call == "downstream principals";
        calls.iter().filter(is).count()
    };
    assert_eq!(asks(&mut mock, &mut plugin), 1);
    assert_eq!(asks(&mut mock, &mut plugin), 0);
    // Another connection, without certificates.
    mock.facts.connection = Some(8);
    mock.downstream = Principals::default();
    assert_eq!(asks(&mut mock, &mut plugin), 1);
    let policies = counts(&mock, "connection_security_policy");
    assert_eq!(policies, expected(&[("mutual_tls", 2), ("none", 1)]));
}

#[test]
fn a_clusters_metadata_is_looked_at_again_after_a_tick() {
    let mut mock = mock::inbound();
    let mut plugin = mock.telemetry("");
    mock.send(&mut plugin);
    mock.cluster = mock::podinfo_cluster("renamed");
    mock.send(&mut plugin);
    assert_eq!(
        counts(&mock, "destination_service_name"),
        expected(&[("podinfo", 2)])
    );
    plugin.on_tick();
    mock.send(&mut plugin);
    assert_eq!(
        counts(&mock, "destination_service_name"),
        expected(&[("podinfo", 2), ("renamed", 1)])
    );
}

#[test]
fn beyond_max_series_requests_are_counted_in_the_overflow_and_one_line_says_so() {
    let mut mock = mock::inbound();
    mock.cluster = ClusterFacts::default();
    let mut plugin = mock.telemetry(r#"{"max_series": 3}"#);
    for n in 0..20 {
        mock.request.set(":authority", format!("host-{n}"));
        mock.send(&mut plugin);
    }
    let by_host = expected(&[
        ("overflow", 17),
        ("host-0", 1),
        ("host-1", 1),
        ("host-2", 1),
    ]);
    assert_eq!(counts(&mock, "destination_service"), by_host);
    assert_eq!(mock::logged().len(), 1);

    // What has its series keeps it.
    mock.request.set(":authority", "host-1");
    mock.send(&mut plugin);
    assert_eq!(
        counts(&mock, "destination_service")[2],
        ("host-1".to_owned(), 2)
    );
}

#[test]
fn without_the_host_header_fallback_the_authority_is_not_read() {
    let mut mock = mock::outbound();
    mock.cluster = ClusterFacts::default();
    let configuration = r#"{"disable_host_header_fallback": true}"#;
    let mut plugin = mock.telemetry(configuration);
    let calls = mock.calls_of_a_request(&mut plugin);
    assert!(!calls.contains(&"get Request :authority".to_owned()));
    assert_eq!(
        counts(&mock, "destination_service"),
        expected(&[("unknown", 1)])
    );
    mock.send_with("");
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
    let calls = {
        let mut plugin = mock.telemetry("");
        mock.calls_of_a_request(&mut plugin)
    };
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
        let calls = {
            let mut plugin = mock.telemetry("");
            mock.calls_of_a_request(&mut plugin)
        };
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
fn an_exchange_filter_publishes_the_peer_and_records_nothing() {
    let mut mock = mock::inbound();
    let mut plugin = mock.plugin(Role::MetadataExchange, "");
    assert_eq!(
        mock.peers.declared, 1,
        "with the plugin, before any request"
    );
    let calls = mock.calls_of_a_request(&mut plugin);
    assert!(
        calls.contains(&"publish peer Downstream".to_owned()),
        "{calls:#?}"
    );
    assert!(
        mock.samples("istio_").is_empty(),
        "an exchange filter counts nothing"
    );
}

#[test]
fn what_a_plugin_compiled_it_gives_back() {
    for mut mock in [mock::inbound(), mock::outbound()] {
        let mut plugin =
            mock.telemetry(r#"{"metrics": [{"dimensions": {"a": "b"}, "match": "c"}]}"#);
        mock.send(&mut plugin);
        assert_eq!(mock.expressions.held(), 2);
        plugin.release(&mut mock.host);
        assert_eq!(mock.expressions.held(), 0);
    }
}

#[test]
fn what_an_access_logger_cannot_do_is_said_once() {
    let extra = r#"{"extra_metrics": ["requests_in_flight"]}"#;
    for (role, config, warnings) in [
        (Role::Stats, "", 0),
        (Role::Telemetry, "", 1),
        (Role::Stats, extra, 1),
    ] {
        let mut mock = mock::inbound();
        let mut plugin = mock.plugin(role, config);
        for _ in 0..3 {
            plugin.on_log(&mut mock.host, &mut Request::only_logged());
        }
        let logged = mock::logged();
        assert_eq!(logged.len(), warnings, "{role:?} {config}: {logged:?}");
        let counted: u64 = counts(&mock, "reporter").iter().map(|(_, n)| n).sum();
        assert_eq!(counted, 3);
    }
}

#[test]
fn an_access_logger_counts_requests_without_a_response_and_no_connections() {
    let mut mock = mock::inbound();
    mock.facts = MemoryFacts::default();
    let mut plugin = mock.plugin(Role::Stats, "");
    plugin.on_log(&mut mock.host, &mut Request::only_logged());
    assert_eq!(counts(&mock, "response_code"), []);

    mock.request.set(":method", "GET");
    plugin.on_log(&mut mock.host, &mut Request::only_logged());
    assert_eq!(counts(&mock, "response_code"), [("0".to_owned(), 1)]);
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
    mock.value("expr.version", Value::Text(b"v9"));
    mock.value("expr.code", Value::Int(200));
    mock.value("expr.secure", Value::Bool(true));
    let configuration = r#"{"metrics": [
        {"dimensions": {"zone": "expr.secure", "area": "expr.fails", "source_version": "expr.code"}},
        {"name": "requests_total", "dimensions": {"source_version": "expr.version"}},
        {"name": "requests_total", "tags_to_remove": ["response_flags"]},
        {"name": "requests_total", "dimensions": {"destination_app": "((", "broken": "(("}},
        {"name": "request_bytes", "drop": true}
    ]}"#;
    mock.send_with(configuration);
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
    let logged = mock::logged();
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
    mock.value("expr.slow", Value::Bool(false));
    let configuration = r#"{"metrics": [
        {"match": "expr.slow", "dimensions": {"speed": "expr.speed"}},
        {"match": "expr.fails", "drop": true}
    ]}"#;
    let mut plugin = mock.telemetry(configuration);
    mock.send(&mut plugin);
    assert!(!mock.samples("istio_requests_total")[0].contains("speed"));
    mock.value("expr.slow", Value::Bool(true));
    mock.value("expr.speed", Value::Text(b"slow"));
    mock.send(&mut plugin);
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
fn a_label_that_is_not_shown_makes_no_label_sets() {
    let mut mock = mock::inbound();
    let configuration = r#"{"max_series": 3, "metrics": [
        {"match": "expr.failed", "dimensions": {"path": "expr.path"}}
    ]}"#;
    let mut plugin = mock.telemetry(configuration);
    mock.value("expr.failed", Value::Bool(false));
    for path in ["/a", "/b", "/c", "/d", "/e"] {
        mock.value("expr.path", Value::Text(path.as_bytes()));
        mock.send(&mut plugin);
    }
    assert_eq!(counts(&mock, "reporter"), expected(&[("destination", 5)]));
    mock.value("expr.failed", Value::Bool(true));
    mock.send(&mut plugin);
    let samples = mock.samples("istio_requests_total");
    assert_eq!(samples.len(), 2, "{samples:#?}");
    assert!(samples.iter().any(|sample| sample.contains("path=\"/e\"")));
}

#[test]
fn a_peer_in_filter_state_is_asked_for_where_headers_are_no_source() {
    let mut mock = mock::inbound();
    let mut plugin = mock.telemetry(r#"{"peer_sources": ["filter_state"]}"#);
    mock.send(&mut plugin);
    mock.peers.native[End::Downstream as usize] = Some(vec![b"from-filter".to_vec()]);
    mock.send(&mut plugin);
    assert_eq!(
        counts(&mock, "source_workload"),
        expected(&[("from-filter", 1), ("unknown", 1)])
    );
}

#[test]
fn metrics_of_ones_own_have_only_their_own_labels() {
    let mut mock = mock::inbound();
    mock.value("expr.size", Value::Int(42));
    mock.value("expr.name", Value::Text(b"x"));
    let configuration = r#"{
        "definitions": [
            {"name": "bytes_total", "value": "expr.size", "type": "COUNTER"},
            {"name": "level", "value": "expr.size", "type": "GAUGE"},
            {"name": "sizes", "value": "expr.size", "type": "HISTOGRAM"},
            {"name": "requests_total", "value": "expr.size"}
        ],
        "metrics": [{"name": "level", "dimensions": {"name": "expr.name"}}]
    }"#;
    let mut plugin = mock.telemetry(configuration);
    mock.send(&mut plugin);
    mock.send(&mut plugin);
    assert_eq!(mock.samples("istio_bytes_total"), ["istio_bytes_total 84"]);
    assert_eq!(mock.samples("istio_level"), ["istio_level{name=\"x\"} 42"]);
    assert_eq!(mock.samples("istio_sizes_sum"), ["istio_sizes_sum 84"]);
    assert_eq!(counts(&mock, "reporter"), expected(&[("destination", 2)]));
}

#[test]
fn a_waypoint_faces_both_sides() {
    let mut mock = mock::inbound();
    mock.facts.cluster = "inbound-vip|9898|http|podinfo".into();
    mock.response
        .set("x-envoy-peer-metadata", mock::metadata("podinfo", "test"));
    let mut plugin = mock.telemetry(r#"{"reporter": "SERVER_GATEWAY"}"#);
    let calls = mock.calls_of_a_request(&mut plugin);
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
    let source = |mock: &mut Mock, configuration: &str| {
        let before = counts(mock, "source_workload");
        mock.send_with(configuration);
        let after = counts(mock, "source_workload");
        let new = after
            .into_iter()
            .find(|count| !before.contains(count))
            .expect("one more");
        new.0
    };
    let mut mock = mock::inbound();
    mock.request
        .set("baggage", "k8s.deployment.name=from-baggage");
    assert_eq!(source(&mut mock, ""), "cart", "headers before baggage");
    assert_eq!(
        source(&mut mock, r#"{"peer_sources": ["baggage", "headers"]}"#),
        "from-baggage"
    );
    mock.peers.native[End::Downstream as usize] = Some(vec![b"from-filter".to_vec()]);
    assert_eq!(
        source(&mut mock, ""),
        "from-filter",
        "filter state before headers"
    );
    assert_eq!(
        source(
            &mut mock,
            r#"{"peer_sources": ["headers", "filter_state"]}"#
        ),
        "cart"
    );
    mock.request.remove("x-envoy-peer-metadata");
    assert_eq!(
        source(&mut mock, r#"{"peer_sources": ["headers", "baggage"]}"#),
        "from-baggage"
    );
    assert_eq!(source(&mut mock, r#"{"peer_sources": []}"#), "unknown");
}

#[test]
fn more_clusters_than_are_remembered_are_known_all_the_same() {
    const CLUSTERS: u64 = 10_001;
    let mut mock = mock::inbound();
    let mut plugin = mock.telemetry("");
    for number in (0..CLUSTERS).chain([0, 1, 0, CLUSTERS]) {
        mock.facts.cluster = format!("inbound|{number}||");
        mock.send(&mut plugin);
    }
    let all = [("podinfo".to_owned(), CLUSTERS + 4)];
    assert_eq!(counts(&mock, "destination_service_name"), all);
}

#[test]
fn a_cluster_may_disable_the_exchange() {
    let injects = |cluster: ClusterFacts, name: &str, configuration: &str| {
        let mut mock = mock::outbound();
        mock.cluster = cluster;
        mock.facts.cluster = name.into();
        let mut plugin = mock.telemetry(configuration);
        let calls = mock.calls_of_a_request(&mut plugin);
        let count = |what| calls.iter().filter(|call| call.starts_with(what)).count();
        let (sets, removes) = (count("set Request"), count("remove Request"));
        assert_eq!(sets + removes, 2, "{calls:#?}");
        sets == 2
    };
    let skip = r#"{"skip_external_clusters": true}"#;
    let plain = ClusterFacts::default;
    let disabled = ClusterFacts {
        disables_exchange: true,
        ..plain()
    };
    let external = || ClusterFacts {
        external: true,
        ..plain()
    };
    assert!(injects(plain(), "c", ""));
    assert!(!injects(disabled, "c", ""));
    assert!(injects(external(), "c", ""));
    assert!(!injects(external(), "c", skip));
    assert!(injects(plain(), "PassthroughCluster", ""));
    assert!(!injects(plain(), "PassthroughCluster", skip));
}

#[test]
fn requests_in_flight_come_back_to_zero_also_without_a_log() {
    let mut mock = mock::inbound();
    let configuration = r#"{"extra_metrics": ["requests_started_total", "requests_in_flight"]}"#;
    let mut plugin = mock.telemetry(configuration);
    let (mut one, mut other) = (Request::default(), Request::default());
    plugin.on_request_headers(&mut mock.host, &mut one);
    plugin.on_request_headers(&mut mock.host, &mut other);
    let value = |mock: &Mock, name| {
        mock.samples(name)[0]
            .rsplit(' ')
            .next()
            .expect("a value")
            .to_owned()
    };
    assert_eq!(value(&mock, "istio_requests_in_flight"), "2");
    plugin.on_log(&mut mock.host, &mut one);
    plugin.on_done(&mut mock.host, &mut one);
    plugin.on_done(&mut mock.host, &mut other);
    // Answered before its headers got here: it was started, and never in flight.
    plugin.on_log(&mut mock.host, &mut Request::default());
    assert_eq!(value(&mock, "istio_requests_in_flight"), "0");
    assert_eq!(value(&mock, "istio_requests_started_total"), "3");
}

#[test]
fn the_first_byte_is_the_responses_headers() {
    let mut mock = mock::inbound();
    let mut plugin = mock.telemetry(r#"{"extra_metrics": ["response_first_byte_milliseconds"]}"#);
    let mut request = Request::default();
    plugin.on_request_headers(&mut mock.host, &mut request);
    mock.time.set(7_900_000);
    plugin.on_response_headers(&mut mock.host, &mut request);
    plugin.on_log(&mut mock.host, &mut request);
    let samples = mock.samples("istio_response_first_byte_milliseconds_sum");
    assert!(samples[0].ends_with(" 7"), "{samples:?}");
}

#[test]
fn a_known_peer_has_a_success_and_an_error_series_from_the_first_request() {
    let mut mock = mock::inbound();
    let mut plugin = mock.telemetry(r#"{"zero_initialize": true}"#);
    mock.send(&mut plugin);
    assert_eq!(
        counts(&mock, "response_code"),
        expected(&[("200", 1), ("500", 0)])
    );
    mock.request.remove("x-envoy-peer-metadata");
    mock.send(&mut plugin);
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
        mock.send_with(r#"{"peer_unknown_reason": true}"#);
        counts(&mock, "peer_unknown_reason")[0].0.clone()
    };
    assert_eq!(reason(|_| ()), "-");
    assert_eq!(
        reason(|mock| mock.request.remove("x-envoy-peer-metadata")),
        "no_metadata"
    );
    let sends = |mock: &mut Mock, value: Vec<u8>| {
        mock.request.set("x-envoy-peer-metadata", value);
    };
    assert_eq!(
        reason(|mock| mock.request.set("x-envoy-peer-metadata", "?")),
        "undecodable"
    );
    let mut mock = mock::inbound();
    sends(&mut mock, vec![b'A'; 9000]);
    mock.send_with(r#"{"peer_unknown_reason": true}"#);
    assert_eq!(
        counts(&mock, "peer_unknown_reason"),
        expected(&[("oversized", 1)])
    );
}

#[test]
fn an_operation_is_the_template_that_fits() {
    let mut mock = mock::inbound();
    let mut plugin = mock.telemetry(r#"{"request_operations": ["GET /reviews/{id}"]}"#);
    mock.request.set(":method", "GET");
    for path in ["/reviews/1", "/reviews/2?x", "/other"] {
        mock.request.set(":path", path);
        mock.send(&mut plugin);
    }
    assert_eq!(
        counts(&mock, "request_operation"),
        expected(&[("GET /reviews/{id}", 2), ("unknown", 1)])
    );
}

#[test]
fn only_allowed_labels_stay_and_the_prefix_is_ours() {
    let mut mock = mock::inbound();
    let configuration =
        r#"{"stat_prefix": "mesh", "allowed_labels": ["response_code", "reporter"]}"#;
    mock.send_with(configuration);
    assert_eq!(
        labels(&mock, "mesh_requests_total"),
        ["reporter", "response_code"]
    );
    assert!(mock.samples("istio_").is_empty());
    assert_eq!(mock.samples("mesh_build").len(), 1);
    assert!(mock::logged()[0].contains("Kiali"));
}

#[test]
fn grpc_messages_are_reported_while_a_request_is_open_and_at_its_end() {
    let mut mock = mock::inbound();
    mock.request.set("content-type", "application/grpc");
    let mut plugin = mock.telemetry("");
    let mut request = Request::default();
    plugin.on_request_headers(&mut mock.host, &mut request);
    plugin.on_response_headers(&mut mock.host, &mut request);
    assert!(plugin.on_tick(), "five seconds are the default");
    let value = |mock: &Mock, name| {
        let samples = mock.samples(name);
        assert!(samples.len() <= 1, "one label set: {samples:#?}");
        samples
            .first()
            .map(|sample| sample.rsplit(' ').next().expect("a value").to_owned())
    };
    mock.facts.grpc_messages = messages(3, 1);
    plugin.on_report(&mut mock.host, &mut request);
    assert_eq!(
        value(&mock, "istio_request_messages_total").as_deref(),
        Some("3")
    );
    plugin.on_report(&mut mock.host, &mut request);
    assert_eq!(
        value(&mock, "istio_request_messages_total").as_deref(),
        Some("3")
    );
    mock.facts.grpc_messages = messages(5, 9);
    plugin.on_log(&mut mock.host, &mut request);
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
    assert_eq!(mock::logged(), [""; 0]);
}

#[test]
fn a_label_on_messages_is_what_it_was_when_the_request_began() {
    let mut mock = mock::inbound();
    mock.request.set("content-type", "application/grpc");
    mock.value("expr.path", Value::Text(b"/begun"));
    let mut plugin = mock.telemetry(r#"{"metrics": [{"dimensions": {"at": "expr.path"}}]}"#);
    let mut request = Request::default();
    plugin.on_request_headers(&mut mock.host, &mut request);
    // While the request is open there are no headers to evaluate.
    mock.expressions.values.clear();
    mock.facts.grpc_messages = messages(3, 1);
    plugin.on_report(&mut mock.host, &mut request);
    mock.facts.grpc_messages = messages(4, 1);
    mock.value("expr.path", Value::Text(b"/ended"));
    plugin.on_log(&mut mock.host, &mut request);
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
    mock.cluster = ClusterFacts::default();
    let configuration = r#"{"max_series": 4, "allowed_labels": ["reporter", "response_code"]}"#;
    let mut plugin = mock.telemetry(configuration);
    for n in 0..20 {
        mock.request.set(":authority", format!("host-{n}"));
        mock.send(&mut plugin);
    }
    assert_eq!(counts(&mock, "response_code"), expected(&[("200", 20)]));
}

#[test]
fn a_peer_that_says_nothing_leaves_it_to_the_next_source() {
    let mut mock = mock::inbound();
    mock.request.set("x-envoy-peer-metadata", Vec::new());
    mock.request.set("baggage", "k8s.deployment.name=cart");
    mock.send_with("");
    assert_eq!(counts(&mock, "source_workload"), expected(&[("cart", 1)]));
}

#[test]
fn stats_alone_take_the_headers_from_the_exchange_beside_them() {
    let mut mock = mock::inbound();
    let mut exchange = mock.plugin(Role::MetadataExchange, "");
    mock.send(&mut exchange);
    let mut stats = mock.plugin(Role::Stats, r#"{"peer_sources": ["headers"]}"#);
    mock.send(&mut stats);
    assert_eq!(counts(&mock, "source_workload"), expected(&[("cart", 1)]));
}

#[test]
fn clusters_are_looked_at_every_few_seconds_however_seldom_is_reported() {
    let mut mock = mock::inbound();
    for (configured, tick) in [("1s", 1000), ("0s", 5000), ("3600s", 5000), ("0.001s", 100)] {
        let configuration = format!(r#"{{"tcp_reporting_duration": "{configured}"}}"#);
        let plugin = mock.telemetry(&configuration);
        assert_eq!(plugin.tick().as_millis(), tick, "{configured}");
    }
    let mut plugin = mock.telemetry(r#"{"tcp_reporting_duration": "12s"}"#);
    let due: Vec<_> = (0..6).map(|_| plugin.on_tick()).collect();
    assert_eq!(due, [false, false, true, false, false, true]);
}

#[test]
fn listeners_of_both_directions_may_share_a_plugin() {
    let mut mock = mock::inbound();
    mock.facts.upstream = mock::outbound().host.facts.upstream;
    let mut plugin = mock.telemetry("");
    for direction in [
        ListenerDirection::Inbound,
        ListenerDirection::Outbound,
        ListenerDirection::Inbound,
    ] {
        mock.direction = direction;
        mock.send(&mut plugin);
    }
    assert_eq!(
        counts(&mock, "reporter"),
        expected(&[("destination", 2), ("source", 1)])
    );
}

#[test]
fn what_an_application_sends_like_a_peer_is_replaced_outbound() {
    let mut mock = mock::inbound();
    let mut plugin = mock.telemetry("");
    mock.send(&mut plugin);
    mock.direction = ListenerDirection::Outbound;
    for _ in 0..3 {
        mock.send(&mut plugin);
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
fn stats_alone_ask_for_the_direction_of_each_request() {
    let mut mock = mock::inbound();
    let mut plugin = mock.plugin(Role::Stats, "");
    mock.send(&mut plugin);
    mock.direction = ListenerDirection::Outbound;
    for _ in 0..3 {
        mock.send(&mut plugin);
    }
    assert_eq!(
        counts(&mock, "reporter"),
        expected(&[("destination", 1), ("source", 3)])
    );
}

#[test]
fn a_direction_that_is_configured_is_not_asked_for() {
    for (direction, reporter) in [
        ("inbound", "destination"),
        ("outbound", "source"),
        ("gateway", "source"),
    ] {
        // The listener says the opposite.
        let mut mock = match reporter {
            "source" => mock::inbound(),
            _ => mock::outbound(),
        };
        let mut plugin = mock.telemetry(&format!(r#"{{"direction": "{direction}"}}"#));
        let calls = mock.calls_of_a_request(&mut plugin);
        assert!(
            !calls.contains(&"listener direction".to_owned()),
            "{calls:?}"
        );
        assert_eq!(counts(&mock, "reporter"), expected(&[(reporter, 1)]));
    }
    let mut mock = mock::inbound();
    let mut plugin = mock.telemetry(r#"{"direction": "auto"}"#);
    let calls = mock.calls_of_a_request(&mut plugin);
    let is = |call: &&String| *call == "listener direction";
    assert_eq!(calls.iter().filter(is).count(), 1, "{calls:?}");
}

#[test]
fn the_pods_of_a_deployment_share_a_label_set() {
    let mut mock = mock::inbound();
    let mut plugin = mock.telemetry("");
    let mut metrics = Vec::new();
    for pod in ["cart-0", "cart-1", "cart-2"] {
        let workload = Workload {
            instance: pod.into(),
            name: "cart".into(),
            ..Workload::UNKNOWN
        };
        mock.request
            .set("x-envoy-peer-metadata", mock::encoded(&workload));
        mock.send(&mut plugin);
        metrics.push(mock.metrics.count());
    }
    assert_eq!(counts(&mock, "source_workload"), expected(&[("cart", 3)]));
    assert_eq!(metrics[0], metrics[2], "no metric is defined again");
}

#[test]
fn an_upstream_that_was_not_reached_did_not_respond() {
    let mut mock = mock::outbound();
    mock.response.clear();
    mock.facts.response_flags = 1 << 5;
    mock.send_with(r#"{"peer_unknown_reason": true}"#);
    assert_eq!(
        counts(&mock, "peer_unknown_reason"),
        expected(&[("no_response", 1)])
    );
}
