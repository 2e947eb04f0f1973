//! A client and podinfo report each TCP connection between them, with the peer, by the filters of `--tcp module`.

use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};

use super::{CLIENTS, Cast, LIMIT, all_well, cast, finds};
use crate::mesh::prometheus::Prometheus;
use crate::mesh::report::StoryReport;
use crate::mesh::scratch::SCRATCH;
use crate::mesh::traffic::{from_pod, page, same};
use crate::mesh::workload::Ready;
use crate::mesh::{RunningMesh, eventually};

/// A service of TCP, whatever curl speaks over it.
const URL: &str = "http://podinfo-tcp.test:9797/metrics";
const CONFIGURATION: &str = r#"{"tcp_exchange_clusters":["outbound|9797||*"]}"#;
const OPENED: &str = "istio_tcp_connections_opened_total";
const CLOSED: &str = "istio_tcp_connections_closed_total";
const SENT: &str = "istio_tcp_sent_bytes_total";
const RECEIVED: &str = "istio_tcp_received_bytes_total";

/// Plays this part of the story.
pub fn play(mesh: &RunningMesh, prometheus: &Prometheus, report: &mut StoryReport) -> Result<()> {
    let api = &mesh.cluster.api;
    let configuration = Path::new(SCRATCH).join("tcp.json");
    fs::write(&configuration, CONFIGURATION)?;
    let configuration = configuration.display().to_string();
    let mut flags = vec!["--method", "envoy-filter", "--native", "all-off"];
    flags.extend(["--tcp", "module", "--plugin-config", &configuration]);
    let istio = mesh.registry.manifests("tcp", &flags)?.join("istio");
    let cast = report.step("--tcp module: applied, pods anew", || {
        api.apply_text(include_str!("../../objects/podinfo-tcp.yaml"))?;
        api.apply(&istio)?;
        cast(mesh)
    })?;
    report.step("--tcp module: connections", || connect(&cast.client))?;
    for (name, ready, labels) in sides(&cast) {
        report.check(
            format!("--tcp module: {name}'s page counts each connection, with both workloads"),
            eventually("the page", LIMIT, || counts(ready, &labels)),
        );
    }
    report.check(
        "--tcp module: both sides count the same bytes".to_owned(),
        have_the_same_bytes(&cast),
    );
    report.check(
        "--tcp module: Prometheus counts the same".to_owned(),
        eventually("Prometheus", LIMIT, || agrees(prometheus, &cast)),
    );
    report.check(
        "--tcp module: `mixerless check` finds all well".to_owned(),
        finds(&[&cast.podinfo, &cast.client], &[]),
    );
    let directory = istio.display().to_string();
    api.kubectl(&["delete", "-f", &directory])?;
    report.check(
        "--tcp module: deleted, connections pass".to_owned(),
        connect(&cast.client),
    );
    Ok(())
}

/// Each by a curl of its own, which would use one connection for all of its requests.
fn connect(client: &Ready) -> Result<()> {
    (0..CLIENTS).try_for_each(|_| all_well(&from_pod(client, URL, 1)?, 1))
}

type SideLabels = [(&'static str, &'static str); 7];

/// Who reports a connection, and the labels of its series there.
fn sides(cast: &Cast) -> [(&'static str, &Ready, SideLabels); 2] {
    let labels = |reporter, policy| {
        [
            ("reporter", reporter),
            ("connection_security_policy", policy),
            ("source_workload", "client"),
            ("source_version", "v2"),
            ("destination_workload", "podinfo"),
            ("destination_service", "podinfo-tcp.test.svc.cluster.local"),
            ("request_protocol", "tcp"),
        ]
    };
    [
        (
            "podinfo",
            &cast.podinfo,
            labels("destination", "mutual_tls"),
        ),
        ("the client", &cast.client, labels("source", "unknown")),
    ]
}

fn counts(ready: &Ready, labels: &SideLabels) -> Result<()> {
    let page = page(ready.address)?;
    for counter in [OPENED, CLOSED] {
        let (known, all) = (page.sum(counter, labels), page.sum(counter, &[]));
        ensure!(
            same(known, CLIENTS.into()) && same(all, CLIENTS.into()),
            "{} has {known} of {all} with {labels:?} in {:?}",
            ready.pod.name,
            page.series(counter)
        );
    }
    Ok(())
}

fn have_the_same_bytes(cast: &Cast) -> Result<()> {
    let (podinfo, client) = (page(cast.podinfo.address)?, page(cast.client.address)?);
    for counter in [SENT, RECEIVED] {
        let (there, here) = (podinfo.sum(counter, &[]), client.sum(counter, &[]));
        ensure!(
            there > 0.0 && same(there, here),
            "{counter}: {there} at podinfo and {here} at the client"
        );
    }
    Ok(())
}

fn agrees(prometheus: &Prometheus, cast: &Cast) -> Result<()> {
    for ready in [&cast.podinfo, &cast.client] {
        let name = &ready.pod.name;
        for counter in [OPENED, CLOSED, SENT, RECEIVED] {
            let there = prometheus.value(&format!("sum({counter}{{pod=\"{name}\"}})"))?;
            let here = page(ready.address)?.sum(counter, &[]);
            ensure!(
                same(there, here),
                "{name}: {there} {counter} there and {here} here"
            );
        }
    }
    Ok(())
}
