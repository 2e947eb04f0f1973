//! The alternatives to `EnvoyFilter`: `WasmPlugin`, and `TrafficExtension` since Istio 1.30.
//!
//! One resource for each direction. Istio selects listeners by `match.mode`: `SERVER` are the inbound listeners of
//! sidecars (and a waypoint's, to which a resource without `targetRefs` does not apply), `CLIENT` the outbound listeners of
//! sidecars and all listeners of gateways, whose requests the module treats as outbound.

use anyhow::Result;
use serde_json::{Value, json};
use stats_core::config::DirectionSetting;

use super::{metadata, plugin_config};
use crate::bundle::Document;
use crate::installation::Installation;
use crate::istio_version::IstioVersion;

/// What one resource applies to.
#[derive(Clone, Copy)]
struct Scope {
    direction: DirectionSetting,
    /// The listeners that Istio selects; all without one.
    mode: Option<&'static str>,
    about: &'static str,
}

const SERVER: Scope = Scope {
    direction: DirectionSetting::Inbound,
    mode: Some("SERVER"),
    about: "Requests to workloads: series with reporter=\"destination\".",
};
const CLIENT: Scope = Scope {
    direction: DirectionSetting::Outbound,
    mode: Some("CLIENT"),
    about: "Requests of workloads, and requests through gateways: series with reporter=\"source\".",
};
const EVERY_LISTENER: Scope = Scope {
    direction: DirectionSetting::Auto,
    mode: None,
    about: "One resource for all directions, because this version of Istio cannot restrict it to one: the module finds out\n\
            the direction of each request.",
};

/// The resources of Istio before 1.30.
pub fn wasm_plugins(installation: &Installation, version: IstioVersion) -> Result<Vec<Document>> {
    let scopes: &[Scope] = if version.has_traffic_selectors() {
        &[SERVER, CLIENT]
    } else {
        &[EVERY_LISTENER]
    };
    let document = |scope: &Scope| {
        let mut spec = module(installation, *scope)?;
        spec["phase"] = json!("STATS");
        Ok(resource(installation, *scope, "WasmPlugin", spec))
    };
    scopes.iter().map(document).collect()
}

/// The same for Istio 1.30 and later.
pub fn traffic_extensions(installation: &Installation) -> Result<Vec<Document>> {
    let document = |scope: Scope| {
        let spec = json!({ "phase": "STATS", "wasm": module(installation, scope)? });
        Ok(resource(installation, scope, "TrafficExtension", spec))
    };
    [SERVER, CLIENT].into_iter().map(document).collect()
}

fn resource(installation: &Installation, scope: Scope, kind: &str, mut spec: Value) -> Document {
    let mut name = "mixerless".to_owned();
    if let Some(mode) = scope.mode {
        spec["match"] = json!([{ "mode": mode }]);
        name = format!("mixerless-{}", scope.direction.name());
    }
    Document::new(
        format!("{}\n{ABOUT}", scope.about),
        json!({
            "apiVersion": "extensions.istio.io/v1alpha1",
            "kind": kind,
            "metadata": metadata(installation, &name),
            "spec": spec,
        }),
    )
    .note("failStrategy:", FAIL_OPEN)
    .note("phase:", PHASE)
}

const ABOUT: &str = "In the root namespace it applies to each proxy of the mesh.\n\
    Use these instead of the EnvoyFilters, never beside them: every request would count twice.";
const FAIL_OPEN: &str =
    "Without a module, or with a broken one, requests pass all the same, uncounted.";
const PHASE: &str = "Last before the router, so that it sees what the other filters decided.";

fn module(installation: &Installation, scope: Scope) -> Result<Value> {
    let mut module = json!({
        "failStrategy": "FAIL_OPEN",
        "pluginConfig": plugin_config(installation, scope.direction)?.to_value(),
        "url": installation.source.url(),
    });
    if let Some(sha256) = &installation.sha256 {
        module["sha256"] = json!(sha256);
    }
    if let Some(secret) = &installation.image_pull_secret {
        module["imagePullSecret"] = json!(secret);
    }
    Ok(module)
}
