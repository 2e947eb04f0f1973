//! Deployments and their pods: waiting for them, finding them, restarting them.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::cluster::TestCluster;
use super::eventually;
use super::object::{list, text};
use super::pod::Pod;

const LIMIT: Duration = Duration::from_mins(3);

/// A pod that is ready.
#[derive(Clone, Debug)]
pub struct Ready {
    /// Where it is reached.
    pub address: Ipv4Addr,
    /// Its processes.
    pub pod: Arc<Pod>,
}

/// Applies the manifests of the module, and starts podinfo behind the ingress gateway.
pub fn start_podinfo(cluster: &TestCluster, manifests: &Path) -> Result<()> {
    let api = &cluster.api;
    api.apply(&manifests.join("istio"))?;
    api.make_namespace("test", true)?;
    api.apply_text(include_str!("objects/podinfo.yaml"))?;
    api.apply_text(include_str!("objects/public-gateway.yaml"))?;
    wait_for(cluster, "test", "podinfo")
}

/// Waits until all pods of a deployment are ready and no others are left.
pub fn wait_for(cluster: &TestCluster, namespace: &str, deployment: &str) -> Result<()> {
    let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments/{deployment}");
    eventually(&format!("the deployment {deployment}"), LIMIT, || {
        let found = cluster.api.get(&path)?;
        let number = |pointer: &str| found.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
        let wanted = number("/spec/replicas");
        let rolled_out = number("/status/observedGeneration") >= number("/metadata/generation")
            && number("/status/updatedReplicas") == wanted
            && number("/status/readyReplicas") == wanted
            && number("/status/replicas") == wanted;
        ensure!(
            rolled_out,
            "{} of {wanted} pods are ready {}",
            number("/status/readyReplicas"),
            cluster.nodes.problems().join("; ")
        );
        Ok(())
    })
}

/// The pods with these labels that are ready and not being deleted.
pub fn ready(cluster: &TestCluster, namespace: &str, labels: &str) -> Result<Vec<Ready>> {
    let labels = labels.replace('=', "%3D").replace(',', "%2C");
    let pods = cluster.api.get(&format!(
        "/api/v1/namespaces/{namespace}/pods?labelSelector={labels}"
    ))?;
    let pods = list(&pods, "/items").filter(|pod| is_ready(pod));
    pods.map(|object| {
        let name = text(object, "/metadata/name");
        let pod = cluster.nodes.pod(namespace, name);
        Ok(Ready {
            address: text(object, "/status/podIP").parse()?,
            pod: pod.with_context(|| format!("{name} does not run here"))?,
        })
    })
    .collect()
}

/// The only pod with these labels, once it is ready.
pub fn one(cluster: &TestCluster, namespace: &str, labels: &str) -> Result<Ready> {
    eventually(&format!("one pod with {labels}"), LIMIT, || {
        let pods = ready(cluster, namespace, labels)?;
        ensure!(pods.len() == 1, "{} are ready", pods.len());
        Ok(pods[0].clone())
    })
}

/// Where the only pod with these labels is reached.
pub fn address_of(cluster: &TestCluster, namespace: &str, labels: &str) -> Result<Ipv4Addr> {
    Ok(one(cluster, namespace, labels)?.address)
}

/// Deletes the pods with these labels; their deployment makes others.
pub fn restart(
    cluster: &TestCluster,
    namespace: &str,
    deployment: &str,
    labels: &str,
) -> Result<()> {
    let words = ["-n", namespace, "delete", "pods", "-l", labels];
    cluster.api.kubectl(&words)?;
    wait_for(cluster, namespace, deployment)
}

fn is_ready(pod: &Value) -> bool {
    pod.pointer("/metadata/deletionTimestamp").is_none()
        && list(pod, "/status/conditions").any(|condition| {
            text(condition, "/type") == "Ready" && text(condition, "/status") == "True"
        })
}
