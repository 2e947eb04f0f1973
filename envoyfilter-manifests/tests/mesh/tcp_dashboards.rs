//! The TCP queries of Istio's public dashboards, asked of a real Prometheus that scrapes pairs with the module before
//! `tcp_proxy`. Names, labels and variables are as in those dashboards; the texts are put together here.

use std::net::SocketAddr;

use anyhow::Result;
use harness::{Mesh, ProxyNode, SidecarBuilder, TcpApp, Upstream, eventually};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::prometheus::Prometheus;
use crate::support::{IMAGE, manifests};

pub const SENT: &str = "istio_tcp_sent_bytes_total";
pub const RECEIVED: &str = "istio_tcp_received_bytes_total";
pub const OPENED: &str = "istio_tcp_connections_opened_total";
pub const CLOSED: &str = "istio_tcp_connections_closed_total";

/// The server waits for it, so that each side has told the other one who it is before the connection ends.
pub const REQUEST: &[u8] = b"QUIT\r\n";

const SERVICE: &str = r#"destination_service="podinfo.test.svc.cluster.local""#;
const FROM_CLIENT: &str = r#"source_workload=~"cart",source_workload_namespace=~"shop""#;
const TO_SERVER: &str = r#"destination_workload=~"podinfo",destination_workload_namespace=~"test""#;
const BY_CLIENT: &str = "source_workload, source_workload_namespace";
const BY_SERVER: &str = "destination_workload, destination_workload_namespace";

/// A query, and whether something can answer it. A client's proxy does not say whether a connection was encrypted, in
/// Istio as here, so that its encrypted connections are none.
struct Query {
    text: String,
    has_answer: bool,
}

#[tokio::test]
async fn every_tcp_query_of_istios_dashboards_has_an_answer_above_zero() {
    let app = TcpApp::start(b"").await.unwrap();
    let encrypted = pair(&app, true).await;
    let plain = pair(&app, false).await;
    let targets = [&encrypted, &plain].map(|mesh| [mesh.outbound.metrics, mesh.inbound.metrics]);
    let clients = [&encrypted, &plain].map(|mesh| mesh.outbound.traffic);
    let prometheus = Prometheus::start(targets.as_flattened()).await;

    // Rates are above zero for as long as connections come and go.
    let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
    let traffic = tokio::spawn(async move {
        let mut connections = 0_u32;
        while stopped.try_recv().is_err() {
            for client in clients {
                exchange(client, b"").await.unwrap();
            }
            connections += 2;
        }
        connections
    });
    let asked: Vec<Query> = [r#"reporter=~"destination""#, r#"reporter=~"source""#]
        .into_iter()
        .flat_map(|reporter| [of_services(reporter), of_workloads(reporter)])
        .chain([of_the_mesh(), of_connections()])
        .flatten()
        .collect();
    for query in asked.iter().filter(|query| query.has_answer) {
        is_above_zero(&prometheus, &query.text).await;
    }
    our_own_have_data(&prometheus).await;
    // After all others had time to come.
    for query in asked.iter().filter(|query| !query.has_answer) {
        assert_eq!(
            prometheus.series(&query.text).await,
            Some(vec![]),
            "{}",
            query.text
        );
    }
    stop.send(()).unwrap();
    let connections = traffic.await.unwrap();

    let bytes = f64::from(connections * u32::try_from(REQUEST.len()).unwrap());
    let connections = f64::from(connections);
    for (metric, total) in [
        (OPENED, connections),
        (CLOSED, connections),
        (SENT, bytes),
        (RECEIVED, bytes),
    ] {
        for reporter in ["source", "destination"] {
            let sum = format!("sum({metric}{{reporter=\"{reporter}\"}})");
            prometheus.at_least(&sum, total).await;
            let sum = prometheus.number(&sum).await;
            assert_eq!(sum.to_string(), total.to_string(), "{metric} of {reporter}");
        }
    }
}

/// The recording rules of our own, and who has none.
async fn our_own_have_data(prometheus: &Prometheus) {
    for metric in ["tcp_sent_bytes", "tcp_received_bytes"] {
        is_above_zero(prometheus, &format!("workload:istio_{metric}:rate1m")).await;
    }
    // An Envoy Gateway takes requests only, and Istio's names are not ours beside native metrics.
    for settings in [
        json!({ "image": IMAGE, "target": "envoy-gateway" }),
        json!({ "image": IMAGE, "native": "side-by-side" }),
    ] {
        let files = manifests(settings);
        let mut texts = files.files().iter().map(|file| &file.text);
        assert!(!texts.any(|text| text.contains("_tcp_sent_bytes_total")));
    }
}

/// A cart that introduces itself to podinfo.
pub async fn pair(app: &TcpApp, mtls: bool) -> Mesh {
    let config = json!({ "tcp_exchange_clusters": ["outbound|9898||*"] });
    Mesh::builder()
        .both(SidecarBuilder::tcp)
        .inbound(|sidecar| sidecar.upstream(Upstream::At(app.address())))
        .outbound(|sidecar| {
            sidecar
                .node(ProxyNode::new("shop", "cart"))
                .plugin_config(&config)
        })
        .mtls(mtls)
        .start()
        .await
        .unwrap()
}

/// A connection from its beginning to its end, to a server that sends back what it is sent.
pub async fn exchange(to: SocketAddr, greeting: &[u8]) -> Result<()> {
    let mut stream = TcpStream::connect(to).await?;
    stream.write_all(REQUEST).await?;
    stream.shutdown().await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    assert_eq!(answer, [greeting, REQUEST].concat());
    Ok(())
}

/// The service dashboard: all bytes, bytes by client and by server, and its variables.
fn of_services(reporter: &str) -> Vec<Query> {
    let mut queries = Vec::new();
    for metric in [SENT, RECEIVED] {
        queries.push(Query::new(format!(
            "sum(irate({metric}{{{reporter}, {SERVICE}}}[1m]))"
        )));
        let to_service = format!("{SERVICE}, {FROM_CLIENT}");
        queries.extend(by_policy(metric, reporter, &to_service, BY_CLIENT));
        let by_service = format!("{SERVICE}, {TO_SERVER}");
        let served = r#"reporter="destination""#;
        queries.extend(by_policy(metric, served, &by_service, BY_SERVER));
    }
    queries.push(variable("", "destination_service"));
    for label in ["cluster", "workload_namespace", "workload"] {
        let client = format!("{reporter}, {SERVICE}");
        queries.push(variable(&client, &format!("source_{label}")));
        let server = format!(r#"reporter="destination", {SERVICE}"#);
        queries.push(variable(&server, &format!("destination_{label}")));
    }
    queries
}

/// The workload dashboard: bytes of what a workload serves and of what it calls, and its variables.
fn of_workloads(reporter: &str) -> Vec<Query> {
    let mut queries = Vec::new();
    for workload in [TO_SERVER, FROM_CLIENT] {
        let [sent, received] = [SENT, RECEIVED]
            .map(|metric| format!("sum(irate({metric}{{{reporter}, {workload}}}[1m]))"));
        queries.push(Query::new(format!("{sent} + {received}")));
    }
    for metric in [SENT, RECEIVED] {
        let served = format!("{TO_SERVER}, {FROM_CLIENT}");
        queries.extend(by_policy(metric, reporter, &served, BY_CLIENT));
        let called = format!("{FROM_CLIENT}, {SERVICE}");
        let source = r#"reporter="source""#;
        queries.extend(by_policy(metric, source, &called, "destination_service"));
    }
    for (selection, label) in [
        (String::new(), "destination_workload_namespace"),
        (TO_SERVER.to_owned(), "destination_workload"),
        (FROM_CLIENT.to_owned(), "source_workload"),
        (
            format!(r#"reporter="source", {FROM_CLIENT}"#),
            "destination_service",
        ),
        (
            format!("{reporter}, {TO_SERVER}"),
            "source_workload_namespace",
        ),
        (format!("{reporter}, {TO_SERVER}"), "source_workload"),
    ] {
        queries.push(variable(&selection, label));
    }
    queries
}

/// The mesh dashboard's table of TCP services.
fn of_the_mesh() -> Vec<Query> {
    let table = |metric| {
        let bytes = format!(r#"rate({metric}{{reporter=~"source|waypoint"}}[1m])"#);
        let sum = format!("sum by ({BY_SERVER}, destination_service) ({bytes})");
        let joined = format!(
            r#"label_join({sum}, "destination_workload_var", ".", "destination_workload", "destination_workload_namespace")"#
        );
        Query::new(joined)
    };
    [SENT, RECEIVED].map(table).into()
}

/// Connections, which those dashboards do not show, by the same labels.
fn of_connections() -> Vec<Query> {
    let mut queries = Vec::new();
    for metric in [OPENED, CLOSED] {
        for (reporter, by) in [("destination", BY_CLIENT), ("source", BY_SERVER)] {
            let selection = format!(r#"reporter="{reporter}", {SERVICE}"#);
            queries.push(Query::new(format!(
                "sum by ({by}) (rate({metric}{{{selection}}}[1m]))"
            )));
        }
    }
    queries
}

/// Bytes with mutual TLS, and without or unknown.
fn by_policy(metric: &str, reporter: &str, selection: &str, by: &str) -> [Query; 2] {
    ["=", "!="].map(|operator| {
        let policy = format!(r#"connection_security_policy{operator}"mutual_tls""#);
        let rate = format!("irate({metric}{{{reporter}, {policy}, {selection}}}[1m])");
        Query {
            text: format!("round(sum({rate}) by ({by}), 0.001)"),
            has_answer: operator == "!=" || reporter.contains("destination"),
        }
    })
}

/// The values of a variable: of requests, and where there are none, of TCP connections.
fn variable(selection: &str, label: &str) -> Query {
    let [requests, bytes] = ["istio_requests_total", SENT]
        .map(|metric| format!("sum({metric}{{{selection}}}) by ({label})"));
    Query::new(format!("{requests} or {bytes}"))
}

async fn is_above_zero(prometheus: &Prometheus, query: &str) {
    let answered = eventually(query, async || {
        let series = prometheus.series(query).await;
        Ok(series.filter(|values| !values.is_empty() && values.iter().all(|value| *value > 0.0)))
    });
    answered.await.unwrap();
}

// === impl Query ===

impl Query {
    fn new(text: String) -> Self {
        Self {
            text,
            has_answer: true,
        }
    }
}
