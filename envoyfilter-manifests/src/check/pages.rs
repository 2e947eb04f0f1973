//! Checking proxies from their own pages.

use std::time::Duration;

use anyhow::Result;
use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use super::faults::Expectations;
use super::finding::{Fault, Finding};
use super::observation::Observation;
use super::report::ProxyReport;
use crate::proxy::STATS_PORT;
use crate::scrape::{Address, NoPage, PAGE_PATH, ScrapedPage};

/// Envoy flushes its histograms every 5 s unless it is told otherwise.
const FLUSH: Duration = Duration::from_secs(10);
const INTERVAL: Duration = Duration::from_millis(250);

/// What is found at each of these proxies; with a duration, of what happens in that time.
pub async fn reports(
    urls: &[String],
    since: Option<Duration>,
    expectations: &Expectations,
) -> Result<Vec<ProxyReport>> {
    let addresses: Vec<Address> = urls
        .iter()
        .map(|url| Address::parse(url))
        .collect::<Result<_>>()?;
    let mut before = Vec::new();
    if let Some(duration) = since {
        before = join_all(addresses.iter().map(Address::fetch)).await;
        sleep(duration).await;
    }
    // Without a page of before, all that stands on the later one happened since.
    let before = before.into_iter().map(Result::unwrap_or_default);
    let before = before.chain(std::iter::repeat(ScrapedPage::default()));
    let reports = addresses.iter().zip(before).map(async |(address, before)| {
        let findings = match settled(address, expectations).await {
            Ok(page) => expectations.examine(&Observation::between(&before, page)),
            Err(no_page) => vec![unreachable(&no_page)],
        };
        ProxyReport {
            proxy: address.to_string(),
            findings,
        }
    });
    Ok(join_all(reports).await)
}

/// The page, with the histograms of its first requests.
async fn settled(address: &Address, expectations: &Expectations) -> Result<ScrapedPage, NoPage> {
    let started = Instant::now();
    loop {
        let page = address.fetch().await?;
        if !expectations.awaits_histograms(&page) || started.elapsed() >= FLUSH {
            return Ok(page);
        }
        sleep(INTERVAL).await;
    }
}

fn unreachable(no_page: &NoPage) -> Finding {
    let (problem, first) = match no_page {
        NoPage::OtherThan(status) => (
            format!("What answers here (status {status}) is not a proxy's metrics."),
            format!(
                "Ask the listener that serves {PAGE_PATH}: port {STATS_PORT} of a sidecar or gateway."
            ),
        ),
        NoPage::NoAnswer(cause) => (
            format!("No answer from this address: {cause}."),
            format!(
                "See that the pod runs and has a sidecar, and that nothing keeps you from port {STATS_PORT}."
            ),
        ),
    };
    let remedy = format!(
        "{first} Istio's sidecars have that port of themselves; a bootstrap of your own needs the listener that \
         `mixerless manifests --target envoy` writes to envoy/stats-listener.yaml."
    );
    Finding::new(Fault::NoStatsListener, problem, remedy)
}
