//! Podinfo, a client and a gateway report each request, by each way the module gets into the mesh; Prometheus finds
//! them; what was applied can be taken away again. Their TCP connections are in [`tcp`].

mod tcp;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use harness::{Page, golden};

use crate::mesh::prometheus::Prometheus;
use crate::mesh::registry::check;
use crate::mesh::report::StoryReport;
use crate::mesh::traffic::{PODINFO, from_outside, from_pod, page, same};
use crate::mesh::workload::{self, Ready};
use crate::mesh::{RunningMesh, eventually};

const METHODS: [&str; 3] = ["envoy-filter", "wasm-plugin", "traffic-extension"];
/// As in the golden pages.
const REQUESTS: u32 = 10;
/// Requests of the client; another number, so that the two cannot be confused.
const CLIENTS: u32 = 5;
const OUTSIDERS: u32 = 3;
/// More than the 45 seconds for which Envoy keeps a replaced listener and its series.
const LIMIT: Duration = Duration::from_secs(75);
const TOTAL: &str = "istio_requests_total";

/// Runs the story.
pub fn play(mesh: &RunningMesh, report: &mut StoryReport) -> Result<()> {
    let prometheus = report.step("podinfo, a client, Prometheus", || start(mesh))?;
    for method in METHODS {
        play_with(mesh, &prometheus, method, report)
            .with_context(|| format!("--method {method}"))?;
    }
    tcp::play(mesh, &prometheus, report).context("--tcp module")
}

/// The pods of one round.
struct Cast {
    podinfo: Ready,
    client: Ready,
    gateway: Ready,
}

fn start(mesh: &RunningMesh) -> Result<Prometheus> {
    let api = &mesh.cluster.api;
    api.make_namespace("test", true)?;
    api.apply_text(include_str!("../objects/podinfo.yaml"))?;
    api.apply_text(include_str!("../objects/public-gateway.yaml"))?;
    api.apply_text(include_str!("../objects/ingress.yaml"))?;
    let manifests = manifests(mesh, METHODS[0])?;
    for deployment in ["podinfo", "client"] {
        workload::wait_for(&mesh.cluster, "test", deployment)?;
    }
    Prometheus::start(&mesh.cluster, &manifests)
}

fn manifests(mesh: &RunningMesh, method: &str) -> Result<PathBuf> {
    let flags = [
        "--method",
        method,
        "--native",
        "all-off",
        "--scrape-interval",
        "2s",
    ];
    mesh.registry.manifests(method, &flags)
}

fn play_with(
    mesh: &RunningMesh,
    prometheus: &Prometheus,
    method: &str,
    report: &mut StoryReport,
) -> Result<()> {
    let istio = manifests(mesh, method)?.join("istio");
    let cast = report.step(&format!("{method}: applied, pods anew"), || {
        mesh.cluster.api.apply(&istio)?;
        cast(mesh)
    })?;
    report.step(&format!("{method}: requests"), || send(&cast))?;

    for reporter in ["destination", "source"] {
        report.check(
            format!("{method}: podinfo's page is demo.{reporter}.prom, label for label"),
            eventually("the page", LIMIT, || is_golden(&cast.podinfo, reporter)),
        );
    }
    for (claim, result) in others(&cast) {
        report.check(format!("{method}: {claim}"), result);
    }
    report.check(
        format!("{method}: Prometheus has found the pods and counts the same"),
        eventually("Prometheus", LIMIT, || agrees(prometheus, &cast)),
    );
    report.check(
        format!("{method}: `mixerless check` finds all well"),
        finds(&[&cast.podinfo, &cast.client, &cast.gateway], &[]),
    );
    report.check(
        format!("{method}: a client from outside cannot name a service by its Host header"),
        is_not_named(&cast.gateway),
    );
    report.step(&format!("{method}: deleted"), || {
        let directory = istio.display().to_string();
        mesh.cluster
            .api
            .kubectl(&["delete", "-f", &directory])
            .map(drop)
    })?;
    report.check(
        format!("{method}: deleted, it counts no more and traffic passes"),
        eventually("the end of counting", LIMIT, || is_off(&cast)),
    );
    report.check(
        format!("{method}: `mixerless check` finds no metrics then"),
        finds(&[&cast.podinfo], &["no-metrics"]),
    );
    report.check(format!("{method}: applied again, it counts again"), {
        mesh.cluster.api.apply(&istio)?;
        let counts = eventually("counting", LIMIT, || is_on(&cast));
        let directory = istio.display().to_string();
        mesh.cluster.api.kubectl(&["delete", "-f", &directory])?;
        counts
    });
    Ok(())
}

/// New pods, so that each method counts from zero, with the module in each of their proxies.
fn cast(mesh: &RunningMesh) -> Result<Cast> {
    let cluster = &mesh.cluster;
    workload::restart(cluster, "test", "podinfo", "app=podinfo")?;
    workload::restart(cluster, "test", "client", "app=client")?;
    let gateway = "istio-ingressgateway";
    workload::restart(cluster, "istio-system", gateway, "istio=ingressgateway")?;
    let cast = Cast {
        podinfo: workload::one(cluster, "test", "app=podinfo")?,
        client: workload::one(cluster, "test", "app=client")?,
        gateway: workload::one(cluster, "istio-system", "istio=ingressgateway")?,
    };
    for ready in [&cast.podinfo, &cast.client, &cast.gateway] {
        eventually("the module in a proxy", LIMIT, || {
            let built = page(ready.address)?.sum("istio_build", &[]);
            ensure!(built > 0.0, "{} has no istio_build", ready.pod.name);
            Ok(())
        })?;
    }
    Ok(cast)
}

fn send(cast: &Cast) -> Result<()> {
    // As in the demo's story: podinfo calls itself by its service's name.
    all_well(&from_pod(&cast.podinfo, PODINFO, REQUESTS)?, REQUESTS)?;
    all_well(&from_pod(&cast.client, PODINFO, CLIENTS)?, CLIENTS)?;
    let gateway = cast.gateway.address;
    let answers = from_outside(gateway, "podinfo.example", "/version", OUTSIDERS)?;
    all_well(&answers, OUTSIDERS)?;
    Ok(())
}

/// Requests an unknown host from the gateway; the host must not become a service's name.
fn is_not_named(gateway: &Ready) -> Result<()> {
    let stranger = from_outside(gateway.address, "attacker.example", "/", 1)?;
    ensure!(stranger == [404], "the gateway answered {stranger:?}");
    let strange = [("response_code", "404"), ("destination_service", "unknown")];
    counts(gateway, &strange, 1)
}

fn all_well(answers: &[u16], count: u32) -> Result<()> {
    ensure!(
        answers == vec![200; count as usize],
        "the answers were {answers:?}"
    );
    Ok(())
}

/// Compares a page with a golden one, without the series of other callers and the version in `istio_build`.
fn is_golden(podinfo: &Ready, reporter: &str) -> Result<()> {
    let mut page = page(podinfo.address)?;
    for family in page.families.values_mut() {
        family
            .samples
            .retain(|sample| sample.has(&[("reporter", reporter), ("source_workload", "podinfo")]));
    }
    page.families.retain(|_, family| !family.samples.is_empty());
    let wanted = fs::read_to_string(golden::file(&format!("demo.{reporter}.prom")))?;
    let wanted: Vec<&str> = wanted
        .lines()
        .filter(|line| !line.contains("istio_build"))
        .collect();
    let found = golden::readable(&page);
    let found: Vec<&str> = found.lines().collect();
    let mut pairs = wanted.iter().zip(&found);
    if let Some((wanted, found)) = pairs.find(|(wanted, found)| wanted != found) {
        bail!("expected\n       {wanted}\n       found\n       {found}");
    }
    ensure!(
        wanted.len() == found.len(),
        "expected {} lines, found {}",
        wanted.len(),
        found.len()
    );
    Ok(())
}

/// The checks of the client's and the gateway's requests.
fn others(cast: &Cast) -> Vec<(&'static str, Result<()>)> {
    let called = [
        ("reporter", "source"),
        ("source_workload", "client"),
        ("destination_workload", "podinfo"),
    ];
    let served = [
        ("reporter", "destination"),
        ("source_workload", "client"),
        ("source_version", "v2"),
        ("connection_security_policy", "mutual_tls"),
        (
            "source_principal",
            "spiffe://cluster.local/ns/test/sa/default",
        ),
    ];
    let passed_on = [
        ("reporter", "source"),
        ("source_workload", "istio-ingressgateway"),
        ("destination_service", "podinfo.test.svc.cluster.local"),
        ("destination_workload", "podinfo"),
    ];
    vec![
        (
            "the client's page tells of its requests",
            counts(&cast.client, &called, CLIENTS),
        ),
        (
            "podinfo's page tells of the client, which mutual TLS vouches for",
            counts(&cast.podinfo, &served, CLIENTS),
        ),
        (
            "the gateway's page tells of the requests from outside",
            counts(&cast.gateway, &passed_on, OUTSIDERS),
        ),
    ]
}

fn counts(ready: &Ready, labels: &[(&str, &str)], wanted: u32) -> Result<()> {
    eventually("the page", LIMIT, || {
        let found = page(ready.address)?.sum(TOTAL, labels);
        ensure!(
            same(found, wanted.into()),
            "{} counts {found} instead of {wanted} with {labels:?}",
            ready.pod.name
        );
        Ok(())
    })
}

fn agrees(prometheus: &Prometheus, cast: &Cast) -> Result<()> {
    for ready in [&cast.podinfo, &cast.client, &cast.gateway] {
        let name = &ready.pod.name;
        let there = prometheus.value(&format!("sum({TOTAL}{{pod=\"{name}\"}})"))?;
        let here = page(ready.address)?.sum(TOTAL, &[]);
        ensure!(same(there, here), "{name}: {there} there and {here} here");
    }
    Ok(())
}

/// Whether `mixerless check` finds these faults at proxies, and no others.
fn finds(proxies: &[&Ready], wanted: &[&str]) -> Result<()> {
    eventually("`mixerless check`", LIMIT, || {
        let found = check(proxies.iter().map(|ready| ready.address))?;
        ensure!(found == wanted, "it finds {found:?}");
        Ok(())
    })
}

/// Whether requests pass and nothing on the page changes.
fn is_off(cast: &Cast) -> Result<()> {
    let more = counts_more(cast)?;
    ensure!(more <= 0.0, "podinfo counted {more} more");
    Ok(())
}

/// Whether requests pass and all of them are counted.
fn is_on(cast: &Cast) -> Result<()> {
    let more = counts_more(cast)?;
    ensure!(more >= CLIENTS.into(), "podinfo counted {more} more");
    Ok(())
}

/// How many requests podinfo's page counts more after some from the client.
fn counts_more(cast: &Cast) -> Result<f64> {
    let before = counted(&page(cast.podinfo.address)?);
    all_well(&from_pod(&cast.client, PODINFO, CLIENTS)?, CLIENTS)?;
    Ok(counted(&page(cast.podinfo.address)?) - before)
}

fn counted(page: &Page) -> f64 {
    page.sum(TOTAL, &[])
}
