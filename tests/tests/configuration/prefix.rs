//! `stat_prefix`: our filter must not count into the metrics of Istio's own filter beside it.

use harness::sidecar::bootstrap::module_filter;
use harness::{ModuleHost, SidecarBuilder};
use serde_json::json;

use crate::expected::{FAMILIES, assert_counted, inbound};
use crate::fixture::{self, get, only};

#[tokio::test]
async fn every_metric_begins_with_the_prefix() {
    let config = json!({
        "stat_prefix": "mesh",
        "definitions": [{ "name": "visits_total", "value": "1" }],
        "extra_metrics": ["requests_started_total"],
    });
    let (_app, sidecar) = fixture::inbound(config, &[]).await;

    get(&sidecar, "/version").await;

    let ours = ["mesh_visits_total", "mesh_requests_started_total"].map(str::to_owned);
    let standard = FAMILIES.map(|(name, _)| name.replace("istio_", "mesh_"));
    let names: Vec<String> = standard.into_iter().chain(ours).collect();
    let all = |page: &harness::Page| names.iter().all(|name| page.families.contains_key(name));
    let page = sidecar.page_when("all metrics", all).await.unwrap();
    assert_eq!(only(&page, "mesh_requests_total").value.to_string(), "1");
    assert!(!page.families.keys().any(|name| name.contains("istio")));
}

#[tokio::test]
async fn two_copies_with_different_prefixes_count_beside_each_other() {
    let other = module_filter(ModuleHost::chosen(), "stats", r#"{"stat_prefix": "ours"}"#).unwrap();
    let sidecar = SidecarBuilder::inbound().http_filter_behind(other);
    let (_app, sidecar) = fixture::start(sidecar, json!({}), &[]).await;

    get(&sidecar, "/version").await;

    assert_counted(&sidecar.page_after(1).await.unwrap(), &[(inbound(&[]), 1)]);
    let shown = |page: &harness::Page| page.sum("ours_request_bytes_count", &[]) >= 1.0;
    let page = sidecar
        .page_when("the other copy's metrics", shown)
        .await
        .unwrap();
    assert_eq!(only(&page, "ours_requests_total").value.to_string(), "1");
}
