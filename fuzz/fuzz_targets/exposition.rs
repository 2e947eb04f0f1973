//! Whatever is registered and recorded, a page reads back in a parser that others have written, with the
//! labels that were given.
//!
//! `cargo xtask fuzz` runs it for a while; `cargo fuzz run exposition` as long as one likes.

#![no_main]

use std::collections::BTreeSet;
use std::time::Duration;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use openmetrics_parser::{openmetrics, prometheus};
use stats_core::registry::{
    Buckets, Clock, Counter, CounterWithExemplar, Dynamic, Exemplar, Family, Format, Gauge, Histogram, Registry,
};

/// The families of the page.
#[derive(Arbitrary, Debug)]
struct Page {
    help: String,
    counters: Vec<(Pair, u64)>,
    floats: Vec<(Pair, f64)>,
    gauges: Vec<(Pair, f64)>,
    observations: Vec<(Pair, f64)>,
    bounds: Vec<f64>,
    limit: u8,
    exemplar: String,
    created: bool,
}

/// A series' two labels.
type Pair = (String, String);

struct Noon;

impl Clock for Noon {
    fn now(&self) -> Duration {
        Duration::from_secs(1_700_000_000)
    }
}

fn labels((a, b): &Pair) -> [(&str, &str); 2] {
    [("a", a), ("b", b)]
}

fuzz_target!(|page: Page| {
    let mut page = page;
    let floats = page.floats.iter_mut().chain(&mut page.gauges).chain(&mut page.observations);
    let pairs = floats.map(|(pair, _)| pair).chain(page.counters.iter_mut().map(|(pair, _)| pair));
    for (a, b) in pairs {
        for value in [a, b] {
            *value = value.replace(STAND_IN, "");
        }
    }
    let mut registry = Registry::new();
    if page.created {
        registry = registry.with_created(Noon);
    }
    let counters = Family::<Dynamic, Counter>::builder("counters_total", &page.help)
        .limit(page.limit.into(), &[("a", "overflow"), ("b", "overflow")])
        .register(&registry)
        .expect("it is registered once");
    let floats = Family::<Dynamic, CounterWithExemplar<f64>>::builder("floats_total", &page.help)
        .register(&registry)
        .expect("it is registered once");
    let gauges = Family::<Dynamic, Gauge<f64>>::builder("gauges", &page.help)
        .register(&registry)
        .expect("it is registered once");
    let histograms = Family::<Dynamic, Histogram>::builder("histograms", &page.help)
        .buckets(page.bounds.iter().map(|bound| bound.abs()).collect::<Buckets>())
        .register(&registry);
    let mut sum = 0_u64;
    for (pair, by) in &page.counters {
        let by = *by >> 16; // so that the sum is exact in the parser's floats
        counters.get_or_create(&labels(pair)).expect("the labels are names").inc_by(by);
        sum += by;
    }
    for (pair, by) in &page.floats {
        let counter = floats.get_or_create(&labels(pair)).expect("the labels are names");
        match Exemplar::new(&[("trace_id", &page.exemplar)]) {
            Ok(exemplar) => counter.inc_by_with(*by, exemplar),
            Err(_) => counter.inc_by(*by),
        }
    }
    for (pair, value) in &page.gauges {
        gauges.get_or_create(&labels(pair)).expect("the labels are names").set(*value);
    }
    if let Ok(histograms) = &histograms {
        // The parser wants of both formats what only OpenMetrics wants: a sum that cannot fall.
        let counted = page.observations.iter().filter(|(_, value)| *value >= 0.0);
        for (pair, value) in counted {
            histograms.get_or_create(&labels(pair)).expect("the labels are names").observe(*value);
        }
    }
    let pairs = page.gauges.iter().map(|((a, b), _)| (for_parser(a), for_parser(b)));
    let given: BTreeSet<Pair> = pairs.collect();
    text_reads_back(&for_parser(&registry.page(Format::Text)), &given, sum);
    open_metrics_reads_back(&for_parser(&registry.page(Format::OpenMetrics)), &given);
});

/// What stands in for a carriage return: the parser takes that for the end of a line, which Prometheus
/// does not.
const STAND_IN: &str = "\u{240d}";

fn for_parser(text: &str) -> String {
    text.replace('\r', STAND_IN)
}

fn text_reads_back(text: &str, given: &BTreeSet<Pair>, sum: u64) {
    if text.is_empty() {
        return; // no page to this parser
    }
    let page = match prometheus::parse_prometheus(text) {
        Ok(page) => page,
        Err(error) => panic!("{error}\n{text}"),
    };
    let mut back = BTreeSet::new();
    if let Some(family) = page.families.get("gauges") {
        for sample in family.iter_samples() {
            let labels = sample.get_labelset().expect("it has labels");
            let label = |name: &str| labels.get_label_value(name).expect("it is there").to_owned();
            back.insert((label("a"), label("b")));
        }
    }
    assert_eq!(&back, given, "{text}");
    let counters = text.lines().filter(|line| line.starts_with("counters_total{"));
    let values = counters.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
    assert_eq!(values.sum::<u64>(), sum, "{text}");
}

fn open_metrics_reads_back(text: &str, given: &BTreeSet<Pair>) {
    if text == "# EOF\n" {
        return; // no page to this parser
    }
    let page = match openmetrics::parse_openmetrics(text) {
        Ok(page) => page,
        Err(error) => panic!("{error}\n{text}"),
    };
    let series = page.families.get("gauges").map_or(0, |family| family.iter_samples().count());
    assert_eq!(series, given.len(), "{text}");
}
