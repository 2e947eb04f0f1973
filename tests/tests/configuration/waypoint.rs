//! `reporter`: a waypoint stands between two peers and knows both.

use harness::{SidecarBuilder, Upstream};
use serde_json::{Value, json};

use crate::expected::{Labels, assert_counted, labels};
use crate::fixture::{self, client, get, only};
use crate::peer::{self, ID, METADATA};

#[tokio::test]
async fn it_reports_the_caller_from_the_request_and_the_called_from_the_response() {
    for start in [SidecarBuilder::inbound(), SidecarBuilder::outbound()] {
        let (app, sidecar) = fixture::start(start, waypoint(), &[]).await;

        let mut request = peer::request_of("cart-1", peer::workload("shop", "cart"));
        let ledger = peer::workload("bank", "ledger").replace('+', "%2B");
        let path = format!("http://podinfo:9898/headers?{ID}=x&{METADATA}={ledger}");
        *request.uri_mut() = path.parse().unwrap();
        let answer = client(&sidecar).await.send(request).await.unwrap();

        let expected = at_waypoint(&[
            ("source_workload", "cart"),
            ("source_workload_namespace", "shop"),
            ("source_app", "cart"),
            ("source_canonical_service", "cart"),
            ("destination_workload", "ledger"),
            ("destination_workload_namespace", "bank"),
            ("destination_app", "ledger"),
            ("destination_canonical_service", "ledger"),
        ]);
        assert_counted(&sidecar.page_after(1).await.unwrap(), &[(expected, 1)]);
        // The downstream peer receives the waypoint's metadata and not that of the upstream; the upstream receives it too.
        let said = |value| peer::decode(value)["WORKLOAD_NAME"].clone();
        assert_eq!(said(&answer.headers[METADATA]), "podinfo");
        assert_eq!(said(&app.requests()[0].headers[METADATA]), "podinfo");
    }
}

#[tokio::test]
async fn it_knows_the_called_by_its_endpoint() {
    let start = SidecarBuilder::inbound().endpoint_workload("rating;books;rating-svc;v3;west");
    let (_app, sidecar) = fixture::start(start, waypoint(), &[]).await;

    let cart = peer::request_of("cart-1", peer::workload("shop", "cart"));
    client(&sidecar).await.send(cart).await.unwrap();

    let expected = at_waypoint(&[
        ("source_workload", "cart"),
        ("source_workload_namespace", "shop"),
        ("source_app", "cart"),
        ("source_canonical_service", "cart"),
        ("destination_workload", "rating"),
        ("destination_workload_namespace", "books"),
        ("destination_canonical_service", "rating-svc"),
        ("destination_canonical_revision", "v3"),
        ("destination_cluster", "west"),
    ]);
    assert_counted(&sidecar.page_after(1).await.unwrap(), &[(expected, 1)]);
}

#[tokio::test]
async fn it_counts_also_where_it_knows_nobody() {
    let (_app, sidecar) = fixture::inbound(waypoint(), &[]).await;

    get(&sidecar, "/version").await;

    assert_counted(
        &sidecar.page_after(1).await.unwrap(),
        &[(at_waypoint(&[]), 1)],
    );
}

#[tokio::test]
async fn it_counts_what_it_cannot_reach() {
    let sidecar = SidecarBuilder::inbound().plugin_config(waypoint());
    let sidecar = sidecar.upstream(Upstream::Refusing).start().await.unwrap();

    assert_eq!(get(&sidecar, "/version").await.status, 503);

    let page = sidecar.page_after(1).await.unwrap();
    let failed = [
        ("reporter", "waypoint"),
        ("response_flags", "UF"),
        ("response_code", "503"),
    ];
    assert!(only(&page, fixture::REQUESTS).has(&failed));
}

fn waypoint() -> Value {
    json!({ "reporter": "SERVER_GATEWAY" })
}

/// A request in plaintext between two unknown peers of a waypoint, with these changes.
fn at_waypoint(changes: &[(&str, &str)]) -> Labels {
    let nobody = [
        ("reporter", "waypoint"),
        ("source_canonical_revision", "latest"),
        ("destination_service", "podinfo.test.svc.cluster.local"),
        ("destination_service_name", "podinfo"),
        ("destination_service_namespace", "test"),
        ("request_protocol", "http"),
        ("response_flags", "-"),
        ("connection_security_policy", "none"),
        ("response_code", "200"),
        ("grpc_response_status", ""),
    ];
    labels(&[&nobody, changes])
}
