//! What an honest client notices while others cause as many new label sets as they can.
//!
//! Not here: what one new label set costs; see [`new_series`](super::new_series).

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use harness::{Page, SidecarDirection};
use hdrhistogram::Histogram;
use serde_json::Value;

use super::load::{Clients, RequestVariety};
use super::testbed::setup::listener_name;
use super::testbed::{Testbed, TestbedSetup, cpu_time};
use super::variant::Variant;
use crate::report::{Report, progress};

/// Connections of those who flood.
const CONNECTIONS: usize = 20;
/// Requests of a flood: each host comes once, each peer some times.
const REQUESTS: u32 = 30_000;
const PEERS: u32 = 2_000;
/// Between two requests of the honest client.
const PAUSE: Duration = Duration::from_millis(5);
/// The module as it is where nothing is configured.
const CONFIGURATION: &str = r#"{"direction": "inbound"}"#;
/// At most so many times as long may the honest client wait.
const GOAL: f64 = 2.0;
/// Longer than it takes to make the default's 1,000 label sets with the longest values.
const PATIENCE: Duration = Duration::from_mins(15);

/// What a flood did.
struct Flood {
    name: &'static str,
    /// The honest client's times, in nanoseconds.
    times: Histogram<u64>,
    took: Duration,
    /// Envoy's CPU time meanwhile.
    cpu: Duration,
    /// Label sets that waited for their series at its end.
    pending: f64,
    /// The share of a processor that it took to make them, and how long.
    making: Option<(f64, Duration)>,
    /// Bytes that Envoy holds when all is made, and after the same flood with other names.
    allocated: [f64; 2],
}

impl Flood {
    /// A row of the table; the honest client's times are compared with those of another flood.
    fn row(&self, base: &Self) -> Vec<String> {
        let time = |percentile| {
            let ratio = self.time(percentile) / base.time(percentile);
            let missed = if ratio > GOAL { ", missed" } else { "" };
            format!("{:.2} ({ratio:.2}{missed})", self.time(percentile))
        };
        let making = self.making.map_or_else(
            || "-".to_owned(),
            |(share, took)| format!("{:.1} % for {:.0} s", share * 100.0, took.as_secs_f64()),
        );
        let allocated = self.allocated.map(|bytes| format!("{:.1}", bytes / 1e6));
        vec![
            self.name.to_owned(),
            time(50.0),
            time(99.0),
            format!("{:.1}", self.took.as_secs_f64()),
            format!("{:.0}", self.cpu.as_secs_f64() * 1e6 / f64::from(REQUESTS)),
            format!("{:.0}", self.pending),
            making,
            allocated.join(", "),
        ]
    }

    /// The honest client's time, in milliseconds.
    fn time(&self, percentile: f64) -> f64 {
        Duration::from_nanos(self.times.value_at_percentile(percentile)).as_secs_f64() * 1e3
    }
}

/// Measures and reports.
///
/// # Errors
/// When an Envoy does not start, or does not count what it should.
pub async fn run(report: &mut Report) -> Result<()> {
    let one = RequestVariety::from_peers(1);
    let hosts = |round| RequestVariety {
        peers: one.peers.clone(),
        ..RequestVariety::to_authorities(round * REQUESTS..(round + 1) * REQUESTS)
    };
    let peers = |round| RequestVariety::from_forged_peers(round * PEERS..(round + 1) * PEERS);
    let floods = [
        flood("one label set", |_| one.clone()).await?,
        flood("30,000 hosts", hosts).await?,
        flood("2,000 forged peers, 512-byte labels", peers).await?,
    ];
    report.heading("Flood");
    report.text(&format!(
        "{REQUESTS} requests over {CONNECTIONS} connections, as fast as they are answered, inbound, one worker, \
         the configuration's defaults (1,000 label sets, 10 % of the worker's time for new ones). \
         Meanwhile an honest client sends a request each {} ms over a connection of its own: its \
         times in milliseconds, and how many times as long as where all requests have one label \
         set (goal: at most {GOAL}). Then nothing is sent until all label sets have their series: \
         the share of a processor that Envoy takes meanwhile is that of their definition. In the \
         end no request is missing. What Envoy holds (`/memory`) then, and after the same flood once \
         more with other names, is in MB.",
        PAUSE.as_millis()
    ));
    let [base, ..] = &floods;
    let rows = floods.iter().map(|flood| flood.row(base));
    let header = [
        "flood",
        "p50",
        "p99",
        "seconds",
        "CPU per request, µs",
        "waiting at its end",
        "definition",
        "Envoy, MB",
    ];
    report.table(&header, &rows.collect::<Vec<_>>());
    Ok(())
}

async fn flood(name: &'static str, round: impl Fn(u32) -> RequestVariety) -> Result<Flood> {
    progress(&format!("flood: {name}"));
    let setup = TestbedSetup {
        copies: 1,
        service_is_known: false,
        peers_differ: true,
        ..TestbedSetup::usual(SidecarDirection::Inbound)
    };
    let testbed = Testbed::start(&setup, &[Variant::combined(CONFIGURATION)?]).await?;
    let address = testbed.envoy().listener(&listener_name(0)).await?;
    let mut flooding = Clients::connect(address, CONNECTIONS).await?;
    let mut honest = Clients::connect(address, 1).await?;
    let honestly = RequestVariety::from_peers(1);
    // The honest client's own label set is there before.
    honest.burst(&honestly, 10).await?;

    let pid = testbed.envoy().pid();
    let (began, cpu_before) = (Instant::now(), cpu_time(pid)?);
    let first = round(0);
    let mut times = Histogram::new(3)?;
    tokio::select! {
        flooded = flooding.burst(&first, REQUESTS) => flooded?,
        failed = watch(&mut honest, &honestly, &mut times) => failed?,
    }
    let sent = honest.sent();
    let (took, cpu) = (began.elapsed(), cpu_time(pid)?.saturating_sub(cpu_before));
    let waiting = pending(&testbed).await?;
    let making = made(&testbed, waiting).await?;
    check(&testbed, sent + REQUESTS).await?;
    let before = allocated(&testbed).await?;
    flooding.burst(&round(1), REQUESTS).await?;
    made(&testbed, pending(&testbed).await?).await?;
    check(&testbed, sent + 2 * REQUESTS).await?;
    Ok(Flood {
        name,
        times,
        took,
        cpu,
        pending: waiting,
        making,
        allocated: [before, allocated(&testbed).await?],
    })
}

/// Sends the honest client's requests for ever.
async fn watch(
    honest: &mut Clients,
    honestly: &RequestVariety,
    times: &mut Histogram<u64>,
) -> Result<()> {
    loop {
        tokio::time::sleep(PAUSE).await;
        let due = Instant::now();
        honest.burst(honestly, 1).await?;
        times.record(u64::try_from(due.elapsed().as_nanos())?)?;
    }
}

/// Fails unless so many requests are counted.
async fn check(testbed: &Testbed, sent: u32) -> Result<()> {
    let counted = sum(testbed, "istio_requests_total").await?;
    // A request of the honest client may have been on its way when the flood ended.
    let expected = f64::from(sent - 1)..=f64::from(sent);
    ensure!(
        expected.contains(&counted),
        "{counted} of {sent} requests are counted"
    );
    Ok(())
}

/// Waits until no label set waits for its series. The share of a processor that Envoy took for it, and how
/// long; `None` where none waited.
async fn made(testbed: &Testbed, waiting: f64) -> Result<Option<(f64, Duration)>> {
    if waiting == 0.0 {
        return Ok(None);
    }
    let pid = testbed.envoy().pid();
    let (began, cpu_before) = (Instant::now(), cpu_time(pid)?);
    while pending(testbed).await? > 0.0 {
        ensure!(
            began.elapsed() < PATIENCE,
            "label sets still wait for their series"
        );
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let cpu = cpu_time(pid)?.saturating_sub(cpu_before);
    let share = cpu.as_secs_f64() / began.elapsed().as_secs_f64();
    Ok(Some((share, began.elapsed())))
}

async fn pending(testbed: &Testbed) -> Result<f64> {
    sum(testbed, "istio_pending_label_sets").await
}

async fn sum(testbed: &Testbed, metric: &str) -> Result<f64> {
    let path = format!("/stats/prometheus?usedonly&filter={metric}");
    let page = Page::parse(&testbed.envoy().admin_get(&path).await?.text())?;
    Ok(page.sum(metric, &[]))
}

async fn allocated(testbed: &Testbed) -> Result<f64> {
    let answer = testbed.envoy().admin_get("/memory").await?;
    let memory: Value = serde_json::from_slice(&answer.body)?;
    let allocated = memory["allocated"].as_str();
    Ok(allocated.context("what Envoy has allocated")?.parse()?)
}
