//! Istio's resources.

mod envoy_filter;
mod extension;
mod stat_tags;
mod telemetry;

use anyhow::Result;
use serde_json::{Value, json};

use crate::bundle::Bundle;
use crate::istio_version::IstioVersion;
use crate::plan::Plan;
use crate::settings::{Method, Native};

/// Adds what a mesh needs: `istio/` is to be applied, `mesh-config/` to be merged into what is there.
///
/// # Errors
/// When an object cannot be written as YAML.
pub fn add(
    bundle: &mut Bundle,
    plan: &Plan,
    version: IstioVersion,
    method: Method,
    native: Native,
) -> Result<()> {
    match method {
        Method::EnvoyFilter => {
            for (file, document) in envoy_filter::documents(plan)? {
                bundle.yaml(&format!("istio/{file}"), &[document])?;
            }
        }
        Method::WasmPlugin => {
            bundle.yaml("istio/wasm-plugin.yaml", &[extension::wasm_plugin(plan)])?;
        }
        Method::TrafficExtension => {
            bundle.yaml(
                "istio/traffic-extension.yaml",
                &[extension::traffic_extension(plan)],
            )?;
        }
    }
    if native == Native::Off {
        bundle.yaml(
            "istio/telemetry.yaml",
            &[telemetry::native_off(plan, version)],
        )?;
    }
    stat_tags::add(bundle, plan, version)
}

fn metadata(plan: &Plan, name: &str) -> Value {
    json!({
        "labels": { "app.kubernetes.io/name": "mixerless", "app.kubernetes.io/part-of": "mixerless" },
        "name": name,
        "namespace": plan.namespace,
    })
}
