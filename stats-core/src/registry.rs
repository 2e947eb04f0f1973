//! A registry of counters, gauges and histograms: the core as a metrics library of its own.
//!
//! It is also what a host without a stats store of its own records into: see [`Registry::define`].
//! How it becomes text is in [`exposition`](crate::exposition).

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crate::histogram::{ENVOY_BOUNDS, Histogram};
use crate::host::MetricKind;
use crate::stat_name;

/// A handle to one counter series. Cheap to clone; all clones count into the same series, from any
/// thread.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// Adds one.
    pub fn increment(&self) {
        self.add(1);
    }

    /// Adds some.
    pub fn add(&self, value: u64) {
        self.0.fetch_add(value, Ordering::Relaxed);
    }

    /// The count.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A handle to one gauge series. Cheap to clone; all clones set the same series, from any thread.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<AtomicI64>);

impl Gauge {
    /// Sets the value.
    pub fn set(&self, value: i64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Changes the value by some, up or down.
    pub fn add(&self, change: i64) {
        self.0.fetch_add(change, Ordering::Relaxed);
    }

    /// The value.
    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A handle to one series of any kind.
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
            Self::Counter(counter) => counter.add(value),
            Self::Gauge(gauge) => gauge.set(i64::try_from(value).unwrap_or(i64::MAX)),
            #[expect(
                clippy::cast_precision_loss,
                reason = "a bucket does not need the last digit"
            )]
            Self::Histogram(histogram) => histogram.observe(value as f64),
        }
    }
}

/// Why a metric cannot be registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistryError {
    /// Not a metric's name: letters, digits, `_` and `:`, no digit first.
    MetricName(String),
    /// Not a label's name (letters, digits and `_`, no digit first), or one that Prometheus keeps
    /// for itself: `le` on a histogram, and what begins with `__`.
    LabelName(String),
    /// The label is there twice.
    DuplicateLabel(String),
    /// The metric is registered with another kind or other buckets.
    Conflict(String),
    /// A histogram's bounds must be ascending numbers; `+Inf` is added by itself.
    Bounds(String),
}

impl fmt::Display for RegistryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MetricName(name) => {
                write!(
                    f,
                    "{name:?} is no metric name: use letters, digits, _ and :, no digit first"
                )
            }
            Self::LabelName(name) => write!(
                f,
                "{name:?} is no label name: use letters, digits and _, no digit first, neither le on \
                 a histogram nor __ at the beginning"
            ),
            Self::DuplicateLabel(name) => write!(f, "the label {name:?} is given twice"),
            Self::Conflict(name) => {
                write!(
                    f,
                    "{name:?} is registered already, with another kind or other buckets"
                )
            }
            Self::Bounds(name) => {
                write!(
                    f,
                    "the bounds of {name:?} must be finite numbers in ascending order"
                )
            }
        }
    }
}

impl core::error::Error for RegistryError {}

/// All metrics of a process.
///
/// Registering takes `&mut self`; recording does not involve the registry at all, it goes through
/// the handles.
#[derive(Debug, Default)]
pub struct Registry {
    pub(crate) families: BTreeMap<String, Family>,
}

/// All series of one name.
#[derive(Debug)]
pub(crate) struct Family {
    pub help: String,
    pub kind: MetricKind,
    bounds: Option<Arc<[f64]>>,
    /// By labels in the order of their names, so that any order finds the same series.
    pub series: BTreeMap<Labels, Series>,
}

/// A series' labels as they were given, and the handle.
#[derive(Debug)]
pub(crate) struct Series {
    pub labels: Labels,
    pub metric: Metric,
}

type Labels = Vec<(String, String)>;

impl Registry {
    /// A registry without metrics.
    pub fn new() -> Self {
        Self::default()
    }

    /// The counter of this name and these labels; the same one, where it exists.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub fn counter(
        &mut self,
        name: &str,
        help: &str,
        labels: &[(&str, &str)],
    ) -> Result<Counter, RegistryError> {
        match self.metric(name, help, labels, MetricKind::Counter, None)? {
            Metric::Counter(counter) => Ok(counter),
            _ => Err(RegistryError::Conflict(name.to_owned())),
        }
    }

    /// The gauge of this name and these labels; the same one, where it exists.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub fn gauge(
        &mut self,
        name: &str,
        help: &str,
        labels: &[(&str, &str)],
    ) -> Result<Gauge, RegistryError> {
        match self.metric(name, help, labels, MetricKind::Gauge, None)? {
            Metric::Gauge(gauge) => Ok(gauge),
            _ => Err(RegistryError::Conflict(name.to_owned())),
        }
    }

    /// The histogram of this name and these labels, with buckets up to these bounds; the same one,
    /// where it exists.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub fn histogram(
        &mut self,
        name: &str,
        help: &str,
        labels: &[(&str, &str)],
        bounds: &[f64],
    ) -> Result<Histogram, RegistryError> {
        match self.metric(name, help, labels, MetricKind::Histogram, Some(bounds))? {
            Metric::Histogram(histogram) => Ok(histogram),
            _ => Err(RegistryError::Conflict(name.to_owned())),
        }
    }

    /// The metric of a [stat name](crate::stat_name), its labels taken out of it: what a host
    /// without a stats store of its own answers [`Metrics::define`](crate::host::Metrics::define)
    /// with. Histograms have [`ENVOY_BOUNDS`].
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub fn define(&mut self, kind: MetricKind, stat_name: &str) -> Result<Metric, RegistryError> {
        let Some((labels, name)) = stat_name::parse(stat_name) else {
            return Err(RegistryError::MetricName(stat_name.to_owned()));
        };
        let bounds = (kind == MetricKind::Histogram).then_some(&ENVOY_BOUNDS[..]);
        self.metric(name, "", &labels, kind, bounds)
    }

    fn metric(
        &mut self,
        name: &str,
        help: &str,
        labels: &[(&str, &str)],
        kind: MetricKind,
        bounds: Option<&[f64]>,
    ) -> Result<Metric, RegistryError> {
        let key = checked_labels(kind, labels)?;
        let family = match self.families.entry(name.to_owned()) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(Family::new(name, help, kind, bounds)?),
        };
        if family.kind != kind || family.bounds.as_deref() != bounds {
            return Err(RegistryError::Conflict(name.to_owned()));
        }
        let new = || match (kind, &family.bounds) {
            (MetricKind::Counter, _) => Metric::Counter(Counter::default()),
            (MetricKind::Histogram, Some(bounds)) => {
                Metric::Histogram(Histogram::new(bounds.clone()))
            }
            _ => Metric::Gauge(Gauge::default()),
        };
        let series = family.series.entry(key).or_insert_with(|| Series {
            labels: owned(labels),
            metric: new(),
        });
        Ok(series.metric.clone())
    }
}

impl Family {
    fn new(
        name: &str,
        help: &str,
        kind: MetricKind,
        bounds: Option<&[f64]>,
    ) -> Result<Self, RegistryError> {
        if !is_name(name, true) {
            return Err(RegistryError::MetricName(name.to_owned()));
        }
        let ascending = |bounds: &[f64]| {
            bounds.iter().all(|bound| bound.is_finite()) && bounds.is_sorted_by(|a, b| a < b)
        };
        if !bounds.is_none_or(ascending) {
            return Err(RegistryError::Bounds(name.to_owned()));
        }
        Ok(Self {
            help: help.to_owned(),
            kind,
            bounds: bounds.map(Arc::from),
            series: BTreeMap::new(),
        })
    }
}

/// The labels in the order of their names.
fn checked_labels(kind: MetricKind, labels: &[(&str, &str)]) -> Result<Labels, RegistryError> {
    let mut sorted = owned(labels);
    sorted.sort();
    for (name, _) in &sorted {
        let reserved = name.starts_with("__") || (name == "le" && kind == MetricKind::Histogram);
        if reserved || !is_name(name, false) {
            return Err(RegistryError::LabelName(name.clone()));
        }
    }
    let mut neighbours = sorted.iter().zip(sorted.iter().skip(1));
    match neighbours.find(|(one, next)| one.0 == next.0) {
        Some(((name, _), _)) => Err(RegistryError::DuplicateLabel(name.clone())),
        None => Ok(sorted),
    }
}

fn owned(labels: &[(&str, &str)]) -> Labels {
    let labels = labels.iter();
    labels
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn is_name(name: &str, colon: bool) -> bool {
    let letter = |c: char| c.is_ascii_alphabetic() || c == '_' || (colon && c == ':');
    name.starts_with(letter) && name.chars().all(|c| letter(c) || c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_in_any_order_are_the_same_series() {
        let mut registry = Registry::new();
        registry
            .counter("c", "", &[("a", "1"), ("b", "2")])
            .unwrap()
            .increment();
        let same = registry
            .counter("c", "", &[("b", "2"), ("a", "1")])
            .unwrap();
        assert_eq!(same.get(), 1);
    }

    #[test]
    fn names_labels_kinds_and_bounds_are_checked() {
        use RegistryError as E;
        let mut registry = Registry::new();
        registry.counter("taken", "", &[]).unwrap();
        registry.histogram("h", "", &[], &[1.0]).unwrap();
        let name = |text: &str| text.to_owned();
        let cases = [
            (
                registry.counter("0", "", &[]).err(),
                E::MetricName(name("0")),
            ),
            (registry.counter("", "", &[]).err(), E::MetricName(name(""))),
            (
                registry.counter("c", "", &[("a b", "")]).err(),
                E::LabelName(name("a b")),
            ),
            (
                registry.counter("c", "", &[("__a", "")]).err(),
                E::LabelName(name("__a")),
            ),
            (
                registry.counter("c", "", &[("a", "1"), ("a", "2")]).err(),
                E::DuplicateLabel(name("a")),
            ),
            (
                registry.gauge("taken", "", &[]).err(),
                E::Conflict(name("taken")),
            ),
            (
                registry.histogram("h", "", &[], &[2.0]).err(),
                E::Conflict(name("h")),
            ),
            (
                registry.histogram("h", "", &[("le", "")], &[1.0]).err(),
                E::LabelName(name("le")),
            ),
            (
                registry.histogram("i", "", &[], &[2.0, 1.0]).err(),
                E::Bounds(name("i")),
            ),
            (
                registry.histogram("i", "", &[], &[f64::NAN]).err(),
                E::Bounds(name("i")),
            ),
        ];
        for (error, expected) in cases {
            assert_eq!(error, Some(expected));
        }
    }

    #[test]
    fn a_gauge_goes_up_and_down() {
        let gauge = Registry::new().gauge("g", "", &[]).unwrap();
        gauge.set(5);
        gauge.add(-7);
        assert_eq!(gauge.get(), -2);
    }
}
