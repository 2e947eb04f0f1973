//! The module as the access logger of a TCP proxy, without a filter. That it counts no connection unless it is told to is in
//! `end_to_end`.

use harness::{MeshBuilder, Page, Roles, SidecarBuilder, TcpApp, eventually};
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::fixture::{COUNTERS, echo, exchange, page_after, pair, reset_after, sums};

/// A pair that only logs, with that line for each entry in a file as well.
fn logging_pair(app: &TcpApp) -> MeshBuilder {
    pair(app).both(|sidecar| {
        sidecar
            .roles(Roles::Logger)
            .plugin_config(json!({ "tcp_access_log": true }))
            .access_log("%ACCESS_LOG_TYPE%")
    })
}

#[tokio::test]
async fn every_byte_is_counted_on_both_sides() {
    for mtls in [true, false] {
        let app = TcpApp::start(b"hello").await.unwrap();
        let mesh = logging_pair(&app).mtls(mtls).start().await.unwrap();
        let request = vec![7; 1_000_003];

        let answer = exchange(mesh.outbound.traffic, &request).await;

        assert_eq!(answer.len(), 1_000_008);
        for (sidecar, reporter) in [(&mesh.inbound, "destination"), (&mesh.outbound, "source")] {
            let page = page_after(sidecar, 1).await;
            let labels = [("reporter", reporter), ("request_protocol", "tcp")];
            assert_eq!(sums(&page, &labels), ["1", "1", "1000008", "1000003"]);
            assert_eq!(sums(&page, &[]), ["1", "1", "1000008", "1000003"]);
            assert!(page.series("istio_requests_total").is_empty());
        }
    }
}

#[tokio::test]
async fn connections_that_are_reset_or_reach_no_server_are_counted() {
    let app = TcpApp::start(b"").await.unwrap();
    let mesh = logging_pair(&app).start().await.unwrap();

    reset_after(mesh.outbound.traffic, b"abc").await;

    for sidecar in [&mesh.inbound, &mesh.outbound] {
        let page = page_after(sidecar, 1).await;
        assert_eq!(sums(&page, &[]), ["1", "1", "3", "3"]);
    }

    app.stop().await;
    // The proxy may reset it before the client knows that it is open.
    if let Ok(mut client) = TcpStream::connect(mesh.outbound.traffic).await {
        let _ = client.read_to_end(&mut Vec::new()).await;
    }
    let page = page_after(&mesh.inbound, 2).await;
    assert_eq!(sums(&page, &[]), ["2", "2", "3", "3"]);
    let failed = page.sum(COUNTERS[1], &[("response_flags", "UF,URX")]);
    assert_eq!(failed.to_string(), "1", "{:?}", page.series(COUNTERS[1]));
}

#[tokio::test]
async fn a_thousand_short_connections_on_two_workers_are_all_there() {
    const CONNECTIONS: usize = 1_000;
    let app = TcpApp::start(b"hello").await.unwrap();
    let two_workers = |sidecar: SidecarBuilder| sidecar.concurrency(2);
    let mesh = logging_pair(&app).both(two_workers).start().await.unwrap();

    let address = mesh.outbound.traffic;
    let clients = (0..8).map(|client| {
        tokio::spawn(async move {
            for number in (client..CONNECTIONS).step_by(8) {
                let answer = exchange(address, &vec![7; number]).await;
                assert_eq!(answer.len(), number + 5);
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }

    for sidecar in [&mesh.inbound, &mesh.outbound] {
        let page = page_after(sidecar, 1_000).await;
        assert_eq!(sums(&page, &[]), ["1000", "1000", "504500", "499500"]);
        for name in COUNTERS {
            assert_eq!(page.series(name).len(), 1, "{name}");
        }
    }
}

/// Envoy gives a Wasm access logger only what is complete: of the entries at the connection's begin and in its life a
/// file tells, but the module is not entered.
#[tokio::test]
async fn a_long_connection_is_counted_at_its_end_whatever_is_flushed() {
    let app = TcpApp::start(b"").await.unwrap();
    let mesh = logging_pair(&app)
        .both(SidecarBuilder::logs_open_requests)
        .start()
        .await
        .unwrap();
    let mut client = TcpStream::connect(mesh.outbound.traffic).await.unwrap();
    echo(&mut client, b"abc").await;
    for sidecar in [&mesh.inbound, &mesh.outbound] {
        let flushed = eventually("it is flushed three times", async || {
            let log = sidecar.access_log()?;
            let is_periodic = |line: &&String| *line == "TcpPeriodic";
            Ok((log.iter().filter(is_periodic).count() >= 3).then_some(()))
        });
        flushed.await.unwrap();
        let page = sidecar.page().await.unwrap();
        assert_eq!(sums(&page, &[]), ["0", "0", "0", "0"]);
    }
    drop(client);

    for sidecar in [&mesh.inbound, &mesh.outbound] {
        let is_shown = |page: &Page| page.sum(COUNTERS[1], &[]) > 0.0;
        let page = sidecar.page_when("its end", is_shown).await.unwrap();
        assert_eq!(sums(&page, &[]), ["1", "1", "3", "3"]);
    }
}
