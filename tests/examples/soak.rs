//! `cargo xtask soak`: mixed traffic through two sidecars for a while, whose configurations change all the time.
//! In the end each request that Envoy saw is counted, none is in flight, and the modules have not grown.
//!
//! The native module's metrics begin again with each change of the cluster that holds them. So there the configurations and
//! the cluster change for the whole time, and then, without changes of the cluster, each request of some more seconds is
//! counted.
//!
//! The arguments are the minutes; the module's host is in `MIXERLESS_HOST`. Not here: single behaviours, each of which has a test.

use std::env;
use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use harness::{Client, Mesh, ModuleHost, Page, Sidecar, SidecarBuilder, eventually};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Between two changes of the configuration.
const CHANGE: Duration = Duration::from_millis(100);
/// After that nothing is to grow any more.
const SETTLED: Duration = Duration::from_mins(1);
/// By how much the memory of V8 and the modules may grow afterwards: it is given back now and then.
const GROWTH: f64 = 1.1;
/// How long the last of the clusters for metrics is tried.
const LAST_GENERATION: Duration = Duration::from_secs(20);
/// After that nothing that was sent is still on its way.
const OVER: Duration = Duration::from_secs(3);
const REQUESTS: &str = "istio_requests_total";

#[tokio::main]
async fn main() -> Result<()> {
    let minutes = env::args().nth(1).as_deref().unwrap_or("10").parse()?;
    let length = Duration::from_secs(60 * u64::from(u32::min(minutes, 24 * 60)));
    let sidecar = |sidecar: SidecarBuilder| {
        sidecar
            .plugin_config(configuration(0))
            .discovered_plugin_config()
            .discovered_metrics_cluster()
            .concurrency(2)
            .log_level("warning")
    };
    let mesh = Arc::new(Mesh::builder().both(sidecar).start().await?);
    let host = ModuleHost::chosen();
    let load = Load::start(&mesh);
    let settled = watch(&mesh, length, host == ModuleHost::Native).await?;
    let sent = load.stop().await?;
    println!("{sent} requests were sent and answered, aborted or reset as they were meant to");
    let mut before = [0.0; 2];
    if host == ModuleHost::Native {
        before = over(&mesh).await?;
        let load = Load::start(&mesh);
        watch(&mesh, LAST_GENERATION, false).await?;
        let sent = load.stop().await?;
        println!("{sent} more with the last cluster for metrics");
    }
    for ((name, sidecar), before) in both(&mesh).into_iter().zip(before) {
        let seen = check(sidecar, before)
            .await
            .with_context(|| name.to_owned())?;
        println!("{name}: {seen} requests seen, and as many counted; none is in flight");
    }
    let ended = Memory::of(&mesh).await?;
    println!("both Envoys, in MB: {settled:.1?} after the first minute, {ended:.1?} at the end");
    // Envoy itself grows by some 2 kB a change, which no module can give back.
    let modules = |memory: Memory| memory.resident - memory.envoy;
    ensure!(
        modules(ended) <= modules(settled) * GROWTH,
        "the memory of the modules has grown"
    );
    Ok(())
}

fn configuration(number: u32) -> Value {
    json!({
        "tcp_reporting_duration": "0.2s",
        "extra_metrics": ["requests_started_total", "requests_in_flight"],
        // What changes, and makes no label sets of its own.
        "max_peer_cache_size": 100 + number % 100,
    })
}

fn both(mesh: &Mesh) -> [(&str, &Sidecar); 2] {
    [("outbound", &mesh.outbound), ("inbound", &mesh.inbound)]
}

/// Waits until nothing is on its way, and the last cluster is in force. What both Envoys have seen, but for what is counted.
async fn over(mesh: &Mesh) -> Result<[f64; 2]> {
    sleep(OVER).await;
    let mut before = [0.0; 2];
    for ((_, sidecar), before) in both(mesh).into_iter().zip(&mut before) {
        let page = page(sidecar).await?;
        *before = seen(&page) - page.sum(REQUESTS, &[]);
    }
    Ok(before)
}

/// Changes both configurations until the time is over, and where wanted the clusters for metrics too. The memory of both
/// Envoys after the first minute.
async fn watch(mesh: &Mesh, length: Duration, changes_metrics: bool) -> Result<Memory> {
    let began = Instant::now();
    let mut settled = None;
    let mut number = 0;
    while began.elapsed() < length {
        sleep(CHANGE).await;
        number += 1;
        for (_, sidecar) in both(mesh) {
            sidecar.reconfigure(configuration(number))?;
            if changes_metrics {
                sidecar.replace_metrics_cluster(configuration(number))?;
            }
        }
        if settled.is_none() && began.elapsed() > SETTLED {
            settled = Some(Memory::of(mesh).await?);
        }
        if number % 600 == 0 {
            println!("{:.0} s, {number} changes", began.elapsed().as_secs_f64());
        }
    }
    match settled {
        Some(settled) => Ok(settled),
        None => Memory::of(mesh).await,
    }
}

/// Fails unless each request that Envoy has seen, but for so many `before`, is counted, and none is in flight. How many there
/// were.
async fn check(sidecar: &Sidecar, before: f64) -> Result<f64> {
    let counted = eventually("each request is counted", async || {
        let page = page(sidecar).await?;
        let seen = seen(&page) - before;
        let is_over = page.sum("istio_requests_in_flight", &[]) == 0.0;
        // Where there was something before, that has begun in one cluster and ended in another.
        let counters = [REQUESTS, "istio_requests_started_total"];
        let counters = if before == 0.0 {
            &counters[..]
        } else {
            &counters[..1]
        };
        let is_counted = counters
            .iter()
            .all(|name| page.sum(name, &[]).to_string() == seen.to_string());
        Ok((is_over && seen > 0.0 && is_counted).then_some(seen))
    });
    match counted.await {
        Ok(seen) => Ok(seen),
        Err(error) => {
            let text = page(sidecar).await?;
            let sums = [
                REQUESTS,
                "istio_requests_started_total",
                "istio_requests_in_flight",
            ]
            .map(|name| text.sum(name, &[]));
            Err(error.context(format!(
                "{} requests were seen; counted, started and in flight are {sums:?}",
                seen(&text) - before
            )))
        }
    }
}

/// How many requests Envoy has seen. The listener's name is in that of the metric where there is no rule for it, else in a
/// label.
fn seen(page: &Page) -> f64 {
    let samples = page.families.values().flat_map(|family| &family.samples);
    let of_listener = samples.filter(|sample| {
        let labeled = [("envoy_http_conn_manager_prefix", "traffic")];
        sample.name.ends_with("traffic_downstream_rq_total")
            || sample.name.ends_with("http_downstream_rq_total") && sample.has(&labeled)
    });
    of_listener.map(|sample| sample.value).sum()
}

async fn page(sidecar: &Sidecar) -> Result<Page> {
    let filter = "(requests_total|requests_started|requests_in_flight|downstream_rq_total)";
    let path = format!("/stats/prometheus?filter={filter}");
    Page::parse(&sidecar.envoy.admin_get(&path).await?.text())
}

/// The memory of both Envoys, in MB.
#[derive(Clone, Copy, Debug)]
struct Memory {
    /// Of the processes.
    resident: f64,
    /// What Envoy itself has allocated. V8, and the modules in it, have theirs elsewhere.
    envoy: f64,
}

impl Memory {
    async fn of(mesh: &Mesh) -> Result<Self> {
        let mut memory = Self {
            resident: 0.0,
            envoy: 0.0,
        };
        for (_, sidecar) in both(mesh) {
            let status = fs::read_to_string(format!("/proc/{}/status", sidecar.envoy.pid()))?;
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
            let kilobytes = line.context("VmRSS")?.trim().trim_end_matches(" kB");
            memory.resident += kilobytes.parse::<f64>()? / 1e3;
            let answer = sidecar.envoy.admin_get("/memory").await?;
            let answer: Value = serde_json::from_slice(&answer.body)?;
            let allocated = answer["allocated"].as_str().context("allocated")?;
            memory.envoy += allocated.parse::<f64>()? / 1e6;
        }
        Ok(memory)
    }
}

/// Clients of all kinds, until they are stopped.
struct Load {
    clients: JoinSet<Result<()>>,
    is_over: Arc<AtomicBool>,
    sent: Arc<AtomicU32>,
}

/// What a client does in each of its turns.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Answers of several statuses, on one connection.
    Statuses,
    /// Messages in both directions.
    Grpc,
    /// Streams that are reset, on one connection.
    Resets,
    /// Connections that end in the middle of a request.
    Aborts,
    /// Connections that become one of another protocol, as those of WebSocket do.
    Upgrades,
}

impl Load {
    fn start(mesh: &Arc<Mesh>) -> Self {
        let mut load = Self {
            clients: JoinSet::new(),
            is_over: Arc::default(),
            sent: Arc::default(),
        };
        for kind in [
            Kind::Statuses,
            Kind::Grpc,
            Kind::Resets,
            Kind::Aborts,
            Kind::Upgrades,
        ] {
            let (mesh, is_over) = (Arc::clone(mesh), Arc::clone(&load.is_over));
            let sent = Arc::clone(&load.sent);
            load.clients.spawn(async move {
                let turns = kind.turns(&mesh, &is_over, &sent).await;
                turns.with_context(|| format!("{kind:?}"))
            });
        }
        load
    }

    async fn stop(mut self) -> Result<u32> {
        self.is_over.store(true, Ordering::Relaxed);
        while let Some(client) = self.clients.join_next().await {
            client??;
        }
        Ok(self.sent.load(Ordering::Relaxed))
    }
}

impl Kind {
    async fn turns(self, mesh: &Mesh, is_over: &AtomicBool, sent: &AtomicU32) -> Result<()> {
        while !is_over.load(Ordering::Relaxed) {
            match self.turn(mesh).await {
                Ok(requests) => {
                    sent.fetch_add(requests, Ordering::Relaxed);
                }
                // The application closes a connection on which many streams were reset, and with it
                // ends other streams of gRPC. What Envoy saw of them is counted all the same.
                Err(_) if matches!(self, Self::Grpc | Self::Resets) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// One connection and some requests; how many.
    async fn turn(self, mesh: &Mesh) -> Result<u32> {
        match self {
            Self::Statuses => {
                let mut client = mesh.client().await?;
                for (path, status) in [
                    ("/version", 200),
                    ("/status/404", 404),
                    ("/status/503", 503),
                ] {
                    ensure!(client.get(path).await?.status == status, "{path}");
                }
                Ok(3)
            }
            Self::Grpc => {
                let mut client = Client::http2(mesh.outbound.traffic).await?;
                let mut call = client.call("/grpc/echo").await?;
                for _ in 0..3 {
                    call.exchange().await?;
                }
                call.finish().await?;
                Ok(1)
            }
            Self::Resets => {
                let mut client = Client::http2(mesh.outbound.traffic).await?;
                for _ in 0..5 {
                    let mut call = client.call("/grpc/echo").await?;
                    call.exchange().await?;
                    drop(call);
                }
                Ok(5)
            }
            Self::Aborts => {
                let mut client = mesh.client().await?;
                // Not answered before the connection is closed.
                let answer = timeout(Duration::from_millis(20), client.get("/delay/1000")).await;
                ensure!(answer.is_err(), "/delay/1000 was answered");
                Ok(1)
            }
            Self::Upgrades => {
                upgrade(mesh.outbound.traffic).await?;
                Ok(1)
            }
        }
    }
}

/// A connection that is upgraded, and some bytes in both directions.
async fn upgrade(address: SocketAddr) -> Result<()> {
    const REQUEST: &[u8] = b"GET /upgrade HTTP/1.1\r\nhost: podinfo:9898\r\n\
        connection: upgrade\r\nupgrade: websocket\r\n\r\n";
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(REQUEST).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head);
    ensure!(head.starts_with("HTTP/1.1 101"), "{head}");
    for _ in 0..3 {
        stream.write_all(b"ping").await?;
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).await?;
        ensure!(answer == *b"ping", "{answer:?}");
    }
    Ok(())
}
