//! The module as an access logger, with an exchange in an HTTP filter before it. That it makes the same series as a
//! filter is in [`roles`](crate::roles).

use harness::envoy::Options;
use harness::sidecar::bootstrap::{
    self, METRICS, TRAFFIC, admin_cluster, cluster, lb_endpoint, metrics_listener, socket_address,
};
use harness::{App, Client, Envoy, Mesh, Node, Roles, SidecarBuilder, Upstream, eventually};
use serde_json::json;

use crate::expected::{assert_counted, inbound};
use crate::peer;

#[tokio::test]
async fn a_request_that_is_logged_while_it_is_open_is_counted_once_at_its_end() {
    let app = App::start().await.unwrap();
    let sidecar = SidecarBuilder::inbound()
        .roles(Roles::Logger)
        .upstream(Upstream::At(app.address()))
        .access_log("%ACCESS_LOG_TYPE%")
        .logs_open_requests()
        .start()
        .await
        .unwrap();
    let mut from_cart = peer::request_of("cart-1", peer::workload("shop", "cart"));
    *from_cart.uri_mut() = "http://podinfo:9898/delay/300".parse().unwrap();

    let mut client = Client::http1(sidecar.traffic).await.unwrap();
    client.send(from_cart).await.unwrap();

    let of_cart = inbound(&peer::source("shop", "cart"));
    assert_counted(&sidecar.page_after(1).await.unwrap(), &[(of_cart, 1)]);
    let logged = sidecar.access_log().unwrap();
    let periodic = |line: &String| line == "DownstreamPeriodic";
    assert!(logged.iter().any(periodic), "{logged:?}");
}

#[tokio::test]
async fn a_request_that_the_client_gives_up_is_counted_once_as_dc_on_both_sides() {
    let mesh = Mesh::builder()
        .mtls(false)
        .both(|sidecar| sidecar.roles(Roles::Logger))
        .start()
        .await
        .unwrap();
    let mut client = mesh.client().await.unwrap();

    let call = tokio::spawn(async move { client.get("/hang").await });
    mesh.app.reached("/hang").await.unwrap();
    call.abort();

    let gone = [("response_flags", "DC"), ("response_code", "0")];
    for sidecar in [&mesh.inbound, &mesh.outbound] {
        let page = sidecar.page_after(1).await.unwrap();
        let series = page.series("istio_requests_total");
        assert!(series.len() == 1 && series[0].has(&gone), "{series:?}");
    }
}

#[tokio::test]
async fn a_connection_is_no_request() {
    let app = App::start().await.unwrap();
    let logger = bootstrap::module_logger("stats", "").unwrap();
    let file = |path: &str| {
        json!({
            "name": "envoy.access_loggers.file",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
                "path": path,
                "log_format": { "text_format_source": { "inline_string": "%BYTES_SENT%\n" } },
            },
        })
    };
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
        "node": Node::podinfo().to_json(),
        "static_resources": {
            "listeners": [metrics_listener(any_port), listener],
            "clusters": [admin_cluster(), cluster("app", &[endpoint])],
        },
    });
    let envoy = Envoy::start(&configuration, &Options::default())
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
