//! `mixerless check`: finds the faults of live proxies, with a remedy for each, and says whether a rollout may go on.

mod faults;
mod finding;
mod fleet;
mod gate;
mod observation;
mod pages;
mod report;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, ValueEnum};

use self::faults::Expectations;
use self::gate::FailOn;
use crate::plugin_config::PluginConfig;

pub use self::finding::{Fault, Finding, Severity};
pub use self::report::{CheckReport, ProxyReport, Verdict};

/// The options of `mixerless check`.
#[derive(Args, Clone, Debug)]
pub struct CheckOptions {
    /// Proxies: HOST, HOST:PORT or a URL [port 15090 and path /stats/prometheus are assumed]
    #[arg(
        value_name = "URL",
        required_unless_present = "prometheus",
        conflicts_with = "prometheus"
    )]
    pub urls: Vec<String>,
    /// Judge all proxies that this Prometheus scrapes, from what it has of them
    #[arg(long, value_name = "URL")]
    pub prometheus: Option<String>,
    /// Judge only what happens from now on for that long: 30s, 5m. With --prometheus, the last that long [there: 5m]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub since: Option<Duration>,
    /// The least severity that makes the exit status 1; notes never do
    #[arg(long, value_enum, default_value_t = FailOn::Warning)]
    pub fail_on: FailOn,
    /// Leave out a fault; may be given again
    #[arg(long, value_enum, value_name = "FAULT")]
    pub ignore: Vec<Fault>,
    /// Overlook a fault of single requests up to this share of them, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0, value_parser = gate::percent)]
    pub threshold: f64,
    /// Format of the output
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
    /// The module's configuration, as given to `manifests`: its labels and its limit of series are then known
    #[arg(long, value_name = "FILE")]
    pub plugin_config: Option<PathBuf>,
}

/// The format of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people
    Text,
    /// For programs
    Json,
}

/// Checks each proxy.
///
/// # Errors
/// When an option is wrong, or a Prometheus does not answer; a proxy that does not answer is a finding.
pub async fn check(options: &CheckOptions) -> Result<CheckReport> {
    let plugin = match &options.plugin_config {
        Some(file) => PluginConfig::read(file)?,
        None => PluginConfig::default(),
    };
    let expectations = Expectations::of(&plugin, options.threshold);
    let proxies = match &options.prometheus {
        Some(url) => fleet::reports(url, options.since, &plugin.prefix(), &expectations).await?,
        None => pages::reports(&options.urls, options.since, &expectations).await?,
    };
    Ok(CheckReport::of(proxies, options.fail_on, &options.ignore))
}
