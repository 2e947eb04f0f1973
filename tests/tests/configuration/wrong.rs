//! A configuration that cannot be used: one line in the log with the JSON path and the reason, and requests pass.

use std::iter::zip;

use harness::{App, Page, Sidecar, SidecarBuilder, eventually};
use serde_json::{Value, json};

use crate::fixture::{REQUESTS, get, module_lines, page_after, sum};

/// Configurations, and the log line for each: the JSON path, the value found and the value expected.
const WRONG: [(&str, &str, &[&str]); 14] = [
    ("reporter: x", "$", &["not JSON"]),
    (r#"{"reporter": "UNSPECIFIED""#, "$", &["not JSON"]),
    ("[]", "$", &["found a list", "an object"]),
    (
        r#"{"reporter": "GATEWAY"}"#,
        "$.reporter",
        &[
            r#"found "GATEWAY""#,
            r#"wants one of "UNSPECIFIED", "SERVER_GATEWAY""#,
        ],
    ),
    (
        r#"{"disableHostHeaderFallback": "yes"}"#,
        "$.disable_host_header_fallback",
        &[r#"found "yes""#, "true or false"],
    ),
    (
        r#"{"tcp_reporting_duration": 5}"#,
        "$.tcp_reporting_duration",
        &["found 5", "\"5s\""],
    ),
    (
        r#"{"tcp_reporting_duration": "5m"}"#,
        "$.tcp_reporting_duration",
        &[r#"found "5m""#, "\"5s\""],
    ),
    (
        r#"{"max_series": -1}"#,
        "$.max_series",
        &["found -1", "whole number"],
    ),
    (
        r#"{"peer_sources": ["header"]}"#,
        "$.peer_sources[0]",
        &[r#"found "header""#, r#""headers""#],
    ),
    (
        r#"{"definitions": [{"name": "a", "value": "1"}, {"name": "b", "value": 1}]}"#,
        "$.definitions[1].value",
        &["found 1", "text"],
    ),
    (
        r#"{"definitions": [{"name": "a", "value": "1", "type": "SUMMARY"}]}"#,
        "$.definitions[0].type",
        &[r#"found "SUMMARY""#, "COUNTER", "GAUGE", "HISTOGRAM"],
    ),
    (
        r#"{"metrics": [{"dimensions": {"code": 200}}]}"#,
        "$.metrics[0].dimensions[\"code\"]",
        &["found 200", "text"],
    ),
    (r#"{"metrics": {"drop": true}}"#, "$.metrics", &["a list"]),
    (
        r#"{"request_operations": ["reviews/{id}"]}"#,
        "$.request_operations[0]",
        &[r#"found "reviews/{id}""#, "GET /reviews/{id}"],
    ),
];

#[tokio::test]
async fn a_wrong_configuration_is_one_line_in_the_log_and_traffic_goes_on() {
    for (config, path, said) in WRONG {
        let (_app, sidecar) = SidecarBuilder::inbound()
            .plugin_config(config)
            .start_with_app()
            .await
            .unwrap();

        assert_eq!(get(&sidecar, "/version").await.status, 200, "{config}");
        assert_eq!(get(&sidecar, "/status/503").await.status, 503, "{config}");

        let lines = module_lines(&sidecar);
        assert_eq!(lines.len(), 1, "{config}: {lines:?}");
        assert_says(&lines[0], path, said);
        let log = sidecar.envoy.log().unwrap();
        let line = log.lines().find(|line| line.contains(&lines[0])).unwrap();
        assert!(line.contains("[error]"), "{line}");
    }
}

#[tokio::test]
async fn a_wrong_change_of_the_configuration_is_one_line_in_the_log_and_traffic_goes_on() {
    let (_app, sidecar) = changeable().await;

    for (number, (config, path, said)) in zip(1.., WRONG) {
        sidecar.reconfigure(config).unwrap();

        let lines = lines_in_log(&sidecar, number).await;
        assert_eq!(get(&sidecar, "/version").await.status, 200, "{config}");
        assert_eq!(lines.len(), number, "{config}: {lines:?}");
        assert_says(lines.last().unwrap(), path, said);
    }
}

#[tokio::test]
async fn a_wrong_change_leaves_the_configuration_before_it_at_work() {
    let (_app, sidecar) = changeable().await;
    sidecar.reconfigure(generation("before")).unwrap();
    counts_in(&sidecar, "before").await;

    sidecar.reconfigure(r#"{"reporter": "GATEWAY"}"#).unwrap();
    lines_in_log(&sidecar, 1).await;
    let before = sidecar.page().await.unwrap();
    for _ in 0..5 {
        get(&sidecar, "/version").await;
    }

    let labels = [("generation", "before")];
    let grown = |page: &Page| page.sum(REQUESTS, &labels) >= before.sum(REQUESTS, &labels) + 5.0;
    let page = sidecar
        .page_when("five more requests", grown)
        .await
        .unwrap();
    assert_eq!(
        sum(&page, REQUESTS, &[]),
        (before.sum(REQUESTS, &[]) + 5.0).to_string()
    );
}

#[tokio::test]
async fn after_a_wrong_configuration_a_right_one_counts_again() {
    let (_app, sidecar) = changeable().await;
    get(&sidecar, "/version").await;
    page_after(&sidecar, 1).await;

    sidecar.reconfigure("not JSON").unwrap();
    lines_in_log(&sidecar, 1).await;
    get(&sidecar, "/version").await;
    sidecar.reconfigure(generation("right")).unwrap();

    counts_in(&sidecar, "right").await;
}

/// A configuration that adds the label `generation` with that value.
fn generation(name: &str) -> Value {
    json!({ "metrics": [{ "dimensions": { "generation": format!("'{name}'") } }] })
}

/// Sends requests until one is counted in that generation.
async fn counts_in(sidecar: &Sidecar, generation: &str) {
    let labels = [("generation", generation)];
    eventually("a request of that generation", async || {
        get(sidecar, "/version").await;
        let page = sidecar.page().await?;
        Ok((page.sum(REQUESTS, &labels) > 0.0).then_some(()))
    })
    .await
    .unwrap();
}

async fn changeable() -> (App, Sidecar) {
    SidecarBuilder::inbound()
        .discovered_plugin_config()
        .labels(&["generation"])
        .start_with_app()
        .await
        .unwrap()
}

/// The module's lines once there are that many.
async fn lines_in_log(sidecar: &Sidecar, number: usize) -> Vec<String> {
    eventually("the module says what is wrong", async || {
        Ok(Some(module_lines(sidecar)).filter(|lines| lines.len() >= number))
    })
    .await
    .unwrap()
}

fn assert_says(line: &str, path: &str, said: &[&str]) {
    let prefix = format!("mixerless: configuration at {path}: ");
    assert!(line.starts_with(&prefix), "{line}");
    for part in said {
        assert!(line.contains(part), "{part} in {line}");
    }
}
