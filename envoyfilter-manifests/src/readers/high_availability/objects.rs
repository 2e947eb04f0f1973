//! Pieces of Kubernetes objects that recur in the layout.

use serde_json::{Value, json};

use super::Layout;

impl Layout {
    /// A stateful set whose pods have a disk `data` each.
    pub(super) fn stateful_set(
        &self,
        name: &str,
        service: &str,
        replicas: u32,
        containers: &[Value],
        disk: &str,
    ) -> Value {
        let claim = json!({
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": { "name": "data" },
            "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": disk } } },
        });
        json!({
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": self.metadata(name),
            "spec": {
                "replicas": replicas,
                "selector": { "matchLabels": app(name) },
                "serviceName": service,
                "template": pod(name, containers),
                "volumeClaimTemplates": [claim],
            },
        })
    }
}

pub fn app(name: &str) -> Value {
    json!({ "app.kubernetes.io/name": name })
}

/// Pods of one name keep to different nodes.
pub fn pod(name: &str, containers: &[Value]) -> Value {
    let apart = json!({ "labelSelector": { "matchLabels": app(name) }, "topologyKey": "kubernetes.io/hostname" });
    json!({
        "metadata": { "labels": app(name) },
        "spec": {
            "affinity": { "podAntiAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": [apart] } },
            "containers": containers,
            "securityContext": { "fsGroup": 65534, "runAsNonRoot": true, "runAsUser": 65534 },
        },
    })
}

pub fn port(name: &str, number: u16) -> Value {
    json!({ "containerPort": number, "name": name })
}

pub fn mount(name: &str, path: &str) -> Value {
    json!({ "mountPath": path, "name": name })
}

/// The pod's own name as an environment variable.
pub fn pod_name() -> Value {
    json!({ "name": "POD_NAME", "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } } })
}
