//! A metrics library of its own: registries, families of counters, gauges and histograms, and the page
//! that Prometheus scrapes. It uses nothing of the rest of the crate.
//!
//! | module | holds |
//! |---|---|
//! | `registry`, `page` | which names are on the page |
//! | `dynamic` | metrics by name, without a type for their labels |
//! | `builder`, `family`, `series`, `index` | all series of one name, how they are found, how many there may be |
//! | `labels`, `encoded` | label sets, and the text that they become |
//! | `counter`, `histogram`, `exemplar`, `exemplified`, `clock` | what is recorded into |
//! | `collector` | what is read when the page is |
//! | `names`, `error` | what is refused, and why |
//! | `format`, `exposition` | how the page is written |
//! | `number`, `lock`, `instrument` | what the target and the features have |
//!
//! # What Istio's metrics use of it
//!
//! A host that keeps series itself uses it as it is: the host in memory does. Behind proxy-wasm, Envoy keeps the
//! series, and its histograms have Envoy's bounds, which [`ENVOY_BOUNDS`] repeats for who reads them. A request
//! there finds its series by interned numbers before any label is text, and its limit counts the label sets of all
//! metrics together, so that neither [`Family`] nor its limit can stand there.

mod builder;
mod clock;
mod collector;
mod counter;
mod dynamic;
mod encoded;
mod error;
mod exemplar;
mod exemplified;
mod exposition;
mod family;
mod format;
mod histogram;
mod index;
mod instrument;
mod labels;
mod lock;
#[cfg(test)]
mod model;
mod names;
mod number;
mod page;
#[expect(
    clippy::module_inception,
    reason = "the registry is what the module is named after"
)]
mod registry;
mod series;
#[cfg(test)]
mod tests;

pub use self::builder::{Builder, Labels};
pub use self::clock::{Clock, Timer};
#[cfg(feature = "std")]
pub use self::clock::{MonotonicClock, UnixClock};
pub use self::collector::Samples;
pub use self::counter::{Counter, Gauge, Info};
pub use self::error::RegistryError;
pub use self::exemplar::Exemplar;
pub use self::exemplified::{CounterWithExemplar, HistogramWithExemplars};
pub use self::family::Family;
pub use self::format::Format;
pub use self::histogram::{Buckets, DEFAULT_BOUNDS, ENVOY_BOUNDS, Histogram};
pub use self::instrument::Instrument;
pub use self::labels::{Dynamic, LabelSet, LabelValue, Visitor};
pub use self::names::{Type, is_label_name, is_metric_name};
pub use self::number::{Countable, Number, Settable};
pub use self::registry::Registry;
pub use self::series::SeriesRef;

/// The kind of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Only ever grows; a recorded value is added.
    Counter,
    /// A recorded value replaces the last.
    Gauge,
    /// A recorded value is one observation.
    Histogram,
}

/// A handle to one series of any kind, for who learns the kind at run time.
#[derive(Clone, Debug)]
pub enum Metric {
    /// A counter.
    Counter(Counter),
    /// A gauge.
    Gauge(Gauge),
    /// A histogram.
    Histogram(Histogram),
}

impl Metric {
    /// Records a value as the kind has it, see [`MetricKind`].
    pub fn record(&self, value: u64) {
        match self {
            Self::Counter(counter) => counter.inc_by(value),
            Self::Gauge(gauge) => gauge.set(i64::try_from(value).unwrap_or(i64::MAX)),
            #[expect(
                clippy::cast_precision_loss,
                reason = "a bucket does not need the last digit"
            )]
            Self::Histogram(histogram) => histogram.observe(value as f64),
        }
    }
}

/// Compiles what the crate's page shows.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
