//! HTTP and TCP in one proxy.

use harness::{App, Client, Sidecar, SidecarBuilder, TcpApp, Upstream};

use crate::fixture::{exchange, page_after, sums};

#[tokio::test]
async fn a_listener_for_http_and_one_for_tcp_share_one_vm() {
    let (app, tcp_app) = (
        App::start().await.unwrap(),
        TcpApp::start(b"").await.unwrap(),
    );
    let tcp = SidecarBuilder::inbound()
        .tcp()
        .cluster_name("inbound|5432||")
        .upstream(Upstream::At(tcp_app.address()));
    let http = SidecarBuilder::inbound().upstream(Upstream::At(app.address()));
    let sidecar = http.and(tcp).start().await.unwrap();
    let tcp_traffic = sidecar.other_traffic.unwrap();

    for _ in 0..3 {
        exchange(tcp_traffic, b"abcde").await;
        let mut client = Client::http1(sidecar.traffic).await.unwrap();
        assert_eq!(client.get("/version").await.unwrap().status, 200);
    }

    let page = page_after(&sidecar, 3).await;
    assert_eq!(
        sums(&page, &[("request_protocol", "tcp")]),
        ["3", "3", "15", "15"]
    );
    let page = sidecar.page_after(3).await.unwrap();
    let requests = page.sum("istio_requests_total", &[("request_protocol", "http")]);
    assert_eq!(requests.to_string(), "3");
    assert_eq!(page.series("istio_requests_total").len(), 1);
    assert_eq!(page.series("istio_tcp_connections_opened_total").len(), 1);
    let http_alone = SidecarBuilder::inbound().start().await.unwrap();
    assert_eq!(vms(&sidecar).await, vms(&http_alone).await);
}

/// How many VMs an Envoy runs, over all its threads.
async fn vms(sidecar: &Sidecar) -> String {
    let path = "/stats?filter=wasm.envoy.wasm.runtime.v8.active";
    sidecar.envoy.admin_get(path).await.unwrap().text()
}
