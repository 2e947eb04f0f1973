//! What a request pays in a real Envoy. `cargo bench -p bench --bench envoy -- --help` lists the
//! options. Results are printed, and written to `target/bench/envoy.md` and `envoy.svg`.
//!
//! Here: the command line and the order of the sections. The measurements are in `bench::envoy`.

use std::process::Command;

use anyhow::{Context, Result};
use bench::envoy::testbed::{COPIES, Effort};
use bench::envoy::variant::OtherModule;
use bench::envoy::{cost, flood, latency, memory, new_series, scaling, start, tcp};
use bench::report::Report;
use clap::{Parser, ValueEnum};

#[derive(Parser)]
#[command(about = "What a request pays in a real Envoy.")]
struct Arguments {
    /// Only these sections.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Section>,
    /// Measures another module beside ours: `PATH:ROOT_ID`. It has to count in
    /// `istio_requests_total`, unless `ROOT_ID` is `metadata_exchange`. May be given several times.
    #[arg(long)]
    module: Vec<OtherModule>,
    /// Envoys, one after the other: memory layout makes some faster than others.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    envoys: u32,
    /// Rounds; in each, every variant has one burst.
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Requests in a burst.
    #[arg(long, default_value_t = 250, value_parser = clap::value_parser!(u32).range(1..))]
    burst: u32,
    /// Copies of each variant in its chain, for the section `cost`. Ten bring small costs out of the
    /// noise; the first one costs more than the rest, as it finds the processor's caches cold.
    #[arg(long, default_value_t = COPIES, value_parser = clap::value_parser!(u32).range(1..))]
    copies: u32,
    /// What cargo passes to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
    /// The name filter that cargo passes to every benchmark; this one has sections instead.
    #[arg(hide = true)]
    filter: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Section {
    /// CPU time per request, beside the native stats logger.
    Cost,
    /// The same with many label sets, and with many peers.
    Scaling,
    /// CPU time for a new label set.
    NewSeries,
    /// Envoy's memory for a label set.
    Memory,
    /// CPU time of starting an Envoy.
    Start,
    /// How much longer a request takes.
    Latency,
    /// The same while others cause new label sets.
    Flood,
    /// Throughput of a TCP connection, and CPU time of short ones.
    Tcp,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let effort = Effort {
        envoys: arguments.envoys,
        rounds: arguments.rounds,
        burst: arguments.burst,
    };
    let mut report = Report::default();
    report.text(&format!(
        "{}. CPU time of the whole Envoy process, all its threads, one worker, plaintext HTTP/1.1 over \
         loopback. Ratios hold, as far as their ranges say; absolute figures drift with the machine and what else it does, \
         and are to be compared within a table only.",
        envoy_version()?
    ));
    for section in Section::value_variants() {
        if !arguments.only.is_empty() && !arguments.only.contains(section) {
            continue;
        }
        match section {
            Section::Cost => {
                cost::run(&mut report, effort, arguments.copies, &arguments.module).await?;
            }
            Section::Scaling => scaling::run(&mut report, effort).await?,
            Section::NewSeries => new_series::run(&mut report).await?,
            Section::Memory => memory::run(&mut report).await?,
            Section::Start => start::run(&mut report, &arguments.module).await?,
            Section::Latency => latency::run(&mut report).await?,
            Section::Flood => flood::run(&mut report).await?,
            Section::Tcp => tcp::run(&mut report).await?,
        }
    }
    report.save("envoy.md")
}

/// Version and build: `Envoy 1.40.0 (RELEASE)`.
fn envoy_version() -> Result<String> {
    let output = Command::new(harness::install::envoy()?)
        .arg("--version")
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    // `PATH  version: COMMIT/1.40.0/Clean/RELEASE/BoringSSL`
    let (_, parts) = text.split_once("version: ").context("Envoy's version")?;
    let mut parts = parts.split('/').skip(1);
    let [version, _, build] = [(); 3].map(|()| parts.next().unwrap_or("?"));
    Ok(format!("Envoy {version} ({build})"))
}
