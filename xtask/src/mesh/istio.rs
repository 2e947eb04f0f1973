//! Istio in the cluster: installed as `istioctl` would, with the flags that a stock Envoy needs, and with the labels
//! that `mixerless manifests` asks for.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::cluster::TestCluster;
use super::registry::ModuleRegistry;
use super::scratch::SCRATCH;
use super::{Story, container, eventually, go, programs, workload};
use crate::envoy::EnvoyBinary;
use crate::paths;
use crate::process::capture;

/// The cluster's name in each series.
const CLUSTER: &str = "c199d81d4e3104a5d90254b2a210914c8";
const LIMIT: Duration = Duration::from_mins(2);
/// The template of Envoy's bootstrap, in the sources that istiod is built from.
const BOOTSTRAP: &str = "tools/packaging/common/envoy_bootstrap.json";

/// The environment of the proxies' image in the ambient story.
///
/// Since 1.29.2 istiod uses a type of filter state that only Istio's Envoy has; for an older proxy it uses Envoy's own.
const OLDER_PROXY: [(&str, &str); 1] = [("ISTIO_META_ISTIO_VERSION", "1.29.1")];

/// The condition in the bootstrap template for an extension that only Istio's Envoy has; for a waypoint it is always true.
const WORKLOAD_DISCOVERY: &str = "{{- if .metadata_discovery }}";

/// Puts the Envoy where Istio's image has its own.
pub fn take_envoy(envoy: &EnvoyBinary) -> Result<()> {
    let place = paths::mesh_bin().join("envoy");
    let _ = fs::remove_file(&place);
    fs::hard_link(&envoy.binary, &place)
        .or_else(|_| fs::copy(&envoy.binary, &place).map(drop))
        .context("cannot put Envoy beside the mesh's programs")
}

/// Installs istiod and the ingress gateway and waits until both serve.
pub fn install(cluster: &TestCluster, registry: &ModuleRegistry, story: Story) -> Result<()> {
    let sources = go::sources(&programs::ISTIO)?;
    let mut bootstrap = fs::read_to_string(sources.join(BOOTSTRAP))
        .context("Istio's sources have no bootstrap template")?;
    if story == Story::Ambient {
        bootstrap = bootstrap.replace(WORKLOAD_DISCOVERY, "{{- if false }}");
        container::set_environment("proxyv2", &OLDER_PROXY)?;
    }
    fs::write(
        Path::new(SCRATCH).join("envoy_bootstrap_tmpl.json"),
        bootstrap,
    )?;
    let operator = Path::new(SCRATCH).join("operator.yaml");
    fs::write(&operator, operator_for(registry, story)?.to_string())?;
    let mut istioctl = Command::new(paths::mesh_bin().join("istioctl"));
    istioctl
        .args(["manifest", "generate", "--filename"])
        .arg(&operator);
    let manifests = capture(&mut istioctl)?;

    let api = &cluster.api;
    api.make_namespace("istio-system", false)?;
    // The first attempt defines kinds of which the same file has objects; the second one finds them.
    if api.apply_text(&manifests).is_err() {
        std::thread::sleep(Duration::from_secs(1));
        api.apply_text(&manifests)?;
    }
    for deployment in ["istiod", "istio-ingressgateway"] {
        workload::wait_for(cluster, "istio-system", deployment)?;
    }
    // Until istiod has put its certificate into the webhook, the API server refuses injected pods.
    eventually("istiod's webhook for sidecars", LIMIT, || {
        let hook = api.get(
            "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/istio-sidecar-injector",
        )?;
        let bundle = hook.pointer("/webhooks/0/clientConfig/caBundle");
        ensure!(bundle.is_some(), "it has no certificate yet");
        Ok(())
    })
}

/// The `IstioOperator` for `istioctl`.
fn operator_for(registry: &ModuleRegistry, story: Story) -> Result<Value> {
    // The generated stat tags; they take effect when a proxy starts, so that they have to be there first.
    let values = registry.manifests("labels", &[])?;
    let values = fs::read_to_string(values.join("mesh-config/extra-stat-tags.yaml"))?;
    let mut mesh: Value = yaml_serde::from_str(&values)?;
    mesh["meshConfig"]["defaultConfig"]["proxyMetadata"] = json!({
        // The registry here has no TLS.
        "WASM_INSECURE_REGISTRIES": "*",
    });
    let mut environment = stock_envoy();
    if story == Story::Ambient {
        environment["PILOT_ENABLE_AMBIENT"] = json!("true");
        environment["PILOT_PREFER_SENDING_HBONE"] = json!("true");
    }
    Ok(json!({
        "apiVersion": "install.istio.io/v1alpha1",
        "kind": "IstioOperator",
        "spec": {
            "meshConfig": mesh["meshConfig"],
            "profile": "default",
            "values": {
                "gateways": { "istio-ingressgateway": { "autoscaleEnabled": false } },
                "global": { "multiCluster": { "clusterName": CLUSTER } },
                "pilot": { "autoscaleEnabled": false, "env": environment },
                // No native metrics unless a Telemetry asks for them.
                "telemetry": { "enabled": false },
            },
        },
    }))
}

/// Istiod's settings that leave out filters which only Istio's Envoy has.
fn stock_envoy() -> Value {
    json!({
        "PILOT_ENABLE_ALPN_FILTER": "false",
        "PILOT_ENABLE_METADATA_EXCHANGE": "false",
    })
}
