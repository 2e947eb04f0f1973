//! `mixerless check` finds each fault in a real Envoy that has it.

use std::process::Command;

use harness::{Mesh, Roles};
use serde_json::{Value, json};

use crate::bare_envoy::BareEnvoy;
use crate::support::{free_port, mixerless, run, texts};

#[tokio::test]
async fn a_mesh_in_order_is_well() {
    let mesh = Mesh::builder().start().await.unwrap();
    mesh.get("/version").await.unwrap();
    for sidecar in [&mesh.inbound, &mesh.outbound] {
        sidecar.page_after(1).await.unwrap();
    }
    let mut command = mixerless();
    command.arg("check");
    for sidecar in [&mesh.inbound, &mesh.outbound] {
        command.arg(sidecar.metrics.to_string());
    }
    let output = run(command).await;
    let (stdout, stderr) = texts(&output);
    assert_eq!(output.status.code(), Some(0), "{stdout}{stderr}");
    assert_eq!(
        stdout,
        format!(
            "http://{}/stats/prometheus: all is well\nhttp://{}/stats/prometheus: all is well\n",
            mesh.inbound.metrics, mesh.outbound.metrics
        )
    );
}

#[tokio::test]
async fn labels_in_names_are_listed() {
    let proxy = BareEnvoy::start(|bootstrap| {
        let rules = bootstrap["stats_config"]["stats_tags"]
            .as_array_mut()
            .unwrap();
        rules.retain(|rule| {
            !matches!(
                rule["tag_name"].as_str(),
                Some("response_code" | "source_app")
            )
        });
    })
    .await;
    proxy.get("/version").await;
    shows(&proxy, "istio_requests_total").await;

    let problem = only(&proxy, "labels-in-names", &[]).await;
    assert!(
        problem.contains("(stats_tags) for source_app, response_code."),
        "{problem}"
    );
}

#[tokio::test]
async fn all_labels_in_names_are_found_too() {
    let proxy = BareEnvoy::start(|bootstrap| {
        bootstrap.as_object_mut().unwrap().remove("stats_config");
    })
    .await;
    proxy.get("/version").await;
    shows(&proxy, "istio_requests_total").await;

    let problem = only(&proxy, "labels-in-names", &[]).await;
    for label in stats_core::labels::LABELS {
        assert!(problem.contains(label), "{label}: {problem}");
    }
}

#[tokio::test]
async fn callers_from_outside_the_mesh_are_unknown_peers() {
    let proxy = BareEnvoy::start(|_| {}).await;
    for _ in 0..3 {
        proxy.get("/version").await;
    }
    shows(&proxy, "istio_request_duration_milliseconds_bucket").await;

    let problem = only(&proxy, "unknown-peers", &[]).await;
    assert_eq!(
        problem,
        "The source of 3 of 3 requests is unknown; 3 of them came without mutual TLS, so most likely from outside the mesh."
    );
}

/// With `peer_unknown_reason`, the module adds its own reasons.
#[tokio::test]
async fn the_modules_own_reasons_are_passed_on_under_whatever_prefix() {
    let config = json!({ "peer_unknown_reason": true, "stat_prefix": "mesh" });
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), config.to_string()).unwrap();
    let proxy = BareEnvoy::configured(config, |_| {}).await;
    proxy.get("/version").await;
    shows(&proxy, "mesh_request_duration_milliseconds_bucket").await;

    let flags = ["--plugin-config", file.path().to_str().unwrap()];
    let problem = only(&proxy, "unknown-peers", &flags).await;
    assert!(
        problem.ends_with(" The module's own reasons: no_metadata (1)."),
        "{problem}"
    );
}

#[tokio::test]
async fn a_peer_with_mutual_tls_but_without_the_module_is_an_unknown_peer() {
    let mesh = Mesh::builder()
        .outbound(|sidecar| sidecar.roles(Roles::None))
        .start()
        .await
        .unwrap();
    mesh.get("/version").await.unwrap();
    mesh.inbound.page_after(1).await.unwrap();

    let findings = check(&mesh.inbound.metrics.to_string(), &[]).await;
    let problem = problem(&findings, "unknown-peers");
    assert!(
        problem.contains("a proxy that does not exchange metadata"),
        "{problem}"
    );
}

#[tokio::test]
async fn a_proxy_that_does_not_know_itself_is_found() {
    let proxy = BareEnvoy::start(|bootstrap| {
        bootstrap["node"]
            .as_object_mut()
            .unwrap()
            .remove("metadata");
    })
    .await;
    proxy.get("/version").await;
    shows(&proxy, "istio_request_duration_milliseconds_bucket").await;

    let findings = check(&proxy.metrics.to_string(), &[]).await;
    assert!(problem(&findings, "unknown-self").contains("its own workload in 1 of 1 requests"));
}

#[tokio::test]
async fn a_port_on_which_nobody_serves_metrics_is_found() {
    let nobody = check(&free_port().to_string(), &[]).await;
    assert!(problem(&nobody, "no-stats-listener").starts_with("No answer from this address: "));

    let proxy = BareEnvoy::start(|_| {}).await;
    let something_else = check(&proxy.traffic.to_string(), &[]).await;
    assert!(problem(&something_else, "no-stats-listener").contains("is not a proxy's metrics"));
}

#[tokio::test]
async fn a_proxy_without_the_module_and_one_without_traffic_are_told_apart() {
    let without_traffic = BareEnvoy::start(|_| {}).await;
    shows(&without_traffic, "istio_build").await;
    let problem = only(&without_traffic, "no-metrics", &[]).await;
    assert!(problem.contains("has counted no request yet"), "{problem}");

    let without_module = BareEnvoy::start(|bootstrap| {
        http_filters(bootstrap).as_array_mut().unwrap().remove(0);
    })
    .await;
    without_module.get("/version").await;
    let problem = only(&without_module, "no-metrics", &[]).await;
    assert!(problem.contains("the module does not run"), "{problem}");
}

#[tokio::test]
async fn series_near_the_limit_and_beyond_it_are_found() {
    let config = json!({ "max_series": 5 });
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), config.to_string()).unwrap();
    let flags = ["--plugin-config", file.path().to_str().unwrap()];
    let proxy = BareEnvoy::configured(config, |_| {}).await;

    for code in 200..204 {
        proxy.get(&format!("/status/{code}")).await;
    }
    shows(&proxy, "istio_request_duration_milliseconds_bucket").await;
    let findings = check(&proxy.metrics.to_string(), &flags).await;
    assert!(problem(&findings, "series-near-limit").starts_with("4 of at most 5 label sets"));

    for code in 400..410 {
        proxy.get(&format!("/status/{code}")).await;
    }
    shows(&proxy, "\"overflow\"").await;
    let findings = check(&proxy.metrics.to_string(), &flags).await;
    let problem = problem(&findings, "series-over-limit");
    assert!(
        problem.contains(" of 14 requests are counted without their caller"),
        "{problem}"
    );
}

/// Only Istio's Envoy has the native metrics; here another extension makes metrics of the same names.
#[tokio::test]
async fn metrics_made_twice_are_found() {
    let proxy = BareEnvoy::start(|bootstrap| {
        let tag = |name: &str, value: &str| json!({ "name": name, "value_format": value });
        let tags = [
            tag("reporter", "destination"),
            tag("response_code", "%RESPONSE_CODE%"),
        ];
        let stat = json!({ "name": "requests_total", "tags": tags });
        connection_manager(bootstrap)["access_log"] = json!([{
            "name": "envoy.access_loggers.stats",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.access_loggers.stats.v3.Config",
                "stat_prefix": "wasmcustom.istio",
                "counters": [{ "stat": stat, "value_fixed": 1 }],
            },
        }]);
    })
    .await;
    proxy.get("/version").await;
    shows(&proxy, "istio_request_duration_milliseconds_bucket").await;

    let findings = check(&proxy.metrics.to_string(), &[]).await;
    let problem = problem(&findings, "made-twice");
    assert!(
        problem.starts_with("Two make the same metrics in this proxy, istio_requests_total:"),
        "{problem}"
    );
}

#[tokio::test]
async fn a_histogram_without_the_bounds_that_readers_need_is_found() {
    let proxy = BareEnvoy::start(|bootstrap| {
        bootstrap["stats_config"]["histogram_bucket_settings"] =
            json!([{ "match": { "prefix": "wasmcustom" }, "buckets": [5, 10, 25, 50, 100, 1000, 5000] }]);
    })
    .await;
    proxy.get("/version").await;
    shows(&proxy, "istio_request_duration_milliseconds_bucket").await;

    let findings = check(&proxy.metrics.to_string(), &[]).await;
    let problem = problem(&findings, "missing-buckets");
    assert!(problem.contains("has no bound at 250, 500 ms"), "{problem}");
}

#[tokio::test]
async fn people_get_words_and_what_makes_no_sense_is_an_error() {
    let proxy = BareEnvoy::start(|_| {}).await;
    proxy.get("/version").await;
    shows(&proxy, "istio_request_duration_milliseconds_bucket").await;
    let mut command = mixerless();
    command.args(["check", &proxy.metrics.to_string()]);
    let output = run(command).await;
    assert_eq!(output.status.code(), Some(1));
    let (stdout, _) = texts(&output);
    assert!(
        stdout.starts_with(&format!(
            "http://{}/stats/prometheus:\n  - The source of 1 of 1",
            proxy.metrics
        )),
        "{stdout}"
    );

    let mut command = mixerless();
    command.args(["check", "ftp://proxy"]);
    let output = run(command).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(
        texts(&output)
            .1
            .starts_with("error: ftp://proxy is no address")
    );
}

/// The findings of `check --output json`; checks the exit status too.
async fn check(address: &str, flags: &[&str]) -> Vec<Value> {
    let mut command: Command = mixerless();
    command
        .args(["check", "--output", "json", address])
        .args(flags);
    let output = run(command).await;
    let (stdout, stderr) = texts(&output);
    let reports: Value =
        serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout}{stderr}"));
    let findings = reports[0]["findings"].as_array().unwrap().clone();
    assert_eq!(
        output.status.code(),
        Some(i32::from(!findings.is_empty())),
        "{stdout}{stderr}"
    );
    findings
}

/// The problem of a fault that must be the only one.
async fn only(proxy: &BareEnvoy, fault: &str, flags: &[&str]) -> String {
    let findings = check(&proxy.metrics.to_string(), flags).await;
    assert_eq!(findings.len(), 1, "{findings:#?}");
    problem(&findings, fault)
}

fn problem(findings: &[Value], fault: &str) -> String {
    let finding = findings.iter().find(|finding| finding["fault"] == fault);
    let finding = finding.unwrap_or_else(|| panic!("no {fault}: {findings:#?}"));
    assert!(!finding["remedy"].as_str().unwrap().is_empty());
    finding["problem"].as_str().unwrap().to_owned()
}

async fn shows(proxy: &BareEnvoy, what: &str) {
    let shown = harness::eventually(what, async || {
        Ok(proxy.text().await.contains(what).then_some(()))
    });
    shown.await.unwrap();
}

fn connection_manager(bootstrap: &mut Value) -> &mut Value {
    let pointer = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";
    bootstrap.pointer_mut(pointer).unwrap()
}

fn http_filters(bootstrap: &mut Value) -> &mut Value {
    &mut connection_manager(bootstrap)["http_filters"]
}
