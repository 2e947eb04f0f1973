//! Istio's resources.

mod envoy_filter;
mod extension;
mod stat_tags;
mod telemetry;

use anyhow::Result;
use serde_json::{Value, json};

use crate::bundle::Bundle;
use crate::installation::Installation;
use crate::istio_version::IstioVersion;
use crate::settings::{Method, Native};

/// Adds what a mesh needs: `istio/` is to be applied, `mesh-config/` to be merged into what is there.
///
/// # Errors
/// When an object cannot be written as YAML.
pub fn add(
    bundle: &mut Bundle,
    installation: &Installation,
    version: IstioVersion,
    method: Method,
    native: Native,
) -> Result<()> {
    match method {
        Method::EnvoyFilter => {
            for (file, document) in envoy_filter::documents(installation)? {
                bundle.yaml(&format!("istio/{file}"), &[document])?;
            }
        }
        Method::WasmPlugin => {
            bundle.yaml(
                "istio/wasm-plugin.yaml",
                &[extension::wasm_plugin(installation)],
            )?;
        }
        Method::TrafficExtension => {
            bundle.yaml(
                "istio/traffic-extension.yaml",
                &[extension::traffic_extension(installation)],
            )?;
        }
    }
    if native == Native::Off {
        bundle.yaml(
            "istio/telemetry.yaml",
            &[telemetry::native_off(installation, version)],
        )?;
    }
    stat_tags::add(bundle, installation, version)
}

fn metadata(installation: &Installation, name: &str) -> Value {
    json!({
        "labels": { "app.kubernetes.io/name": "mixerless", "app.kubernetes.io/part-of": "mixerless" },
        "name": name,
        "namespace": installation.namespace,
    })
}
