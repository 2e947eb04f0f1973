//! The scrape job, the recording rules and the alerts as objects of the Prometheus Operator.

use serde_json::{Map, Value, json};

use super::{alerts, prometheus, rules};
use crate::bundle::Document;
use crate::installation::Installation;

const API: &str = "monitoring.coreos.com/v1";

/// The pods that are scraped.
pub fn pod_monitor(installation: &Installation) -> Document {
    let endpoints: Vec<Value> = prometheus::pod_jobs(installation)
        .iter()
        .map(|job| {
            json!({
                "interval": installation.scrape_interval,
                "metricRelabelings": camel_case(&job["metric_relabel_configs"]),
                "path": job["metrics_path"],
                "relabelings": camel_case(&job["relabel_configs"]),
            })
        })
        .collect();
    Document::new(
        "The operator takes it where your Prometheus selects it: `podMonitorSelector` and `podMonitorNamespaceSelector`, of\n\
         kube-prometheus-stack the label `release`. Instead of prometheus/, not beside it.",
        json!({
            "apiVersion": API,
            "kind": "PodMonitor",
            "metadata": { "name": "mixerless" },
            "spec": {
                "namespaceSelector": { "any": true },
                "podMetricsEndpoints": endpoints,
                "selector": {},
            },
        }),
    )
}

/// Recording rules and alerts.
pub fn prometheus_rule(installation: &Installation) -> Document {
    let groups: Vec<Value> = [rules::rules(installation), alerts::alerts(installation)]
        .iter()
        .filter_map(|document| document.object()["groups"].as_array().cloned())
        .flatten()
        .collect();
    Document::new(
        "The operator takes it where your Prometheus selects it: `ruleSelector` and `ruleNamespaceSelector`.",
        json!({
            "apiVersion": API,
            "kind": "PrometheusRule",
            "metadata": { "name": "mixerless" },
            "spec": { "groups": groups },
        }),
    )
}

/// The operator spells the fields of relabelling its own way.
fn camel_case(relabelings: &Value) -> Value {
    let renamed = |field: &str| match field {
        "source_labels" => "sourceLabels".to_owned(),
        "target_label" => "targetLabel".to_owned(),
        same => same.to_owned(),
    };
    let one = |relabeling: &Value| -> Map<String, Value> {
        let fields = relabeling.as_object().into_iter().flatten();
        fields
            .map(|(field, value)| (renamed(field), value.clone()))
            .collect()
    };
    relabelings
        .as_array()
        .into_iter()
        .flatten()
        .map(one)
        .collect()
}
