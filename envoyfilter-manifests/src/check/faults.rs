//! What can be wrong with a page, why it likely is, and what to do.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use stats_core::dimensions::{OVERFLOW, UNKNOWN};
use stats_core::exchange::UnknownReason;
use stats_core::metrics::HttpMetric;

use super::page::{ScrapedPage, ScrapedSample};
use crate::plugin_config::PluginConfig;
use crate::readers::REQUIRED_BUCKETS;

/// A kind of fault; its name is what programs go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// Nothing serves the page.
    NoStatsListener,
    /// The module makes no metrics.
    NoMetrics,
    /// Labels stand in metric names.
    LabelsInNames,
    /// Two make the same metrics.
    MadeTwice,
    /// The proxy does not know itself.
    UnknownSelf,
    /// Peers are not known.
    UnknownPeers,
    /// The limit of series was reached.
    SeriesOverLimit,
    /// The limit of series is near.
    SeriesNearLimit,
    /// A histogram lacks bounds.
    MissingBuckets,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::NoStatsListener,
        Self::NoMetrics,
        Self::LabelsInNames,
        Self::MadeTwice,
        Self::UnknownSelf,
        Self::UnknownPeers,
        Self::SeriesOverLimit,
        Self::SeriesNearLimit,
        Self::MissingBuckets,
    ];
}

/// A fault that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which.
    pub fault: Fault,
    /// What is wrong, and why it likely is.
    pub problem: String,
    /// What to do.
    pub remedy: String,
}

/// What a page should show.
#[derive(Clone, Debug)]
pub struct Expectations {
    labels: Vec<String>,
    prefix: String,
    max_series: usize,
}

impl Finding {
    /// A finding.
    pub fn new(fault: Fault, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            fault,
            problem: problem.into(),
            remedy: remedy.into(),
        }
    }
}

impl Expectations {
    /// What a module with that configuration should show.
    pub fn of(plugin: &PluginConfig) -> Self {
        Self {
            labels: plugin.labels(),
            prefix: plugin.prefix(),
            max_series: plugin.max_series(),
        }
    }

    /// Everything that is wrong with a page.
    pub fn examine(&self, page: &ScrapedPage) -> Vec<Finding> {
        // Without labels, the other questions have no answer.
        if let Some(finding) = self.labels_in_names(page).or_else(|| self.no_metrics(page)) {
            return vec![finding];
        }
        [
            self.made_twice(page),
            self.unknown_self(page),
            self.unknown_peers(page),
            self.series_limit(page),
            self.missing_buckets(page),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Envoy writes `reporter=.=source;.;` as `reporter___source___` once nothing takes it out of the name.
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

    fn no_metrics(&self, page: &ScrapedPage) -> Option<Finding> {
        if page
            .samples
            .iter()
            .any(|sample| sample.name.starts_with(&self.prefix) && sample.name != self.build())
        {
            return None;
        }
        if page
            .samples
            .iter()
            .any(|sample| sample.name == self.build())
        {
            return Some(Finding::new(
                Fault::NoMetrics,
                "The module runs, but has counted no request yet.",
                "Send a request through this proxy and check again.",
            ));
        }
        Some(Finding::new(
            Fault::NoMetrics,
            format!(
                "There is no metric {}*: the module does not run in this proxy.",
                self.prefix
            ),
            "See that the EnvoyFilter, WasmPlugin or TrafficExtension is in the root namespace or in the pod's own, and look into \
             the proxy's log for `wasm`: a wrong sha256, a registry that cannot be reached, or a missing pull secret stand there.",
        ))
    }

    /// Native metrics have the same names; a page with both declares each twice, or has a series twice.
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
             `--native side-by-side`. If native ones are off, see that no EnvoyFilter stands beside a WasmPlugin.",
        ))
    }

    fn unknown_self(&self, page: &ScrapedPage) -> Option<Finding> {
        let oneself = |sample: &ScrapedSample| match sample.label("reporter") {
            "source" => sample.label("source_workload") == UNKNOWN,
            _ => sample.label("destination_workload") == UNKNOWN,
        };
        let (unknown, all) = self.count(page, |_| true, oneself);
        if unknown == 0.0 {
            return None;
        }
        Some(Finding::new(
            Fault::UnknownSelf,
            format!(
                "The proxy does not know its own workload in {unknown} of {all} requests: \
                 its node has no metadata NAME, NAMESPACE, WORKLOAD_NAME, LABELS."
            ),
            "Istio's injector writes it. In a bootstrap of your own, write the section `node` as envoy/bootstrap.yaml of \
             `mixerless manifests` has it.",
        ))
    }

    fn unknown_peers(&self, page: &ScrapedPage) -> Option<Finding> {
        let problem: Vec<String> = [self.unknown_callers(page), self.unknown_called(page)]
            .into_iter()
            .flatten()
            .collect();
        if problem.is_empty() {
            return None;
        }
        let problem: Vec<String> = problem
            .into_iter()
            .chain(self.stated_reasons(page))
            .collect();
        Some(Finding::new(
            Fault::UnknownPeers,
            problem.join(" "),
            "For peers of the mesh: see that they have a sidecar, that the module (or Istio's own metadata exchange) is in it for \
             that direction, and that no gateway between takes x-envoy-peer-metadata away. For peers outside, unknown is right.",
        ))
    }

    fn unknown_callers(&self, page: &ScrapedPage) -> Option<String> {
        let received = |sample: &ScrapedSample| sample.label("reporter") == "destination";
        let unknown = |sample: &ScrapedSample| sample.label("source_workload") == UNKNOWN;
        let plain = |sample: &ScrapedSample| {
            unknown(sample) && sample.label("connection_security_policy") == "none"
        };
        let (callers, all) = self.count(page, received, unknown);
        let (plain, _) = self.count(page, received, plain);
        if callers == 0.0 {
            return None;
        }
        let reason = if plain > 0.0 {
            format!("{plain} of them came without mutual TLS, so most likely from outside the mesh")
        } else {
            "they came with mutual TLS, so most likely from a proxy that does not exchange metadata"
                .to_owned()
        };
        Some(format!(
            "The caller of {callers} of {all} requests is unknown; {reason}."
        ))
    }

    fn unknown_called(&self, page: &ScrapedPage) -> Option<String> {
        let sent = |sample: &ScrapedSample| sample.label("reporter") == "source";
        let unknown = |sample: &ScrapedSample| sample.label("destination_workload") == UNKNOWN;
        let outside = |sample: &ScrapedSample| {
            let service = sample.label("destination_service_name");
            unknown(sample) && matches!(service, "PassthroughCluster" | "BlackHoleCluster")
        };
        let unanswered =
            |sample: &ScrapedSample| unknown(sample) && sample.label("response_flags") != "-";
        let (called, all) = self.count(page, sent, unknown);
        let (outside, _) = self.count(page, sent, outside);
        let (unanswered, _) = self.count(page, sent, unanswered);
        if called == 0.0 {
            return None;
        }
        let reason = if outside > 0.0 {
            format!("{outside} of them went out of the mesh, where nobody answers with metadata")
        } else if unanswered > 0.0 {
            format!("{unanswered} of them got no answer from the other side")
        } else {
            "most likely the other side has no sidecar, or one that does not exchange metadata"
                .to_owned()
        };
        Some(format!(
            "Who was called in {called} of {all} requests is unknown; {reason}."
        ))
    }

    /// The module itself can say why, if it is configured to.
    fn stated_reasons(&self, page: &ScrapedPage) -> Option<String> {
        let mut reasons: BTreeMap<&str, f64> = BTreeMap::new();
        for sample in page.of(&self.requests()) {
            let reason = sample.label(UnknownReason::LABEL);
            if !reason.is_empty() && reason != UnknownReason::None.name() {
                *reasons.entry(reason).or_default() += sample.value;
            }
        }
        let reasons: Vec<String> = reasons
            .iter()
            .map(|(reason, count)| format!("{reason} ({count})"))
            .collect();
        (!reasons.is_empty()).then(|| format!("The module's own reasons: {}.", reasons.join(", ")))
    }

    fn series_limit(&self, page: &ScrapedPage) -> Option<Finding> {
        let requests = self.requests();
        let series = page.of(&requests).count();
        let overflow = |sample: &ScrapedSample| sample.label("source_workload") == OVERFLOW;
        let (lost, all) = self.count(page, |_| true, overflow);
        let remedy = "Find the label with too many values, usually one of your own dimensions or destination_service: \
                      topk(5, count by (destination_service) (istio_requests_total)). Remove it (tags_to_remove), turn off \
                      the fallback to the Host header (disable_host_header_fallback), or raise max_series.";
        if lost > 0.0 {
            return Some(Finding::new(
                Fault::SeriesOverLimit,
                format!(
                    "The module reached its limit of series: {lost} of {all} requests are counted without labels \
                     (all of them are \"{OVERFLOW}\")."
                ),
                remedy,
            ));
        }
        // In tenths, because what is stored are whole numbers.
        (self.max_series > 0 && series * 10 >= self.max_series * 8).then(|| {
            Finding::new(
                Fault::SeriesNearLimit,
                format!(
                    "{series} of at most {} label sets are in use. What comes beyond is counted without labels.",
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
            "A histogram takes its first flush to appear: check again in a few seconds. If it stays, somebody set the bounds: see \
             stats_config.histogram_bucket_settings in the bootstrap, or the pod's annotation sidecar.istio.io/statsHistogramBuckets, \
             for the prefix wasmcustom; the rest of the metric counts on.",
        ))
    }

    /// How many of certain requests are of another sort besides, and how many there are.
    fn count(
        &self,
        page: &ScrapedPage,
        among: impl Fn(&ScrapedSample) -> bool,
        which: impl Fn(&ScrapedSample) -> bool,
    ) -> (f64, f64) {
        let requests = self.requests();
        page.of(&requests)
            .filter(|sample| among(sample))
            .fold((0.0, 0.0), |(some, all), sample| {
                let more = if which(sample) { sample.value } else { 0.0 };
                (some + more, all + sample.value)
            })
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
