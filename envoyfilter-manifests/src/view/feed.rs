//! The rates that are shown: from proxies' pages, from a Prometheus, or invented.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use anyhow::Result;
use futures_util::future::join_all;
use stats_core::labels::Label;
use stats_core::labels::metrics::HttpMetric;

use super::demo;
use super::traffic::TrafficGraph;
use crate::scrape::{Address, NoPage, QueryApi, ScrapedPage, ScrapedSample};

/// How often proxies are read.
const PAGES_EVERY: Duration = Duration::from_secs(2);
/// How often Prometheus is asked; it scrapes no more often itself.
const QUERIES_EVERY: Duration = Duration::from_secs(5);

/// A source of rates.
pub struct Feed {
    source: RateSource,
    prefix: String,
    rates: Vec<ScrapedSample>,
    problems: Vec<String>,
}

enum RateSource {
    Pages {
        proxies: Vec<PolledProxy>,
        window: Duration,
    },
    Prometheus {
        api: QueryApi,
        window: Duration,
    },
    Invented {
        workloads: usize,
        started: Instant,
    },
}

/// A proxy, and its counters in the last window.
struct PolledProxy {
    address: Address,
    counters: VecDeque<(Instant, Counters)>,
}

/// By name and labels.
type Counters = BTreeMap<(String, BTreeMap<String, String>), f64>;

impl Feed {
    /// From the pages of these proxies.
    pub fn pages(urls: &[String], prefix: &str, window: Duration) -> Result<Self> {
        let proxy = |url: &String| {
            let address = Address::parse(url)?;
            Ok(PolledProxy {
                address,
                counters: VecDeque::new(),
            })
        };
        let proxies = urls.iter().map(proxy).collect::<Result<_>>()?;
        Ok(Self::new(RateSource::Pages { proxies, window }, prefix))
    }

    /// From what a Prometheus has.
    pub fn prometheus(url: &str, prefix: &str, window: Duration) -> Result<Self> {
        let api = QueryApi::new(url)?;
        Ok(Self::new(RateSource::Prometheus { api, window }, prefix))
    }

    /// Invented, of so many workloads.
    pub fn demo(workloads: usize, prefix: &str) -> Self {
        let started = Instant::now();
        Self::new(RateSource::Invented { workloads, started }, prefix)
    }

    fn new(source: RateSource, prefix: &str) -> Self {
        let prefix = prefix.to_owned();
        Self {
            source,
            prefix,
            rates: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// Reads it once.
    pub async fn read(&mut self) {
        self.problems.clear();
        match &mut self.source {
            RateSource::Pages { proxies, window } => {
                let prefix = &self.prefix;
                let pages = join_all(proxies.iter().map(|proxy| proxy.address.fetch())).await;
                for (proxy, page) in proxies.iter_mut().zip(pages) {
                    match page {
                        Ok(page) => proxy.take(&page, prefix, *window),
                        Err(no_page) => self.problems.push(unreadable(&proxy.address, &no_page)),
                    }
                }
                self.rates = proxies.iter().flat_map(PolledProxy::rates).collect();
            }
            RateSource::Prometheus { api, window } => {
                match queried(api, &self.prefix, *window).await {
                    Ok(rates) => self.rates = rates,
                    Err(error) => self.problems.push(format!("{error:#}")),
                }
            }
            RateSource::Invented { workloads, started } => {
                self.rates = demo::rates(*workloads, started.elapsed(), &self.prefix);
            }
        }
    }

    /// Who calls whom, as last read.
    pub fn graph(&self) -> TrafficGraph {
        TrafficGraph::of(&self.rates, &self.prefix)
    }

    /// What could not be read the last time.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// Whether rates need a second look.
    pub fn needs_time(&self) -> bool {
        matches!(self.source, RateSource::Pages { .. })
    }

    /// How often it is worth reading.
    pub fn interval(&self) -> Duration {
        match self.source {
            RateSource::Prometheus { .. } => QUERIES_EVERY,
            RateSource::Pages { .. } | RateSource::Invented { .. } => PAGES_EVERY,
        }
    }

    /// What is looked at, for a heading.
    pub fn description(&self) -> String {
        match &self.source {
            RateSource::Pages { proxies, window } => match &proxies[..] {
                [proxy] => format!("{}, the last {} s", proxy.address, window.as_secs()),
                proxies => format!("{} proxies, the last {} s", proxies.len(), window.as_secs()),
            },
            RateSource::Prometheus { api, window } => {
                format!("{api}, the last {} s", window.as_secs())
            }
            RateSource::Invented { .. } => "invented traffic, no real mesh".to_owned(),
        }
    }
}

impl PolledProxy {
    fn take(&mut self, page: &ScrapedPage, prefix: &str, window: Duration) {
        let now = Instant::now();
        let wanted = |sample: &&ScrapedSample| {
            let metric = sample.name.strip_prefix(prefix);
            metric.is_some_and(|metric| is_total(metric) || is_bucket(metric))
        };
        let counter =
            |sample: &ScrapedSample| ((sample.name.clone(), sample.labels.clone()), sample.value);
        let counters = page.samples.iter().filter(wanted).map(counter);
        self.counters.push_back((now, counters.collect()));
        // One that is older than the window stays, so that the window is a whole one.
        while let Some((second, _)) = self.counters.get(1)
            && now.duration_since(*second) >= window
        {
            self.counters.pop_front();
        }
    }

    /// What its counters grew by, per second. A counter that is not on the older page began at zero.
    fn rates(&self) -> Vec<ScrapedSample> {
        let (Some((start, before)), Some((end, after))) =
            (self.counters.front(), self.counters.back())
        else {
            return Vec::new();
        };
        let seconds = end.duration_since(*start).as_secs_f64();
        if seconds <= 0.0 {
            return Vec::new();
        }
        let rate = |((name, labels), value): (&(String, BTreeMap<String, String>), &f64)| {
            let earlier = before.get(&(name.clone(), labels.clone())).copied();
            // One that went down belongs to a proxy that was restarted.
            let earlier = earlier
                .filter(|earlier| earlier <= value)
                .unwrap_or_default();
            ScrapedSample {
                name: name.clone(),
                labels: labels.clone(),
                value: (value - earlier) / seconds,
            }
        };
        // A workload without traffic is still shown.
        after.iter().map(rate).collect()
    }
}

fn is_total(metric: &str) -> bool {
    metric == HttpMetric::RequestsTotal.name()
        || matches!(metric, "tcp_sent_bytes_total" | "tcp_received_bytes_total")
}

fn is_bucket(metric: &str) -> bool {
    metric.strip_suffix("_bucket") == Some(HttpMetric::RequestDuration.name())
}

/// The labels of the two sides and of the reporter, which all queries keep.
const SIDES: [Label; 7] = [
    Label::Reporter,
    Label::SourceWorkload,
    Label::SourceWorkloadNamespace,
    Label::DestinationWorkload,
    Label::DestinationWorkloadNamespace,
    Label::DestinationServiceName,
    Label::DestinationServiceNamespace,
];

async fn queried(api: &QueryApi, prefix: &str, window: Duration) -> Result<Vec<ScrapedSample>> {
    let sides = SIDES.map(Label::name).join(", ");
    let outcome = "response_code, response_flags, grpc_response_status, connection_security_policy";
    let buckets = format!("{}_bucket", HttpMetric::RequestDuration.name());
    let mut rates = Vec::new();
    for (metric, more) in [
        (HttpMetric::RequestsTotal.name(), outcome),
        (buckets.as_str(), "le"),
        ("tcp_sent_bytes_total", "component"),
        ("tcp_received_bytes_total", "component"),
    ] {
        let window = window.as_secs().max(1);
        let query = format!("sum by ({sides}, {more}) (rate({prefix}{metric}[{window}s]))");
        for sample in api.query(&query).await? {
            let name = format!("{prefix}{metric}");
            rates.push(ScrapedSample { name, ..sample });
        }
    }
    Ok(rates)
}

fn unreadable(address: &Address, no_page: &NoPage) -> String {
    match no_page {
        NoPage::OtherThan(status) => {
            format!("{address} is no proxy's metrics: it answers with status {status}")
        }
        NoPage::NoAnswer(cause) => format!("no answer from {address}: {cause}"),
    }
}
