//! The life of one pod: network, files, containers in their order, readiness, end.
//! Not here: how a container's command line comes about, see `container`; its files, see `files`.

use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::api::Api;
use super::container::Container;
use super::files::Files;
use super::flag::Flag;
use super::lock;
use super::network::{self, PodNetwork};
use super::object::{list, text};
use super::probe::ReadinessProbe;
use crate::process::{capture, succeeds_within};

const INIT_CONTAINERS: &str = "/spec/initContainers";
/// How long a container may take to begin to serve.
const START: Duration = Duration::from_mins(2);
/// How often volumes are updated.
const REFRESH: Duration = Duration::from_secs(5);
/// How long the other proxies get to learn that the pod is being removed.
const FAREWELL: Duration = Duration::from_secs(1);
/// How long a process may take to end.
const GRACE: Duration = Duration::from_secs(3);

/// A pod that was given to one of the nodes.
#[derive(Debug)]
pub struct Pod {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    stop: Flag,
    killed: Flag,
    inside: Mutex<Option<Inside>>,
    problem: Mutex<Option<String>>,
}

/// The network and files that all processes of a pod share.
#[derive(Debug)]
struct Inside {
    network: PodNetwork,
    files: Files,
}

/// Containers that run.
struct Running {
    /// Init containers that keep running: they start first and stop last.
    sidecars: Vec<Container>,
    containers: Vec<Container>,
}

impl Pod {
    /// For an object of the API server.
    pub fn new(object: &Value) -> Self {
        Self {
            namespace: text(object, "/metadata/namespace").to_owned(),
            name: text(object, "/metadata/name").to_owned(),
            stop: Flag::default(),
            killed: Flag::default(),
            inside: Mutex::default(),
            problem: Mutex::default(),
        }
    }

    /// Asks it to end.
    pub fn stop(&self) {
        self.stop.set();
    }

    /// Kills its processes at once.
    pub fn kill(&self) {
        self.killed.set();
        self.stop.set();
    }

    /// What went wrong, if anything did.
    pub fn problem(&self) -> Option<String> {
        let problem = lock(&self.problem).clone()?;
        Some(format!("{}/{}: {problem}", self.namespace, self.name))
    }

    /// Runs a program of the machine in the pod, as its application might, and returns what it printed.
    pub fn exec(&self, program: &str, words: &[&str]) -> Result<String> {
        let mut command = {
            let inside = lock(&self.inside);
            let inside = inside
                .as_ref()
                .with_context(|| format!("{} does not run", self.name))?;
            let mut command = inside.network.command("chroot");
            command.arg(inside.files.root());
            command
        };
        capture(command.arg(program).args(words))
    }

    /// Runs the pod until it is asked to stop, then deletes its object.
    pub fn live(&self, api: &Api, object: &Value) {
        if let Err(error) = self.try_to_live(api, object) {
            *lock(&self.problem) = Some(format!("{error:#}"));
            while !self.stop.is_set() {
                thread::sleep(Duration::from_millis(200));
            }
        }
        *lock(&self.inside) = None;
        // It may be gone already.
        let _ = api.remove_pod(&self.namespace, &self.name);
    }

    fn try_to_live(&self, api: &Api, object: &Value) -> Result<()> {
        let network = PodNetwork::make()?;
        let mut object = object.clone();
        let address = network.address().to_string();
        object["status"]["podIP"] = json!(address);
        object["status"]["podIPs"] = json!([{ "ip": address }]);
        object["status"]["hostIP"] = json!(network::NODE.to_string());
        let files = Files::lay(api, &object).context("cannot lay its files")?;
        *lock(&self.inside) = Some(Inside { network, files });

        let mut running = Running {
            sidecars: Vec::new(),
            containers: Vec::new(),
        };
        self.start(&object, &mut running)?;
        self.keep(api, &object, &mut running)?;
        if !self.killed.is_set() {
            running.end();
        }
        Ok(())
    }

    fn start(&self, object: &Value, running: &mut Running) -> Result<()> {
        for spec in list(object, INIT_CONTAINERS) {
            if self.stop.is_set() {
                return Ok(());
            }
            if text(spec, "/restartPolicy") == "Always" {
                let container = self.start_container(object, spec)?;
                running.sidecars.push(container);
                self.wait_for_start(object, spec, running)?;
            } else {
                self.run_to_its_end(object, spec)?;
            }
        }
        for spec in list(object, "/spec/containers") {
            running.containers.push(self.start_container(object, spec)?);
        }
        Ok(())
    }

    fn start_container(&self, object: &Value, spec: &Value) -> Result<Container> {
        let inside = lock(&self.inside);
        let inside = inside.as_ref().context("the pod is gone")?;
        Container::start(object, spec, &inside.network, inside.files.root())
    }

    fn run_to_its_end(&self, object: &Value, spec: &Value) -> Result<()> {
        let mut command = {
            let inside = lock(&self.inside);
            let inside = inside.as_ref().context("the pod is gone")?;
            Container::command(object, spec, &inside.network, inside.files.root())?
        };
        let name = text(spec, "/name");
        capture(&mut command)
            .map(drop)
            .with_context(|| format!("its init container {name} failed"))
    }

    fn passes(&self, object: &Value, probe: &ReadinessProbe) -> bool {
        probe.passes(|program, limit| {
            let command = lock(&self.inside).as_ref().map(|inside| {
                Container::command(object, program, &inside.network, inside.files.root())
            });
            let Some(Ok(mut command)) = command else {
                return false;
            };
            succeeds_within(&mut command, limit)
        })
    }

    fn wait_for_start(&self, object: &Value, spec: &Value, running: &mut Running) -> Result<()> {
        let probe = ReadinessProbe::of(object, spec, "startupProbe")?;
        let deadline = Instant::now() + START;
        while !self.stop.is_set() && !self.passes(object, &probe) {
            running.check()?;
            ensure!(
                Instant::now() < deadline,
                "its container {} does not start to serve",
                text(spec, "/name")
            );
            thread::sleep(Duration::from_millis(200));
        }
        Ok(())
    }

    /// Reports the pod's status to the API server, and restarts containers that have ended.
    fn keep(&self, api: &Api, object: &Value, running: &mut Running) -> Result<()> {
        let specs = list(object, INIT_CONTAINERS).chain(list(object, "/spec/containers"));
        let probes: Vec<ReadinessProbe> = specs
            .map(|spec| ReadinessProbe::of(object, spec, "readinessProbe"))
            .collect::<Result<_>>()?;
        let mut told = None;
        let mut filled = Instant::now();
        while !self.stop.is_set() {
            if filled.elapsed() > REFRESH {
                self.refresh(api, object);
                filled = Instant::now();
            }
            running.restart(self, object)?;
            let ready = probes.iter().all(|probe| self.passes(object, probe));
            if told != Some(ready) {
                self.tell(api, object, ready)?;
                told = Some(ready);
            }
            thread::sleep(if ready {
                Duration::from_secs(1)
            } else {
                Duration::from_millis(250)
            });
        }
        Ok(())
    }

    fn refresh(&self, api: &Api, object: &Value) {
        if let Some(inside) = lock(&self.inside).as_ref() {
            // After an error the files stay as they are.
            let _ = inside.files.refresh(api, object);
        }
    }

    fn tell(&self, api: &Api, object: &Value, ready: bool) -> Result<()> {
        let truth = if ready { "True" } else { "False" };
        let conditions = ["PodScheduled", "Initialized"]
            .map(|kind| json!({ "type": kind, "status": "True" }))
            .into_iter()
            .chain(
                ["ContainersReady", "Ready"].map(|kind| json!({ "type": kind, "status": truth })),
            );
        let containers = |specs: &str| -> Vec<Value> {
            let prepares =
                |spec: &Value| specs == INIT_CONTAINERS && text(spec, "/restartPolicy") != "Always";
            list(object, specs)
                .map(|spec| state(spec, ready, prepares(spec)))
                .collect()
        };
        let status = json!({ "status": {
            "conditions": conditions.collect::<Vec<Value>>(),
            "containerStatuses": containers("/spec/containers"),
            "hostIP": object["status"]["hostIP"],
            "initContainerStatuses": containers(INIT_CONTAINERS),
            "phase": "Running",
            "podIP": object["status"]["podIP"],
            "podIPs": object["status"]["podIPs"],
        } });
        let path = format!(
            "/api/v1/namespaces/{}/pods/{}/status",
            self.namespace, self.name
        );
        match api.patch(&path, &status) {
            // It may have been deleted in the meantime.
            Err(_) if self.stop.is_set() => Ok(()),
            told => told.map(drop),
        }
    }
}

// === impl Running ===

impl Running {
    fn check(&mut self) -> Result<()> {
        self.all().try_for_each(Container::still_runs)
    }

    fn all(&mut self) -> impl Iterator<Item = &mut Container> {
        self.sidecars.iter_mut().chain(&mut self.containers)
    }

    fn restart(&mut self, pod: &Pod, object: &Value) -> Result<()> {
        for container in self.all() {
            if let Err(error) = container.still_runs() {
                *lock(&pod.problem) = Some(format!("{error:#}"));
                thread::sleep(Duration::from_secs(1));
                *container = pod.start_container(object, &container.spec().clone())?;
            }
        }
        Ok(())
    }

    fn end(&mut self) {
        thread::sleep(FAREWELL);
        for container in self.containers.iter_mut().chain(&mut self.sidecars) {
            container.end(GRACE);
        }
    }
}

/// The status of a container. An init container that does not keep running has ended by then.
fn state(spec: &Value, ready: bool, prepares: bool) -> Value {
    let state = if prepares {
        json!({ "terminated": { "exitCode": 0, "reason": "Completed" } })
    } else {
        json!({ "running": {} })
    };
    json!({
        "image": spec["image"],
        "imageID": "",
        "name": spec["name"],
        "ready": ready || prepares,
        "restartCount": 0,
        "started": !prepares,
        "state": state,
    })
}
