//! Exact counters on both sides.

use harness::TcpApp;

use crate::fixture::{COUNTERS, exchange, page_after, pair, sums};

const GREETING: &[u8] = b"220 ready\r\n";

#[tokio::test]
async fn every_byte_of_an_echo_is_counted_on_both_sides() {
    for mtls in [true, false] {
        let app = TcpApp::start(b"").await.unwrap();
        let mesh = pair(&app).mtls(mtls).start().await.unwrap();
        let request: Vec<u8> = (0..1_000_003_u32).map(|n| (n % 251) as u8).collect();

        let answer = exchange(mesh.outbound.traffic, &request).await;

        assert!(answer == request, "{} bytes", answer.len());
        for sidecar in [&mesh.inbound, &mesh.outbound] {
            let page = page_after(sidecar, 1).await;
            assert_eq!(sums(&page, &[]), ["1", "1", "1000003", "1000003"]);
        }
    }
}

#[tokio::test]
async fn a_server_may_speak_first() {
    let app = TcpApp::start(GREETING).await.unwrap();
    let mesh = pair(&app).start().await.unwrap();

    let answer = exchange(mesh.outbound.traffic, b"QUIT\r\n").await;

    assert_eq!(answer, [GREETING, b"QUIT\r\n"].concat());
    for sidecar in [&mesh.inbound, &mesh.outbound] {
        assert_eq!(
            sums(&page_after(sidecar, 1).await, &[]),
            ["1", "1", "17", "6"]
        );
    }
}

#[tokio::test]
async fn a_connection_without_a_byte_is_one_too() {
    let app = TcpApp::start(b"").await.unwrap();
    let mesh = pair(&app).start().await.unwrap();

    assert_eq!(exchange(mesh.outbound.traffic, b"").await, b"");

    let page = page_after(&mesh.inbound, 1).await;
    assert_eq!(sums(&page, &[]), ["1", "1", "0", "0"]);
}

#[tokio::test]
async fn a_thousand_short_connections_on_two_workers_are_all_there() {
    const CONNECTIONS: u32 = 1_000;
    let app = TcpApp::start(b"hello").await.unwrap();
    let two_workers = |sidecar: harness::SidecarBuilder| sidecar.concurrency(2);
    let mesh = pair(&app).both(two_workers).start().await.unwrap();

    let address = mesh.outbound.traffic;
    let clients = (0..8_usize).map(|client| {
        tokio::spawn(async move {
            for number in (client..CONNECTIONS as usize).step_by(8) {
                let request = vec![7; number];
                assert_eq!(exchange(address, &request).await.len(), number + 5);
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }

    let received: u32 = (0..CONNECTIONS).sum();
    let expected = [
        CONNECTIONS.to_string(),
        CONNECTIONS.to_string(),
        (received + 5 * CONNECTIONS).to_string(),
        received.to_string(),
    ];
    for sidecar in [&mesh.inbound, &mesh.outbound] {
        let page = page_after(sidecar, CONNECTIONS).await;
        assert_eq!(sums(&page, &[]), expected);
        for name in COUNTERS {
            assert_eq!(page.series(name).len(), 1, "{name}");
        }
    }
}
