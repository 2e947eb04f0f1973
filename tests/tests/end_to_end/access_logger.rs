//! The module as an access logger, on a connection without requests. That it makes the same series as a filter is in
//! [`roles`](crate::roles), and that it counts each request once in [`accounting`](crate::accounting).

use harness::envoy::EnvoyOptions;
use harness::envoy_config::{cluster, file_logger, lb_endpoint, socket_address};
use harness::sidecar::bootstrap::{
    METRICS, TRAFFIC, admin_cluster, metrics_listener, module_logger,
};
use harness::{App, Client, Envoy, ProxyNode, eventually};
use serde_json::json;

#[tokio::test]
async fn a_connection_is_no_request() {
    let app = App::start().await.unwrap();
    let logger = module_logger("stats", "").unwrap();
    let file = |path| file_logger(path, "%BYTES_SENT%");
    let tcp_proxy = json!({
        "name": "envoy.filters.network.tcp_proxy",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
            "stat_prefix": TRAFFIC,
            "cluster": "app",
            "access_log": [logger, file("proxy.log")],
        },
    });
    let any_port = "127.0.0.1:0".parse().unwrap();
    let listener = json!({
        "name": TRAFFIC,
        "traffic_direction": "INBOUND",
        "address": socket_address(any_port),
        "filter_chains": [{ "filters": [tcp_proxy] }],
        "access_log": [logger, file("listener.log")],
    });
    let endpoint = lb_endpoint(&socket_address(app.address()));
    let configuration = json!({
        "node": ProxyNode::podinfo().to_json(),
        "static_resources": {
            "listeners": [metrics_listener(any_port), listener],
            "clusters": [admin_cluster(), cluster("app", &[endpoint])],
        },
    });
    let envoy = Envoy::start(&configuration, &EnvoyOptions::default())
        .await
        .unwrap();

    let traffic = envoy.listener(TRAFFIC).await.unwrap();
    let mut client = Client::http1(traffic).await.unwrap();
    client.get("/version").await.unwrap();
    drop(client);

    for log in ["proxy.log", "listener.log"] {
        eventually("the connection's end is logged", async || {
            Ok((!envoy.file(log)?.is_empty()).then_some(()))
        })
        .await
        .unwrap();
    }
    let metrics = envoy.listener(METRICS).await.unwrap();
    let mut client = Client::http1(metrics).await.unwrap();
    let page = client.get("/stats/prometheus").await.unwrap().text();
    assert!(page.contains("istio_build"), "the module is there");
    assert!(!page.contains("istio_requests_total"));
    let log = envoy.log().unwrap();
    assert!(!log.contains("[error][wasm]"), "{log}");
}
