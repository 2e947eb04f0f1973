//! Requests into the mesh, and the metrics pages of its proxies.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use harness::Page;

use super::api::agent;
use super::flag::Flag;
use super::workload::Ready;

/// The URL of podinfo for a client in the mesh.
pub const PODINFO: &str = "http://podinfo.test:9898/version";

/// Sends requests from within a pod, through its sidecar; returns the status of each.
pub fn from_pod(ready: &Ready, url: &str, count: u32) -> Result<Vec<u16>> {
    let mut words = vec![
        "--silent",
        "--max-time",
        "10",
        "--write-out",
        "%{http_code}\n",
    ];
    let requests = ["--output", "/dev/null", url].repeat(count as usize);
    words.extend(requests);
    let said = ready.pod.exec("curl", &words)?;
    said.lines()
        .map(|line| line.parse().with_context(|| format!("curl said {line}")))
        .collect()
}

/// Sends requests from outside to a gateway, as a client that says it wants `host`; returns the status of each.
pub fn from_outside(gateway: Ipv4Addr, host: &str, path: &str, count: u32) -> Result<Vec<u16>> {
    let agent = agent(Duration::from_secs(10));
    (0..count)
        .map(|_| {
            let answer = agent
                .get(format!("http://{gateway}:8080{path}"))
                .header("host", host)
                .call()?;
            Ok(answer.status().as_u16())
        })
        .collect()
}

/// What a proxy serves for Prometheus.
pub fn page(address: Ipv4Addr) -> Result<Page> {
    let url = format!("http://{address}:15090/stats/prometheus");
    let mut answer = agent(Duration::from_secs(10)).get(&url).call()?;
    ensure!(answer.status().is_success(), "{url}: {}", answer.status());
    let text = answer
        .body_mut()
        .with_config()
        .limit(64 << 20)
        .read_to_string()
        .with_context(|| format!("cannot read {url}"))?;
    Page::parse(&text).with_context(|| format!("{url} is no metrics page"))
}

/// Whether two counts are the same: they are whole numbers, though samples are not.
pub fn same(one: f64, other: f64) -> bool {
    (one - other).abs() < 0.5
}

/// Requests from outside that go on in the background, evenly, until the value is dropped.
pub struct Load {
    ended: Arc<Flag>,
    answered: Arc<AtomicU32>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    /// A load stops after this time in any case.
    const LONGEST: Duration = Duration::from_mins(20);
    /// Several, so that a slow response does not delay the other requests.
    const THREADS: u32 = 8;

    /// Sends that many requests a second to a gateway.
    pub fn start(gateway: Ipv4Addr, host: &str, per_second: u32) -> Self {
        let ended = Arc::new(Flag::default());
        let answered = Arc::new(AtomicU32::new(0));
        let pause = Duration::from_secs(1) * Self::THREADS / per_second;
        let threads = (0..Self::THREADS).map(|nth| {
            let (ended, answered, host) =
                (Arc::clone(&ended), Arc::clone(&answered), host.to_owned());
            thread::spawn(move || {
                thread::sleep(pause * nth / Self::THREADS);
                let deadline = Instant::now() + Self::LONGEST;
                while !ended.is_set() && Instant::now() < deadline {
                    let next = Instant::now() + pause;
                    if from_outside(gateway, &host, "/", 1).is_ok() {
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                    thread::sleep(next.saturating_duration_since(Instant::now()));
                }
            })
        });
        Self {
            threads: threads.collect(),
            ended,
            answered,
        }
    }

    /// Ends it and says how many requests were answered.
    pub fn end(mut self) -> u32 {
        self.join();
        self.answered.load(Ordering::Relaxed)
    }

    fn join(&mut self) {
        self.ended.set();
        for thread in self.threads.drain(..) {
            // If a thread has panicked, the counts differ.
            let _ = thread.join();
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.join();
    }
}
