//! Kubernetes' own autoscaler follows the load by the module's metric, which KEDA takes from Prometheus.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::mesh::prometheus::Prometheus;
use crate::mesh::report::StoryReport;
use crate::mesh::traffic::Load;
use crate::mesh::{RunningMesh, addon, eventually, programs, workload};

/// What one pod is meant to serve.
const SHARE: u32 = 10;
/// Pods by the load, as `ceil(load / SHARE)` and the generated minimum of two say.
const STEPS: [(u32, u64); 3] = [(45, 5), (25, 3), (5, 2)];
/// Rates look back one minute; then KEDA has to ask, and pods have to start.
const LIMIT: Duration = Duration::from_mins(4);
/// How long the number of pods must not change to count as reached.
const STEADY: Duration = Duration::from_secs(15);
/// What KEDA's default installation is made of, without the webhooks that check objects.
const KEDA: [&str; 6] = [
    "crd",
    "general",
    "service_account",
    "rbac",
    "manager",
    "metrics-server",
];

/// Runs the story.
pub fn play(mesh: &RunningMesh, report: &mut StoryReport) -> Result<()> {
    let prometheus = report.step("podinfo, Prometheus, KEDA", || start(mesh))?;
    let gateway = workload::address_of(&mesh.cluster, "istio-system", "istio=ingressgateway")?;
    for (load, pods) in STEPS {
        let name = format!("{load} requests a second");
        let running = Load::start(gateway, "podinfo.example", load);
        let reached = report.step(&name, || Ok(settles_at(mesh, pods)))?;
        report.check(format!("{name}: {pods} pods"), reached);
        report.check(
            format!("{name}: podinfo's proxies count as many"),
            counts(&prometheus, load),
        );
        running.end();
    }
    report.check(
        "the autoscaler read the metric from KEDA",
        autoscaler_is_able(mesh),
    );
    Ok(())
}

fn start(mesh: &RunningMesh) -> Result<Prometheus> {
    let cluster = &mesh.cluster;
    let api = &cluster.api;
    let share = SHARE.to_string();
    let flags = [
        "--native",
        "all-off",
        "--scrape-interval",
        "5s",
        "--workload",
        "podinfo",
        "--requests-per-second",
        &share,
    ];
    let manifests = mesh.registry.manifests("autoscaling", &flags)?;
    workload::start_podinfo(cluster, &manifests)?;
    api.apply_text(include_str!("../objects/ingress.yaml"))?;
    let prometheus = Prometheus::start(cluster, &manifests)?;

    let keda = addon::unpack(&programs::KEDA, "config")?;
    for part in KEDA {
        addon::apply(cluster, &keda.join(part))?;
    }
    for deployment in ["keda-operator", "keda-metrics-apiserver"] {
        workload::wait_for(cluster, "keda", deployment)?;
    }
    api.apply(&manifests.join("autoscaling/scaled-object.yaml"))?;
    Ok(prometheus)
}

/// Waits until the deployment has that many pods and keeps them.
fn settles_at(mesh: &RunningMesh, wanted: u64) -> Result<()> {
    let mut since = None;
    eventually("the deployment", LIMIT, || {
        let found = pods(mesh)?;
        if found != wanted {
            since = None;
        }
        let steady = *since.get_or_insert_with(Instant::now);
        ensure!(found == wanted, "it has {found} ready pods");
        ensure!(steady.elapsed() > STEADY, "it has {found} only just now");
        Ok(())
    })
}

fn pods(mesh: &RunningMesh) -> Result<u64> {
    let deployment = mesh
        .cluster
        .api
        .get("/apis/apps/v1/namespaces/test/deployments/podinfo")?;
    let ready = deployment.pointer("/status/readyReplicas");
    Ok(ready.and_then(Value::as_u64).unwrap_or_default())
}

fn counts(prometheus: &Prometheus, load: u32) -> Result<()> {
    let served = "sum(rate(istio_requests_total{reporter=\"destination\",destination_workload=\"podinfo\"}[1m]))";
    eventually("the rate", LIMIT, || {
        let found = prometheus.value(served)?;
        let share = found / f64::from(load);
        ensure!((0.9..1.1).contains(&share), "it is {found:.1} a second");
        Ok(())
    })
}

fn autoscaler_is_able(mesh: &RunningMesh) -> Result<()> {
    let words = ["-n", "test", "get", "hpa", "-o", "wide"];
    println!("\n{}", mesh.cluster.api.kubectl(&words)?);
    let list = mesh
        .cluster
        .api
        .get("/apis/autoscaling/v2/namespaces/test/horizontalpodautoscalers")?;
    let list = list.to_string();
    ensure!(
        list.contains("\"reason\":\"ValidMetricFound\""),
        "its conditions do not say so: {list}"
    );
    Ok(())
}
