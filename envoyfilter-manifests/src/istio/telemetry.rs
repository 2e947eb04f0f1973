//! Turns off the native metrics that the module replaces: with both, each series would exist twice.

use serde_json::{Value, json};

use stats_core::labels::metrics::{HttpMetric, MessageMetric};

use super::metadata;
use crate::bundle::Document;
use crate::installation::Installation;
use crate::istio_version::IstioVersion;
use crate::settings::Native;

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

fn about(version: IstioVersion) -> String {
    let one = "Istio takes one such resource without a selector for the whole mesh: the oldest, without a word about others.\n\
               If there is one already (kubectl -n NAMESPACE get telemetry), put these overrides into it instead of\n\
               applying this file.";
    if version.has_waypoint_policies() {
        return one.to_owned();
    }
    // No resource of this version puts the module into all waypoints.
    format!(
        "{one}\n\
         It also turns off the metrics of waypoints, into which the module comes only from Istio 1.25 on: if your mesh\n\
         is ambient, leave native metrics on (--native side-by-side)."
    )
}

/// The mesh-wide `Telemetry`.
pub fn native_off(installation: &Installation, version: IstioVersion, native: Native) -> Document {
    let disable = |metric| -> Value {
        json!({ "disabled": true, "match": { "metric": metric, "mode": "CLIENT_AND_SERVER" } })
    };
    let overrides: Vec<Value> = match native {
        Native::AllOff => vec![disable("ALL_METRICS")],
        Native::Off | Native::SideBySide => metrics().map(disable).collect(),
    };
    let document = Document::new(
        about(version),
        json!({
            "apiVersion": version.telemetry_api(),
            "kind": "Telemetry",
            "metadata": metadata(installation, "mixerless"),
            "spec": { "metrics": [{ "overrides": overrides, "providers": [{ "name": "prometheus" }] }] },
        }),
    );
    match native {
        Native::AllOff => document,
        Native::Off | Native::SideBySide => document.note(
            "overrides:",
            "Off is what the module makes. TCP metrics stay Istio's own. A mesh that does not read them\n\
             saves the native filter altogether with `--native all-off`.",
        ),
    }
}
