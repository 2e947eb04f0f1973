//! Flagger releases podinfo by the module's metrics: a good version step by step; one that fails and one that is slow
//! are taken back. The gateway's Envoy divides the traffic as the `VirtualService` says that Flagger writes.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::mesh::object::text;
use crate::mesh::prometheus::Prometheus;
use crate::mesh::report::StoryReport;
use crate::mesh::traffic::Load;
use crate::mesh::{RunningMesh, addon, eventually, programs, workload};

const CANARY: &str = "/apis/flagger.app/v1beta1/namespaces/test/canaries/podinfo";
/// Instead of the minute in the generated canary, to shorten the story.
const INTERVAL: &str = "10s";
const REQUESTS_PER_SECOND: u32 = 30;
/// Steps, failed checks and pods that come and go take their time.
const LIMIT: Duration = Duration::from_mins(5);

/// A version of podinfo, and the expected outcome of its release.
struct Release {
    name: &'static str,
    /// Its flags besides those of every version.
    flags: &'static [&'static str],
    /// What Flagger logs, in this order.
    events: &'static [&'static str],
    phase: &'static str,
}

const RELEASES: [Release; 3] = [
    Release {
        name: "a good version",
        flags: &["--ui-message=good"],
        events: &[
            "New revision detected",
            "canary weight 10",
            "canary weight 20",
            "canary weight 30",
            "canary weight 40",
            "canary weight 50",
            "Promotion completed",
        ],
        phase: "Succeeded",
    },
    Release {
        name: "a version that fails",
        flags: &["--random-error"],
        events: &[
            "New revision detected",
            "canary weight 10",
            "advancement mixerless-success-rate",
            "Rolling back podinfo.test failed checks threshold reached",
            "Canary failed",
        ],
        phase: "Failed",
    },
    Release {
        name: "a version that is slow",
        flags: &[
            "--random-delay",
            "--random-delay-unit=ms",
            "--random-delay-min=600",
            "--random-delay-max=900",
        ],
        events: &[
            "New revision detected",
            "canary weight 10",
            "advancement mixerless-request-duration",
            "Rolling back podinfo.test failed checks threshold reached",
            "Canary failed",
        ],
        phase: "Failed",
    },
];

/// Runs the story.
pub fn play(mesh: &RunningMesh, report: &mut StoryReport) -> Result<()> {
    let prometheus = report.step("podinfo, Prometheus, Flagger", || start(mesh))?;
    let gateway = workload::address_of(&mesh.cluster, "istio-system", "istio=ingressgateway")?;
    report.step("Flagger takes podinfo over", || {
        eventually("the canary", LIMIT, || phase_is(mesh, "Initialized"))
    })?;
    let load = Load::start(gateway, "podinfo.example", REQUESTS_PER_SECOND);
    for release in &RELEASES {
        let begun = seen(mesh)?.len();
        report.step(release.name, || play_release(mesh, release))?;
        let events = seen(mesh)?.split_off(begun);
        println!("\n  Flagger of {}:", release.name);
        for event in &events {
            println!("    {event}");
        }
        report.check(
            format!("{}: {}", release.name, release.events.join(", … ")),
            in_order(&events, release.events),
        );
        report.check(
            format!("{}: the canary is {}", release.name, release.phase),
            phase_is(mesh, release.phase),
        );
        report.check(
            format!("{}: all traffic is back at podinfo-primary", release.name),
            eventually("the metrics", LIMIT, || is_primary_alone(&prometheus)),
        );
    }
    ensure!(load.end() > 0, "no request was answered");
    let events = seen(mesh)?;
    report.check(
        "in all, Flagger promoted once and rolled back twice",
        times(&events, "Promotion completed", 1).and(times(&events, "Rolling back", 2)),
    );
    Ok(())
}

fn start(mesh: &RunningMesh) -> Result<Prometheus> {
    let cluster = &mesh.cluster;
    let api = &cluster.api;
    let flags = [
        "--native",
        "all-off",
        "--scrape-interval",
        "2s",
        "--workload",
        "podinfo",
    ];
    let manifests = mesh.registry.manifests("canary", &flags)?;
    workload::start_podinfo(cluster, &manifests)?;
    let prometheus = Prometheus::start(cluster, &manifests)?;

    let flagger = addon::unpack(&programs::FLAGGER, "kustomize")?;
    addon::apply(cluster, &flagger.join("istio"))?;
    workload::wait_for(cluster, "istio-system", "flagger")?;
    api.apply(&manifests.join("autoscaling/hpa.yaml"))?;
    api.apply(&manifests.join("flagger/metric-templates.yaml"))?;
    api.apply_text(&canary(&manifests)?.to_string())?;
    Ok(prometheus)
}

/// The generated canary with a shorter interval, and with the gateway.
fn canary(manifests: &Path) -> Result<Value> {
    let text = fs::read_to_string(manifests.join("flagger/canary.yaml"))?;
    let mut canary: Value = yaml_serde::from_str(&text)?;
    canary["spec"]["analysis"]["interval"] = json!(INTERVAL);
    let metrics = canary["spec"]["analysis"]["metrics"].as_array_mut();
    for metric in metrics.into_iter().flatten() {
        metric["interval"] = json!(INTERVAL);
    }
    canary["spec"]["service"]["gateways"] = json!(["istio-system/public-gateway", "mesh"]);
    canary["spec"]["service"]["hosts"] = json!(["podinfo.example"]);
    Ok(canary)
}

/// Changes the deployment and waits until Flagger has promoted or rolled back the change.
fn play_release(mesh: &RunningMesh, release: &Release) -> Result<()> {
    let mut flags = vec!["--port=9898", "--level=warn"];
    flags.extend(release.flags);
    let change = json!([{ "op": "replace", "path": "/spec/template/spec/containers/0/args", "value": flags }]);
    let change = change.to_string();
    let words = [
        "-n",
        "test",
        "patch",
        "deployment",
        "podinfo",
        "--type=json",
        "-p",
        &change,
    ];
    mesh.cluster.api.kubectl(&words)?;
    let begun = Instant::now();
    eventually("a new analysis", LIMIT, || phase_is(mesh, "Progressing"))?;
    loop {
        let phase = phase(mesh)?;
        if matches!(phase.as_str(), "Succeeded" | "Failed") {
            return Ok(());
        }
        if begun.elapsed() > LIMIT {
            bail!("after {} s the canary is still {phase}", LIMIT.as_secs());
        }
        std::thread::sleep(Duration::from_secs(1));
    }
}

fn phase(mesh: &RunningMesh) -> Result<String> {
    let canary = mesh.cluster.api.get(CANARY)?;
    Ok(text(&canary, "/status/phase").to_owned())
}

fn phase_is(mesh: &RunningMesh, wanted: &str) -> Result<()> {
    let phase = phase(mesh)?;
    ensure!(phase == wanted, "the canary is {phase}");
    Ok(())
}

/// What Flagger has logged about the canary, oldest first.
fn seen(mesh: &RunningMesh) -> Result<Vec<String>> {
    let log = mesh
        .cluster
        .nodes
        .log_of("istio-system", "flagger", "flagger")
        .context("Flagger does not run")?;
    let log = fs::read_to_string(log)?;
    let lines = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    Ok(lines
        .filter(|line| text(line, "/canary") == "podinfo.test")
        .map(|line| text(&line, "/msg").to_owned())
        .collect())
}

fn in_order(events: &[String], wanted: &[&str]) -> Result<()> {
    let mut events = events.iter();
    for wanted in wanted {
        ensure!(
            events.any(|event| event.contains(wanted)),
            "no “{wanted}” where it belongs"
        );
    }
    Ok(())
}

fn times(events: &[String], what: &str, wanted: usize) -> Result<()> {
    let found = events.iter().filter(|event| event.contains(what)).count();
    ensure!(found == wanted, "“{what}” {found} times");
    Ok(())
}

/// Whether requests arrive at the primary only.
fn is_primary_alone(prometheus: &Prometheus) -> Result<()> {
    let arriving = "sum by (destination_workload) (rate(istio_requests_total{reporter=\"destination\"}[10s])) > 0";
    let workloads: Vec<String> = prometheus
        .query(arriving)?
        .iter()
        .map(|(labels, _)| text(labels, "/destination_workload").to_owned())
        .collect();
    ensure!(
        workloads == ["podinfo-primary"],
        "requests arrive at {workloads:?}"
    );
    Ok(())
}
