//! A provisioner of persistent volumes: a directory of this machine for each claim, until the mesh stops.

use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::{Value, json};

use super::api::Api;
use super::object::{list, text};
use super::scratch::SCRATCH;

/// Makes a volume for each claim that has none; Kubernetes binds them.
pub fn provide(api: &Api) -> Result<()> {
    let claims = api.get("/api/v1/persistentvolumeclaims")?;
    for claim in list(&claims, "/items").filter(|claim| text(claim, "/spec/volumeName").is_empty())
    {
        let name = format!("disk-{}", text(claim, "/metadata/uid"));
        if api
            .find(&format!("/api/v1/persistentvolumes/{name}"))?
            .is_none()
        {
            api.post("/api/v1/persistentvolumes", &volume(claim, &name))?;
        }
    }
    Ok(())
}

/// Where the data of a claim are.
pub fn directory(namespace: &str, claim: &str) -> PathBuf {
    Path::new(SCRATCH).join("disks").join(namespace).join(claim)
}

fn volume(claim: &Value, name: &str) -> Value {
    let (namespace, claimed) = (
        text(claim, "/metadata/namespace"),
        text(claim, "/metadata/name"),
    );
    json!({
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": { "name": name },
        "spec": {
            "accessModes": claim["spec"]["accessModes"],
            "capacity": claim["spec"]["resources"]["requests"],
            "claimRef": { "namespace": namespace, "name": claimed },
            "hostPath": { "path": directory(namespace, claimed) },
        },
    })
}
