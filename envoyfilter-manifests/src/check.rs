//! `mixerless check`: finds the faults of a live `/stats/prometheus`, with a remedy for each.

mod address;
mod faults;
mod finding;
mod page;
mod report;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, ValueEnum};

use self::address::Address;
use self::faults::Expectations;
use crate::plugin_config::PluginConfig;

pub use self::finding::{Fault, Finding};
pub use self::page::ScrapedPage;
pub use self::report::{ProxyReport, Reports};

/// The options of `mixerless check`.
#[derive(Args, Clone, Debug)]
pub struct CheckOptions {
    /// Proxies: HOST, HOST:PORT or a URL [port 15090 and path /stats/prometheus are assumed]
    #[arg(value_name = "URL", required = true)]
    pub urls: Vec<String>,
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
/// When an option is wrong; a proxy that does not answer is a finding.
pub async fn check(options: &CheckOptions) -> Result<Reports> {
    crate::use_ring();
    let plugin = match &options.plugin_config {
        Some(file) => PluginConfig::read(file)?,
        None => PluginConfig::default(),
    };
    let expectations = Expectations::of(&plugin);
    let addresses: Vec<Address> = options
        .urls
        .iter()
        .map(|url| Address::parse(url))
        .collect::<Result<_>>()?;
    let mut reports = Vec::new();
    for address in addresses {
        let findings = match address.fetch().await {
            Ok(text) => expectations.examine(&ScrapedPage::parse(&text)),
            Err(finding) => vec![finding],
        };
        reports.push(ProxyReport {
            url: address.to_string(),
            findings,
        });
    }
    Ok(Reports(reports))
}
