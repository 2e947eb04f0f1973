//! `cargo xtask mesh`: the real control planes around the module, on this machine and without containers.
//!
//! Here: the options, and which parts a mesh has. Not here: the parts, one module each; and the stories, see `stories`.

mod addon;
mod api;
mod cluster;
mod container;
mod daemon;
mod disks;
mod files;
mod flag;
pub mod go;
pub mod golang;
mod istio;
mod keys;
mod network;
mod node;
mod object;
mod pod;
mod probe;
pub mod programs;
mod prometheus;
mod registry;
mod report;
mod sandbox;
mod scratch;
mod stories;
mod traffic;
mod volume;
mod workload;

use std::fs;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::ValueEnum;

use self::cluster::TestCluster;
use self::registry::ModuleRegistry;
use self::report::StoryReport;
use crate::cargo::cargo;
use crate::module::Verbosity;
use crate::process::show;
use crate::toolchain::Toolchain;
use crate::{apt, envoy, module, paths, setup};

/// The options of the mesh.
#[derive(clap::Args)]
pub struct MeshOptions {
    /// Which story; all of them without it
    #[arg(long, value_enum)]
    story: Option<Story>,
    /// Leave the mesh running afterwards, until Ctrl-C
    #[arg(long, requires = "story")]
    keep: bool,
    /// Set by the command when it starts itself
    #[arg(long, hide = true)]
    inside: bool,
}

/// A story.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Story {
    /// The metrics of podinfo, by each way the module gets in, on the page and in Prometheus
    Telemetry,
    /// Flagger releases podinfo by the metrics, and takes bad versions back
    Canary,
    /// Kubernetes scales podinfo by its requests per second
    Autoscaling,
    /// Two Prometheus under Thanos; one of them dies under load
    HighAvailability,
    /// A waypoint and HBONE tunnels, as far as a stock Envoy can run them
    Ambient,
}

impl Story {
    /// Its name on the command line.
    pub fn name(self) -> String {
        let value = self.to_possible_value();
        value
            .map(|value| value.get_name().to_owned())
            .unwrap_or_default()
    }
}

/// A mesh that runs.
pub struct RunningMesh {
    /// Kubernetes.
    pub cluster: TestCluster,
    /// Where the module lies.
    pub registry: ModuleRegistry,
}

/// Runs the command.
pub fn run(options: &MeshOptions) -> Result<()> {
    if let (true, Some(story)) = (options.inside, options.story) {
        return inside(story, options.keep);
    }
    let stories = match &options.story {
        Some(story) => std::slice::from_ref(story),
        None => Story::value_variants(),
    };
    prepare(stories)?;
    for story in stories {
        sandbox::run_again_inside(*story, options.keep)?;
    }
    Ok(())
}

/// Finds, installs or builds everything that the stories need.
fn prepare(stories: &[Story]) -> Result<()> {
    apt::MESH.iter().try_for_each(apt::Tool::ensure)?;
    golang::ensure()?;
    fs::create_dir_all(paths::mesh_bin())?;
    for story in stories {
        programs::of(*story).into_iter().try_for_each(go::build)?;
    }
    let mut envoys = envoy::choose(&[])?;
    envoys.truncate(1);
    setup::run(&envoys)?;
    envoys.iter().try_for_each(istio::take_envoy)?;
    module::build(&Toolchain::ensure_silently()?, Verbosity::Quiet)?.print();
    show(cargo("build").args(["--quiet", "--package", "envoyfilter-manifests"]))
}

/// Runs a story, as the first process of the namespaces.
fn inside(story: Story, keep: bool) -> Result<()> {
    sandbox::prepare()?;
    daemon::make_logs(&story.name())?;
    let mut report = StoryReport::new(story);
    let mesh = RunningMesh::start(story, &mut report)?;
    let played = stories::play(story, &mesh, &mut report);
    report.print();
    if let Err(error) = &played {
        for problem in mesh.cluster.nodes.problems() {
            eprintln!("  pod  {problem}");
        }
        eprintln!("  {error:#}");
    }
    if keep {
        println!(
            "\nEverything runs until Ctrl-C. In another terminal, as root:\n\n  \
             nsenter --all --target $(pgrep --oldest --full 'xtask mesh.*--inside') \\\n    \
             {} --kubeconfig {} get pods --all-namespaces -o wide\n",
            paths::mesh_bin().join("kubectl").display(),
            cluster::KUBECONFIG,
        );
        sandbox::wait_for_the_end();
    }
    played?;
    report.judge()
}

impl RunningMesh {
    /// Starts Kubernetes, a registry with the module in it, and Istio.
    fn start(story: Story, report: &mut StoryReport) -> Result<Self> {
        let cluster = report.step(
            "Kubernetes: API server, controllers, scheduler, kube-proxy, DNS",
            TestCluster::start,
        )?;
        let registry = report.step("a registry, and the module in it", ModuleRegistry::start)?;
        report.step("Istio: istiod and an ingress gateway", || {
            istio::install(&cluster, &registry, story)
        })?;
        Ok(Self { cluster, registry })
    }
}

/// Locks, also after a panic in another thread: each value is written in one step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Calls `ask` until it succeeds. After `limit`, the error has `what` and the last error.
pub fn eventually<T>(what: &str, limit: Duration, mut ask: impl FnMut() -> Result<T>) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        match ask() {
            Ok(answer) => return Ok(answer),
            Err(error) if Instant::now() > deadline => {
                bail!("{what}: not within {} s: {error:#}", limit.as_secs())
            }
            Err(_) => std::thread::sleep(Duration::from_millis(300)),
        }
    }
}
