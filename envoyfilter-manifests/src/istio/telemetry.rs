//! Turns off the native metrics that the module replaces: with both, each series would exist twice.

use serde_json::{Value, json};

use stats_core::labels::metrics::{HttpMetric, MessageMetric, TcpMetric};

use super::metadata;
use crate::bundle::Document;
use crate::installation::Installation;
use crate::istio_version::IstioVersion;
use crate::settings::{Native, Tcp};

/// Istio's names of the metrics that the module replaces.
fn metrics(tcp: Tcp) -> impl Iterator<Item = &'static str> {
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
    let of_connections: &[TcpMetric] = match tcp {
        Tcp::Native => &[],
        Tcp::Module => &TcpMetric::ALL,
    };
    let of_connections = of_connections.iter().map(|metric| match metric {
        TcpMetric::ConnectionsOpenedTotal => "TCP_OPENED_CONNECTIONS",
        TcpMetric::ConnectionsClosedTotal => "TCP_CLOSED_CONNECTIONS",
        TcpMetric::SentBytesTotal => "TCP_SENT_BYTES",
        TcpMetric::ReceivedBytesTotal => "TCP_RECEIVED_BYTES",
    });
    http.chain(grpc).chain(of_connections)
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
pub fn native_off(
    installation: &Installation,
    version: IstioVersion,
    native: Native,
    tcp: Tcp,
) -> Document {
    let disable = |metric| -> Value {
        json!({ "disabled": true, "match": { "metric": metric, "mode": "CLIENT_AND_SERVER" } })
    };
    let overrides: Vec<Value> = match native {
        Native::AllOff => vec![disable("ALL_METRICS")],
        Native::Off | Native::SideBySide => metrics(tcp).map(disable).collect(),
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
    match (native, tcp) {
        (Native::AllOff, _) => document,
        (Native::Off | Native::SideBySide, Tcp::Native) => document.note(
            "overrides:",
            "Off is what the module makes. TCP metrics stay Istio's own. A mesh that does not read them\n\
             saves the native filter altogether with `--native all-off`.",
        ),
        (Native::Off | Native::SideBySide, Tcp::Module) => document.note(
            "overrides:",
            "Off is what the module makes. Waypoints, where it counts requests only, then have no TCP metrics: in an\n\
             ambient mesh leave those to Istio (--tcp native).",
        ),
    }
}
