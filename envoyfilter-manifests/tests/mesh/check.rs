//! `mixerless check` finds each fault in a real Envoy that has it.

use std::process::Command;

use harness::{Client, Mesh, Page, Roles};
use serde_json::{Value, json};

use crate::bare_envoy::{
    BareEnvoy, configure, http_filters, made_twice, take_tcp, tcp_made_twice, tcp_twice, twice,
};
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
    proxy.shows("istio_requests_total").await;

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
    proxy.shows("istio_requests_total").await;

    let problem = only(&proxy, "labels-in-names", &[]).await;
    for label in stats_core::labels::LABELS {
        assert!(problem.contains(label), "{label}: {problem}");
    }
}

#[tokio::test]
async fn callers_from_outside_the_mesh_are_a_note() {
    let proxy = BareEnvoy::start(|_| {}).await;
    for _ in 0..3 {
        proxy.get("/version").await;
    }
    proxy
        .shows("istio_request_duration_milliseconds_bucket")
        .await;

    let problem = only(&proxy, "peers-outside", &[]).await;
    assert!(
        problem.starts_with("3 of 3 requests came without mutual TLS and without metadata,"),
        "{problem}"
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
    proxy
        .shows("mesh_request_duration_milliseconds_bucket")
        .await;

    let flags = ["--plugin-config", file.path().to_str().unwrap()];
    let problem = only(&proxy, "peers-outside", &flags).await;
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
    proxy
        .shows("istio_request_duration_milliseconds_bucket")
        .await;

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
    without_traffic.shows("istio_build").await;
    let problem = only(&without_traffic, "no-requests", &[]).await;
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
    proxy
        .shows("istio_request_duration_milliseconds_bucket")
        .await;
    let findings = check(&proxy.metrics.to_string(), &flags).await;
    assert!(problem(&findings, "series-near-limit").starts_with("4 of at most 5 label sets"));

    for code in 400..410 {
        proxy.get(&format!("/status/{code}")).await;
    }
    proxy.shows("\"overflow\"").await;
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
    let proxy = BareEnvoy::start(made_twice).await;
    proxy.get("/version").await;
    proxy
        .shows("istio_request_duration_milliseconds_bucket")
        .await;

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
    proxy
        .shows("istio_request_duration_milliseconds_bucket")
        .await;

    let findings = check(&proxy.metrics.to_string(), &[]).await;
    let problem = problem(&findings, "missing-buckets");
    assert!(problem.contains("has no bound at 250, 500 ms"), "{problem}");
}

#[tokio::test]
async fn two_copies_of_the_module_are_found() {
    let proxy = BareEnvoy::start(twice).await;
    for _ in 0..5 {
        proxy.get("/version").await;
    }
    proxy
        .shows("istio_request_duration_milliseconds_bucket")
        .await;

    let findings = check(&proxy.metrics.to_string(), &[]).await;
    let problem = problem(&findings, "counted-twice");
    assert!(
        problem.starts_with("10 requests are counted, but the proxy has received 5:"),
        "{problem}"
    );
}

#[tokio::test]
async fn connections_that_are_counted_or_made_twice_are_found() {
    type Change = fn(&mut Value);
    let cases: [(Change, &str, &str, &str); 3] = [
        (
            tcp_twice,
            "10",
            "counted-twice",
            "10 TCP connections are counted, but the proxy has received 5:",
        ),
        (|bootstrap| _ = take_tcp(bootstrap), "5", "", ""),
        (
            tcp_made_twice,
            "5",
            "made-twice",
            "Two make the same metrics in this proxy, istio_tcp_connections_opened_total:",
        ),
    ];
    for (change, closed, fault, beginning) in cases {
        let proxy = BareEnvoy::start(change).await;
        for _ in 0..5 {
            proxy.get("/version").await;
        }
        let is_shown = |page: &Page| {
            page.sum("istio_tcp_connections_closed_total", &[])
                .to_string()
                == closed
        };
        if fault == "made-twice" {
            // The page cannot be read as one: a family stands on it twice.
            proxy.shows("istio_tcp_connections_closed_total{").await;
        } else {
            proxy.page_when("all are closed", is_shown).await;
        }

        let findings = check(&proxy.metrics.to_string(), &[]).await;
        if fault.is_empty() {
            assert!(findings.is_empty(), "{findings:#?}");
            continue;
        }
        let problem = problem(&findings, fault);
        assert!(problem.starts_with(beginning), "{problem}");
    }
}

#[tokio::test]
async fn a_refused_configuration_is_found() {
    let proxy = BareEnvoy::start(|bootstrap| configure(bootstrap, r#"{"max_series": -1}"#)).await;
    proxy.get("/version").await;
    proxy.shows("envoy_wasm_").await;
    let problem = only(&proxy, "config-refused", &[]).await;
    assert!(
        problem.contains("has refused its configuration"),
        "{problem}"
    );
}

#[tokio::test]
async fn a_request_without_an_answer_is_no_unknown_peer() {
    let mesh = Mesh::builder().start().await.unwrap();
    let Mesh {
        outbound,
        inbound,
        app,
    } = mesh;
    drop((inbound, app));
    let mut client = Client::http1(outbound.traffic).await.unwrap();
    assert_eq!(client.get("/version").await.unwrap().status, 503);
    outbound.page_after(1).await.unwrap();

    let findings = check(&outbound.metrics.to_string(), &[]).await;
    assert_eq!(findings.len(), 1, "{findings:#?}");
    let problem = problem(&findings, "no-answer");
    assert!(
        problem.starts_with("1 of 1 requests got no answer"),
        "{problem}"
    );
}

/// As on the page about a bare Envoy: one curl, and at once the check.
#[tokio::test]
async fn people_get_words_and_what_makes_no_sense_is_an_error() {
    let proxy = BareEnvoy::start(|bootstrap| bootstrap["stats_flush_interval"] = json!("2s")).await;
    proxy.get("/version").await;
    let mut command = mixerless();
    command.args(["check", &proxy.metrics.to_string()]);
    let output = run(command).await;
    let (stdout, stderr) = texts(&output);
    assert_eq!(output.status.code(), Some(0), "{stdout}{stderr}");
    assert!(
        stdout.starts_with(&format!(
            "http://{}/stats/prometheus: all is well\n  note peers-outside: 1 of 1",
            proxy.metrics
        )),
        "{stdout}"
    );

    for (arguments, error) in [
        (&["ftp://proxy"][..], "error: ftp://proxy is no address"),
        (
            &["a", "--ignore", "nothing"],
            "error: invalid value 'nothing' for '--ignore",
        ),
        (
            &["a", "--threshold", "101"],
            "error: invalid value '101' for '--threshold",
        ),
        (
            &["a", "--since", "soon"],
            "error: invalid value 'soon' for '--since",
        ),
    ] {
        let mut command = mixerless();
        command.arg("check").args(arguments);
        let output = run(command).await;
        assert_eq!(output.status.code(), Some(2));
        let stderr = texts(&output).1;
        assert!(stderr.starts_with(error), "{stderr}");
    }
}

/// The findings of `check --output json`; checks the exit status, and the whole against its schema.
async fn check(address: &str, flags: &[&str]) -> Vec<Value> {
    let mut command: Command = mixerless();
    command
        .args(["check", "--output", "json", address])
        .args(flags);
    let output = run(command).await;
    let (stdout, stderr) = texts(&output);
    let report: Value =
        serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout}{stderr}"));
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/check.schema.json");
    let schema = serde_json::from_str(&std::fs::read_to_string(schema).unwrap()).unwrap();
    if let Err(error) = jsonschema::validate(&schema, &report) {
        panic!("{error}: {stdout}");
    }
    let findings = report["proxies"][0]["findings"].as_array().unwrap().clone();
    let is = |finding: &Value, fault: &str| finding["fault"] == fault;
    let code = if findings
        .iter()
        .any(|finding| is(finding, "no-stats-listener"))
    {
        2
    } else {
        i32::from(findings.iter().any(|finding| finding["severity"] != "note"))
    };
    assert_eq!(output.status.code(), Some(code), "{stdout}{stderr}");
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
