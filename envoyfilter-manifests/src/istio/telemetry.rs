//! Turns off the native metrics that the module replaces: with both, each series would exist twice.

use serde_json::{Value, json};

use stats_core::labels::metrics::{HttpMetric, MessageMetric};

use super::metadata;
use crate::bundle::Document;
use crate::installation::Installation;
use crate::istio_version::IstioVersion;

/// Istio's names of the metrics that the module replaces. TCP metrics are not among them, so they stay on.
fn metrics() -> impl Iterator<Item = &'static str> {
    let http = HttpMetric::ALL.into_iter().map(|metric| match metric {
        HttpMetric::RequestsTotal => "REQUEST_COUNT",
        HttpMetric::RequestDuration => "REQUEST_DURATION",
        HttpMetric::RequestBytes => "REQUEST_SIZE",
        HttpMetric::ResponseBytes => "RESPONSE_SIZE",
    });
    let grpc = MessageMetric::ALL.into_iter().map(|metric| match metric {
        MessageMetric::RequestMessagesTotal => "GRPC_REQUEST_MESSAGES",
        MessageMetric::ResponseMessagesTotal => "GRPC_RESPONSE_MESSAGES",
    });
    http.chain(grpc)
}

/// The mesh-wide `Telemetry`.
pub fn native_off(installation: &Installation, version: IstioVersion) -> Document {
    let disable = |metric| -> Value {
        json!({ "disabled": true, "match": { "metric": metric, "mode": "CLIENT_AND_SERVER" } })
    };
    let overrides: Vec<Value> = metrics().map(disable).collect();
    Document::new(
        "Istio takes one such resource without a selector for the whole mesh. If there is one already, put these\n\
         overrides into it instead of applying this file.",
        json!({
            "apiVersion": version.telemetry_api(),
            "kind": "Telemetry",
            "metadata": metadata(installation, "mixerless"),
            "spec": { "metrics": [{ "overrides": overrides, "providers": [{ "name": "prometheus" }] }] },
        }),
    )
    .note(
        "overrides:",
        "Off is what the module makes. TCP metrics stay Istio's own. A mesh that does not read them\n\
         saves the native filter altogether with `metric: ALL_METRICS`.",
    )
}
