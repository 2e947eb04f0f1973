//! `metrics[].match`, which Istio declares and never implemented, and `metrics[].drop`.

use harness::sidecar::REQUEST_COUNTS;
use serde_json::json;

use crate::expected::FAMILIES;
use crate::fixture::{self, REQUESTS, get, module_log, page_after, sum};

#[tokio::test]
async fn an_entry_applies_only_where_its_match_is_true() {
    let config = json!({ "metrics": [{
        "match": "response.code >= 500",
        "dimensions": { "failed_path": "request.path" },
        "tags_to_remove": ["response_flags"],
    }] });
    let (_app, sidecar) = fixture::inbound(config, &["failed_path"]).await;

    for path in ["/version", "/status/503", "/status/404", "/status/500"] {
        get(&sidecar, path).await;
    }

    let page = sidecar.page_after(4).await.unwrap();
    for name in REQUEST_COUNTS {
        for (code, path) in [("503", "/status/503"), ("500", "/status/500")] {
            let failed = [("response_code", code), ("failed_path", path)];
            assert_eq!(sum(&page, name, &failed), "1", "{name}");
        }
        for sample in page.series(name) {
            let failed = sample.label("response_code") >= Some("500");
            assert_eq!(sample.label("failed_path").is_some(), failed, "{sample:?}");
            assert_eq!(
                sample.label("response_flags").is_none(),
                failed,
                "{sample:?}"
            );
        }
    }
}

#[tokio::test]
async fn of_two_entries_with_opposite_matches_each_request_has_one() {
    let config = json!({ "metrics": [
        { "match": "request.path.startsWith('/status/')", "dimensions": { "kind": "'status'" } },
        { "match": "!request.path.startsWith('/status/')", "dimensions": { "kind": "'other'" } },
    ] });
    let (_app, sidecar) = fixture::inbound(config, &["kind"]).await;

    for path in ["/version", "/status/200", "/version"] {
        get(&sidecar, path).await;
    }

    let page = sidecar.page_after(3).await.unwrap();
    assert_eq!(sum(&page, REQUESTS, &[("kind", "status")]), "1");
    assert_eq!(sum(&page, REQUESTS, &[("kind", "other")]), "2");
    assert_eq!(sum(&page, REQUESTS, &[]), "3");
}

#[tokio::test]
async fn a_match_that_fails_or_does_not_parse_or_is_no_boolean_never_applies() {
    let config = json!({ "metrics": [
        { "match": "request.headers['x-missing'] == 'x'", "dimensions": { "one": "'1'" } },
        { "match": "response.code ==", "dimensions": { "two": "'2'" } },
        { "match": "response.code", "dimensions": { "three": "'3'" } },
        { "match": "true", "dimensions": { "four": "'4'" } },
    ] });
    let (_app, sidecar) = fixture::inbound(config, &["one", "two", "three", "four"]).await;

    get(&sidecar, "/version").await;

    let page = sidecar.page_after(1).await.unwrap();
    let requests = fixture::only(&page, REQUESTS);
    for (label, value) in [
        ("one", None),
        ("two", None),
        ("three", None),
        ("four", Some("4")),
    ] {
        assert_eq!(requests.label(label), value, "{label}");
    }
    let log = module_log(&sidecar);
    let about = log.iter().filter(|line| line.contains("response.code =="));
    assert_eq!(about.count(), 1, "{log:?}");
}

#[tokio::test]
async fn a_dropped_metric_is_not_there_and_the_others_are() {
    let config = json!({ "metrics": [{ "name": "request_bytes", "drop": true }] });
    let (_app, sidecar) = fixture::inbound(config, &[]).await;

    get(&sidecar, "/version").await;

    let others = |page: &harness::Page| {
        FAMILIES
            .iter()
            .filter(|(name, _)| *name != "istio_request_bytes")
            .all(|(name, _)| page.families.contains_key(*name))
    };
    let page = sidecar
        .page_when("the other metrics", others)
        .await
        .unwrap();
    assert!(!page.families.contains_key("istio_request_bytes"));
    assert_eq!(sum(&page, REQUESTS, &[]), "1");
}

#[tokio::test]
async fn a_request_that_matches_is_dropped_and_no_other() {
    let config = json!({ "metrics": [{ "match": "request.path == '/healthz'", "drop": true }] });
    let (_app, sidecar) = fixture::inbound(config, &[]).await;

    for path in ["/healthz", "/version", "/healthz"] {
        get(&sidecar, path).await;
    }

    // Requests are counted in order: once the second is on the page, the first would be too. Envoy's own counters show
    // that the third has arrived.
    let page = sidecar.page_after(1).await.unwrap();
    let all_ended = sidecar.page_when("three requests at Envoy", |page| {
        page.families
            .values()
            .flat_map(|family| &family.samples)
            .any(|sample| {
                sample.name.ends_with("traffic_downstream_rq_completed") && sample.value >= 3.0
            })
    });
    let later = all_ended.await.unwrap();
    for page in [&page, &later] {
        for name in REQUEST_COUNTS {
            assert_eq!(sum(page, name, &[]), "1", "{name}");
        }
    }
}

#[tokio::test]
async fn drop_without_a_name_silences_everything_but_the_traffic() {
    let config = json!({ "metrics": [{ "match": "response.code < 500", "drop": true }] });
    let (app, sidecar) = fixture::inbound(config, &[]).await;

    assert_eq!(get(&sidecar, "/version").await.status, 200);
    assert_eq!(get(&sidecar, "/status/503").await.status, 503);

    assert_eq!(app.requests().len(), 2);
    let page = page_after(&sidecar, 1).await;
    assert_eq!(sum(&page, REQUESTS, &[("response_code", "503")]), "1");
    assert_eq!(sum(&page, REQUESTS, &[]), "1");
}
