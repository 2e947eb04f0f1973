//! A container's processes: which program its image stands for, with which arguments, variables and user.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::Value;

use super::daemon::Daemon;
use super::network::{self, PodNetwork};
use super::object::{field, list, text};
use super::scratch::SCRATCH;
use crate::paths;

/// Where programs are looked for; the mesh's own are in `/usr/local/bin` of each pod.
const PATH: &str = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin";

/// An image, by the last part of its name, and the program that stands for it.
struct ContainerImage {
    name: &'static str,
    program: &'static str,
    /// Its user, unless the pod says another.
    user: u64,
}

const IMAGES: [ContainerImage; 8] = [
    image("pilot", "pilot-discovery", 1337),
    image("proxyv2", "pilot-agent", 1337),
    image("podinfo", "podinfo", 100),
    image("prometheus", "prometheus", 65534),
    image("thanos", "thanos", 1001),
    image("flagger", "flagger", 100),
    image("keda", "keda", 1000),
    image("keda-metrics-apiserver", "keda-adapter", 1000),
];

const fn image(name: &'static str, program: &'static str, user: u64) -> ContainerImage {
    ContainerImage {
        name,
        program,
        user,
    }
}

/// Sets environment variables of an image, as its Dockerfile would.
pub fn set_environment(image: &str, variables: &[(&str, &str)]) -> Result<()> {
    let lines = variables
        .iter()
        .map(|(name, value)| format!("{name}={value}\n"));
    let lines: Vec<String> = lines.collect();
    fs::write(environment_file(image), lines.concat())?;
    Ok(())
}

fn environment_file(image: &str) -> PathBuf {
    Path::new(SCRATCH).join(format!("{image}.env"))
}

impl ContainerImage {
    fn environment(&self) -> Vec<(String, String)> {
        // Most images have none.
        let lines = fs::read_to_string(environment_file(self.name)).unwrap_or_default();
        let pairs = lines.lines().filter_map(|line| line.split_once('='));
        pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }
}

/// A container that runs.
#[derive(Debug)]
pub struct Container {
    spec: Value,
    daemon: Daemon,
}

impl Container {
    /// Starts the container that `spec` describes, of the pod `object`.
    pub fn start(object: &Value, spec: &Value, network: &PodNetwork, root: &Path) -> Result<Self> {
        let name = format!("{}.{}", text(object, "/metadata/name"), text(spec, "/name"));
        let mut command = Self::command(object, spec, network, root)?;
        Ok(Self {
            spec: spec.clone(),
            daemon: Daemon::start(&name, &mut command)?,
        })
    }

    /// Its command line.
    pub fn command(
        object: &Value,
        spec: &Value,
        network: &PodNetwork,
        root: &Path,
    ) -> Result<Command> {
        let image = known(text(spec, "/image"))?;
        let variables = variables(object, spec, image);
        let filled = |word: &Value| fill_in(word.as_str().unwrap_or_default(), &variables);
        let own: Vec<String> = list(spec, "/command").map(filled).collect();
        let arguments: Vec<String> = list(spec, "/args").map(filled).collect();
        let user = user(object, spec).unwrap_or(image.user);
        let mut command = network.command("chroot");
        command
            .arg(format!("--userspec={user}:{user}"))
            .arg(format!("--groups={user}"))
            .arg(root);
        match own.split_first() {
            None => command.arg(image.program),
            Some((program, words)) => command.arg(here(program)).args(words),
        };
        command.args(arguments).env_clear().envs(variables);
        Ok(command)
    }

    /// Its part of the pod's specification.
    pub fn spec(&self) -> &Value {
        &self.spec
    }

    /// An error once it has ended by itself.
    pub fn still_runs(&mut self) -> Result<()> {
        self.daemon.still_runs()
    }

    /// Asks it to end, and ends it after `grace`.
    pub fn end(&mut self, grace: Duration) {
        self.daemon.end(grace);
    }
}

/// A program that an image has at its root directory is found by its name alone.
fn here(program: &str) -> &str {
    let name = program.rsplit('/').next().unwrap_or(program);
    if paths::mesh_bin().join(name).exists() {
        name
    } else {
        program
    }
}

fn known(image: &str) -> Result<&'static ContainerImage> {
    let name = image.rsplit('/').next().unwrap_or(image);
    let name = name.split([':', '@']).next().unwrap_or(name);
    match IMAGES.iter().find(|image| image.name == name) {
        Some(image) => Ok(image),
        None => bail!("no program of this machine stands for the image {image}"),
    }
}

fn user(object: &Value, spec: &Value) -> Option<u64> {
    let of = |object: &Value, pointer: &str| object.pointer(pointer).and_then(Value::as_u64);
    of(spec, "/securityContext/runAsUser").or_else(|| of(object, "/spec/securityContext/runAsUser"))
}

/// The environment, in which later variables may name earlier ones.
fn variables(object: &Value, spec: &Value, image: &ContainerImage) -> Vec<(String, String)> {
    let mut variables = image.environment();
    variables.extend([
        ("PATH".to_owned(), PATH.to_owned()),
        ("HOME".to_owned(), "/tmp".to_owned()),
        (
            "HOSTNAME".to_owned(),
            text(object, "/metadata/name").to_owned(),
        ),
        (
            "KUBERNETES_SERVICE_HOST".to_owned(),
            network::API_SERVICE.to_owned(),
        ),
        ("KUBERNETES_SERVICE_PORT".to_owned(), "443".to_owned()),
    ]);
    for variable in list(spec, "/env") {
        let value = match variable.get("valueFrom") {
            None => Some(fill_in(text(variable, "/value"), &variables)),
            Some(from) => referred(object, from),
        };
        if let Some(value) = value {
            variables.push((text(variable, "/name").to_owned(), value));
        }
    }
    variables
}

/// The value of a field of the pod, or of a resource limit; there are no limits here.
fn referred(object: &Value, from: &Value) -> Option<String> {
    let path = text(from, "/fieldRef/fieldPath");
    if path.is_empty() {
        // Without a limit, Kubernetes gives the node's capacity.
        return (text(from, "/resourceFieldRef/resource") == "limits.cpu").then(|| "2".to_owned());
    }
    Some(field(object, path))
}

/// `$(NAME)` becomes the variable's value; what is no variable stays.
fn fill_in(word: &str, variables: &[(String, String)]) -> String {
    let mut word = word.to_owned();
    for (name, value) in variables {
        word = word.replace(&format!("$({name})"), value);
    }
    word
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_image_is_known_by_its_name_alone() {
        let program = |image| known(image).map(|image| image.program);
        assert_eq!(
            program("registry.example/testing/proxyv2:latest").unwrap(),
            "pilot-agent"
        );
        assert_eq!(program("prom/prometheus@sha256:ab").unwrap(), "prometheus");
        assert!(program("nginx").is_err());
    }

    #[test]
    fn variables_come_from_fields_and_from_each_other() {
        let pod = json!({ "metadata": { "name": "a", "labels": { "x/y": "z" } } });
        let spec = json!({ "env": [
            { "name": "NAME", "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } } },
            { "name": "LABEL", "valueFrom": { "fieldRef": { "fieldPath": "metadata.labels['x/y']" } } },
            { "name": "BOTH", "value": "$(NAME)-$(LABEL)-$(NONE)" },
        ] });
        let variables = variables(&pod, &spec, &IMAGES[0]);
        let both = variables.iter().find(|(name, _)| name == "BOTH").unwrap();
        assert_eq!(both.1, "a-z-$(NONE)");
    }
}
