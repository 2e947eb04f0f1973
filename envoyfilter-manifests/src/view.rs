//! `mixerless view`: who calls whom, as a page on this machine, or as a picture or JSON for a report.
//!
//! One direction: a [`feed`] of rates becomes a [`traffic`] graph; a [`choice`] of it is laid out, drawn, and put on a page.

mod choice;
mod demo;
mod document;
mod drawing;
mod feed;
mod figures;
mod histogram;
mod layout;
mod server;
mod summary;
mod traffic;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use self::choice::{Chosen, ViewChoice};
use self::feed::Feed;
use self::layout::GraphLayout;
use self::traffic::TrafficGraph;
use crate::plugin_config::PluginConfig;

/// The options of `mixerless view`.
#[derive(Args, Clone, Debug)]
pub struct ViewOptions {
    /// Proxies: HOST, HOST:PORT or a URL [port 15090 and path /stats/prometheus are assumed]
    #[arg(value_name = "URL", conflicts_with_all = ["prometheus", "demo"])]
    pub urls: Vec<String>,
    /// Look at all proxies that this Prometheus scrapes
    #[arg(long, value_name = "URL", conflicts_with = "demo")]
    pub prometheus: Option<String>,
    /// Invent the traffic of so many workloads [12 if no number is given]
    #[arg(long, value_name = "WORKLOADS", num_args = 0..=1, default_missing_value = "12")]
    pub demo: Option<usize>,
    /// Write one picture or document to standard output, and serve no page
    #[arg(long, value_enum)]
    pub output: Option<ViewFormat>,
    /// Show the rates of the last so many seconds: 30s, 5m
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = humantime::parse_duration)]
    pub window: Duration,
    /// Where the page is served; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:15080")]
    pub listen: SocketAddr,
    /// Answer also under this host name, for a page behind a proxy of one's own; may be given again
    #[arg(long, value_name = "NAME[:PORT]")]
    pub host: Vec<String>,
    /// The module's configuration, as given to `manifests`: its metrics' prefix is then known
    #[arg(long, value_name = "FILE")]
    pub plugin_config: Option<PathBuf>,
}

/// What `--output` writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ViewFormat {
    /// The graph, in light and dark
    Svg,
    /// The graph's figures, for programs
    Json,
}

/// Serves the page until the process is ended, or writes one picture.
///
/// # Errors
/// When an option is wrong, the port is taken, or, for a picture, nothing can be read.
pub async fn view(options: &ViewOptions) -> Result<()> {
    let plugin = match &options.plugin_config {
        Some(file) => PluginConfig::read(file)?,
        None => PluginConfig::default(),
    };
    let feed = feed_of(options, &plugin.prefix())?;
    match options.output {
        None => server::serve(feed, options.listen, &options.host).await,
        Some(format) => {
            let graph = once(feed, options.window).await?;
            match format {
                ViewFormat::Json => {
                    println!("{}", serde_json::to_string_pretty(&summary::of(&graph))?);
                }
                ViewFormat::Svg => {
                    let chosen = Chosen::of(&graph, &ViewChoice::default());
                    print!(
                        "{}",
                        drawing::standalone(&chosen, &GraphLayout::of(&chosen))
                    );
                }
            }
            Ok(())
        }
    }
}

fn feed_of(options: &ViewOptions, prefix: &str) -> Result<Feed> {
    match (&options.prometheus, options.demo) {
        (Some(url), _) => Feed::prometheus(url, prefix, options.window),
        (None, Some(workloads)) => Ok(Feed::demo(workloads, prefix)),
        (None, None) if options.urls.is_empty() => {
            bail!(
                "nothing to look at: name proxies, --prometheus URL, or --demo for invented traffic"
            )
        }
        (None, None) => Feed::pages(&options.urls, prefix, options.window),
    }
}

/// The rates of one window. Proxies have counters only, so that theirs takes as long as the window.
async fn once(mut feed: Feed, window: Duration) -> Result<TrafficGraph> {
    feed.read().await;
    if feed.needs_time() {
        tokio::time::sleep(window).await;
        feed.read().await;
    }
    if let Some(problem) = feed.problems().first() {
        bail!("{problem}");
    }
    Ok(feed.graph())
}
