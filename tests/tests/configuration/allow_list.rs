//! `allowed_labels`: which of the standard labels stay.

use harness::sidecar::REQUEST_COUNTS;
use serde_json::json;

use crate::fixture::{self, get, module_log, only};

#[tokio::test]
async fn only_allowed_standard_labels_stay_and_added_ones_with_them() {
    let config = json!({
        "allowed_labels": ["response_code", "reporter", "destination_workload"],
        "metrics": [{ "dimensions": { "method": "request.method" } }],
    });
    let (_app, sidecar) = fixture::inbound(config, &["method"]).await;

    for path in ["/version", "/headers?x-a=b"] {
        get(&sidecar, path).await;
    }

    let page = sidecar.page_after(2).await.unwrap();
    for name in REQUEST_COUNTS {
        let series = only(&page, name);
        let names = [
            "destination_workload",
            "method",
            "reporter",
            "response_code",
        ];
        assert_eq!(series.label_names(), names);
        assert_eq!(series.value.to_string(), "2", "{name}");
    }
}

#[tokio::test]
async fn a_removed_label_that_kiali_or_flagger_query_is_a_warning() {
    let config = json!({ "allowed_labels": ["response_code"] });
    let (_app, sidecar) = fixture::inbound(config, &[]).await;

    let log = module_log(&sidecar);
    assert_eq!(log.len(), 1, "{log:?}");
    assert!(
        log[0].starts_with("mixerless: configuration at $.allowed_labels"),
        "{log:?}"
    );
    for queried in [
        "reporter",
        "destination_workload",
        "source_canonical_service",
    ] {
        assert!(log[0].contains(queried), "{log:?}");
    }
    assert!(!log[0].contains("response_code"), "{log:?}");
}

#[tokio::test]
async fn a_list_with_all_that_is_queried_is_no_warning() {
    let config = json!({ "allowed_labels": stats_core::labels::LABELS });
    let (_app, sidecar) = fixture::inbound(config, &[]).await;

    get(&sidecar, "/version").await;

    sidecar.page_after(1).await.unwrap();
    assert_eq!(module_log(&sidecar), [""; 0]);
}
