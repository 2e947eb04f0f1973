//! `peer_sources`: where the peer comes from, and in which order.

use bytes::Bytes;
use harness::client::request;
use harness::{Client, Sidecar, SidecarBuilder};
use http_body_util::Full;
use hyper::{Method, Request};
use serde_json::{Value, json};

use crate::expected::{Labels, assert_counted, inbound, outbound};
use crate::fixture::{self, get};
use crate::peer::{self, ID, METADATA};

const BAGGAGE: &str = "k8s.cluster.name=east,k8s.namespace.name=shop,k8s.deployment.name=cart,\
    service.name=cart-svc,service.version=v7,user=1";

#[tokio::test]
async fn a_client_without_a_sidecar_introduces_itself_in_baggage() {
    let (app, sidecar) = fixture::inbound(json!({}), &[]).await;

    send(
        &sidecar,
        with_baggage(request(Method::GET, "/version").unwrap()),
    )
    .await;

    assert_counted(
        &sidecar.page_after(1).await.unwrap(),
        &[(from_baggage(), 1)],
    );
    // Baggage belongs to the application too, so it is not stripped.
    assert_eq!(app.requests()[0].headers["baggage"], BAGGAGE);
}

#[tokio::test]
async fn baggage_says_nothing_of_whom_one_calls() {
    let (_app, sidecar) = fixture::outbound(json!({}), &[]).await;

    send(
        &sidecar,
        with_baggage(request(Method::GET, "/version").unwrap()),
    )
    .await;

    assert_counted(&sidecar.page_after(1).await.unwrap(), &[(outbound(&[]), 1)]);
}

#[tokio::test]
async fn a_caller_is_taken_from_the_first_source_that_knows_it() {
    let from_headers = || inbound(&peer::source("bank", "ledger"));
    for (sources, expected) in [
        (Value::Null, from_headers()),
        (json!(["headers", "baggage"]), from_headers()),
        (json!(["baggage", "headers"]), from_baggage()),
        (json!(["baggage"]), from_baggage()),
        (json!(["filter_state", "headers"]), from_headers()),
        (json!(["filter_state", "endpoint"]), inbound(&[])),
        (json!([]), inbound(&[])),
    ] {
        let config = json!({ "peer_sources": sources });
        let (app, sidecar) = fixture::inbound(config, &[]).await;

        let both = peer::request_of("ledger-1", peer::workload("bank", "ledger"));
        send(&sidecar, with_baggage(both)).await;

        assert_counted(&sidecar.page_after(1).await.unwrap(), &[(expected, 1)]);
        // The headers are stripped whether or not they are a source.
        let seen = &app.requests()[0].headers;
        assert!(
            !seen.contains_key(ID) && !seen.contains_key(METADATA),
            "{sources}"
        );
    }
}

#[tokio::test]
async fn a_source_that_knows_nobody_leaves_it_to_the_next() {
    let (_app, sidecar) = fixture::inbound(json!({}), &[]).await;

    send(
        &sidecar,
        with_baggage(peer::request_of("x", "not metadata")),
    )
    .await;

    assert_counted(
        &sidecar.page_after(1).await.unwrap(),
        &[(from_baggage(), 1)],
    );
}

#[tokio::test]
async fn a_server_without_a_sidecar_is_known_by_its_endpoint() {
    let (_app, sidecar) = fixture::start(with_endpoint(), json!({}), &[]).await;

    get(&sidecar, "/version").await;

    assert_counted(
        &sidecar.page_after(1).await.unwrap(),
        &[(from_endpoint(), 1)],
    );
}

#[tokio::test]
async fn a_called_one_is_taken_from_the_first_source_that_knows_it() {
    let from_headers = || {
        outbound(&[
            ("destination_workload", "ledger"),
            ("destination_workload_namespace", "bank"),
            ("destination_app", "ledger"),
            ("destination_canonical_service", "ledger"),
        ])
    };
    for (sources, expected) in [
        (Value::Null, from_headers()),
        (json!(["endpoint", "headers"]), from_endpoint()),
        (json!(["headers"]), from_headers()),
        (json!(["endpoint"]), from_endpoint()),
        (json!(["baggage"]), outbound(&[])),
    ] {
        let config = json!({ "peer_sources": sources });
        let (_app, sidecar) = fixture::start(with_endpoint(), config, &[]).await;

        let ledger = peer::workload("bank", "ledger").replace('+', "%2B");
        let answer = get(&sidecar, &format!("/headers?{ID}=x&{METADATA}={ledger}")).await;

        assert!(!answer.headers.contains_key(METADATA), "{sources}");
        assert_counted(&sidecar.page_after(1).await.unwrap(), &[(expected, 1)]);
    }
}

#[tokio::test]
async fn an_endpoint_that_says_too_little_names_nobody() {
    for workload in ["", "rating;books;rating;v3", "rating"] {
        let sidecar = SidecarBuilder::outbound().endpoint_workload(workload);
        let (_app, sidecar) = fixture::start(sidecar, json!({}), &[]).await;

        get(&sidecar, "/version").await;

        assert_counted(&sidecar.page_after(1).await.unwrap(), &[(outbound(&[]), 1)]);
    }
}

#[tokio::test]
async fn hostile_baggage_forges_no_labels() {
    let (_app, sidecar) = fixture::inbound(json!({}), &[]).await;
    let mut client = Client::http1(sidecar.traffic).await.unwrap();

    let hostile = [
        "k8s.deployment.name=a;.;reporter=.=source;.;",
        "k8s.deployment.name=a%3B.%3Breporter%3D.%3Dsource%3B.%3B",
        "k8s.deployment.name=%00%0a%ff",
        "k8s.deployment.name=,,,===;;;",
    ];
    for baggage in hostile {
        let mut request = request(Method::GET, "/version").unwrap();
        request
            .headers_mut()
            .insert("baggage", baggage.parse().unwrap());
        client.send(request).await.unwrap();
    }

    let page = sidecar.page_after(4).await.unwrap();
    for sample in page.series(fixture::REQUESTS) {
        assert_eq!(sample.label("reporter"), Some("destination"));
        assert_eq!(sample.labels.len(), stats_core::labels::LABELS.len());
    }
    assert_eq!(fixture::sum(&page, fixture::REQUESTS, &[]), "4");
    crate::expected::assert_standard_metrics(&page);
}

fn with_endpoint() -> SidecarBuilder {
    SidecarBuilder::outbound().endpoint_workload("rating;books;rating-svc;v3;west")
}

fn from_endpoint() -> Labels {
    outbound(&[
        ("destination_workload", "rating"),
        ("destination_workload_namespace", "books"),
        ("destination_canonical_service", "rating-svc"),
        ("destination_canonical_revision", "v3"),
        ("destination_cluster", "west"),
    ])
}

fn from_baggage() -> Labels {
    inbound(&[
        ("source_workload", "cart"),
        ("source_workload_namespace", "shop"),
        ("source_app", "cart-svc"),
        ("source_version", "v7"),
        ("source_canonical_service", "cart-svc"),
        ("source_canonical_revision", "v7"),
        ("source_cluster", "east"),
    ])
}

fn with_baggage(mut request: Request<Full<Bytes>>) -> Request<Full<Bytes>> {
    let baggage = BAGGAGE.parse().unwrap();
    request.headers_mut().insert("baggage", baggage);
    request
}

async fn send(sidecar: &Sidecar, request: Request<Full<Bytes>>) {
    let mut client = Client::http1(sidecar.traffic).await.unwrap();
    client.send(request).await.unwrap();
}
