//! The content of a pod's volumes: config maps, secrets, tokens, fields of the pod.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::api::Api;
use super::disks;
use super::object::{field, list, text};
use super::scratch::{bind, open_to_all};

/// Fills the directory of the volume `spec` of the pod `object`.
pub fn fill(api: &Api, object: &Value, spec: &Value, directory: &Path) -> Result<()> {
    if spec.get("emptyDir").is_some() {
        return open_to_all(directory);
    }
    if let Some(claim) = spec.get("persistentVolumeClaim") {
        return claimed(object, text(claim, "/claimName"), directory);
    }
    if let Some(host) = spec.get("hostPath") {
        let path = Path::new(text(host, "/path"));
        fs::create_dir_all(path)?;
        open_to_all(path)?;
        return bind(path, directory);
    }
    if let Some(projected) = spec.get("projected") {
        return list(projected, "/sources")
            .try_for_each(|source| from_source(api, object, source, directory));
    }
    from_source(api, object, spec, directory)
}

fn from_source(api: &Api, object: &Value, source: &Value, directory: &Path) -> Result<()> {
    if let Some(map) = source.get("configMap") {
        return keys(api, object, "configmaps", map, directory);
    }
    if let Some(secret) = source.get("secret") {
        return keys(api, object, "secrets", secret, directory);
    }
    if let Some(token) = source.get("serviceAccountToken") {
        return write(
            directory,
            text(token, "/path"),
            token_for(api, object, token)?.as_bytes(),
        );
    }
    if let Some(downward) = source.get("downwardAPI") {
        return list(downward, "/items").try_for_each(|item| {
            let value = described(object, text(item, "/fieldRef/fieldPath"));
            write(directory, text(item, "/path"), value.as_bytes())
        });
    }
    bail!("a kind of volume that this command does not know: {source}")
}

/// A config map or secret, whole or the keys that are listed.
fn keys(api: &Api, object: &Value, kind: &str, wanted: &Value, directory: &Path) -> Result<()> {
    let namespace = text(object, "/metadata/namespace");
    let name = match text(wanted, "/name") {
        "" => text(wanted, "/secretName"),
        name => name,
    };
    let optional = wanted["optional"].as_bool().unwrap_or_default();
    let path = format!("/api/v1/namespaces/{namespace}/{kind}/{name}");
    let Some(found) = patiently(api, &path, optional)? else {
        return Ok(());
    };
    let entries = found["data"].as_object().into_iter().flatten();
    for (key, value) in entries {
        let value = value.as_str().unwrap_or_default();
        let bytes = match kind {
            "secrets" => BASE64_STANDARD.decode(value)?,
            _ => value.as_bytes().to_vec(),
        };
        let mut items = list(wanted, "/items").peekable();
        if items.peek().is_none() {
            write(directory, key, &bytes)?;
        } else if let Some(item) = items.find(|item| text(item, "/key") == key) {
            write(directory, text(item, "/path"), &bytes)?;
        }
    }
    Ok(())
}

/// Waits as a kubelet does: a controller may be about to create the object.
fn patiently(api: &Api, path: &str, optional: bool) -> Result<Option<Value>> {
    for _ in 0..150 {
        match api.find(path)? {
            None if !optional => std::thread::sleep(std::time::Duration::from_millis(200)),
            found => return Ok(found),
        }
    }
    bail!("there is no {path}")
}

fn token_for(api: &Api, object: &Value, wanted: &Value) -> Result<String> {
    let (namespace, account) = (
        text(object, "/metadata/namespace"),
        text(object, "/spec/serviceAccountName"),
    );
    let audiences: Vec<&str> = wanted["audience"].as_str().into_iter().collect();
    let request = json!({
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {
            "audiences": audiences,
            "boundObjectRef": {
                "apiVersion": "v1",
                "kind": "Pod",
                "name": text(object, "/metadata/name"),
                "uid": text(object, "/metadata/uid"),
            },
            // Longer than any story.
            "expirationSeconds": 86400,
        },
    });
    let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token");
    let answer = api.post(&path, &request)?;
    let token = answer.pointer("/status/token").and_then(Value::as_str);
    Ok(token.context("no token in the answer")?.to_owned())
}

/// A field; a map of labels or annotations has a line for each.
fn described(object: &Value, path: &str) -> String {
    let pointer = format!("/{}", path.replace('.', "/"));
    match object.pointer(&pointer).and_then(Value::as_object) {
        Some(map) => {
            let line = |(key, value): (&String, &Value)| {
                format!("{key}={:?}\n", value.as_str().unwrap_or_default())
            };
            map.iter().map(line).collect::<Vec<String>>().concat()
        }
        None => field(object, path),
    }
}

/// A disk that outlives the pod, though not the mesh.
fn claimed(object: &Value, claim: &str, directory: &Path) -> Result<()> {
    let disk = disks::directory(text(object, "/metadata/namespace"), claim);
    fs::create_dir_all(&disk)?;
    open_to_all(&disk)?;
    bind(&disk, directory)
}

fn write(directory: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let file = directory.join(name);
    if let Some(parent) = file.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(&file, bytes).with_context(|| format!("cannot write {}", file.display()))
}
