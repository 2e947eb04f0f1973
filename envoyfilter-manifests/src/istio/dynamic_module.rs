//! The library in Istio's proxies: an `EnvoyFilter` for each patch context, one for the cluster that holds the metrics, and
//! what a pod needs: the library's file, and a part of its proxy's bootstrap.

use anyhow::Result;
use serde_json::{Value, json};

use super::envoy_filter::{CONTEXTS, PatchContext, http_insertion};
use super::{metadata, plugin_config};
use crate::bundle::{Bundle, Document};
use crate::installation::Installation;
use crate::module_source::ModuleSource;
use crate::proxy::{DIRECTORY, library, library_path, metrics_cluster, without_module_prefix};

/// The config map with the part of the bootstrap.
const BOOTSTRAP: &str = "mixerless-bootstrap";

/// Adds all of it.
///
/// # Errors
/// When an object cannot be written as YAML.
pub fn add(bundle: &mut Bundle, installation: &Installation) -> Result<()> {
    for context in CONTEXTS {
        let file = format!("istio/envoyfilter-library-{}.yaml", context.name());
        bundle.yaml(&file, &[filter(installation, context)?])?;
    }
    let metrics = "istio/envoyfilter-library-metrics.yaml";
    bundle.yaml(metrics, &[cluster(installation)])?;
    bundle.yaml(
        "mesh-config/bootstrap-override.yaml",
        &[bootstrap(installation)],
    )?;
    bundle.yaml("mesh-config/pod-annotation.yaml", &[pod(installation)])
}

fn filter(installation: &Installation, context: PatchContext) -> Result<Document> {
    let name = format!("mixerless.http.{}", context.name());
    let config = plugin_config(installation, context.direction(), context.author())?;
    let filter = json!({ "name": name, "typed_config": library(installation, &config) });
    Ok(Document::new(
        format!(
            "{}\n\
             Only for proxies that have the library: a listener with this filter is refused by one that has not.\n\
             So apply it once all pods have the annotations of mesh-config/pod-annotation.yaml, or add a workloadSelector.",
            context.about()
        ),
        envoy_filter(installation, context.name(), &http_insertion(context, &filter)),
    )
    .note("applyTo: HTTP_FILTER", context.about_place()))
}

fn cluster(installation: &Installation) -> Document {
    let patch = json!({
        "applyTo": "CLUSTER",
        "match": { "context": "ANY" },
        "patch": { "operation": "ADD", "value": metrics_cluster(installation) },
    });
    Document::new(
        "The cluster that holds the metrics: it has no endpoint, and nothing is routed to it. Without it nothing is counted.\n\
         Its configuration must be that of the filters.",
        envoy_filter(installation, "metrics", &patch),
    )
}

fn envoy_filter(installation: &Installation, name: &str, patch: &Value) -> Value {
    json!({
        "apiVersion": "networking.istio.io/v1alpha3",
        "kind": "EnvoyFilter",
        "metadata": metadata(installation, &format!("mixerless-library-{name}")),
        "spec": { "configPatches": [patch] },
    })
}

fn bootstrap(installation: &Installation) -> Document {
    let runtime = json!({ "layered_runtime": without_module_prefix() });
    Document::new(
        "A part of the proxies' bootstrap, which pod-annotation.yaml names. In each namespace with such pods:\n\
         kubectl -n NAMESPACE apply -f bootstrap-override.yaml\n\
         Without it the names begin with envoy_dynamicmodulescustom_, and `mixerless check` finds `module-prefix`.",
        json!({
            "apiVersion": "v1",
            "data": { "custom_bootstrap.json": runtime.to_string() },
            "kind": "ConfigMap",
            "metadata": { "name": BOOTSTRAP, "namespace": installation.workload.namespace },
        }),
    )
}

fn pod(installation: &Installation) -> Document {
    let mut annotations = json!({ "sidecar.istio.io/bootstrapOverride": BOOTSTRAP });
    let about = match &installation.source {
        ModuleSource::Oci { reference, .. } => {
            let volume = json!({ "mixerless": { "image": { "reference": reference } } });
            let mount = json!({ "mixerless": { "mountPath": DIRECTORY, "readOnly": true } });
            annotations["sidecar.istio.io/userVolume"] = json!(volume.to_string());
            annotations["sidecar.istio.io/userVolumeMount"] = json!(mount.to_string());
            "The image has libmixerless.so at its top, and is mounted as it is: Kubernetes 1.33 or later, or 1.31 with the\n\
             feature ImageVolume."
                .to_owned()
        }
        _ => format!(
            "The library has to be in the proxy's container as {}: mount it with sidecar.istio.io/userVolume\n\
             and sidecar.istio.io/userVolumeMount, or build it into the proxy's image.",
            library_path(installation)
        ),
    };
    Document::new(
        format!(
            "For each workload whose proxy is to have the library:\n\
             kubectl -n NAMESPACE patch deployment NAME --patch-file pod-annotation.yaml\n\
             {about}"
        ),
        json!({ "spec": { "template": { "metadata": { "annotations": annotations } } } }),
    )
}
