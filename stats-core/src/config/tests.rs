//! Configurations, and what is said of wrong ones.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};

use super::reader::camel_case;
use super::*;

fn parse(json: &str) -> Result<(Config, Vec<String>), String> {
    Config::parse(json.as_bytes()).map_err(|error| error.to_string())
}

#[test]
fn nothing_and_an_empty_object_are_the_defaults() {
    for json in ["", "  \n", "{}", r#"{"max_series": null}"#] {
        assert_eq!(parse(json), Ok((Config::default(), Vec::new())));
    }
}

#[test]
fn numbers_that_a_proxy_cannot_bear_are_less_and_one_line_says_so() {
    for (json, field, most) in [
        (r#"{"max_series": 1000000000}"#, "max_series", "16384"),
        (r#"{"max_series": "4294967295"}"#, "max_series", "16384"),
        (
            r#"{"max_peer_cache_size": 1000000}"#,
            "max_peer_cache_size",
            "8192",
        ),
    ] {
        let (_, warnings) = parse(json).expect("a configuration");
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        let expected = format!("configuration at $.{field}: ");
        assert!(warnings[0].starts_with(&expected), "{warnings:?}");
        assert!(
            warnings[0].ends_with(&format!("it is {most}")),
            "{warnings:?}"
        );
    }
    let (config, warnings) = parse(r#"{"max_series": 0}"#).expect("a configuration");
    assert_eq!((config.metrics.max_series, warnings.len()), (0, 1));
}

/// Every value of a client's may be as long as can be, and that of each expression too.
#[test]
fn the_more_labels_are_added_the_fewer_label_sets_there_may_be() {
    let most = |labels: usize| {
        let labels: Vec<_> = (0..labels).map(|n| format!(r#""l{n}": "x""#)).collect();
        let dimensions = labels.join(",");
        let json = format!(
            r#"{{"max_series": 1000000, "metrics": [{{"dimensions": {{{dimensions}}}}}]}}"#
        );
        parse(&json).expect("a configuration").0.metrics.max_series
    };
    assert_eq!(
        [most(0), most(16), most(1_000), most(2_000)],
        [16_384, 8_192, 258, 258]
    );
}

#[test]
fn of_many_warnings_there_are_a_few_and_a_count() {
    let fields = |count: usize| {
        let fields: Vec<_> = (0..count).map(|n| format!(r#""field{n}": 1"#)).collect();
        parse(&format!("{{{}}}", fields.join(",")))
            .expect("a configuration")
            .1
    };
    assert_eq!(fields(8).len(), 8);
    let warnings = fields(2_000);
    assert_eq!(warnings.len(), 9);
    assert_eq!(warnings[8], "configuration: 1992 more warnings");
    let long = format!(r#"{{"a\nb{}": 1}}"#, "x".repeat(10_000));
    let (_, warnings) = parse(&long).expect("a configuration");
    assert!(
        warnings[0].starts_with("configuration at $.a\\nbxxx"),
        "{warnings:?}"
    );
    assert!(warnings[0].len() <= 512);
}

#[test]
fn a_configuration_larger_than_any_is_refused_before_it_is_read() {
    let large = format!(r#"{{"a": "{}"}}"#, "x".repeat(limits::MAX_BYTES));
    let error = parse(&large).expect_err("too large");
    assert!(error.contains("bytes, at most 1048576"), "{error}");
}

#[test]
fn every_field_is_read() {
    let json = r#"{
        "direction": "inbound",
        "reporter": "SERVER_GATEWAY",
        "disable_host_header_fallback": true,
        "tcp_reporting_duration": "1.5s",
        "definitions": [{"name": "mine", "value": "request.size", "type": "HISTOGRAM"}],
        "metrics": [{
            "name": "mine",
            "dimensions": {"b": "1", "a": "2"},
            "tags_to_remove": ["reporter"],
            "drop": true,
            "match": "true"
        }],
        "stat_prefix": "mesh",
        "max_peer_cache_size": 7,
        "max_series": "9",
        "new_series_cpu_percent": 25,
        "peer_sources": ["headers", "baggage"],
        "additional_labels": ["team"],
        "skip_external_clusters": true,
        "tcp_exchange_clusters": ["outbound|5432||*", "mysql"],
        "tcp_access_log": true,
        "publish_peer": true,
        "extra_metrics": ["requests_in_flight"],
        "request_operations": ["GET /a/{id}"],
        "allowed_labels": ["reporter"],
        "zero_initialize": true,
        "peer_unknown_reason": true
    }"#;
    let mut operations = Operations::default();
    operations.add("GET /a/{id}").expect("a template");
    let text = |text: &str| text.to_owned();
    let expected = Config {
        direction: DirectionSetting::Inbound,
        reporter: ReporterSetting::ServerGateway,
        disable_host_header_fallback: true,
        reporting_interval: Duration::from_millis(1500),
        tcp_access_log: true,
        peers: PeerConfig {
            max_cache_size: 7,
            sources: Vec::from([PeerSource::Headers, PeerSource::Baggage]),
            additional_labels: Vec::from([text("team")]),
            skip_external_clusters: true,
            tcp_exchange_clusters: Vec::from([text("outbound|5432||*"), text("mysql")]),
            publish: true,
        },
        metrics: MetricsConfig {
            stat_prefix: text("mesh"),
            definitions: Vec::from([Definition {
                name: text("mine"),
                value: text("request.size"),
                kind: MetricKind::Histogram,
            }]),
            overrides: Vec::from([MetricOverride {
                name: text("mine"),
                dimensions: [(text("b"), text("1")), (text("a"), text("2"))].into(),
                tags_to_remove: Vec::from([text("reporter")]),
                drop: true,
                condition: text("true"),
            }]),
            extra: Vec::from([ExtraMetric::RequestsInFlight]),
            operations,
            allowed_labels: Some(Vec::from([text("reporter")])),
            zero_initialize: true,
            peer_unknown_reason: true,
            max_series: 9,
            new_series_percent: 25,
        },
    };
    let (snake, warnings) = parse(json).expect("a configuration");
    assert_eq!(snake, expected);
    assert_eq!(warnings.len(), 1, "the removed labels: {warnings:?}");

    // The same names in the other spelling; values have underscores too, and keep them.
    let fields = json.split('"').enumerate().map(|(at, part)| match at % 2 {
        1 if !part.contains(' ') && json.contains(&format!("\"{part}\":")) => camel_case(part),
        _ => part.to_owned(),
    });
    let camel: Vec<_> = fields.collect();
    let camel = camel.join("\"");
    assert!(camel.contains("maxPeerCacheSize"));
    assert_eq!(parse(&camel).expect("a configuration").0, expected);
}

#[test]
fn an_error_says_where_what_and_what_instead() {
    for (json, expected) in [
        (
            r#"{"maxSeries": -1}"#,
            "$.max_series: found -1, wants a whole number from 0",
        ),
        (
            r#"{"newSeriesCpuPercent": 0}"#,
            "$.new_series_cpu_percent: found 0, wants a whole number from 1 to 100",
        ),
        (
            r#"{"new_series_cpu_percent": "101"}"#,
            "$.new_series_cpu_percent: found \"101\", wants a whole number from 1 to 100",
        ),
        (
            r#"{"maxSeries": 1.5}"#,
            "$.max_series: found a number with a fraction or an exponent, wants a whole number from 0",
        ),
        (
            r#"{"disable_host_header_fallback": "yes"}"#,
            r#"$.disable_host_header_fallback: found "yes", wants true or false"#,
        ),
        ("[]", "$: found a list, wants an object"),
        (
            r#"{"reporter": "WAYPOINT"}"#,
            r#"$.reporter: found "WAYPOINT", wants one of "UNSPECIFIED", "SERVER_GATEWAY""#,
        ),
        (
            r#"{"tcp_reporting_duration": "5"}"#,
            r#"$.tcp_reporting_duration: found "5", wants a duration such as "5s" or "0.5s""#,
        ),
        (
            r#"{"tcp_reporting_duration": "-1s"}"#,
            r#"$.tcp_reporting_duration: found "-1s", wants a duration such as "5s" or "0.5s""#,
        ),
        (
            r#"{"metrics": {}}"#,
            "$.metrics: found an object, wants a list",
        ),
        (
            r#"{"metrics": [{}, {"drop": 1}]}"#,
            "$.metrics[1].drop: found 1, wants true or false",
        ),
        (
            r#"{"metrics": [{"dimensions": {"a b": "1"}}]}"#,
            r#"$.metrics[0].dimensions["a b"]: found "a b", wants letters, digits and _, no digit first, at most 200"#,
        ),
        (
            r#"{"metrics": [{"dimensions": {"a": 1}}]}"#,
            r#"$.metrics[0].dimensions["a"]: found 1, wants a text"#,
        ),
        (
            r#"{"definitions": [{"name": "a"}]}"#,
            "$.definitions[0]: the field value is missing",
        ),
        (
            r#"{"definitions": [{"name": "a", "value": "1", "type": "RATE"}]}"#,
            r#"$.definitions[0].type: found "RATE", wants one of "COUNTER", "GAUGE", "HISTOGRAM""#,
        ),
        (
            r#"{"request_operations": ["reviews"]}"#,
            r#"$.request_operations[0]: found "reviews", wants a method and a path such as "GET /reviews/{id}", or a path alone"#,
        ),
    ] {
        let error = parse(json).expect_err(json);
        assert_eq!(error, format!("configuration at {expected}"));
    }
    let error = parse("reporter: x").unwrap_err();
    assert!(
        error.starts_with("configuration at $: not JSON (expected value"),
        "{error}"
    );
}

#[test]
fn durations_are_protobufs() {
    for (text, milliseconds) in [
        ("5s", 5000),
        ("0.25s", 250),
        ("0s", 0),
        ("3600s", 3_600_000),
    ] {
        let json = format!(r#"{{"tcpReportingDuration": "{text}"}}"#);
        let (config, _) = parse(&json).expect(text);
        assert_eq!(
            config.reporting_interval,
            Duration::from_millis(milliseconds)
        );
    }
    for text in [
        "",
        "s",
        "5 s",
        "1e3s",
        "+5s",
        "5m",
        "0.0000000001s",
        "99999999999s",
    ] {
        assert!(
            parse(&format!(r#"{{"tcpReportingDuration": "{text}"}}"#)).is_err(),
            "{text}"
        );
    }
}

#[test]
fn redefinitions_and_unknown_metrics_are_ignored_with_a_warning() {
    let json = r#"{
        "definitions": [
            {"name": "requests_total", "value": "1"},
            {"name": "x", "value": "1"},
            {"name": "x", "value": "2"}
        ],
        "metrics": [{"name": "istio_requests_total"}, {"name": "x"}, {"name": "request_bytes"}]
    }"#;
    let (config, warnings) = parse(json).expect("a configuration");
    assert_eq!(config.metrics.definitions.len(), 1);
    assert_eq!(config.metrics.definitions[0].value, "1");
    assert_eq!(warnings.len(), 3, "{warnings:#?}");
    assert!(
        warnings[0].contains("\"requests_total\" is a standard metric"),
        "{warnings:?}"
    );
    assert!(warnings[1].contains("\"x\" is defined twice"));
    assert!(warnings[2].contains("no metric is called \"istio_requests_total\""));
}

#[test]
fn a_label_that_ends_like_a_standard_one_warns() {
    let json = r#"{"metrics": [{"dimensions": {"status": "1", "my_status": "1"}}]}"#;
    let (_, warnings) = parse(json).expect("a configuration");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains(r#""status" ends like "grpc_response_status""#));
}

#[test]
fn unknown_fields_warn_and_retired_ones_are_silent() {
    let json = r#"{"debug": true, "stat_prefix": "istio", "fieldSeparator": ";", "colour": 1}"#;
    let expected = "configuration at $.colour: no such field, ignored".to_owned();
    assert_eq!(parse(json), Ok((Config::default(), Vec::from([expected]))));
}
