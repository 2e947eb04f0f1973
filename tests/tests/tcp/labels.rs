//! The labels of a connection's series, all of them.

use harness::{Page, SidecarBuilder, TcpApp, Upstream};
use serde_json::json;

use crate::expected::{self, Labels, counted};
use crate::fixture::{COUNTERS, exchange, page_after, pair};

const PRINCIPAL: &str = "spiffe://cluster.local/ns/test/sa/default";

#[tokio::test]
async fn both_sides_of_a_connection_with_mutual_tls() {
    let app = TcpApp::start(b"").await.unwrap();
    let mesh = pair(&app).start().await.unwrap();

    exchange(mesh.outbound.traffic, b"abc").await;

    let server = expected::inbound(&[
        ("source_workload_namespace", "test"),
        ("source_principal", PRINCIPAL),
        ("destination_principal", PRINCIPAL),
        ("connection_security_policy", "mutual_tls"),
    ]);
    assert_series(&page_after(&mesh.inbound, 1).await, server, "3");
    let client = expected::outbound(&[
        ("destination_workload_namespace", "test"),
        ("source_principal", PRINCIPAL),
        ("destination_principal", PRINCIPAL),
    ]);
    assert_series(&page_after(&mesh.outbound, 1).await, client, "3");
}

#[tokio::test]
async fn both_sides_of_a_connection_in_plaintext() {
    let app = TcpApp::start(b"").await.unwrap();
    let mesh = pair(&app).mtls(false).start().await.unwrap();

    exchange(mesh.outbound.traffic, b"abc").await;

    let page = page_after(&mesh.inbound, 1).await;
    assert_series(&page, expected::inbound(&[]), "3");
    let page = page_after(&mesh.outbound, 1).await;
    assert_series(&page, expected::outbound(&[]), "3");
}

#[tokio::test]
async fn a_server_is_known_by_its_endpoint() {
    let app = TcpApp::start(b"").await.unwrap();
    let workload = "ledger;bank;ledger-svc;v7;east";
    let endpoint = |sidecar: SidecarBuilder| sidecar.endpoint_workload(workload);
    let mesh = pair(&app).mtls(false).outbound(endpoint).start().await;
    let mesh = mesh.unwrap();

    exchange(mesh.outbound.traffic, b"abc").await;

    let client = expected::outbound(&[
        ("destination_workload", "ledger"),
        ("destination_workload_namespace", "bank"),
        ("destination_canonical_service", "ledger-svc"),
        ("destination_canonical_revision", "v7"),
        ("destination_cluster", "east"),
    ]);
    assert_series(&page_after(&mesh.outbound, 1).await, client, "3");
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_in_the_flags_of_a_connection() {
    let refusing = SidecarBuilder::outbound().tcp();
    let sidecar = refusing.upstream(Upstream::Refusing).start().await;
    let sidecar = sidecar.unwrap();

    assert_eq!(exchange(sidecar.traffic, b"").await, b"");

    let page = page_after(&sidecar, 1).await;
    let failed = expected::outbound(&[("response_flags", "UF,URX")]);
    assert_series(&page, failed, "0");
}

#[tokio::test]
async fn a_users_own_labels_and_metrics_are_there_for_connections_too() {
    let app = TcpApp::start(b"").await.unwrap();
    let config = json!({
        "definitions": [{ "name": "bytes_both_ways", "value": "request.size + response.size", "type": "COUNTER" }],
        "metrics": [
            { "dimensions": { "tls": "connection.mtls" } },
            { "name": "tcp_received_bytes_total", "tags_to_remove": ["source_app"] },
        ],
    });
    let configured = |sidecar: SidecarBuilder| sidecar.plugin_config(&config).labels(&["tls"]);
    let mesh = pair(&app).inbound(configured).start().await.unwrap();

    exchange(mesh.outbound.traffic, b"abc").await;

    let page = page_after(&mesh.inbound, 1).await;
    for name in COUNTERS {
        let series = page.series(name);
        assert_eq!(series.len(), 1, "{name}");
        assert_eq!(series[0].label("tls"), Some("true"), "{name}");
        let has_app = series[0].label("source_app").is_some();
        assert_eq!(has_app, name != "istio_tcp_received_bytes_total", "{name}");
    }
    assert_eq!(
        page.sum("istio_bytes_both_ways", &[("tls", "true")])
            .to_string(),
        "6"
    );
}

/// Asserts that each counter has that one series, and of so many bytes.
pub fn assert_series(page: &Page, mut labels: Labels, bytes: &str) {
    labels.retain(|name, _| name != "response_code" && name != "grpc_response_status");
    labels.insert("request_protocol".to_owned(), "tcp".to_owned());
    for (name, value) in COUNTERS.into_iter().zip(["1", "1", bytes, bytes]) {
        let expected = [(labels.clone(), value.to_owned())];
        assert_eq!(counted(page, name), expected, "{name}");
    }
}
