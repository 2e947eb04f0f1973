//! Envoy Gateway's resources.

use anyhow::Result;
use serde_json::{Value, json};

use crate::bundle::{Bundle, Document};
use crate::module_source::ModuleSource;
use crate::plan::{Plan, Workload};
use crate::proxy::{node, stats_config};

/// Adds the policy that brings the module in, and the bootstrap that takes its labels out of metric names.
pub fn add(bundle: &mut Bundle, plan: &Plan, gateway: &str) -> Result<()> {
    bundle.yaml(
        "envoy-gateway/envoy-extension-policy.yaml",
        &[policy(plan, gateway)],
    )?;
    bundle.yaml(
        "envoy-gateway/envoy-proxy.yaml",
        &[envoy_proxy(plan, gateway)?],
    )
}

fn policy(plan: &Plan, gateway: &str) -> Document {
    let wasm = json!({
        "code": code(plan),
        "config": plan.plugin.to_value(),
        "failOpen": true,
        "name": "mixerless",
    });
    let target =
        json!({ "group": "gateway.networking.k8s.io", "kind": "Gateway", "name": gateway });
    Document::new(
        "Envoy Gateway fetches the module itself and serves it to the gateway's proxies.",
        json!({
            "apiVersion": "gateway.envoyproxy.io/v1alpha1",
            "kind": "EnvoyExtensionPolicy",
            "metadata": { "name": "mixerless", "namespace": plan.namespace },
            "spec": { "targetRefs": [target], "wasm": [wasm] },
        }),
    )
    .note(
        "failOpen:",
        "No module, or a broken one: requests pass all the same, uncounted.",
    )
}

fn code(plan: &Plan) -> Value {
    let (kind, field, url) = match &plan.source {
        ModuleSource::Oci { reference, .. } => ("Image", "image", reference.clone()),
        other => ("HTTP", "http", other.url()),
    };
    let mut location = json!({ "url": url });
    if let Some(sha256) = &plan.sha256 {
        location["sha256"] = json!(sha256);
    }
    json!({ "type": kind, field: location })
}

fn envoy_proxy(plan: &Plan, gateway: &str) -> Result<Document> {
    // The gateway is the workload here: Envoy Gateway does not tell its proxies who they are.
    let workload = Workload {
        name: gateway.to_owned(),
        namespace: plan.namespace.clone(),
        ..plan.workload.clone()
    };
    let node = node(&workload, &plan.cluster);
    let bootstrap = json!({ "node": { "metadata": node["metadata"] }, "stats_config": stats_config(&plan.plugin) });
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
            "metadata": { "name": "mixerless", "namespace": plan.namespace },
            "spec": { "bootstrap": { "type": "Merge", "value": yaml_serde::to_string(&bootstrap)? } },
        }),
    )
    .note("value:", "Who the gateway is, and one rule for each label: without it the label stays in metric names."))
}
