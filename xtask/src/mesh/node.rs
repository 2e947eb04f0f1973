//! The part of a kubelet for the cluster's nodes: starts the pods that are scheduled to them, stops those that are deleted.
//!
//! There is no container runtime here, so a pod's processes are this command's own. Everything that speaks to the API
//! server sees ordinary pods. Not here: what becomes of one pod, see `pod`.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use super::api::Api;
use super::object::text;
use super::pod::Pod;
use super::{daemon, disks, lock, network};

/// The nodes, both of which are this machine. There are two because of pods that must not share a node.
pub const NAMES: [&str; 2] = ["node-a", "node-b"];

const EVERY: Duration = Duration::from_millis(200);

/// The pods that run, by their uid.
type Pods = Arc<Mutex<HashMap<String, Arc<Pod>>>>;

/// Runs pods until the program ends.
#[derive(Clone, Debug)]
pub struct Nodes {
    pods: Pods,
}

impl Nodes {
    /// Announces the nodes and begins.
    pub fn start(api: &Api) -> Result<Self> {
        for name in NAMES {
            announce(api, name)?;
        }
        let nodes = Self {
            pods: Pods::default(),
        };
        let (own, api) = (nodes.clone(), api.clone());
        thread::spawn(move || {
            loop {
                // After an error the next round asks again: the API server may be busy.
                if let Ok(list) = api.get("/api/v1/pods") {
                    own.follow(&api, &list);
                }
                let _ = disks::provide(&api);
                thread::sleep(EVERY);
            }
        });
        Ok(nodes)
    }

    /// A running pod by its name.
    pub fn pod(&self, namespace: &str, name: &str) -> Option<Arc<Pod>> {
        let pods = lock(&self.pods);
        pods.values()
            .find(|pod| pod.namespace == namespace && pod.name == name)
            .cloned()
    }

    /// The log file of a container of a deployment's only pod.
    pub fn log_of(&self, namespace: &str, deployment: &str, container: &str) -> Option<PathBuf> {
        let prefix = format!("{deployment}-");
        let pods = lock(&self.pods);
        let pod = pods
            .values()
            .find(|pod| pod.namespace == namespace && pod.name.starts_with(&prefix))?;
        Some(daemon::log_file(&format!("{}.{container}", pod.name)))
    }

    /// What went wrong with pods, a line each.
    pub fn problems(&self) -> Vec<String> {
        let pods = lock(&self.pods);
        pods.values().filter_map(|pod| pod.problem()).collect()
    }

    fn follow(&self, api: &Api, list: &Value) {
        let listed = list["items"].as_array().map_or(&[][..], Vec::as_slice);
        let mut pods = lock(&self.pods);
        for object in listed {
            let uid = text(object, "/metadata/uid");
            let deleted = object.pointer("/metadata/deletionTimestamp").is_some();
            match pods.get(uid) {
                Some(pod) if deleted => pod.stop(),
                None if !deleted && is_ours(object) => {
                    let pod = Arc::new(Pod::new(object));
                    pods.insert(uid.to_owned(), Arc::clone(&pod));
                    let (api, object) = (api.clone(), object.clone());
                    thread::spawn(move || pod.live(&api, &object));
                }
                _ => {}
            }
        }
        pods.retain(|uid, pod| {
            let there = listed
                .iter()
                .any(|object| text(object, "/metadata/uid") == uid);
            if !there {
                pod.stop();
            }
            there
        });
    }
}

fn is_ours(pod: &Value) -> bool {
    NAMES.contains(&text(pod, "/spec/nodeName"))
}

fn announce(api: &Api, name: &str) -> Result<()> {
    let room = json!({ "cpu": "64", "memory": "256Gi", "pods": "100" });
    let node = json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": { "name": name, "labels": { "kubernetes.io/hostname": name, "kubernetes.io/os": "linux" } },
    });
    api.post("/api/v1/nodes", &node)?;
    let status = json!({ "status": {
        "addresses": [
            { "type": "InternalIP", "address": network::NODE.to_string() },
            { "type": "Hostname", "address": name },
        ],
        "allocatable": room,
        "capacity": room,
        "conditions": [{ "type": "Ready", "status": "True", "reason": "Mesh" }],
    } });
    api.patch(&format!("/api/v1/nodes/{name}/status"), &status)?;
    Ok(())
}
