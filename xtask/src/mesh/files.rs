//! A pod's files: the machine's programs and libraries, and the pod's volumes where its containers want them.
//!
//! All containers of a pod see one tree. Not here: what is in a volume, see `volume`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::api::Api;
use super::network::NODE;
use super::object::{list, text};
use super::scratch::{SCRATCH, bind, mount, open_to_all};
use super::volume;
use crate::paths;

/// The directories of the machine that each pod sees.
const SHARED: [&str; 8] = [
    "bin",
    "sbin",
    "lib",
    "lib32",
    "lib64",
    "usr",
    "etc/ssl",
    "etc/alternatives",
];

/// The template of Envoy's bootstrap, where Istio's image has it.
const BOOTSTRAP: &str = "var/lib/istio/envoy/envoy_bootstrap_tmpl.json";

/// A pod's file tree; it is unmounted when the value is dropped.
#[derive(Debug)]
pub struct Files {
    root: PathBuf,
}

impl Files {
    /// Makes a pod's file tree.
    pub fn lay(api: &Api, object: &Value) -> Result<Self> {
        let root = Path::new(SCRATCH)
            .join("pods")
            .join(text(object, "/metadata/uid"));
        fs::create_dir_all(&root)?;
        mount(&["-t", "tmpfs", "-o", "mode=755", "tmpfs"], &root)?;
        let files = Self { root };
        files.lay_machine()?;
        files.lay_configuration(text(object, "/metadata/namespace"))?;
        for spec in list(object, "/spec/volumes") {
            let directory = files.volume(text(spec, "/name"));
            fs::create_dir_all(&directory)?;
            volume::fill(api, object, spec, &directory)
                .with_context(|| format!("the volume {}", text(spec, "/name")))?;
        }
        let containers =
            list(object, "/spec/initContainers").chain(list(object, "/spec/containers"));
        let mut mounts: Vec<&Value> = containers
            .flat_map(|spec| list(spec, "/volumeMounts"))
            .collect();
        // A volume can be mounted inside another one, which has to come first; and several containers can mount the same.
        mounts.sort_by_key(|mount| text(mount, "/mountPath"));
        mounts.dedup_by_key(|mount| text(mount, "/mountPath"));
        mounts.into_iter().try_for_each(|mount| files.show(mount))?;
        Ok(files)
    }

    /// Updates the volumes whose content is an object of the API server.
    pub fn refresh(&self, api: &Api, object: &Value) -> Result<()> {
        let following = |spec: &&Value| {
            ["configMap", "secret"]
                .iter()
                .any(|kind| spec.get(kind).is_some())
        };
        list(object, "/spec/volumes")
            .filter(following)
            .try_for_each(|spec| volume::fill(api, object, spec, &self.volume(text(spec, "/name"))))
    }

    /// The tree's root.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn volume(&self, name: &str) -> PathBuf {
        self.root.join("volumes").join(name)
    }

    fn lay_machine(&self) -> Result<()> {
        for name in SHARED {
            let (machines, ours) = (Path::new("/").join(name), self.root.join(name));
            if let Some(parent) = ours.parent() {
                fs::create_dir_all(parent)?;
            }
            if let Ok(target) = fs::read_link(&machines) {
                symlink(target, &ours)?;
            } else if machines.is_dir() {
                bind(&machines, &ours)?;
            }
        }
        bind(&paths::mesh_bin(), &self.root.join("usr/local/bin"))?;
        bind(Path::new("/proc"), &self.root.join("proc"))?;
        bind(Path::new("/dev"), &self.root.join("dev"))?;
        for name in [
            "tmp",
            "var/run/secrets",
            "var/log",
            "var/lib/istio/envoy",
            "run",
        ] {
            let directory = self.root.join(name);
            fs::create_dir_all(&directory)?;
            open_to_all(&directory)?;
        }
        Ok(())
    }

    fn lay_configuration(&self, namespace: &str) -> Result<()> {
        let etc = self.root.join("etc");
        for name in [
            "passwd",
            "group",
            "ld.so.cache",
            "ld.so.conf",
            "protocols",
            "services",
        ] {
            // A machine need not have all of them.
            let _ = fs::copy(Path::new("/etc").join(name), etc.join(name));
        }
        fs::write(etc.join("hosts"), "127.0.0.1 localhost\n")?;
        fs::write(
            etc.join("resolv.conf"),
            format!(
                "nameserver {NODE}\nsearch {namespace}.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n"
            ),
        )?;
        let template = Path::new(SCRATCH).join("envoy_bootstrap_tmpl.json");
        if template.exists() {
            fs::copy(template, self.root.join(BOOTSTRAP))?;
        }
        Ok(())
    }

    /// Mounts a volume at the path that a container gives.
    fn show(&self, mount: &Value) -> Result<()> {
        let path = text(mount, "/mountPath").trim_matches('/');
        let volume = self.volume(text(mount, "/name"));
        bind(&volume.join(text(mount, "/subPath")), &self.root.join(path))
            .with_context(|| format!("/{path} cannot be a volume"))
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let mut umount = Command::new("umount");
        let _ = umount
            .args(["--recursive", "--lazy"])
            .arg(&self.root)
            .output();
    }
}
