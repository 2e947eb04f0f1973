//! When a connection is reported: in the middle of a long life, and however it ends.

use harness::{Page, SidecarBuilder, TcpApp};
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::fixture::{COUNTERS, echo, page_after, pair, reset_after, sums};

/// Reports every tenth of a second.
fn often(sidecar: SidecarBuilder) -> SidecarBuilder {
    sidecar.plugin_config(json!({ "tcp_reporting_duration": "0.1s" }))
}

#[tokio::test]
async fn a_long_connection_is_reported_in_the_middle_of_its_life() {
    let app = TcpApp::start(b"").await.unwrap();
    let mesh = pair(&app).both(often).start().await.unwrap();
    let mut client = TcpStream::connect(mesh.outbound.traffic).await.unwrap();

    for so_far in ["10", "20"] {
        echo(&mut client, b"0123456789").await;
        for sidecar in [&mesh.inbound, &mesh.outbound] {
            // What came in may be reported before what goes out.
            let shows = |page: &Page| {
                COUNTERS[2..]
                    .iter()
                    .all(|counter| page.sum(counter, &[]).to_string() == so_far)
            };
            let page = sidecar.page_when("its bytes are reported", shows).await;
            assert_eq!(sums(&page.unwrap(), &[]), ["1", "0", so_far, so_far]);
        }
    }
    drop(client);

    for sidecar in [&mesh.inbound, &mesh.outbound] {
        let page = page_after(sidecar, 1).await;
        assert_eq!(sums(&page, &[]), ["1", "1", "20", "20"]);
        assert_eq!(page.series(COUNTERS[0]).len(), 1, "it stays in its series");
    }
}

#[tokio::test]
async fn no_report_before_the_end_where_the_interval_is_zero() {
    let app = TcpApp::start(b"").await.unwrap();
    let never =
        |sidecar: SidecarBuilder| sidecar.plugin_config(json!({ "tcp_reporting_duration": "0s" }));
    let mesh = pair(&app).both(never).start().await.unwrap();
    let mut client = TcpStream::connect(mesh.outbound.traffic).await.unwrap();
    echo(&mut client, b"abc").await;
    let page = mesh.inbound.page().await.unwrap();
    assert_eq!(sums(&page, &[]), ["0", "0", "0", "0"]);
    drop(client);

    let page = page_after(&mesh.inbound, 1).await;
    assert_eq!(sums(&page, &[]), ["1", "1", "3", "3"]);
}

#[tokio::test]
async fn a_connection_that_is_killed_is_closed_in_the_metrics() {
    let app = TcpApp::start(b"").await.unwrap();
    let mesh = pair(&app).both(often).start().await.unwrap();

    reset_after(mesh.outbound.traffic, b"abc").await;

    for sidecar in [&mesh.inbound, &mesh.outbound] {
        let page = page_after(sidecar, 1).await;
        assert_eq!(sums(&page, &[]), ["1", "1", "3", "3"]);
    }
}

#[tokio::test]
async fn a_server_that_dies_closes_its_connections_in_the_metrics() {
    let app = TcpApp::start(b"").await.unwrap();
    let mesh = pair(&app).both(often).start().await.unwrap();
    let mut client = TcpStream::connect(mesh.outbound.traffic).await.unwrap();
    echo(&mut client, b"abc").await;

    drop(app);
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b"", "the client is told");
    drop(client);

    for sidecar in [&mesh.inbound, &mesh.outbound] {
        let page = page_after(sidecar, 1).await;
        assert_eq!(sums(&page, &[]), ["1", "1", "3", "3"]);
    }
}
