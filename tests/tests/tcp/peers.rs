//! Peers that introduce themselves over TCP.

use std::net::SocketAddr;

use harness::{MeshBuilder, Page, ProxyNode, Roles, Sidecar, SidecarBuilder, TcpApp, Upstream};
use serde_json::json;
use stats_core::host::LocalProxy;
use stats_core::peer::workload::Workload;
use stats_core::tcp::frame;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::expected::{self, CLUSTER};
use crate::fixture::{COUNTERS, echo, exchange, page_after, pair, sums};
use crate::labels::assert_series;

const CART: &str = "spiffe://cluster.local/ns/shop/sa/default";
const PODINFO: &str = "spiffe://cluster.local/ns/test/sa/default";

/// A pair of which the client's side introduces itself: the cart's.
fn introduced(app: &TcpApp) -> MeshBuilder {
    let config = json!({ "tcp_exchange_clusters": ["outbound|9898||*"] });
    pair(app).outbound(|sidecar| {
        sidecar
            .node(ProxyNode::new("shop", "cart"))
            .plugin_config(&config)
    })
}

/// A server's sidecar alone, in plaintext.
async fn inbound(app: &TcpApp) -> Sidecar {
    let sidecar = SidecarBuilder::inbound().tcp();
    let upstream = sidecar.upstream(Upstream::At(app.address()));
    upstream.start().await.unwrap()
}

/// What a peer begins with that has the exchange.
fn header(workload: &str) -> Vec<u8> {
    frame::encode(&LocalProxy {
        workload: Workload {
            name: workload.to_owned(),
            ..Workload::default()
        },
        ..LocalProxy::default()
    })
}

/// Sends pieces one after the other, each long enough after the last one to arrive alone, and reads to the end.
async fn send_in_pieces(to: SocketAddr, pieces: &[&[u8]]) -> Vec<u8> {
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for piece in pieces {
        stream.write_all(piece).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn both_sides_name_their_peers_and_count_the_applications_bytes() {
    for (mtls, roles) in [
        (true, Roles::Combined),
        (false, Roles::Combined),
        (true, Roles::Split),
    ] {
        let app = TcpApp::start(b"").await.unwrap();
        let both = |sidecar: SidecarBuilder| sidecar.roles(roles);
        let mesh = introduced(&app).both(both).mtls(mtls).start();
        let mesh = mesh.await.unwrap();
        let request: Vec<u8> = (0..1_000_003_u32).map(|n| (n % 251) as u8).collect();

        let answer = exchange(mesh.outbound.traffic, &request).await;

        assert!(answer == request, "{} bytes", answer.len());
        let mut server = expected::inbound(&[
            ("source_workload", "cart"),
            ("source_workload_namespace", "shop"),
            ("source_app", "cart"),
            ("source_canonical_service", "cart"),
            ("source_cluster", CLUSTER),
        ]);
        let mut client = expected::outbound(&[
            ("source_workload", "cart"),
            ("source_workload_namespace", "shop"),
            ("source_app", "cart"),
            ("source_canonical_service", "cart"),
            ("destination_workload", "podinfo"),
            ("destination_workload_namespace", "test"),
            ("destination_app", "podinfo"),
            ("destination_canonical_service", "podinfo"),
            ("destination_cluster", CLUSTER),
        ]);
        if mtls {
            for labels in [&mut server, &mut client] {
                labels.insert("source_principal".to_owned(), CART.to_owned());
                labels.insert("destination_principal".to_owned(), PODINFO.to_owned());
            }
            let policy = "connection_security_policy".to_owned();
            server.insert(policy, "mutual_tls".to_owned());
        }
        assert_series(&page_after(&mesh.inbound, 1).await, server, "1000003");
        assert_series(&page_after(&mesh.outbound, 1).await, client, "1000003");
    }
}

#[tokio::test]
async fn a_server_that_speaks_first_learns_its_client() {
    let app = TcpApp::start(b"220 ready\r\n").await.unwrap();
    let mesh = introduced(&app).start().await.unwrap();
    let mut client = TcpStream::connect(mesh.outbound.traffic).await.unwrap();
    let mut greeting = [0; 11];
    client.read_exact(&mut greeting).await.unwrap();
    assert_eq!(
        &greeting, b"220 ready\r\n",
        "it needs nothing from the client"
    );
    echo(&mut client, b"QUIT\r\n").await;
    drop(client);

    let page = page_after(&mesh.inbound, 1).await;
    assert_eq!(
        sums(&page, &[("source_workload", "cart")]),
        ["1", "1", "17", "6"]
    );
    // Its answer would have had to come before its first words.
    let page = page_after(&mesh.outbound, 1).await;
    assert_eq!(
        sums(&page, &[("destination_workload", "unknown")]),
        ["1", "1", "17", "6"]
    );
}

#[tokio::test]
async fn a_long_connection_has_named_peers_in_the_middle_of_its_life() {
    let app = TcpApp::start(b"").await.unwrap();
    let often = json!({
        "tcp_exchange_clusters": ["*"], "tcp_reporting_duration": "0.1s",
    });
    let often = |sidecar: SidecarBuilder| sidecar.plugin_config(&often);
    let mesh = introduced(&app).both(often).start().await.unwrap();
    let mut client = TcpStream::connect(mesh.outbound.traffic).await.unwrap();
    for so_far in ["10", "20"] {
        echo(&mut client, b"0123456789").await;
        for (sidecar, label, peer) in [
            (&mesh.inbound, "source_workload", "cart"),
            (&mesh.outbound, "destination_workload", "podinfo"),
        ] {
            let shows = |page: &Page| sums(page, &[(label, peer)]) == ["1", "0", so_far, so_far];
            let page = sidecar.page_when("its bytes are reported", shows).await;
            assert_eq!(page.unwrap().series(COUNTERS[0]).len(), 1, "{peer}");
        }
    }
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_not_disturbed() {
    // It takes the header for data, which is why clusters have to be listed.
    let app = TcpApp::start(b"hello").await.unwrap();
    let config = json!({ "tcp_exchange_clusters": ["outbound|9898||*"] });
    let sidecar = SidecarBuilder::outbound().tcp().plugin_config(&config);
    let upstream = sidecar.upstream(Upstream::At(app.address()));
    let sidecar = upstream.start().await.unwrap();

    let answer = exchange(sidecar.traffic, b"abc").await;

    let echoed = answer.strip_prefix(b"hello").expect("the greeting");
    let header = echoed.strip_suffix(b"abc").expect("the data");
    assert_eq!(
        frame::beginning(header),
        frame::Beginning::Header(header.len())
    );
    let page = page_after(&sidecar, 1).await;
    let expected = ["1", "1", &answer.len().to_string(), "3"];
    assert_eq!(sums(&page, &[]), expected);
}

#[tokio::test]
async fn a_cluster_that_is_not_listed_gets_no_header() {
    for (config, metadata) in [
        (
            json!({ "tcp_exchange_clusters": ["outbound|5432||*"] }),
            None,
        ),
        (
            json!({ "tcp_exchange_clusters": ["*"] }),
            Some("disable_mx"),
        ),
        (
            json!({ "tcp_exchange_clusters": ["*"], "skip_external_clusters": true }),
            Some("external"),
        ),
    ] {
        let app = TcpApp::start(b"").await.unwrap();
        let mut sidecar = SidecarBuilder::outbound().tcp().plugin_config(&config);
        if let Some(field) = metadata {
            sidecar = sidecar.cluster_metadata(field, json!(true));
        }
        let upstream = sidecar.upstream(Upstream::At(app.address()));
        let sidecar = upstream.start().await.unwrap();
        assert_eq!(exchange(sidecar.traffic, b"abc").await, b"abc");
    }
}

#[tokio::test]
async fn a_header_may_come_in_any_pieces() {
    let app = TcpApp::start(b"").await.unwrap();
    let sidecar = inbound(&app).await;
    let header = header("mallet");
    let mut connections = 0;
    for cut in [1, 3, 4, 7, 8, 9, header.len() - 1, header.len()] {
        let (first, second) = header.split_at(cut);
        let mut with_data = second.to_vec();
        with_data.extend(b"abc");
        for pieces in [vec![first, second, b"abc"], vec![first, &with_data]] {
            let answer = send_in_pieces(sidecar.traffic, &pieces).await;
            let own = answer.strip_suffix(b"abc").expect("the data");
            assert_eq!(frame::beginning(own), frame::Beginning::Header(own.len()));
            connections += 1;
        }
    }
    let page = page_after(&sidecar, connections).await;
    let bytes = (3 * connections).to_string();
    let connections = connections.to_string();
    assert_eq!(
        sums(&page, &[("source_workload", "mallet")]),
        [&*connections, &*connections, &*bytes, &*bytes]
    );
}

#[tokio::test]
async fn what_begins_like_a_header_and_is_none_passes() {
    let app = TcpApp::start(b"").await.unwrap();
    let sidecar = inbound(&app).await;
    let header = header("mallet");
    let claims = |length: u32| [frame::MAGIC, length.to_be_bytes()].concat();
    let mut garbage = claims(20);
    garbage.extend(b"this is no protobuf and goes on");
    let (mut connections, mut bytes) = (0, 0);
    for request in [
        b"=".to_vec(),
        b"\x3d\x23\x04".to_vec(),
        frame::MAGIC.to_vec(),
        claims(0),
        claims(u32::MAX),
        claims(100),
        garbage,
        header[..header.len() - 1].to_vec(),
    ] {
        let (first, second) = request.split_at(1);
        for pieces in [vec![&*request], vec![first, second]] {
            assert_eq!(send_in_pieces(sidecar.traffic, &pieces).await, request);
            connections += 1;
            bytes += request.len();
        }
    }
    let page = page_after(&sidecar, connections).await;
    let (connections, bytes) = (connections.to_string(), bytes.to_string());
    assert_eq!(
        sums(&page, &[("source_workload", "unknown")]),
        [&*connections, &*connections, &*bytes, &*bytes]
    );
}

#[tokio::test]
async fn a_first_byte_that_no_other_follows_passes_in_the_end() {
    let app = TcpApp::start(b"").await.unwrap();
    let sidecar = inbound(&app).await;
    let mut client = TcpStream::connect(sidecar.traffic).await.unwrap();
    echo(&mut client, &frame::MAGIC[..1]).await;
    echo(&mut client, &frame::MAGIC[1..]).await;
    echo(&mut client, b"and more").await;
}
