//! How a configuration may be written.

use serde_json::json;

use crate::expected::{assert_counted, inbound};
use crate::fixture::{self, REQUESTS, get, module_log, only};

#[tokio::test]
async fn both_spellings_of_every_field_are_read_without_a_word() {
    let snake = json!({
        "reporter": "UNSPECIFIED",
        "disable_host_header_fallback": true,
        "tcp_reporting_duration": "1s",
        "max_peer_cache_size": 10,
        "max_series": 100,
        "stat_prefix": "istio",
        "peer_sources": ["headers"],
        "additional_labels": ["team"],
        "skip_external_clusters": true,
        "publish_peer": true,
        "extra_metrics": ["requests_started_total"],
        "request_operations": ["GET /version"],
        "zero_initialize": true,
        "peer_unknown_reason": true,
        "definitions": [{ "name": "visits_total", "value": "1", "type": "COUNTER" }],
        "metrics": [{
            "name": "requests_total",
            "dimensions": { "source_app": "'overridden'" },
            "tags_to_remove": ["response_flags"],
            "match": "true",
            "drop": false,
        }],
    });
    let camel = json!({
        "reporter": "UNSPECIFIED",
        "disableHostHeaderFallback": true,
        "tcpReportingDuration": "1s",
        "maxPeerCacheSize": 10,
        "maxSeries": 100,
        "statPrefix": "istio",
        "peerSources": ["headers"],
        "additionalLabels": ["team"],
        "skipExternalClusters": true,
        "publishPeer": true,
        "extraMetrics": ["requests_started_total"],
        "requestOperations": ["GET /version"],
        "zeroInitialize": true,
        "peerUnknownReason": true,
        "definitions": [{ "name": "visits_total", "value": "1", "type": "COUNTER" }],
        "metrics": [{
            "name": "requests_total",
            "dimensions": { "source_app": "'overridden'" },
            "tagsToRemove": ["response_flags"],
            "match": "true",
            "drop": false,
        }],
    });
    for config in [snake, camel] {
        let labels = ["request_operation", "peer_unknown_reason"];
        let (_app, sidecar) = fixture::inbound(config, &labels).await;

        get(&sidecar, "/version").await;

        let page = sidecar.page_after(1).await.unwrap();
        let series = only(&page, REQUESTS);
        let labels = [
            ("source_app", "overridden"),
            ("request_operation", "GET /version"),
            ("peer_unknown_reason", "no_metadata"),
        ];
        assert!(series.has(&labels), "{series:?}");
        assert_eq!(series.label("response_flags"), None);
        for name in ["istio_visits_total", "istio_requests_started_total"] {
            assert_eq!(only(&page, name).value.to_string(), "1");
        }
        assert_eq!(module_log(&sidecar), [""; 0]);
    }
}

#[tokio::test]
async fn fields_of_retired_versions_are_no_errors_and_no_warnings() {
    let config = json!({
        "debug": "false",
        "stat_prefix": "istio",
        "max_peer_cache_size": 20,
        "field_separator": ";.;",
        "value_separator": "=.=",
    });
    let (_app, sidecar) = fixture::inbound(config, &[]).await;

    get(&sidecar, "/version").await;

    assert_counted(&sidecar.page_after(1).await.unwrap(), &[(inbound(&[]), 1)]);
    assert_eq!(module_log(&sidecar), [""; 0]);
}

#[tokio::test]
async fn an_unknown_field_is_a_warning_with_its_path_and_the_rest_counts() {
    let config = json!({
        "colour": "blue",
        "metrics": [{ "name": "requests_total", "tag_to_remove": [], "tags_to_remove": ["response_flags"] }],
    });
    let (_app, sidecar) = fixture::inbound(config, &[]).await;

    get(&sidecar, "/version").await;

    let page = sidecar.page_after(1).await.unwrap();
    assert_eq!(only(&page, REQUESTS).label("response_flags"), None);
    let log = module_log(&sidecar);
    assert_eq!(log.len(), 2, "{log:?}");
    for path in ["$.colour: ", "$.metrics[0].tag_to_remove: "] {
        let prefix = format!("mixerless: configuration at {path}");
        assert!(log.iter().any(|line| line.starts_with(&prefix)), "{log:?}");
    }
}

#[tokio::test]
async fn an_entry_for_a_metric_that_is_not_there_is_a_warning() {
    let config = json!({ "metrics": [{ "name": "istio_requests_total", "drop": true }] });
    let (_app, sidecar) = fixture::inbound(config, &[]).await;

    get(&sidecar, "/version").await;

    sidecar.page_after(1).await.unwrap();
    let log = module_log(&sidecar);
    assert_eq!(log.len(), 1, "{log:?}");
    assert!(log[0].contains("istio_requests_total"), "{log:?}");
}
