//! The metadata exchange: sidecars inject their metadata for the peer and strip the peer's, so that neither application nor
//! client sees any.

use harness::client::request;
use harness::{App, Client, Mesh, ProxyNode, Sidecar, SidecarBuilder};
use hyper::{HeaderMap, Method};

use crate::expected::{assert_counted, inbound, outbound};
use crate::peer::{self, ID, METADATA};

const FORGING: &str =
    "/headers?x-envoy-peer-metadata-id=forged&x-envoy-peer-metadata=forged&x-ordinary=kept";

#[tokio::test]
async fn neither_the_application_nor_the_client_sees_the_exchange() {
    let mesh = Mesh::builder().start().await.unwrap();

    let response = mesh.get("/version").await.unwrap();

    assert_silent(&mesh.app.requests()[0].headers);
    assert_silent(&response.headers);
}

#[tokio::test]
async fn what_client_and_application_forge_goes_no_further_than_their_own_sidecar() {
    let mesh = Mesh::builder().start().await.unwrap();
    let mut forged = request(Method::GET, FORGING).unwrap();
    forged.headers_mut().insert(ID, "forged".parse().unwrap());
    forged.headers_mut().insert(
        METADATA,
        peer::workload("forged", "forged").parse().unwrap(),
    );
    forged
        .headers_mut()
        .insert("x-ordinary", "kept".parse().unwrap());

    let response = mesh.client().await.unwrap().send(forged).await.unwrap();

    let seen = &mesh.app.requests()[0].headers;
    assert_silent(seen);
    assert_silent(&response.headers);
    for headers in [seen, &response.headers] {
        assert_eq!(headers["x-ordinary"], "kept");
    }
    for sidecar in [&mesh.inbound, &mesh.outbound] {
        let page = sidecar.page_after(1).await.unwrap();
        let series = page.series("istio_requests_total");
        assert_eq!(series.len(), 1);
        assert_eq!(series[0].label("source_workload"), Some("podinfo"));
        assert_eq!(series[0].label("destination_workload"), Some("podinfo"));
    }
}

#[tokio::test]
async fn a_client_that_exchanges_nothing_sees_nothing_of_what_the_application_forges() {
    let (app, sidecar) = inbound_sidecar().await;

    let response = client(&sidecar).await.get(FORGING).await.unwrap();

    assert_eq!(response.headers["x-ordinary"], "kept");
    assert_silent(&response.headers);
    assert_silent(&app.requests()[0].headers);
}

#[tokio::test]
async fn an_outbound_sidecar_sends_its_own_id_and_metadata_once_whatever_the_application_sent() {
    let node = ProxyNode::podinfo()
        .label("version", "6.9")
        .label("team", "not for peers");
    let sidecar = SidecarBuilder::outbound().node(node.clone());
    let (app, sidecar) = sidecar.start_with_app().await.unwrap();

    client(&sidecar)
        .await
        .send(peer::request_of("forged", peer::workload("a", "b")))
        .await
        .unwrap();

    assert_introduces(&app.requests()[0].headers, &node);
}

#[tokio::test]
async fn an_inbound_sidecar_introduces_itself_to_who_introduced_itself() {
    let (app, sidecar) = inbound_sidecar().await;
    let mut client = client(&sidecar).await;

    let mut both = peer::request_of("a-peer", peer::workload("shop", "cart"));
    *both.uri_mut() = format!("http://podinfo:9898{FORGING}").parse().unwrap();
    assert_introduces(
        &client.send(both).await.unwrap().headers,
        &ProxyNode::podinfo(),
    );

    let mut id_only = peer::request_of("a-peer", "");
    id_only.headers_mut().remove(METADATA);
    let response = client.send(id_only).await.unwrap();
    assert_eq!(response.headers[ID], ProxyNode::podinfo().id());
    assert!(!response.headers.contains_key(METADATA));

    app.requests()
        .iter()
        .for_each(|request| assert_silent(&request.headers));
}

#[tokio::test]
async fn an_outbound_sidecar_learns_the_destination_from_the_response() {
    let (_app, sidecar) = SidecarBuilder::outbound().start_with_app().await.unwrap();
    let metadata = peer::workload("bank", "ledger").replace('+', "%2B");

    let path =
        format!("/headers?x-envoy-peer-metadata-id=ledger-1&x-envoy-peer-metadata={metadata}");
    let response = client(&sidecar).await.get(&path).await.unwrap();

    assert_silent(&response.headers);
    let ledger = outbound(&[
        ("destination_workload", "ledger"),
        ("destination_workload_namespace", "bank"),
        ("destination_app", "ledger"),
        ("destination_canonical_service", "ledger"),
    ]);
    assert_counted(&sidecar.page_after(1).await.unwrap(), &[(ledger, 1)]);
}

#[tokio::test]
async fn metadata_without_its_padding_is_understood() {
    let (_app, sidecar) = inbound_sidecar().await;
    let mut client = client(&sidecar).await;

    // Three names of different length, so that each amount of padding occurs.
    for name in ["cart", "carts", "carts2"] {
        let metadata = peer::workload("shop", name);
        client
            .send(peer::request_of(name, metadata.trim_end_matches('=')))
            .await
            .unwrap();
    }

    let expected =
        ["cart", "carts", "carts2"].map(|name| (inbound(&peer::source("shop", name)), 1));
    assert_counted(&sidecar.page_after(3).await.unwrap(), &expected);
}

#[tokio::test]
async fn a_known_id_with_other_metadata_is_another_peer() {
    let (_app, sidecar) = inbound_sidecar().await;
    let mut client = client(&sidecar).await;

    for name in ["alice", "mallory", "alice"] {
        client
            .send(peer::request_of("one-id", peer::workload("shop", name)))
            .await
            .unwrap();
    }

    assert_counted(
        &sidecar.page_after(3).await.unwrap(),
        &[
            (inbound(&peer::source("shop", "alice")), 2),
            (inbound(&peer::source("shop", "mallory")), 1),
        ],
    );
}

async fn inbound_sidecar() -> (App, Sidecar) {
    SidecarBuilder::inbound().start_with_app().await.unwrap()
}

async fn client(sidecar: &Sidecar) -> Client {
    Client::http1(sidecar.traffic).await.unwrap()
}

fn assert_silent(headers: &HeaderMap) {
    let leaked: Vec<_> = headers
        .keys()
        .filter(|name| name.as_str().starts_with("x-envoy-peer-metadata"))
        .collect();
    assert!(leaked.is_empty(), "{leaked:?}");
}

/// Asserts that both headers are there once each, with the metadata of that node.
fn assert_introduces(headers: &HeaderMap, node: &ProxyNode) {
    let ids: Vec<_> = headers.get_all(ID).iter().collect();
    assert_eq!(ids, [node.id().as_str()]);
    let metadata: Vec<_> = headers.get_all(METADATA).iter().collect();
    assert_eq!(metadata.len(), 1);
    let said = peer::decode(metadata[0]);

    let ProxyNode {
        pod,
        namespace,
        workload,
        cluster,
        region,
        zone,
        ..
    } = node;
    for (name, value) in [
        ("NAME", pod),
        ("NAMESPACE", namespace),
        ("WORKLOAD_NAME", workload),
        ("CLUSTER_ID", cluster),
        ("REGION", region),
        ("AVAILABILITY_ZONE", zone),
        (
            "OWNER",
            &format!("kubernetes://apis/apps/v1/namespaces/{namespace}/deployments/{workload}"),
        ),
    ] {
        assert_eq!(said.get(name), Some(value), "{name} in {said:?}");
    }
    let labels = said
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix("LABELS.")?, value)));
    let shared = [
        "app",
        "service.istio.io/canonical-name",
        "service.istio.io/canonical-revision",
        "version",
    ];
    let expected = shared
        .iter()
        .filter_map(|&name| Some((name, node.labels.get(name)?)));
    assert_eq!(labels.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
}
