//! Envoy Gateway's resources.

use anyhow::Result;
use serde_json::{Value, json};
use stats_core::config::DirectionSetting;

use crate::bundle::{Bundle, Document};
use crate::installation::Installation;
use crate::module_source::ModuleSource;
use crate::proxy::{node, stats_config};

/// Adds the policy that attaches the module, and the bootstrap with the rules for its labels.
pub fn add(bundle: &mut Bundle, installation: &Installation, gateway: &str) -> Result<()> {
    bundle.yaml(
        "envoy-gateway/envoy-extension-policy.yaml",
        &[policy(installation, gateway)?],
    )?;
    bundle.yaml(
        "envoy-gateway/envoy-proxy.yaml",
        &[envoy_proxy(installation, gateway)?],
    )
}

fn policy(installation: &Installation, gateway: &str) -> Result<Document> {
    let config = installation
        .plugin
        .in_direction(DirectionSetting::Gateway)?;
    let wasm = json!({
        "code": code(installation),
        "config": config.to_value(),
        "failOpen": true,
        "name": "mixerless",
    });
    let target =
        json!({ "group": "gateway.networking.k8s.io", "kind": "Gateway", "name": gateway });
    Ok(Document::new(
        "Envoy Gateway fetches the module itself and serves it to the gateway's proxies.",
        json!({
            "apiVersion": "gateway.envoyproxy.io/v1alpha1",
            "kind": "EnvoyExtensionPolicy",
            "metadata": { "name": "mixerless", "namespace": installation.namespace },
            "spec": { "targetRefs": [target], "wasm": [wasm] },
        }),
    )
    .note(
        "failOpen:",
        "No module, or a broken one: requests pass all the same, uncounted.",
    ))
}

fn code(installation: &Installation) -> Value {
    let (kind, field, url) = match &installation.source {
        ModuleSource::Oci { reference, .. } => ("Image", "image", reference.clone()),
        other => ("HTTP", "http", other.url()),
    };
    let mut location = json!({ "url": url });
    if let Some(sha256) = &installation.sha256 {
        location["sha256"] = json!(sha256);
    }
    json!({ "type": kind, field: location })
}

fn envoy_proxy(installation: &Installation, gateway: &str) -> Result<Document> {
    // The gateway is the workload here: Envoy Gateway writes no metadata into its proxies' nodes.
    let node = node(gateway, &installation.namespace, &installation.cluster);
    let bootstrap = json!({ "node": { "metadata": node["metadata"] }, "stats_config": stats_config(&installation.plugin) });
    Ok(Document::new(
        format!(
            "Takes effect once the gateway refers to it, in the Gateway resource {gateway} itself or in its GatewayClass:\n\
             spec:\n\
             \x20 infrastructure:\n\
             \x20   parametersRef: {{ group: gateway.envoyproxy.io, kind: EnvoyProxy, name: mixerless }}\n\
             Metrics are on port 19001 of the proxies' pods, at /stats/prometheus."
        ),
        json!({
            "apiVersion": "gateway.envoyproxy.io/v1alpha1",
            "kind": "EnvoyProxy",
            "metadata": { "name": "mixerless", "namespace": installation.namespace },
            "spec": { "bootstrap": { "type": "Merge", "value": yaml_serde::to_string(&bootstrap)? } },
        }),
    )
    .note("value:", "Who the gateway is, and one rule for each label: without it the label stays in metric names."))
}
