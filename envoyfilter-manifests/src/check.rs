//! `mixerless check`: reads a live `/stats/prometheus`, says what is wrong and how to mend it.

mod address;
mod faults;
mod page;
mod report;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, ValueEnum};

use self::address::Address;
use self::faults::Expectations;
use crate::plugin::Plugin;

pub use self::faults::{Fault, Finding};
pub use self::page::Page;
pub use self::report::{Report, Reports};

/// What one can say to `mixerless check`.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Proxies: HOST, HOST:PORT or a URL [port 15090 and path /stats/prometheus are assumed]
    #[arg(value_name = "URL", required = true)]
    pub urls: Vec<String>,
    /// How to say it
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
    /// The module's configuration, as given to `manifests`: its own labels and its limit of series are then known
    #[arg(long, value_name = "FILE")]
    pub plugin_config: Option<PathBuf>,
}

/// How to say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people
    Text,
    /// For programs
    Json,
}

/// Looks at each proxy.
///
/// # Errors
/// When what was asked makes no sense; a proxy that does not answer is a finding.
pub async fn check(options: &Options) -> Result<Reports> {
    crate::use_ring();
    let plugin = match &options.plugin_config {
        Some(file) => Plugin::read(file)?,
        None => Plugin::default(),
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
            Ok(text) => expectations.examine(&Page::parse(&text)),
            Err(finding) => vec![finding],
        };
        reports.push(Report {
            url: address.to_string(),
            findings,
        });
    }
    Ok(Reports(reports))
}
