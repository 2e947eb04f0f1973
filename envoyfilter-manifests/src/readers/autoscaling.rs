//! Scaling on requests per second: rules for prometheus-adapter, and an autoscaler that queries it.

use serde_json::{Value, json};
use stats_core::labels::Label;
use stats_core::labels::metrics::HttpMetric;

use super::queries::{Queries, Selection};
use crate::bundle::Document;
use crate::installation::Installation;

const OF_A_POD: &str = "istio_requests_per_second";
const OF_A_WORKLOAD: &str = "istio_workload_requests_per_second";
const FEWEST_PODS: u32 = 2;
const MOST_PODS: u32 = 10;

/// Values of prometheus-adapter's Helm chart.
pub fn adapter(installation: &Installation) -> Document {
    let (namespace, workload) = (
        Label::DestinationWorkloadNamespace.name(),
        Label::DestinationWorkload.name(),
    );
    let pod = json!({ "namespace": { "resource": "namespace" }, "pod": { "resource": "pod" } });
    let deployment = json!({
        namespace: { "resource": "namespace" },
        workload: { "group": "apps", "resource": "deployment" },
    });
    let (url, port) = match installation.prometheus_url.rsplit_once(':') {
        Some((url, port)) if port.parse::<u16>().is_ok() => (url, port),
        _ => (installation.prometheus_url.as_str(), "80"),
    };
    Document::new(
        "helm upgrade --install prometheus-adapter prometheus-community/prometheus-adapter --values FILE\n\
         Two metrics: of a pod, which an autoscaler averages over its workload's pods, and of a whole workload.",
        json!({
            "prometheus": { "port": port.parse::<u16>().unwrap_or(80), "url": url },
            "rules": {
                "custom": [
                    rule(installation, OF_A_POD, &["namespace", "pod"], &pod),
                    rule(installation, OF_A_WORKLOAD, &[namespace, workload], &deployment),
                ],
                "default": false,
            },
        }),
    )
}

fn rule(installation: &Installation, name: &str, labels: &[&str], overrides: &Value) -> Value {
    let requests = Queries::of(installation).name(HttpMetric::RequestsTotal);
    let present = labels
        .iter()
        .fold(Selection::served(), |of, label| of.and(label, "!=", ""));
    json!({
        "metricsQuery": "sum(rate(<<.Series>>{<<.LabelMatchers>>,reporter=\"destination\"}[1m])) by (<<.GroupBy>>)",
        "name": { "as": name },
        "resources": { "overrides": overrides },
        "seriesQuery": format!("{requests}{}", present.to_promql()),
    })
}

/// The same for KEDA, which asks Prometheus itself and makes the autoscaler.
pub fn scaled_object(installation: &Installation) -> Document {
    let workload = &installation.workload;
    let served = Selection::served().to_workload(&workload.namespace, &workload.name);
    let query = Queries::of(installation).request_rate(&[], &served, "1m");
    Document::new(
        "For KEDA instead of prometheus-adapter; then leave hpa.yaml alone, because KEDA makes one of its own.\n\
         Keeps each pod near its share of requests. Without traffic there is no value, which counts as none.",
        json!({
            "apiVersion": "keda.sh/v1alpha1",
            "kind": "ScaledObject",
            "metadata": { "name": workload.name, "namespace": workload.namespace },
            "spec": {
                "maxReplicaCount": MOST_PODS,
                "minReplicaCount": FEWEST_PODS,
                "scaleTargetRef": { "name": workload.name },
                "triggers": [{
                    "metadata": {
                        "query": query,
                        "serverAddress": installation.prometheus_url,
                        "threshold": workload.requests_per_second.to_string(),
                    },
                    "type": "prometheus",
                }],
            },
        }),
    )
}

/// The autoscaler.
pub fn hpa(installation: &Installation) -> Document {
    let workload = &installation.workload;
    let target =
        json!({ "averageValue": workload.requests_per_second.to_string(), "type": "AverageValue" });
    Document::new(
        "Keeps each pod near its share of requests. By the pods' own metric and not by the workload's name, so that the\n\
         copy that Flagger makes of it for the primary counts the primary's requests.",
        json!({
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": { "name": workload.name, "namespace": workload.namespace },
            "spec": {
                "maxReplicas": MOST_PODS,
                "metrics": [{ "pods": { "metric": { "name": OF_A_POD }, "target": target }, "type": "Pods" }],
                "minReplicas": FEWEST_PODS,
                "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": workload.name },
            },
        }),
    )
}
