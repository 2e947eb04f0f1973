//! A client of the API server: requests go through `kubectl proxy`, which handles the certificates, or use `kubectl` itself.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use ureq::Agent;
use ureq::http::StatusCode;

use crate::paths;
use crate::process::capture;

/// A client of the API server. Clones share one pool of connections.
#[derive(Clone, Debug)]
pub struct Api {
    agent: Agent,
    /// Where `kubectl proxy` listens.
    base: String,
    kubeconfig: PathBuf,
}

impl Api {
    /// For the proxy at that port of the node.
    pub fn new(port: u16, kubeconfig: &Path) -> Self {
        Self {
            agent: agent(Duration::from_secs(20)),
            base: format!("http://127.0.0.1:{port}"),
            kubeconfig: kubeconfig.to_owned(),
        }
    }

    /// The object or list at a path; `None` where there is none.
    pub fn find(&self, path: &str) -> Result<Option<Value>> {
        let mut response = self
            .agent
            .get(format!("{}{path}", self.base))
            .call()
            .with_context(|| format!("the API server does not answer for {path}"))?;
        match response.status() {
            StatusCode::NOT_FOUND => Ok(None),
            status if status.is_success() => Ok(Some(response.body_mut().read_json()?)),
            status => bail!(
                "{path}: {status}: {}",
                response.body_mut().read_to_string()?
            ),
        }
    }

    /// The object or list at a path.
    pub fn get(&self, path: &str) -> Result<Value> {
        self.find(path)?
            .with_context(|| format!("there is no {path}"))
    }

    /// Creates an object, or asks for a token.
    pub fn post(&self, path: &str, object: &Value) -> Result<Value> {
        let request = self.agent.post(format!("{}{path}", self.base));
        answered(path, request.send_json(object))
    }

    /// Changes parts of an object.
    pub fn patch(&self, path: &str, change: &Value) -> Result<Value> {
        let request = self
            .agent
            .patch(format!("{}{path}", self.base))
            .header("content-type", "application/merge-patch+json");
        answered(path, request.send(change.to_string()))
    }

    /// Deletes the object of a pod whose processes have ended.
    pub fn remove_pod(&self, namespace: &str, name: &str) -> Result<()> {
        let path = format!("/api/v1/namespaces/{namespace}/pods/{name}?gracePeriodSeconds=0");
        self.agent.delete(format!("{}{path}", self.base)).call()?;
        Ok(())
    }

    /// Runs `kubectl` and returns what it printed.
    pub fn kubectl(&self, words: &[&str]) -> Result<String> {
        let mut kubectl = Command::new(paths::mesh_bin().join("kubectl"));
        kubectl
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .args(words);
        capture(&mut kubectl)
    }

    /// Applies a file or a directory.
    pub fn apply(&self, file: &Path) -> Result<()> {
        self.kubectl(&["apply", "-f", &file.display().to_string()])
            .map(drop)
    }

    /// Applies YAML with server-side apply, which has no limit for the size of an object.
    pub fn apply_text(&self, text: &str) -> Result<()> {
        let file = tempfile::Builder::new().suffix(".yaml").tempfile()?;
        std::fs::write(file.path(), text)?;
        let path = file.path().display().to_string();
        self.kubectl(&["apply", "--server-side", "--force-conflicts", "-f", &path])
            .map(drop)
    }

    /// Makes a namespace; `injected` decides whether its pods get a sidecar.
    pub fn make_namespace(&self, name: &str, injected: bool) -> Result<()> {
        let injection = if injected { "enabled" } else { "disabled" };
        let object = json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name, "labels": { "istio-injection": injection } },
        });
        self.apply_text(&object.to_string())
    }
}

/// An HTTP client with a limit for each request, for which no status is an error.
pub fn agent(limit: Duration) -> Agent {
    Agent::config_builder()
        .timeout_global(Some(limit))
        .http_status_as_error(false)
        .build()
        .into()
}

fn answered(
    path: &str,
    response: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
) -> Result<Value> {
    let mut response =
        response.with_context(|| format!("the API server does not answer for {path}"))?;
    let status = response.status();
    let text = response.body_mut().read_to_string()?;
    if !status.is_success() {
        bail!("{path}: {status}: {text}");
    }
    Ok(serde_json::from_str(&text)?)
}
