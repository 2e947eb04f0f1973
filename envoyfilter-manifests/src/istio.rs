//! Istio's resources.

mod dynamic_module;
mod envoy_filter;
mod extension;
mod stat_tags;
mod telemetry;

use anyhow::Result;
use serde_json::{Value, json};
use stats_core::config::DirectionSetting;

use crate::bundle::Bundle;
use crate::installation::{Installation, ModuleForm};
use crate::istio_version::IstioVersion;
use crate::plugin_config::PluginConfig;
use crate::settings::{Method, Native, Tcp};

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
    tcp: Tcp,
) -> Result<()> {
    match method {
        Method::EnvoyFilter => {
            for (file, document) in envoy_filter::documents(installation, tcp)? {
                bundle.yaml(&format!("istio/{file}"), &[document])?;
            }
            // An EnvoyFilter without `targetRefs` does not apply to waypoints, nor does one with them before 1.28.
            if version.has_waypoint_policies() {
                let document = extension::wasm_plugin_of_waypoints(installation)?;
                bundle.yaml("istio/wasm-plugin-waypoint.yaml", &[document])?;
            }
        }
        Method::WasmPlugin => {
            let documents = extension::wasm_plugins(installation, version)?;
            bundle.yaml("istio/wasm-plugin.yaml", &documents)?;
        }
        Method::TrafficExtension => {
            let documents = extension::traffic_extensions(installation)?;
            bundle.yaml("istio/traffic-extension.yaml", &documents)?;
        }
        Method::DynamicModule => dynamic_module::add(bundle, installation)?,
    }
    if native != Native::SideBySide {
        bundle.yaml(
            "istio/telemetry.yaml",
            &[telemetry::native_off(installation, version, native, tcp)],
        )?;
    }
    match installation.form {
        ModuleForm::Wasm => stat_tags::add(bundle, installation, version),
        // Its labels are labels.
        ModuleForm::Library => Ok(()),
    }
}

/// Who says in the `:authority` header which service is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Author {
    /// A sidecar's own application.
    Application,
    /// Any client, who could make up services.
    Client,
}

/// The module's configuration for one direction of an Istio proxy.
///
/// Only a sidecar's own application may name a service by the `:authority` header.
fn plugin_config(
    installation: &Installation,
    direction: DirectionSetting,
    author: Author,
) -> Result<PluginConfig> {
    let config = installation.plugin.in_direction(direction)?;
    match author {
        Author::Application => Ok(config),
        Author::Client => config.with_default(
            "disable_host_header_fallback",
            "disableHostHeaderFallback",
            json!(true),
        ),
    }
}

fn metadata(installation: &Installation, name: &str) -> Value {
    json!({
        "labels": { "app.kubernetes.io/name": "mixerless", "app.kubernetes.io/part-of": "mixerless" },
        "name": name,
        "namespace": installation.namespace,
    })
}
