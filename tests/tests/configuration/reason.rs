//! `peer_unknown_reason`: why a peer is not known.

use harness::{Client, SidecarBuilder, Upstream};
use serde_json::{Value, json};

use crate::fixture::{self, REQUESTS, client, get, only, page_after, sum};
use crate::peer::{self, ID, METADATA};

const LABEL: &str = "peer_unknown_reason";

#[tokio::test]
async fn a_caller_is_known_or_there_is_a_reason() {
    let (_app, sidecar) = fixture::inbound(reasons(), &[LABEL]).await;
    let mut client = client(&sidecar).await;

    for _ in 0..2 {
        client.get("/version").await.unwrap();
    }
    for metadata in ["!!! not base64 !!!", "CgQ"] {
        client
            .send(peer::request_of("garbage", metadata))
            .await
            .unwrap();
    }
    let large = "A".repeat(20_000);
    client.send(peer::request_of("large", large)).await.unwrap();
    let cart = peer::workload("shop", "cart");
    client.send(peer::request_of("cart", cart)).await.unwrap();

    let page = sidecar.page_after(6).await.unwrap();
    for (reason, workload, count) in [
        ("no_metadata", "unknown", "2"),
        ("undecodable", "unknown", "2"),
        ("oversized", "unknown", "1"),
        ("-", "cart", "1"),
    ] {
        let labels = [(LABEL, reason), ("source_workload", workload)];
        assert_eq!(sum(&page, REQUESTS, &labels), count, "{reason}");
    }
    assert_eq!(sum(&page, REQUESTS, &[]), "6");
}

#[tokio::test]
async fn a_called_one_is_known_or_there_is_a_reason() {
    let (app, sidecar) = fixture::outbound(reasons(), &[LABEL]).await;
    let mut kept = client(&sidecar).await;

    kept.get("/version").await.unwrap();
    kept.get(&format!("/headers?{ID}=x&{METADATA}=CgQ"))
        .await
        .unwrap();
    let ledger = peer::workload("bank", "ledger").replace('+', "%2B");
    kept.get(&format!("/headers?{ID}=x&{METADATA}={ledger}"))
        .await
        .unwrap();
    let mut gone = client(&sidecar).await;
    tokio::select! {
        answer = gone.get("/hang") => panic!("{answer:?}"),
        arrived = app.reached("/hang") => drop(arrived.unwrap()),
    }
    drop(gone);

    let page = sidecar.page_after(4).await.unwrap();
    for (reason, workload) in [
        ("no_metadata", "unknown"),
        ("undecodable", "unknown"),
        ("no_response", "unknown"),
        ("-", "ledger"),
    ] {
        let labels = [(LABEL, reason), ("destination_workload", workload)];
        assert_eq!(sum(&page, REQUESTS, &labels), "1", "{reason}");
    }
}

#[tokio::test]
async fn nobody_answers_for_an_upstream_that_refuses() {
    let sidecar = SidecarBuilder::outbound()
        .plugin_config(reasons())
        .labels(&[LABEL])
        .upstream(Upstream::Refusing)
        .start()
        .await
        .unwrap();

    get(&sidecar, "/version").await;

    let page = sidecar.page_after(1).await.unwrap();
    // Envoy's own response has no metadata, and there was none from the upstream.
    // The answer is Envoy's own.
    assert_eq!(only(&page, REQUESTS).label(LABEL), Some("no_response"));
}

#[tokio::test]
async fn a_peer_from_another_source_is_known() {
    let (_app, sidecar) = fixture::inbound(reasons(), &[LABEL]).await;
    let mut request = peer::request_of("x", "not metadata");
    let baggage = "k8s.namespace.name=shop,k8s.deployment.name=cart";
    request
        .headers_mut()
        .insert("baggage", baggage.parse().unwrap());

    Client::http1(sidecar.traffic)
        .await
        .unwrap()
        .send(request)
        .await
        .unwrap();

    let page = page_after(&sidecar, 1).await;
    let series = only(&page, REQUESTS);
    assert!(
        series.has(&[(LABEL, "-"), ("source_workload", "cart")]),
        "{series:?}"
    );
}

fn reasons() -> Value {
    json!({ "peer_unknown_reason": true })
}
