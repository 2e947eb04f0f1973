//! The alternatives to `EnvoyFilter`: `WasmPlugin`, and `TrafficExtension` since Istio 1.30.

use serde_json::{Value, json};

use super::metadata;
use crate::bundle::Document;
use crate::installation::Installation;

/// All of a mesh in one resource: both directions and gateways.
pub fn wasm_plugin(installation: &Installation) -> Document {
    let mut spec = module(installation);
    spec["phase"] = json!("STATS");
    Document::new(
        ABOUT,
        json!({
            "apiVersion": "extensions.istio.io/v1alpha1",
            "kind": "WasmPlugin",
            "metadata": metadata(installation, "mixerless"),
            "spec": spec,
        }),
    )
    .note("failStrategy:", FAIL_OPEN)
    .note("phase:", PHASE)
}

/// The same for Istio 1.30 and later.
pub fn traffic_extension(installation: &Installation) -> Document {
    Document::new(
        ABOUT,
        json!({
            "apiVersion": "extensions.istio.io/v1alpha1",
            "kind": "TrafficExtension",
            "metadata": metadata(installation, "mixerless"),
            "spec": { "phase": "STATS", "wasm": module(installation) },
        }),
    )
    .note("failStrategy:", FAIL_OPEN)
    .note("phase:", PHASE)
}

const ABOUT: &str = "In the root namespace it applies to each proxy of the mesh, in both directions.\n\
    Use it instead of the EnvoyFilters, never beside them: every request would count twice.";
const FAIL_OPEN: &str = "No module, or a broken one: requests pass all the same, uncounted.";
const PHASE: &str = "Last before the router, so that it sees what the other filters decided.";

fn module(installation: &Installation) -> Value {
    let mut module = json!({
        "failStrategy": "FAIL_OPEN",
        "pluginConfig": installation.plugin.to_value(),
        "url": installation.source.url(),
    });
    if let Some(sha256) = &installation.sha256 {
        module["sha256"] = json!(sha256);
    }
    if let Some(secret) = &installation.image_pull_secret {
        module["imagePullSecret"] = json!(secret);
    }
    module
}
