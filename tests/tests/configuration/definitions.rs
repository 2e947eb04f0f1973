//! `definitions`: user-defined metrics.

use serde_json::json;

use crate::fixture::{self, REQUESTS, get, module_log, only, page_after, sum};

#[tokio::test]
async fn a_counter_grows_by_its_value() {
    let config = json!({ "definitions": [
        { "name": "visits_total", "value": "1", "type": "COUNTER" },
        { "name": "codes_total", "value": "response.code", "type": "COUNTER" },
    ] });
    let (_app, sidecar) = fixture::inbound(config, &[]).await;

    for path in ["/version", "/status/404"] {
        get(&sidecar, path).await;
    }

    let page = sidecar.page_after(2).await.unwrap();
    for (name, value) in [("istio_visits_total", "2"), ("istio_codes_total", "604")] {
        assert_eq!(page.families[name].kind, "counter");
        let series = only(&page, name);
        assert!(series.labels.is_empty(), "{series:?}");
        assert_eq!(series.value.to_string(), value, "{name}");
    }
}

#[tokio::test]
async fn a_gauge_has_its_last_value() {
    let config = json!({ "definitions": [
        { "name": "last_code", "value": "response.code", "type": "GAUGE" },
    ] });
    let (_app, sidecar) = fixture::inbound(config, &[]).await;

    for (requests, path, code) in [(1, "/status/503", "503"), (2, "/version", "200")] {
        get(&sidecar, path).await;

        let page = sidecar.page_after(requests).await.unwrap();
        assert_eq!(page.families["istio_last_code"].kind, "gauge");
        assert_eq!(only(&page, "istio_last_code").value.to_string(), code);
    }
}

#[tokio::test]
async fn a_histogram_has_each_value_in_its_bucket() {
    let config = json!({ "definitions": [
        { "name": "path_length", "value": "size(request.path)", "type": "HISTOGRAM" },
    ] });
    let (_app, sidecar) = fixture::inbound(config, &[]).await;

    for path in ["/", "/version", "/version"] {
        get(&sidecar, path).await;
    }

    let shown = |page: &harness::Page| page.sum("istio_path_length_count", &[]) >= 3.0;
    let page = sidecar.page_when("three lengths", shown).await.unwrap();
    assert_eq!(page.families["istio_path_length"].kind, "histogram");
    for (bound, count) in [("0.5", "0"), ("5", "1"), ("10", "3"), ("+Inf", "3")] {
        let bucket = sum(&page, "istio_path_length_bucket", &[("le", bound)]);
        assert_eq!(bucket, count, "{bound}");
    }
    let labels = &only(&page, "istio_path_length_count").labels;
    assert!(labels.is_empty(), "{labels:?}");
}

#[tokio::test]
async fn a_definition_has_the_labels_of_its_own_entries_and_of_those_without_a_name() {
    let config = json!({
        "definitions": [{ "name": "visits_total", "value": "1", "type": "COUNTER" }],
        "metrics": [
            { "name": "visits_total", "dimensions": { "path": "request.path" } },
            { "name": "requests_total", "dimensions": { "method": "request.method" } },
            { "dimensions": { "host": "request.host" } },
            { "name": "visits_total", "match": "request.path == '/internal'", "drop": true },
        ],
    });
    let (_app, sidecar) = fixture::inbound(config, &["path", "method", "host"]).await;

    for path in ["/a", "/internal", "/b", "/a"] {
        get(&sidecar, path).await;
    }

    let page = sidecar.page_after(4).await.unwrap();
    let series = page.series("istio_visits_total");
    assert_eq!(series.len(), 2, "{series:?}");
    for (path, count) in [("/a", "2"), ("/b", "1")] {
        let labels = [("path", path), ("host", "podinfo:9898")];
        assert_eq!(sum(&page, "istio_visits_total", &labels), count, "{path}");
    }
    for sample in series {
        assert_eq!(sample.label_names(), ["host", "path"]);
    }
    let requests = only(&page, REQUESTS);
    assert_eq!(requests.label("path"), None);
    assert_eq!(requests.label("method"), Some("GET"));
    assert_eq!(requests.label("host"), Some("podinfo:9898"));
}

#[tokio::test]
async fn a_definition_counts_where_the_standard_metrics_are_dropped() {
    let config = json!({
        "definitions": [{ "name": "visits_total", "value": "1" }],
        "metrics": [
            { "name": "requests_total", "drop": true },
            { "name": "request_duration_milliseconds", "drop": true },
            { "name": "request_bytes", "drop": true },
            { "name": "response_bytes", "drop": true },
        ],
    });
    let (_app, sidecar) = fixture::inbound(config, &[]).await;

    get(&sidecar, "/version").await;

    let shown = |page: &harness::Page| page.sum("istio_visits_total", &[]) >= 1.0;
    let page = sidecar.page_when("a visit", shown).await.unwrap();
    let families = page.families.keys().filter(|name| name.contains("istio_"));
    assert_eq!(
        families.collect::<Vec<_>>(),
        ["istio_build", "istio_visits_total"]
    );
}

#[tokio::test]
async fn a_standard_metric_cannot_be_redefined() {
    let config = json!({ "definitions": [
        { "name": "requests_total", "value": "100", "type": "COUNTER" },
        { "name": "visits_total", "value": "1", "type": "COUNTER" },
    ] });
    let (_app, sidecar) = fixture::inbound(config, &[]).await;

    get(&sidecar, "/version").await;

    let page = sidecar.page_after(1).await.unwrap();
    assert_eq!(sum(&page, REQUESTS, &[]), "1");
    assert_eq!(sum(&page, "istio_visits_total", &[]), "1");
    let log = module_log(&sidecar);
    assert_eq!(log.len(), 1, "{log:?}");
    assert!(
        log[0].starts_with("mixerless: configuration at $.definitions")
            && log[0].contains("requests_total"),
        "{log:?}"
    );
}

#[tokio::test]
async fn a_value_that_does_not_parse_makes_no_metric_and_one_that_fails_counts_nothing() {
    let config = json!({ "definitions": [
        { "name": "broken_total", "value": "1 +", "type": "COUNTER" },
        { "name": "failing_total", "value": "request.headers['x-missing']", "type": "COUNTER" },
    ] });
    let (_app, sidecar) = fixture::inbound(config, &[]).await;

    get(&sidecar, "/version").await;

    let page = sidecar.page_after(1).await.unwrap();
    assert!(!page.families.contains_key("istio_broken_total"));
    assert_eq!(sum(&page, "istio_failing_total", &[]), "0");
    let log = module_log(&sidecar);
    assert_eq!(log.len(), 1, "{log:?}");
    assert!(log[0].contains("\"1 +\""), "{log:?}");
}

/// The value of a user-defined metric must not split the series of standard ones.
#[tokio::test]
async fn a_definition_makes_no_more_series_of_the_standard_metrics() {
    let config = json!({ "definitions": [
        { "name": "path_bytes_total", "value": "size(request.path)", "type": "COUNTER" },
    ] });
    let (_app, sidecar) = fixture::inbound(config, &[]).await;

    for path in ["/", "/a", "/abc", "/abcdef"] {
        get(&sidecar, path).await;
    }

    let page = page_after(&sidecar, 4).await;
    assert_eq!(sum(&page, "istio_path_bytes_total", &[]), "14");
    let page = sidecar.page_after(4).await.unwrap();
    assert_eq!(page.series(REQUESTS).len(), 1);
}
