//! The gateway sends requests for podinfo through a waypoint, in HBONE tunnels all the way to podinfo's sidecar. Each
//! proxy counts each request once, and no tunnel.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::mesh::report::StoryReport;
use crate::mesh::traffic::{from_outside, page, same};
use crate::mesh::workload::{self, Ready};
use crate::mesh::{RunningMesh, addon, eventually, programs};

const METHODS: [&str; 3] = ["envoy-filter", "wasm-plugin", "traffic-extension"];
const REQUESTS: u32 = 3;
const LIMIT: Duration = Duration::from_mins(1);
/// How long a proxy gets to count what has ended.
const AFTERWARDS: Duration = Duration::from_secs(3);
const WAYPOINT: &str = "gateway.networking.k8s.io/gateway-name=waypoint";
const TOTAL: &str = "istio_requests_total";

/// The proxies that a request passes.
struct Way {
    gateway: Ready,
    waypoint: Ready,
    podinfo: Ready,
}

/// Runs the story.
pub fn play(mesh: &RunningMesh, report: &mut StoryReport) -> Result<()> {
    report.step("podinfo and a waypoint", || start(mesh))?;
    for method in METHODS {
        play_with(mesh, method, report)?;
    }
    Ok(())
}

fn start(mesh: &RunningMesh) -> Result<()> {
    let cluster = &mesh.cluster;
    let api = &cluster.api;
    let definitions = addon::unpack(&programs::GATEWAY_API, "config/crd/standard")?;
    let definitions = definitions.display().to_string();
    api.kubectl(&["apply", "--server-side", "-f", &definitions])?;
    api.apply_text(include_str!("../objects/stock-envoy-ambient.yaml"))?;
    api.make_namespace("test", true)?;
    api.apply_text(include_str!("../objects/public-gateway.yaml"))?;
    api.apply_text(include_str!("../objects/ingress.yaml"))?;
    eventually("the waypoint's objects", LIMIT, || {
        api.apply_text(include_str!("../objects/ambient.yaml"))
    })?;
    workload::wait_for(cluster, "test", "podinfo")?;
    eventually("the waypoint", LIMIT, || {
        workload::wait_for(cluster, "test", "waypoint")
    })
}

fn play_with(mesh: &RunningMesh, method: &str, report: &mut StoryReport) -> Result<()> {
    let api = &mesh.cluster.api;
    let flags = ["--method", method, "--native", "all-off"];
    let istio = mesh.registry.manifests(method, &flags)?.join("istio");
    let way = report.step(&format!("{method}: applied, pods anew"), || {
        api.apply(&istio)?;
        way(mesh)
    })?;
    report.step(
        &format!("{method}: {REQUESTS} requests through the tunnels"),
        || {
            let answers =
                from_outside(way.gateway.address, "podinfo.example", "/version", REQUESTS)?;
            ensure!(
                answers == [200; REQUESTS as usize],
                "the answers were {answers:?}"
            );
            Ok(())
        },
    )?;
    let service = ("destination_service", "podinfo.test.svc.cluster.local");
    report.check(
        format!(
            "{method}: the waypoint counts {REQUESTS} with reporter=waypoint, and nothing else"
        ),
        counts(&way.waypoint, &[("reporter", "waypoint"), service]),
    );
    report.check(
        format!("{method}: podinfo's sidecar counts {REQUESTS} with reporter=destination, and nothing else"),
        counts(&way.podinfo, &[("reporter", "destination")]),
    );
    report.check(
        format!("{method}: the gateway counts {REQUESTS} with reporter=source, and nothing else"),
        counts(&way.gateway, &[("reporter", "source"), service]),
    );
    report.check(
        format!("{method}: the waypoint and podinfo's sidecar have ended tunnels"),
        ended_tunnels(&way.waypoint).and(ended_tunnels(&way.podinfo)),
    );
    report.step(&format!("{method}: the tunnels close"), || {
        close_tunnels(mesh)
    })?;
    report.check(
        format!("{method}: podinfo's sidecar still counts {REQUESTS}, and no tunnel as a request"),
        counts(&way.podinfo, &[("reporter", "destination")]),
    );
    let istio = istio.display().to_string();
    api.kubectl(&["delete", "-f", &istio]).map(drop)
}

/// Restarts the waypoint, whose tunnels to podinfo end with it. A tunnel that was taken for a request is counted then.
fn close_tunnels(mesh: &RunningMesh) -> Result<()> {
    workload::restart(&mesh.cluster, "test", "waypoint", WAYPOINT)?;
    std::thread::sleep(AFTERWARDS);
    Ok(())
}

/// New pods, so that each method counts from zero, with the module in each proxy.
fn way(mesh: &RunningMesh) -> Result<Way> {
    let cluster = &mesh.cluster;
    let gateway = "istio-ingressgateway";
    workload::restart(cluster, "test", "podinfo", "app=podinfo")?;
    workload::restart(cluster, "test", "waypoint", WAYPOINT)?;
    workload::restart(cluster, "istio-system", gateway, "istio=ingressgateway")?;
    let way = Way {
        gateway: workload::one(cluster, "istio-system", "istio=ingressgateway")?,
        waypoint: workload::one(cluster, "test", WAYPOINT)?,
        podinfo: workload::one(cluster, "test", "app=podinfo")?,
    };
    for ready in [&way.gateway, &way.waypoint, &way.podinfo] {
        eventually("the module in a proxy", LIMIT, || {
            let built = page(ready.address)?.sum("istio_build", &[]);
            ensure!(built > 0.0, "{} has no istio_build", ready.pod.name);
            Ok(())
        })?;
    }
    Ok(way)
}

/// Whether a proxy has passed on requests from tunnels to its internal listener.
fn ended_tunnels(ready: &Ready) -> Result<()> {
    let clusters = ready
        .pod
        .exec("curl", &["--silent", "http://127.0.0.1:15000/clusters"])?;
    let line = clusters
        .lines()
        .find(|line| line.starts_with("main_internal::") && line.contains("::cx_total::"));
    let line = line.with_context(|| format!("{} has no cluster main_internal", ready.pod.name))?;
    ensure!(!line.ends_with("::0"), "{}: {line}", ready.pod.name);
    Ok(())
}

/// Whether a proxy counts the requests with these labels, and none with others.
fn counts(ready: &Ready, labels: &[(&str, &str)]) -> Result<()> {
    eventually("the page", LIMIT, || {
        let page = page(ready.address)?;
        let (found, all) = (page.sum(TOTAL, labels), page.sum(TOTAL, &[]));
        ensure!(
            same(found, REQUESTS.into()) && same(all, found),
            "{} counts {found} with {labels:?} and {all} in all: {:#?}",
            ready.pod.name,
            page.series(TOTAL)
        );
        Ok(())
    })
}
