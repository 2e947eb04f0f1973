//! The alternatives to `EnvoyFilter`: `WasmPlugin`, and `TrafficExtension` since Istio 1.30.
//!
//! One resource for each direction. Istio selects listeners by `match.mode`: `SERVER` are the inbound listeners of
//! sidecars, `CLIENT` the outbound listeners of sidecars and all listeners of gateways, whose requests the module treats
//! as outbound. A third one is for waypoints, to which only a resource with `targetRefs` applies.

use anyhow::Result;
use serde_json::{Value, json};
use stats_core::config::DirectionSetting;

use super::{Author, metadata, plugin_config};
use crate::bundle::Document;
use crate::installation::Installation;
use crate::istio_version::IstioVersion;

/// What one resource applies to.
#[derive(Clone, Copy)]
struct Scope {
    direction: DirectionSetting,
    proxies: Proxies,
    about: &'static str,
}

/// The proxies and listeners that Istio selects.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Proxies {
    /// All of sidecars and gateways.
    All,
    /// Of sidecars and gateways, the listeners of this mode.
    Mode(&'static str),
    Waypoints,
}

const SERVER: Scope = Scope {
    direction: DirectionSetting::Inbound,
    proxies: Proxies::Mode("SERVER"),
    about: "Requests to workloads: series with reporter=\"destination\".",
};
const CLIENT: Scope = Scope {
    direction: DirectionSetting::Outbound,
    proxies: Proxies::Mode("CLIENT"),
    about: "Requests of workloads, and requests through gateways: series with reporter=\"source\".",
};
const EVERY_LISTENER: Scope = Scope {
    direction: DirectionSetting::Auto,
    proxies: Proxies::All,
    about: "One resource for all directions, because this version of Istio cannot restrict it to one: the module finds out\n\
            the direction of each request.",
};

const WAYPOINTS: Scope = Scope {
    direction: DirectionSetting::Inbound,
    proxies: Proxies::Waypoints,
    about: "What waypoints of an ambient mesh pass on: series with reporter=\"waypoint\". Nothing where there are none.",
};

/// The resources of Istio before 1.30.
pub fn wasm_plugins(installation: &Installation, version: IstioVersion) -> Result<Vec<Document>> {
    let mut scopes = if version.has_traffic_selectors() {
        vec![SERVER, CLIENT]
    } else {
        vec![EVERY_LISTENER]
    };
    if version.has_waypoint_policies() {
        scopes.push(WAYPOINTS);
    }
    let document = |scope| wasm_plugin(installation, scope);
    scopes.into_iter().map(document).collect()
}

/// The resource for waypoints alone.
pub fn wasm_plugin_of_waypoints(installation: &Installation) -> Result<Document> {
    wasm_plugin(installation, WAYPOINTS)
}

/// The same for Istio 1.30 and later.
pub fn traffic_extensions(installation: &Installation) -> Result<Vec<Document>> {
    let document = |scope: Scope| {
        let spec = json!({ "phase": "STATS", "wasm": module(installation, scope)? });
        Ok(resource(installation, scope, "TrafficExtension", spec))
    };
    [SERVER, CLIENT, WAYPOINTS]
        .into_iter()
        .map(document)
        .collect()
}

fn wasm_plugin(installation: &Installation, scope: Scope) -> Result<Document> {
    let mut spec = module(installation, scope)?;
    spec["phase"] = json!("STATS");
    Ok(resource(installation, scope, "WasmPlugin", spec))
}

fn resource(installation: &Installation, scope: Scope, kind: &str, mut spec: Value) -> Document {
    let name = match scope.proxies {
        Proxies::All => "mixerless".to_owned(),
        Proxies::Mode(mode) => {
            spec["match"] = json!([{ "mode": mode }]);
            format!("mixerless-{}", scope.direction.name())
        }
        Proxies::Waypoints => {
            let class = json!({ "group": "gateway.networking.k8s.io", "kind": "GatewayClass", "name": "istio-waypoint" });
            spec["targetRefs"] = json!([class]);
            "mixerless-waypoint".to_owned()
        }
    };
    let object = json!({
        "apiVersion": "extensions.istio.io/v1alpha1",
        "kind": kind,
        "metadata": metadata(installation, &name),
        "spec": spec,
    });
    Document::new(
        format!("{}\n{}", scope.about, scope.proxies.about()),
        object,
    )
    .note("failStrategy:", FAIL_OPEN)
    .note("phase:", PHASE)
}

const FAIL_OPEN: &str =
    "Without a module, or with a broken one, requests pass all the same, uncounted.";
const PHASE: &str = "After Istio's own metadata exchange, authentication and authorization; before its fault injection and its\n\
    stats filter. The module looks at a request when it has ended, so that it sees what all of them decided.";

impl Proxies {
    fn about(self) -> &'static str {
        match self {
            Self::All | Self::Mode(_) => {
                "In the root namespace it applies to each sidecar and gateway of the mesh.\n\
                 Use these instead of the EnvoyFilters, never beside them: every request would count twice."
            }
            Self::Waypoints => "In the root namespace it applies to each waypoint of the mesh.",
        }
    }
}

fn module(installation: &Installation, scope: Scope) -> Result<Value> {
    // Each of them meets clients from outside: what selects outbound listeners selects gateways as well.
    let mut config = plugin_config(installation, scope.direction, Author::Client)?;
    if scope.proxies == Proxies::Waypoints {
        config = config.with_default("reporter", "reporter", json!("SERVER_GATEWAY"))?;
    }
    let mut module = json!({
        "failStrategy": "FAIL_OPEN",
        "pluginConfig": config.to_value(),
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
