//! Checking all proxies from what a Prometheus has of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Result, ensure};
use stats_core::labels::metrics::HttpMetric;
use stats_core::labels::{Label, OVERFLOW};
use stats_core::peer::unknown::UnknownReason;

use super::faults::{Expectations, RECEIVED};
use super::finding::{Fault, Finding};
use super::observation::Observation;
use super::report::ProxyReport;
use crate::scrape::{QueryApi, ScrapedSample};

/// What is looked at without `--since`.
const WINDOW: Duration = Duration::from_mins(5);
/// The label of a scraped page.
const INSTANCE: &str = "instance";

/// The labels on which faults depend. All others are summed over: a fleet has a million series.
const LABELS: [&str; 9] = [
    Label::Reporter.name(),
    Label::SourceWorkload.name(),
    Label::DestinationWorkload.name(),
    Label::DestinationService.name(),
    Label::DestinationServiceName.name(),
    Label::ConnectionSecurityPolicy.name(),
    Label::ResponseFlags.name(),
    Label::ResponseCode.name(),
    UnknownReason::LABEL,
];

/// What is found at each proxy whose metrics this Prometheus has, and those that it cannot scrape.
pub async fn reports(
    url: &str,
    since: Option<Duration>,
    prefix: &str,
    expectations: &Expectations,
) -> Result<Vec<ProxyReport>> {
    let api = QueryApi::new(url)?;
    let window = since.unwrap_or(WINDOW);
    let fleet = Fleet::ask(&api, prefix, window).await?;
    ensure!(
        !fleet.proxies.is_empty(),
        "--prometheus: {api} has no metric {prefix}*: see that it scrapes proxies, with prometheus/prometheus.yaml of \
         `mixerless manifests`"
    );
    let mut reports = Vec::new();
    for (proxy, observed) in fleet.proxies {
        let findings = if fleet.down.contains(&proxy) {
            vec![down()]
        } else {
            expectations.examine(&observed)
        };
        reports.push(ProxyReport { proxy, findings });
    }
    Ok(reports)
}

/// What Prometheus has of the proxies, by instance.
#[derive(Default)]
struct Fleet {
    proxies: BTreeMap<String, Observation>,
    down: BTreeSet<String>,
}

impl Fleet {
    async fn ask(api: &QueryApi, prefix: &str, window: Duration) -> Result<Self> {
        let mut fleet = Self::default();
        fleet.ask_what_is_there(api, prefix).await?;
        fleet.ask_what_happened(api, prefix, window).await?;
        let down = format!(
            "up == 0 and on (job) group by (job) ({{__name__=~\"{prefix}(build|requests_total)\"}})"
        );
        for sample in api.query(&down).await? {
            fleet.of(&sample);
            fleet.down.insert(sample.label(INSTANCE).to_owned());
        }
        Ok(fleet)
    }

    async fn ask_what_is_there(&mut self, api: &QueryApi, prefix: &str) -> Result<()> {
        let requests = format!("{prefix}{}", HttpMetric::RequestsTotal.name());
        let buckets = format!("{prefix}{}_bucket", HttpMetric::RequestDuration.name());
        // Names in which labels stand.
        let glued =
            format!("count by (__name__, {INSTANCE}) ({{__name__=~\".+___.*{prefix}.+\"}})");
        for sample in api.query(&glued).await? {
            let page = &mut self.of(&sample).page;
            page.families.push(sample.name.clone());
        }
        let names =
            format!("count by (__name__, {INSTANCE}) ({{__name__=~\"{prefix}(build|.+_total)\"}})");
        for sample in api.query(&names).await? {
            let observed = self.of(&sample);
            // Those beyond the limit are not counted against it; see below.
            observed.series.get_or_insert(0.0);
            observed.page.samples.push(sample);
        }
        let service = Label::DestinationService.name();
        let series = format!("count by ({INSTANCE}) ({requests}{{{service}!=\"{OVERFLOW}\"}})");
        for sample in api.query(&series).await? {
            self.of(&sample).series = Some(sample.value);
        }
        let bounds = format!("count by (le, {INSTANCE}) ({buckets})");
        for sample in api.query(&bounds).await? {
            let name = buckets.clone();
            self.of(&sample)
                .page
                .samples
                .push(ScrapedSample { name, ..sample });
        }
        Ok(())
    }

    async fn ask_what_happened(
        &mut self,
        api: &QueryApi,
        prefix: &str,
        window: Duration,
    ) -> Result<()> {
        let requests = format!("{prefix}{}", HttpMetric::RequestsTotal.name());
        let labels = LABELS.join(", ");
        let window = window.as_secs().max(1);
        for (name, by) in [
            (requests.as_str(), labels.as_str()),
            (RECEIVED, "envoy_http_conn_manager_prefix"),
        ] {
            let counted = format!("sum by ({by}, {INSTANCE}) (increase({name}[{window}s]))");
            for sample in api.query(&counted).await? {
                // Prometheus extrapolates to the ends of the window; requests are whole.
                let value = sample.value.round();
                let is_known = self.proxies.contains_key(sample.label(INSTANCE));
                if value > 0.0 && is_known {
                    let name = name.to_owned();
                    let sample = ScrapedSample {
                        name,
                        value,
                        ..sample
                    };
                    self.of(&sample).happened.push(sample);
                }
            }
        }
        Ok(())
    }

    fn of(&mut self, sample: &ScrapedSample) -> &mut Observation {
        let instance = sample.label(INSTANCE).to_owned();
        self.proxies.entry(instance).or_default()
    }
}

fn down() -> Finding {
    Finding::new(
        Fault::NoStatsListener,
        "Prometheus cannot scrape this proxy (`up` is 0).",
        "See that the pod runs, and what Prometheus says on its page Status, Targets.",
    )
}
