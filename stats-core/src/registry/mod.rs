//! A registry of counters, gauges and histograms: the core as a metrics library of its own. It uses
//! nothing of the rest of the crate.
//!
//! Here: families, series and their names. Not here: the buckets, which are in `histogram`, the text of
//! a page, which is in `exposition`, and why a metric is refused, which is in `error`.

mod error;
mod exposition;
mod histogram;
#[cfg(test)]
mod tests;

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicI64, AtomicU64, Ordering};

pub use self::error::RegistryError;
pub use self::histogram::{ENVOY_BOUNDS, Histogram};

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

/// What the names of a histogram's samples end in.
const HISTOGRAM_SUFFIXES: [&str; 3] = ["_bucket", "_sum", "_count"];

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

    fn metric(
        &mut self,
        name: &str,
        help: &str,
        labels: &[(&str, &str)],
        kind: MetricKind,
        bounds: Option<&[f64]>,
    ) -> Result<Metric, RegistryError> {
        let key = checked_labels(kind, labels)?;
        self.check_samples(name, kind)?;
        let family = match self.families.entry(name.to_owned()) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(Family::new(name, help, kind, bounds)?),
        };
        if family.kind != kind || family.bounds.as_deref() != bounds {
            return Err(RegistryError::Conflict(name.to_owned()));
        }
        if family.help != help {
            return Err(RegistryError::Help {
                name: name.to_owned(),
                registered: family.help.clone(),
                given: help.to_owned(),
            });
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

    /// Refuses a metric that would have a sample name in common with one of another name.
    fn check_samples(&self, name: &str, kind: MetricKind) -> Result<(), RegistryError> {
        if self.families.contains_key(name) {
            return Ok(());
        }
        let clash = |registered: &str, sample: &str| RegistryError::SampleName {
            name: name.to_owned(),
            registered: registered.to_owned(),
            sample: sample.to_owned(),
        };
        let histogram = |name: &&str| {
            let family = self.families.get(*name);
            family.is_some_and(|family| family.kind == MetricKind::Histogram)
        };
        for suffix in HISTOGRAM_SUFFIXES {
            if let Some(other) = name.strip_suffix(suffix).filter(histogram) {
                return Err(clash(other, name));
            }
            if kind == MetricKind::Histogram {
                let sample = name.to_owned() + suffix;
                if self.families.contains_key(&sample) {
                    return Err(clash(&sample, &sample));
                }
            }
        }
        Ok(())
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
