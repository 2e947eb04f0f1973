//! Progressive delivery: a `Canary`, and the `MetricTemplate`s that judge it.

use serde_json::{Value, json};

use super::queries::{Queries, Selection};
use crate::bundle::Document;
use crate::installation::Installation;

const SUCCESS_RATE: &str = "mixerless-success-rate";
const DURATION: &str = "mixerless-request-duration";

/// The queries of Flagger, which replaces the parts in double braces.
pub fn metric_templates(installation: &Installation) -> [Document; 2] {
    let canary = Selection::served().to_workload("{{ namespace }}", "{{ target }}");
    let queries = Queries::of(installation);
    let template = |name: &str, query: String| -> Value {
        json!({
            "apiVersion": "flagger.app/v1beta1",
            "kind": "MetricTemplate",
            "metadata": { "name": name, "namespace": installation.workload.namespace },
            "spec": { "provider": { "address": installation.prometheus_url, "type": "prometheus" }, "query": query },
        })
    };
    [
        Document::new(
            "Percent of requests that did not fail by the server's fault. Unlike Flagger's own it knows failed gRPC calls,\n\
             and yields 0 where all fail.",
            template(
                SUCCESS_RATE,
                queries.success_rate(&[], &canary, "{{ interval }}"),
            ),
        ),
        Document::new(
            "The 99th percentile of the duration, in milliseconds.",
            template(
                DURATION,
                queries.duration("0.99", &[], &canary, "{{ interval }}"),
            ),
        ),
    ]
}

/// The release: 10 percent more each minute up to 50, if 99 percent succeed and 99 percent take at most half a second.
pub fn canary(installation: &Installation) -> Document {
    let workload = &installation.workload;
    let metric = |name: &str, range: Value| -> Value {
        json!({
            "interval": "1m",
            "name": name,
            "templateRef": { "name": name, "namespace": workload.namespace },
            "thresholdRange": range,
        })
    };
    Document::new(
        "Flagger copies the deployment as -primary, sends it the traffic, and then lets each new version earn its share.\n\
         An analysis needs traffic: without any it finds no values and rolls back. Add a webhook for a load test if there\n\
         is none.",
        json!({
            "apiVersion": "flagger.app/v1beta1",
            "kind": "Canary",
            "metadata": { "name": workload.name, "namespace": workload.namespace },
            "spec": {
                "analysis": {
                    "interval": "1m",
                    "maxWeight": 50,
                    "metrics": [metric(SUCCESS_RATE, json!({ "min": 99 })), metric(DURATION, json!({ "max": 500 }))],
                    "stepWeight": 10,
                    "threshold": 5,
                },
                "autoscalerRef": {
                    "apiVersion": "autoscaling/v2",
                    "kind": "HorizontalPodAutoscaler",
                    "name": workload.name,
                },
                "progressDeadlineSeconds": 60,
                "service": { "port": workload.port, "targetPort": workload.port },
                "targetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": workload.name },
            },
        }),
    )
    .note("maxWeight:", "10 percent, 20, … 50; then all.")
    .note("threshold:", "Failed checks before the release is taken back.")
}
