//! Two Prometheus and Thanos over them, as generated. One Prometheus dies under load and comes back; whoever asks
//! Thanos sees neither a gap nor a request twice.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::mesh::node::NAMES;
use crate::mesh::prometheus::Prometheus;
use crate::mesh::report::StoryReport;
use crate::mesh::traffic::{Load, from_outside, same};
use crate::mesh::{RunningMesh, eventually, scratch, workload};

const PER_SECOND: u32 = 10;
const LIMIT: Duration = Duration::from_mins(2);
/// How long each of the three parts lasts.
const PART: Duration = Duration::from_secs(40);
/// The requests from outside that podinfo has served.
const SERVED: &str =
    "sum(istio_requests_total{reporter=\"destination\",destination_workload=\"podinfo\"})";
const SERVED_BY_REPLICA: &str = "sum by (replica) (istio_requests_total{reporter=\"destination\",destination_workload=\"podinfo\"})";
const STEP: Duration = Duration::from_secs(2);
/// The Prometheus that dies.
const VICTIM: &str = "prometheus-ha-0";
const RATE: &str = "sum(workload:istio_requests:rate1m{reporter=\"destination\",destination_workload=\"podinfo\"})";

/// Runs the story.
pub fn play(mesh: &RunningMesh, report: &mut StoryReport) -> Result<()> {
    let thanos = report.step("podinfo, two Prometheus, Thanos", || start(mesh))?;
    let gateway = workload::address_of(&mesh.cluster, "istio-system", "istio=ingressgateway")?;
    // One request creates the series, so that the load only increases them.
    let mut sent = u32::try_from(from_outside(gateway, "podinfo.example", "/", 1)?.len())?;
    report.check("the first request is there once", counts(&thanos, sent));

    let mut part =
        |name: &str, report: &mut StoryReport, then: &dyn Fn() -> Result<()>| -> Result<()> {
            let load = Load::start(gateway, "podinfo.example", PER_SECOND);
            report.step(name, || {
                std::thread::sleep(PART / 2);
                then()?;
                std::thread::sleep(PART / 2);
                Ok(())
            })?;
            sent += load.end();
            report.check(
                format!("{name}: Thanos counts the {sent} requests that were sent"),
                counts(&thanos, sent),
            );
            Ok(())
        };
    part("both run", report, &|| Ok(()))?;
    part("one dies", report, &|| kill(mesh))?;
    part("it comes back", report, &|| come_back(mesh))?;

    report.check(
        "without a gap, and never less than before",
        has_no_gap(&thanos),
    );
    report.check(
        "undeduplicated there are two copies",
        has_two_copies(&thanos),
    );
    report.check(
        "the recorded rate of the workload is right across both",
        rate_is_right(&thanos, gateway),
    );
    Ok(())
}

fn start(mesh: &RunningMesh) -> Result<Prometheus> {
    let cluster = &mesh.cluster;
    let api = &cluster.api;
    let flags = ["--native", "all-off", "--scrape-interval", "2s"];
    let manifests = mesh.registry.manifests("high-availability", &flags)?;
    workload::start_podinfo(cluster, &manifests)?;
    api.apply_text(include_str!("../objects/ingress.yaml"))?;

    let object_store = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "name": "thanos-object-store", "namespace": "istio-system" },
        "stringData": { "objstore.yml": "type: FILESYSTEM\nconfig: { directory: /bucket }\n" },
    });
    api.apply_text(&object_store.to_string())?;
    let layout = fs::read_to_string(manifests.join("high-availability/prometheus-thanos.yaml"))?;
    api.apply_text(&with_bucket(&layout)?)?;
    workload::wait_for(cluster, "istio-system", "thanos-query")?;
    for set in ["prometheus-ha", "thanos-store", "thanos-compact"] {
        wait_for_set(mesh, set)?;
    }
    let query = workload::ready(
        cluster,
        "istio-system",
        "app.kubernetes.io/name=thanos-query",
    )?;
    let query = query.first().context("there is no thanos-query")?;
    let thanos = Prometheus::at(&format!("http://{}:10902", query.address));
    eventually("Thanos", LIMIT, || {
        let up = thanos
            .query("up{job=\"envoy-stats\"}")
            .map(|found| found.len())?;
        ensure!(up > 0, "it knows no proxy yet");
        Ok(())
    })?;
    Ok(thanos)
}

/// The generated layout, with a directory of this machine in place of an object store.
fn with_bucket(layout: &str) -> Result<String> {
    let mut documents = Vec::new();
    for document in yaml_serde::Deserializer::from_str(layout) {
        let mut object: Value = serde::Deserialize::deserialize(document)?;
        if let Some(spec) = object.pointer_mut("/spec/template/spec") {
            mount_bucket(spec);
        }
        documents.push(format!("---\n{object}\n"));
    }
    Ok(documents.concat())
}

fn mount_bucket(pod: &mut Value) {
    let Some(volumes) = pod.get_mut("volumes").and_then(Value::as_array_mut) else {
        return;
    };
    let bucket = Path::new(scratch::SCRATCH).join("bucket");
    volumes.push(json!({ "name": "bucket", "hostPath": { "path": bucket } }));
    let containers = pod.get_mut("containers").and_then(Value::as_array_mut);
    for container in containers.into_iter().flatten() {
        if let Some(mounts) = container
            .get_mut("volumeMounts")
            .and_then(Value::as_array_mut)
        {
            mounts.push(json!({ "name": "bucket", "mountPath": "/bucket" }));
        }
    }
}

fn wait_for_set(mesh: &RunningMesh, name: &str) -> Result<()> {
    let path = format!("/apis/apps/v1/namespaces/istio-system/statefulsets/{name}");
    eventually(name, LIMIT, || {
        let set = mesh.cluster.api.get(&path)?;
        let number = |pointer: &str| set.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
        ensure!(
            number("/status/readyReplicas") == number("/spec/replicas"),
            "{} pods are ready: {}",
            number("/status/readyReplicas"),
            mesh.cluster.nodes.problems().join("; ")
        );
        Ok(())
    })
}

/// Kills one Prometheus, and prevents its pod from being scheduled again.
fn kill(mesh: &RunningMesh) -> Result<()> {
    let api = &mesh.cluster.api;
    for node in NAMES {
        api.kubectl(&["cordon", node])?;
    }
    let pod = mesh.cluster.nodes.pod("istio-system", VICTIM);
    pod.with_context(|| format!("{VICTIM} does not run"))?
        .kill();
    let words = [
        "-n",
        "istio-system",
        "delete",
        "pod",
        VICTIM,
        "--force",
        "--grace-period=0",
    ];
    api.kubectl(&words).map(drop)
}

fn come_back(mesh: &RunningMesh) -> Result<()> {
    for node in NAMES {
        mesh.cluster.api.kubectl(&["uncordon", node])?;
    }
    wait_for_set(mesh, "prometheus-ha")
}

/// Waits until the last requests are scraped, and compares the count.
fn counts(thanos: &Prometheus, sent: u32) -> Result<()> {
    eventually("Thanos", LIMIT, || {
        let found = thanos.value(SERVED)?;
        ensure!(same(found, sent.into()), "it counts {found}");
        Ok(())
    })
}

fn has_no_gap(thanos: &Prometheus) -> Result<()> {
    let minutes = u32::try_from(PART.as_secs() * 3 / 60)?;
    let samples = thanos.range(SERVED, Duration::from_secs(u64::from(minutes) * 60), STEP)?;
    ensure!(samples.len() > 2, "only {} samples", samples.len());
    for pair in samples.windows(2) {
        let [(before, less), (after, more)] = pair else {
            continue;
        };
        ensure!(
            after - before < STEP.as_secs_f64() * 1.5,
            "nothing between {before} and {after}"
        );
        ensure!(more >= less, "{more} at {after} after {less}");
    }
    Ok(())
}

/// The same query without deduplication, to show that there are two copies.
fn has_two_copies(thanos: &Prometheus) -> Result<()> {
    let copies = thanos
        .with("dedup", "false")
        .value(&format!("count({SERVED_BY_REPLICA})"))?;
    ensure!(same(copies, 2.0), "there are {copies}");
    Ok(())
}

fn rate_is_right(thanos: &Prometheus, gateway: Ipv4Addr) -> Result<()> {
    let load = Load::start(gateway, "podinfo.example", PER_SECOND);
    let right = eventually("the recorded rate", LIMIT, || {
        let found = thanos.value(RATE)?;
        let share = found / f64::from(PER_SECOND);
        ensure!((0.95..1.05).contains(&share), "it is {found:.2} a second");
        Ok(())
    });
    load.end();
    right
}
