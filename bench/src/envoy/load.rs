//! Requests: bursts of a fixed number, or at a fixed rate.
//!
//! Not here: the variants and their costs; see [`testbed`](super::testbed).

use std::net::SocketAddr;
use std::ops::Range;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use harness::{Client, Response, client};
use hdrhistogram::Histogram;
use hyper::Method;
use hyper::header::{HOST, HeaderName, HeaderValue};
use tokio::sync::mpsc;

use crate::peers;

/// The header that names the peer of a request, where peers differ from request to request.
pub const PEER_ID: &str = "x-bench-peer-id";
/// The same for the peer's metadata.
pub const PEER_METADATA: &str = "x-bench-peer";

/// What differs between the requests of a burst; by default nothing.
#[derive(Clone, Debug, Default)]
pub struct RequestVariety {
    /// The authorities of the requests, in turns; if empty, always the same.
    pub authorities: Vec<String>,
    /// Id and metadata of the peers that send the requests, in turns; if empty, always the same.
    pub peers: Vec<(String, String)>,
}

impl RequestVariety {
    /// Requests for the authorities with these numbers.
    pub fn to_authorities(numbers: Range<u32>) -> Self {
        let authorities = numbers.map(|n| format!("service-{n}.example.com"));
        Self {
            authorities: authorities.collect(),
            ..Self::default()
        }
    }

    /// Requests from so many peers.
    pub fn from_peers(count: u32) -> Self {
        Self {
            peers: (0..count as usize).map(peers::headers).collect(),
            ..Self::default()
        }
    }

    /// Requests of peers with these numbers that make up labels as long as they can be.
    pub fn from_forged_peers(numbers: Range<u32>) -> Self {
        let numbers = numbers.start as usize..numbers.end as usize;
        Self {
            peers: numbers.map(peers::forged_headers).collect(),
            ..Self::default()
        }
    }

    async fn send(&self, client: &mut Client, n: usize) -> Result<Response> {
        let mut request = client::request(Method::GET, "/version")?;
        let headers = request.headers_mut();
        if let Some(authority) = in_turn(&self.authorities, n) {
            headers.insert(HOST, HeaderValue::from_str(authority)?);
        }
        if let Some((id, metadata)) = in_turn(&self.peers, n) {
            headers.insert(HeaderName::from_static(PEER_ID), HeaderValue::from_str(id)?);
            headers.insert(
                HeaderName::from_static(PEER_METADATA),
                HeaderValue::from_str(metadata)?,
            );
        }
        let response = client.send(request).await?;
        ensure!(
            response.status == 200,
            "the answer is {}: {}",
            response.status,
            response.text()
        );
        Ok(response)
    }
}

fn in_turn<T>(of: &[T], n: usize) -> Option<&T> {
    of.get(n.checked_rem(of.len())?)
}

/// Connections to one listener, kept open from burst to burst.
#[derive(Debug)]
pub struct Clients {
    clients: Vec<Client>,
    sent: u32,
}

impl Clients {
    /// Connects so many times.
    ///
    /// # Errors
    /// When there is no connection to be had.
    pub async fn connect(to: SocketAddr, count: usize) -> Result<Self> {
        let mut clients = Vec::new();
        for _ in 0..count {
            clients.push(Client::http1(to).await?);
        }
        Ok(Self { clients, sent: 0 })
    }

    /// How many requests were sent so far.
    pub fn sent(&self) -> u32 {
        self.sent
    }

    /// Sends so many requests, on each connection one after the other. Takes turns where the last
    /// burst stopped.
    ///
    /// # Errors
    /// When one is not answered with 200.
    pub async fn burst(&mut self, requests: &RequestVariety, count: u32) -> Result<()> {
        let connections = self.clients.len();
        let numbers = self.next(count);
        let streams = self.clients.iter_mut().enumerate().map(|(first, client)| {
            let numbers = numbers.clone();
            async move {
                for n in numbers.skip(first).step_by(connections) {
                    requests.send(client, n).await?;
                }
                Ok(())
            }
        });
        futures_util::future::try_join_all(streams).await.map(drop)
    }

    /// Sends requests at a fixed rate for a while, whether or not the ones before are answered yet.
    /// Returns how long each took from the time at which it was due, in nanoseconds.
    ///
    /// # Errors
    /// When one is not answered with 200.
    pub async fn at_rate(&mut self, per_second: u32, duration: Duration) -> Result<Histogram<u64>> {
        let count = per_second.saturating_mul(u32::try_from(duration.as_secs())?);
        self.next(count);
        let requests = &RequestVariety::default();
        let mut signals = Vec::new();
        let streams = self.clients.iter_mut().map(|client| {
            let (signal, mut due) = mpsc::unbounded_channel::<Instant>();
            signals.push(signal);
            async move {
                let mut times = Histogram::<u64>::new(3)?;
                while let Some(due) = due.recv().await {
                    requests.send(client, 0).await?;
                    times.record(u64::try_from(due.elapsed().as_nanos())?)?;
                }
                anyhow::Ok(times)
            }
        });
        let streams: Vec<_> = streams.collect();
        // The runtime's own timer counts in milliseconds, which is longer than a request takes.
        thread::spawn(move || tick(&signals, Duration::from_secs(1) / per_second, count));
        let mut times = Histogram::new(3)?;
        for part in futures_util::future::try_join_all(streams).await? {
            times.add(part)?;
        }
        Ok(times)
    }

    /// The numbers of the next requests.
    fn next(&mut self, count: u32) -> Range<usize> {
        let first = self.sent;
        self.sent += count;
        first as usize..self.sent as usize
    }
}

/// Signals `count` times, in turns, each at its time.
fn tick(signals: &[mpsc::UnboundedSender<Instant>], pause: Duration, count: u32) {
    let start = Instant::now();
    for (n, signal) in (1..=count).zip(signals.iter().cycle()) {
        thread::sleep((start + pause * n).saturating_duration_since(Instant::now()));
        // Fails after a request has failed, which is reported to the caller.
        let _ = signal.send(Instant::now());
    }
}
