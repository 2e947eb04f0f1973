//! The harness itself, without the module: a failure here is not the filter's.

use harness::client::request;
use harness::envoy::EnvoyOptions;
use harness::{Client, Envoy, Mesh, Roles, SidecarBuilder, Upstream};
use hyper::Method;
use serde_json::json;

#[tokio::test]
async fn a_mesh_carries_both_versions_of_http_over_mutual_tls() {
    let mesh = Mesh::builder()
        .both(|sidecar| sidecar.roles(Roles::None))
        .start()
        .await
        .unwrap();

    let version = mesh.get("/version").await.unwrap();
    assert_eq!(version.status, 200);
    assert_eq!(version.text(), "{\"version\":\"6.9.0\"}\n");

    let mut client = Client::http2(mesh.outbound.traffic).await.unwrap();
    let call = client
        .send(request(Method::POST, "/grpc/trailers/5").unwrap())
        .await
        .unwrap();
    assert_eq!(call.trailers["grpc-status"], "5");

    let arrived = mesh.app.requests();
    assert_eq!(arrived[0].version, hyper::Version::HTTP_11);
    assert_eq!(arrived[1].version, hyper::Version::HTTP_2);
}

#[tokio::test]
async fn an_inbound_sidecar_refuses_a_client_without_a_certificate() {
    let mesh = Mesh::builder()
        .both(|sidecar| sidecar.roles(Roles::None))
        .start()
        .await
        .unwrap();

    let mut client = Client::http1(mesh.inbound.traffic).await.unwrap();

    assert!(client.get("/version").await.is_err());
    assert!(mesh.app.requests().is_empty());
}

#[tokio::test]
async fn the_metrics_listener_serves_a_page_that_prometheus_takes() {
    let sidecar = SidecarBuilder::outbound()
        .roles(Roles::None)
        .start()
        .await
        .unwrap();

    let page = sidecar.page().await.unwrap();

    assert_eq!(page.families["envoy_server_live"].kind, "gauge");
    assert_eq!(page.sum("envoy_server_live", &[]).to_string(), "1");
}

#[tokio::test]
async fn an_upstream_may_refuse_or_be_missing() {
    for upstream in [Upstream::Refusing, Upstream::NoEndpoint] {
        let sidecar = SidecarBuilder::outbound()
            .roles(Roles::None)
            .upstream(upstream)
            .start()
            .await
            .unwrap();
        let answer = Client::http1(sidecar.traffic)
            .await
            .unwrap()
            .get("/version")
            .await
            .unwrap();
        assert_eq!(answer.status, 503, "{upstream:?}");
    }
}

#[tokio::test]
async fn an_envoy_that_does_not_start_says_why() {
    let error = Envoy::start(&json!({ "no_such_field": 1 }), &EnvoyOptions::default())
        .await
        .unwrap_err();

    assert!(format!("{error:#}").contains("no_such_field"), "{error:#}");
}
