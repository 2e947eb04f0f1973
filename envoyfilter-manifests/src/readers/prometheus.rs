//! Prometheus' configuration: the proxies, and which of their metrics are kept.

use serde_json::{Value, json};

use super::queries::Queries;
use crate::bundle::Document;
use crate::installation::{Installation, Platform};

/// What Kiali's page of an Envoy and Istio's dashboard of Wasm extensions ask for of a proxy itself.
const OF_A_PROXY: &str = "envoy_server_(uptime|memory_allocated|memory_heap_size)|envoy_wasm_.*\
                          |envoy_cluster_upstream_(cx_active|rq_total)|envoy_listener_(downstream_cx_active|http_downstream_rq.*)";

/// The whole configuration file.
pub fn config(installation: &Installation) -> Document {
    let document = Document::new(
        "Take over the jobs into your own configuration, or use the file as it is, with rules.yaml and alerts.yaml beside it.",
        value(installation, &json!({ "cluster": installation.cluster })),
    );
    if !matches!(installation.platform, Platform::Istio { .. }) {
        return document;
    }
    document
        .note(
            "honor_labels:",
            "Port 15020 merges the application's metrics with the proxy's and the agent's.\n\
         The proxy's are scraped above.",
        )
        .note("regex: .*-envoy-prom", "The sidecar's or gateway's :15090.")
}

/// The same with other external labels.
pub fn value(installation: &Installation, external_labels: &Value) -> Value {
    json!({
        "global": {
            "evaluation_interval": installation.scrape_interval,
            "external_labels": external_labels,
            "scrape_interval": installation.scrape_interval,
        },
        "rule_files": ["rules.yaml", "alerts.yaml"],
        "scrape_configs": jobs(installation),
    })
}

fn jobs(installation: &Installation) -> Vec<Value> {
    let mut jobs = pod_jobs(installation);
    match &installation.platform {
        Platform::Istio { .. } => jobs.push(merged(installation)),
        Platform::EnvoyGateway { .. } => {}
        Platform::Envoy { scrape_targets } => jobs.push(json!({
            "job_name": "envoy-stats",
            "metric_relabel_configs": [kept(installation)],
            "metrics_path": "/stats/prometheus",
            "static_configs": [{ "targets": scrape_targets }],
        })),
    }
    jobs
}

/// The jobs that find proxies' pods.
pub fn pod_jobs(installation: &Installation) -> Vec<Value> {
    match &installation.platform {
        Platform::Istio { .. } => vec![pods(
            installation,
            "envoy-stats",
            &[keep(
                "__meta_kubernetes_pod_container_port_name",
                ".*-envoy-prom",
            )],
        )],
        Platform::EnvoyGateway { .. } => vec![pods(
            installation,
            "envoy-gateway",
            &[
                keep(
                    "__meta_kubernetes_pod_label_app_kubernetes_io_managed_by",
                    "envoy-gateway",
                ),
                keep("__meta_kubernetes_pod_container_port_number", "19001"),
            ],
        )],
        Platform::Envoy { .. } => Vec::new(),
    }
}

/// The proxies' own pages.
fn pods(installation: &Installation, job: &str, relabel: &[Value]) -> Value {
    let relabel: Vec<Value> = relabel.iter().cloned().chain(pod_labels()).collect();
    json!({
        "job_name": job,
        "kubernetes_sd_configs": [{ "role": "pod" }],
        // A proxy has thousands of series about itself; these are the ones about its traffic, and a few that others ask for.
        "metric_relabel_configs": [kept(installation)],
        "metrics_path": "/stats/prometheus",
        "relabel_configs": relabel,
    })
}

/// The page in which Istio's agent merges all metrics of a pod.
fn merged(installation: &Installation) -> Value {
    let annotation = |name: &str| format!("__meta_kubernetes_pod_annotation_prometheus_io_{name}");
    let mut relabel = vec![
        keep(&annotation("scrape"), "true"),
        keep(&annotation("port"), "15020"),
        json!({
            "action": "replace",
            "regex": "(.+)",
            "source_labels": [annotation("path")],
            "target_label": "__metrics_path__",
        }),
        json!({
            "action": "replace",
            // A pod's address, of either version of IP, with or without a port.
            "regex": r"(\[.+\]|[^:]+)(?::\d+)?",
            "replacement": "$1:15020",
            "source_labels": ["__address__"],
            "target_label": "__address__",
        }),
    ];
    relabel.extend(pod_labels());
    json!({
        "honor_labels": false,
        "job_name": "istio-merged",
        "kubernetes_sd_configs": [{ "role": "pod" }],
        // Once is enough: two jobs with the same series would double every sum.
        "metric_relabel_configs": [named("drop", &ours(installation)), named("drop", "envoy_.*")],
        "relabel_configs": relabel,
    })
}

/// Who a target is. Kiali finds a workload's proxies by `namespace`, `app` and `version`.
fn pod_labels() -> [Value; 5] {
    let label = |from: &str, to: &str| json!({ "action": "replace", "source_labels": [format!("__meta_kubernetes_{from}")], "target_label": to });
    [
        json!({ "action": "drop", "regex": "Succeeded|Failed", "source_labels": ["__meta_kubernetes_pod_phase"] }),
        label("namespace", "namespace"),
        label("pod_name", "pod"),
        label("pod_label_app", "app"),
        label("pod_label_version", "version"),
    ]
}

fn keep(label: &str, regex: &str) -> Value {
    json!({ "action": "keep", "regex": regex, "source_labels": [label] })
}

/// The metrics of a proxy's own page that are stored.
fn kept(installation: &Installation) -> Value {
    named("keep", &format!("{}|{OF_A_PROXY}", ours(installation)))
}

fn ours(installation: &Installation) -> String {
    format!("{}.*", Queries::of(installation).prefix())
}

fn named(action: &str, regex: &str) -> Value {
    json!({ "action": action, "regex": regex, "source_labels": ["__name__"] })
}
