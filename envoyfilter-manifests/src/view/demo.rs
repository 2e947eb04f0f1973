//! Invented traffic, to see the page without a mesh. It is said on the page that it is invented.

use std::time::Duration;

use stats_core::labels::Label;
use stats_core::labels::metrics::HttpMetric;

use crate::scrape::ScrapedSample;

/// A small shop; more workloads are numbered.
const NAMES: [(&str, &str); 12] = [
    ("edge", "gateway"),
    ("shop", "frontend"),
    ("shop", "catalogue"),
    ("shop", "cart"),
    ("shop", "checkout"),
    ("pay", "payment"),
    ("pay", "fraud"),
    ("shop", "shipping"),
    ("data", "search"),
    ("data", "ledger"),
    ("data", "recommend"),
    ("ops", "mailer"),
];
/// Workloads of a numbered namespace.
const PER_NAMESPACE: usize = 50;
/// How many workloads one calls at most.
const CALLED: usize = 3;
const BOUNDS: [u32; 11] = [1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000];

/// The rates of so many workloads, at that time after the start: they swell and ebb.
pub fn rates(workloads: usize, elapsed: Duration, prefix: &str) -> Vec<ScrapedSample> {
    let mut rates = Vec::new();
    for called in 1..workloads {
        for call in 0..callers(called) {
            let calling = (called - 1) / (call + 2);
            let seed = called * CALLED + call;
            let swell = 1.0 + 0.3 * (elapsed.as_secs_f64() / 9.0 + number(seed)).sin();
            // What is further from the edge gets less.
            let requests = 180.0 * swell / (1.0 + number(called) / 2.0 + number(call));
            add(&mut rates, calling, called, requests, seed, prefix);
        }
    }
    rates
}

fn callers(called: usize) -> usize {
    1 + called % CALLED.min(called)
}

fn add(
    rates: &mut Vec<ScrapedSample>,
    calling: usize,
    called: usize,
    requests: f64,
    seed: usize,
    prefix: &str,
) {
    let sides = |reporter: &str, more: &[(Label, &str)]| -> Vec<(String, String)> {
        let (source, destination) = (workload(calling), workload(called));
        let labels = [
            (Label::Reporter, reporter),
            (Label::SourceWorkload, &source.1),
            (Label::SourceWorkloadNamespace, &source.0),
            (Label::DestinationWorkload, &destination.1),
            (Label::DestinationWorkloadNamespace, &destination.0),
            (Label::DestinationServiceName, &destination.1),
            (Label::DestinationServiceNamespace, &destination.0),
        ];
        let labels = labels.iter().chain(more);
        labels
            .map(|(label, value)| (label.name().to_owned(), (*value).to_owned()))
            .collect()
    };
    let failed = match seed % 17 {
        5 => 0.07,
        11 => 0.02,
        _ => 0.0005,
    };
    let total = format!("{prefix}{}", HttpMetric::RequestsTotal.name());
    for (code, share) in [("200", 1.0 - failed), ("503", failed)] {
        let policy = if seed % 13 == 7 { "none" } else { "mutual_tls" };
        for (reporter, policy) in [("source", "unknown"), ("destination", policy)] {
            let more = [
                (Label::ResponseCode, code),
                (Label::ResponseFlags, "-"),
                (Label::ConnectionSecurityPolicy, policy),
            ];
            rates.push(ScrapedSample::new(
                &total,
                sides(reporter, &more),
                requests * share,
            ));
        }
    }
    let bucket = format!("{prefix}{}_bucket", HttpMetric::RequestDuration.name());
    let typical = 2.0 + number(seed * 7 % 60);
    for bound in BOUNDS.map(Some).into_iter().chain([None]) {
        let share = bound.map_or(1.0, |bound| {
            1.0 - (-(f64::from(bound) / typical).powf(0.9)).exp()
        });
        let mut labels = sides("source", &[]);
        let le = bound.map_or_else(|| "+Inf".to_owned(), |bound| bound.to_string());
        labels.push(("le".to_owned(), le));
        rates.push(ScrapedSample::new(&bucket, labels, requests * share));
    }
}

/// The namespace and the name of a workload.
fn workload(at: usize) -> (String, String) {
    match NAMES.get(at) {
        Some((namespace, name)) => ((*namespace).to_owned(), (*name).to_owned()),
        None => (
            format!("team-{:02}", at / PER_NAMESPACE),
            format!("service-{at:04}"),
        ),
    }
}

fn number(small: usize) -> f64 {
    f64::from(u32::try_from(small).unwrap_or(u32::MAX))
}
