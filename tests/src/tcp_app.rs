//! A TCP server behind a sidecar.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Result;
use tokio::io::{self, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// A TCP server in this process that greets each client, and sends back what it is sent until the client has sent its last
/// byte. Dropping it closes the port and all connections.
#[derive(Debug)]
pub struct TcpApp {
    address: SocketAddr,
    server: JoinHandle<()>,
}

impl TcpApp {
    /// Listens on a free port of the loopback interface. An empty greeting leaves the first word to the client.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start(greeting: &'static [u8]) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let server = tokio::spawn(accept(listener, greeting));
        Ok(Self { address, server })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes the port and all connections, and returns when they are closed: a client that comes then is refused.
    pub async fn stop(mut self) {
        self.server.abort();
        // That it was aborted is no news.
        let _ = (&mut self.server).await;
    }
}

impl Drop for TcpApp {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn accept(listener: TcpListener, greeting: &'static [u8]) {
    // Dropped with the server, and the connections with it.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        connections.spawn(async move {
            // An error means that the client has closed the connection, as some tests do.
            let _ = serve(stream, greeting).await;
        });
    }
}

async fn serve(mut stream: TcpStream, greeting: &[u8]) -> io::Result<()> {
    stream.write_all(greeting).await?;
    let (mut from_client, mut to_client) = stream.split();
    io::copy(&mut from_client, &mut to_client).await?;
    to_client.shutdown().await
}
