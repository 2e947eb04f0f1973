//! `extraStatTags`: the labels for which Istio adds a rule to a proxy's bootstrap.

use anyhow::Result;
use serde_json::json;

use crate::bundle::{Bundle, Document};
use crate::installation::Installation;
use crate::istio_version::IstioVersion;

/// Adds the mesh-wide setting and the pod annotation, unless no label needs a rule.
pub fn add(bundle: &mut Bundle, installation: &Installation, version: IstioVersion) -> Result<()> {
    let labels: Vec<String> = if version.has_standard_stat_tags() {
        installation.plugin.custom_labels().into_iter().collect()
    } else {
        installation.plugin.labels()
    };
    if labels.is_empty() {
        return Ok(());
    }
    bundle.yaml(
        "mesh-config/extra-stat-tags.yaml",
        &[Document::new(
            "Values of the istiod Helm chart, and likewise the `spec` of an IstioOperator: merge it into yours.\n\
             Without it, labels stay glued into metric names and no dashboard finds anything.\n\
             A proxy reads it when it starts: restart pods and gateways afterwards.\n\
             It cannot be said in a ProxyConfig resource, which has no such field.",
            json!({ "meshConfig": { "defaultConfig": { "extraStatTags": labels } } }),
        )],
    )?;
    bundle.yaml(
        "mesh-config/pod-annotation.yaml",
        &[Document::new(
            "The same for single workloads, where the mesh's configuration is not yours to change:\n\
             kubectl -n NAMESPACE patch deployment NAME --patch-file pod-annotation.yaml",
            json!({
                "spec": { "template": { "metadata": { "annotations": {
                    "sidecar.istio.io/extraStatTags": labels.join(","),
                } } } },
            }),
        )],
    )
}
