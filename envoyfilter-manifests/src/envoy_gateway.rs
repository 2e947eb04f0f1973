//! Envoy Gateway's resources.

use anyhow::Result;
use serde_json::{Value, json};
use stats_core::config::DirectionSetting;

use crate::bundle::{Bundle, Document};
use crate::installation::{Installation, ModuleForm};
use crate::module_source::ModuleSource;
use crate::proxy::{
    DIRECTORY, library_path, metrics_cluster, node, stats_config, without_module_prefix,
};

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
    let target =
        json!({ "group": "gateway.networking.k8s.io", "kind": "Gateway", "name": gateway });
    let policy = |kind: &str, extension: Value| {
        json!({
            "apiVersion": "gateway.envoyproxy.io/v1alpha1",
            "kind": "EnvoyExtensionPolicy",
            "metadata": { "name": "mixerless", "namespace": installation.namespace },
            "spec": { "targetRefs": [target], kind: [extension] },
        })
    };
    if installation.form == ModuleForm::Library {
        let module = json!({ "config": config.to_value(), "filterName": "", "name": "mixerless" });
        return Ok(Document::new(
            "The library that envoy-proxy.yaml registers under this name, in all of the gateway's traffic.",
            policy("dynamicModule", module),
        ));
    }
    let wasm = json!({
        "code": code(installation),
        "config": config.to_value(),
        "failOpen": true,
        "name": "mixerless",
    });
    Ok(Document::new(
        "Envoy Gateway fetches the module itself and serves it to the gateway's proxies.",
        policy("wasm", wasm),
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
    let mut bootstrap = json!({ "node": { "metadata": node["metadata"] } });
    let about_bootstrap = match installation.form {
        ModuleForm::Wasm => {
            bootstrap["stats_config"] = stats_config(&installation.plugin);
            "Who the gateway is, and one rule for each label: without it the label stays in metric names."
        }
        ModuleForm::Library => {
            bootstrap["layered_runtime"] = without_module_prefix();
            bootstrap["static_resources"] = json!({ "clusters": [metrics_cluster(installation)] });
            "Who the gateway is, a flag without which the names begin with envoy_dynamicmodulescustom_, and the cluster\n\
             that holds the metrics: without it nothing is counted."
        }
    };
    let mut spec =
        json!({ "bootstrap": { "type": "Merge", "value": yaml_serde::to_string(&bootstrap)? } });
    if installation.form == ModuleForm::Library {
        add_library(&mut spec, installation);
    }
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
            "spec": spec,
        }),
    )
    .note("value:", about_bootstrap))
}

/// The library under the name by which policies refer to it, and where it is in an image, that image as a volume.
fn add_library(spec: &mut Value, installation: &Installation) {
    let source = json!({ "local": { "path": library_path(installation) }, "type": "Local" });
    spec["dynamicModules"] = json!([{ "doNotClose": true, "name": "mixerless", "source": source }]);
    if let ModuleSource::Oci { reference, .. } = &installation.source {
        let mount = json!({ "mountPath": DIRECTORY, "name": "mixerless", "readOnly": true });
        let volume = json!({ "image": { "reference": reference }, "name": "mixerless" });
        spec["provider"] = json!({
            "kubernetes": { "envoyDeployment": {
                "container": { "volumeMounts": [mount] },
                "pod": { "volumes": [volume] },
            } },
            "type": "Kubernetes",
        });
    }
}
