//! `mixerless manifests`: from an installation to files.

use anyhow::Result;

use crate::bundle::{Bundle, Document};
use crate::installation::{Installation, ModuleForm, Platform};
use crate::proxy::{
    bootstrap, inbound_filter, library_path, metrics_cluster, stats_config, stats_listener,
    without_module_prefix,
};
use crate::{envoy_gateway, istio, readers};

/// All files of an installation.
///
/// # Errors
/// When an object cannot be written as YAML.
pub fn generate(installation: &Installation) -> Result<Bundle> {
    let mut bundle = Bundle::default();
    match &installation.platform {
        Platform::Istio {
            version,
            method,
            native,
            tcp,
        } => istio::add(&mut bundle, installation, *version, *method, *native, *tcp)?,
        Platform::EnvoyGateway { gateway } => {
            envoy_gateway::add(&mut bundle, installation, gateway)?;
        }
        Platform::Envoy { .. } => envoy(&mut bundle, installation)?,
    }
    kustomization(&mut bundle)?;
    readers::add(&mut bundle, installation)?;
    Ok(bundle)
}

/// The base for Kustomize: what is applied to a cluster, if there is any.
fn kustomization(bundle: &mut Bundle) -> Result<()> {
    let files = bundle.files().iter().map(|file| file.path.as_str());
    let applied = |path: &&str| path.starts_with("istio/") || path.starts_with("envoy-gateway/");
    let resources: Vec<&str> = files.filter(applied).collect();
    if resources.is_empty() {
        return Ok(());
    }
    let document = Document::new(
        "kubectl apply -k . applies what attaches the module; a kustomization of your own can have this directory as a resource.",
        serde_json::json!({
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": resources,
        }),
    );
    bundle.yaml("kustomization.yaml", &[document])
}

/// The pieces for an Envoy with a bootstrap file, and one file with all of them.
fn envoy(bundle: &mut Bundle, installation: &Installation) -> Result<()> {
    let filter = inbound_filter(installation)?;
    bundle.yaml(
        "envoy/http-filter.yaml",
        &[Document::new(
            "An element of `http_filters`, to stand right before the router of an inbound listener: its `direction` says that\n\
             it reports as destination. In other listeners, write outbound or gateway there and give the plugin another name.",
            filter.clone(),
        )],
    )?;
    match installation.form {
        ModuleForm::Wasm => bundle.yaml(
            "envoy/stats-config.yaml",
            &[Document::new(
                "Part of the bootstrap, at its top: one rule for each label. Without it labels stay in metric names.",
                serde_json::json!({ "stats_config": stats_config(&installation.plugin) }),
            )],
        )?,
        ModuleForm::Library => library_pieces(bundle, installation)?,
    }
    bundle.yaml(
        "envoy/stats-listener.yaml",
        &[Document::new(
            "An element of `static_resources.listeners`: what Prometheus scrapes. It leads to the admin endpoint through the\n\
             cluster that bootstrap.yaml has, and shows nothing but this one page of it.",
            stats_listener(),
        )],
    )?;
    bundle.yaml(
        "envoy/bootstrap.yaml",
        &[Document::new(
            "All pieces together: envoy --config-path bootstrap.yaml\n\
             Traffic for the application comes in on :15006, metrics go out on :15090.",
            bootstrap(installation, &filter),
        )
        .note(
            "node:",
            "Who this proxy is: what it tells its peers, and half of every series' labels.",
        )],
    )
}

/// What the library needs beside its filter.
fn library_pieces(bundle: &mut Bundle, installation: &Installation) -> Result<()> {
    bundle.yaml(
        "envoy/metrics-cluster.yaml",
        &[Document::new(
            format!(
                "An element of `static_resources.clusters`: it holds the metrics, has no endpoint, and nothing is routed to it.\n\
                 Without it nothing is counted. Its configuration must be that of the filters. The library is the file\n\
                 {}, for Envoy 1.40 and later.",
                library_path(installation)
            ),
            metrics_cluster(installation),
        )],
    )?;
    bundle.yaml(
        "envoy/layered-runtime.yaml",
        &[Document::new(
            "Part of the bootstrap, at its top. Without it the names begin with envoy_dynamicmodulescustom_.",
            serde_json::json!({ "layered_runtime": without_module_prefix() }),
        )],
    )
}
