//! The faults of a proxy, with a probable cause and a remedy. Whether the module runs, and how often, is in [`module`];
//! unknown workloads are in [`unknown`].

mod module;
mod unknown;

pub use self::module::RECEIVED;

use std::collections::BTreeSet;

use stats_core::labels::OVERFLOW;
use stats_core::labels::metrics::HttpMetric;

use super::finding::{Fault, Finding};
use super::observation::Observation;
use crate::plugin_config::PluginConfig;
use crate::readers::REQUIRED_BUCKETS;
use crate::scrape::{ScrapedPage, ScrapedSample};

/// The share of the limit from which on it is near.
const NEAR: f64 = 0.8;

/// The expected content of a page.
#[derive(Clone, Debug)]
pub struct Expectations {
    labels: Vec<String>,
    prefix: String,
    max_series: usize,
    /// The share of requests, in percent, up to which a fault of single requests is none.
    threshold: f64,
}

impl Expectations {
    /// The expectations for a module with that configuration.
    pub fn of(plugin: &PluginConfig, threshold: f64) -> Self {
        Self {
            labels: plugin.labels(),
            prefix: plugin.prefix(),
            max_series: plugin.max_series(),
            threshold,
        }
    }

    /// All faults of a proxy.
    pub fn examine(&self, observed: &Observation) -> Vec<Finding> {
        let page = &observed.page;
        // Without labels, the other faults cannot be found.
        let alone = self
            .labels_in_names(page)
            .or_else(|| self.module_prefix(page))
            .or_else(|| self.no_metrics(page));
        if let Some(finding) = alone {
            return vec![finding];
        }
        [
            self.no_requests(observed),
            self.made_twice(page),
            self.counted_twice(observed),
            self.unknown_self(observed),
            self.unknown_peers(observed),
            self.peers_outside(observed),
            self.no_answer(observed),
            self.series_limit(observed),
            self.missing_buckets(page),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Whether a page of which requests were counted has no histogram yet: Envoy shows them after its next flush.
    pub fn awaits_histograms(&self, page: &ScrapedPage) -> bool {
        let buckets = format!("{}_bucket", self.name(HttpMetric::RequestDuration));
        let has = |name: &str| page.samples.iter().any(|sample| sample.name == name);
        has(&self.requests()) && !has(&buckets)
    }

    /// Envoy writes `reporter=.=source;.;` as `reporter___source___` if no rule takes it out of the name.
    fn labels_in_names(&self, page: &ScrapedPage) -> Option<Finding> {
        let glued: BTreeSet<&str> = page
            .families
            .iter()
            .map(String::as_str)
            .filter(|name| name.contains("___") && name.find(&self.prefix).is_some_and(|at| at > 0))
            .collect();
        let example = glued.iter().next()?;
        let has = |label: &&String| {
            let start = format!("{label}___");
            let inside = format!("___{start}");
            glued
                .iter()
                .any(|name| name.starts_with(&start) || name.contains(&inside))
        };
        let labels: Vec<&str> = self.labels.iter().filter(has).map(String::as_str).collect();
        let labels = match labels.len() {
            0 => "labels that are not known here (name your configuration with --plugin-config)"
                .to_owned(),
            _ => labels.join(", "),
        };
        Some(Finding::new(
            Fault::LabelsInNames,
            format!(
                "Labels stand in {} metric names instead of beside them, for example {}: \
                 the proxy has no rule (stats_tags) for {labels}.",
                glued.len(),
                shorten(example)
            ),
            "List these labels in extraStatTags, mesh-wide or in the pod's annotation sidecar.istio.io/extraStatTags, and restart \
             the pod; `mixerless manifests` writes both to mesh-config/. In a bootstrap of your own: envoy/stats-config.yaml.",
        ))
    }

    /// Native metrics have the same names; a page with both declares each family twice, or has a series twice.
    fn made_twice(&self, page: &ScrapedPage) -> Option<Finding> {
        let declared = page
            .families
            .iter()
            .filter(|name| name.starts_with(&self.prefix));
        let mut twice = duplicates(declared.map(String::as_str));
        let series = page
            .samples
            .iter()
            .filter(|sample| sample.name.starts_with(&self.prefix))
            .map(|sample| (sample.name.as_str(), &sample.labels));
        twice.extend(duplicates(series).into_iter().map(|(name, _)| name));
        if twice.is_empty() {
            return None;
        }
        let twice: Vec<&str> = twice.into_iter().collect();
        Some(Finding::new(
            Fault::MadeTwice,
            format!(
                "Two make the same metrics in this proxy, {}: most likely Istio's native metrics are on as well. Every sum over \
                 them is double, and Prometheus refuses the second.",
                twice.join(", ")
            ),
            "Turn the native ones off with istio/telemetry.yaml of `mixerless manifests`, or give ours another name with \
             `--native side-by-side`. If it is applied, see that the root namespace has no older Telemetry without a selector: \
             Istio takes the oldest alone. If native ones are off, see that no EnvoyFilter stands beside a WasmPlugin.",
        ))
    }

    fn series_limit(&self, observed: &Observation) -> Option<Finding> {
        let requests = self.requests();
        // The one label that says so for every reporter.
        let overflow = |sample: &ScrapedSample| sample.label("destination_service") == OVERFLOW;
        let series = observed.series.unwrap_or_else(|| {
            let own = |sample: &ScrapedSample| sample.name == requests && !overflow(sample);
            let samples = observed.page.samples.iter();
            samples.map(|sample| f64::from(own(sample))).sum()
        });
        let (lost, all) = self.count(observed, |_| true, overflow);
        let remedy = "Find the label with too many values, usually one of your own dimensions or destination_service: \
                      topk(5, count by (destination_service) (istio_requests_total)). Remove it (tags_to_remove), turn off \
                      the fallback to the Host header (disable_host_header_fallback), or raise max_series.";
        if self.matters(lost, all) {
            return Some(Finding::new(
                Fault::SeriesOverLimit,
                format!(
                    "The module reached its limit of series: {lost} of {all} requests are counted without \
                     their caller and service (these labels are \"{OVERFLOW}\")."
                ),
                remedy,
            ));
        }
        let limit = u32::try_from(self.max_series).map_or(f64::INFINITY, f64::from);
        (limit > 0.0 && series >= NEAR * limit).then(|| {
            Finding::new(
                Fault::SeriesNearLimit,
                format!(
                    "{series} of at most {} label sets are in use. What comes beyond is counted without caller and service.",
                    self.max_series
                ),
                remedy,
            )
        })
    }

    fn missing_buckets(&self, page: &ScrapedPage) -> Option<Finding> {
        let duration = self.name(HttpMetric::RequestDuration);
        let bounds: BTreeSet<&str> = page
            .of(&format!("{duration}_bucket"))
            .map(|sample| sample.label("le"))
            .collect();
        let requests = self.requests();
        page.of(&requests).next()?;
        let missing: Vec<&str> = REQUIRED_BUCKETS
            .into_iter()
            .filter(|bound| !bounds.contains(bound))
            .collect();
        if missing.is_empty() {
            return None;
        }
        let problem = if bounds.is_empty() {
            format!(
                "{duration} has no buckets at all: quantiles and the canary's limit cannot be computed."
            )
        } else {
            format!(
                "{duration} has no bound at {} ms: quantiles near them are guesses between bounds far apart.",
                missing.join(", ")
            )
        };
        Some(Finding::new(
            Fault::MissingBuckets,
            problem,
            "Somebody set the bounds: see stats_config.histogram_bucket_settings in the bootstrap, or the pod's annotation sidecar.istio.io/statsHistogramBuckets, \
             for the prefix wasmcustom; the rest of the metric counts on.",
        ))
    }

    /// Among certain requests, the number of those that also match `which`, and the number of all.
    fn count(
        &self,
        observed: &Observation,
        among: impl Fn(&ScrapedSample) -> bool,
        which: impl Fn(&ScrapedSample) -> bool,
    ) -> (f64, f64) {
        let requests = self.requests();
        observed
            .counted(&requests)
            .filter(|sample| among(sample))
            .fold((0.0, 0.0), |(some, all), sample| {
                let more = if which(sample) { sample.value } else { 0.0 };
                (some + more, all + sample.value)
            })
    }

    /// Whether some of all requests are more than is to be overlooked.
    fn matters(&self, some: f64, all: f64) -> bool {
        some > 0.0 && 100.0 * some > self.threshold * all
    }

    fn requests(&self) -> String {
        self.name(HttpMetric::RequestsTotal)
    }

    fn build(&self) -> String {
        format!("{}build", self.prefix)
    }

    fn name(&self, metric: HttpMetric) -> String {
        format!("{}{}", self.prefix, metric.name())
    }
}

fn duplicates<T: Ord>(items: impl Iterator<Item = T>) -> BTreeSet<T> {
    let mut seen = BTreeSet::new();
    let mut twice = BTreeSet::new();
    for item in items {
        if seen.contains(&item) {
            twice.insert(item);
        } else {
            seen.insert(item);
        }
    }
    twice
}

fn shorten(name: &str) -> String {
    let start: String = name.chars().take(60).collect();
    if start.len() < name.len() {
        start + "…"
    } else {
        start
    }
}
