//! The set-up of the tests, and what they do with connections and pages.

use std::net::SocketAddr;

use harness::{Mesh, MeshBuilder, Page, Sidecar, SidecarBuilder, TcpApp, Upstream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The counters of TCP: opened, closed, sent, received.
pub const COUNTERS: [&str; 4] = [
    "istio_tcp_connections_opened_total",
    "istio_tcp_connections_closed_total",
    "istio_tcp_sent_bytes_total",
    "istio_tcp_received_bytes_total",
];

/// A pair of sidecars for TCP in front of that server.
pub fn pair(app: &TcpApp) -> MeshBuilder {
    let upstream = Upstream::At(app.address());
    Mesh::builder()
        .both(SidecarBuilder::tcp)
        .inbound(|sidecar| sidecar.upstream(upstream))
}

/// Sends that and no more, and reads until the other side has sent its last byte too.
pub async fn exchange(to: SocketAddr, request: &[u8]) -> Vec<u8> {
    let stream = TcpStream::connect(to).await.unwrap();
    let (mut from, mut to) = stream.into_split();
    let request = request.to_vec();
    let send = async move {
        to.write_all(&request).await.unwrap();
        to.shutdown().await.unwrap();
    };
    let mut answer = Vec::new();
    let receive = async { from.read_to_end(&mut answer).await.unwrap() };
    tokio::join!(send, receive);
    answer
}

/// Sends that over an open connection, and reads as much back.
pub async fn echo(stream: &mut TcpStream, request: &[u8]) {
    stream.write_all(request).await.unwrap();
    let mut answer = vec![0; request.len()];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, request);
}

/// Opens a connection, has those bytes back, and ends it with a reset instead of a goodbye, as the system sends for a
/// process that was killed with data unread.
pub async fn reset_after(address: SocketAddr, bytes: &[u8]) {
    let mut client = TcpStream::connect(address).await.unwrap();
    echo(&mut client, bytes).await;
    client.set_zero_linger().unwrap();
}

/// The page once that many connections are closed.
pub async fn page_after(sidecar: &Sidecar, closed: u32) -> Page {
    let is_shown = |page: &Page| page.sum(COUNTERS[1], &[]) >= f64::from(closed);
    let what = format!("{closed} closed connections on the page");
    sidecar.page_when(&what, is_shown).await.unwrap()
}

/// The sums of the four counters over the series with these labels, as Prometheus writes them.
pub fn sums(page: &Page, labels: &[(&str, &str)]) -> [String; 4] {
    COUNTERS.map(|name| page.sum(name, labels).to_string())
}
