//! Exemplars: for a counter or a bucket, one request that it counted, so that its trace can be found.
//! Only OpenMetrics shows them.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Deref;
use core::time::Duration;

use super::counter::Counter;
use super::error::RegistryError;
use super::exposition::SeriesWriter;
use super::histogram::{Buckets, Histogram};
use super::instrument::{Instrument, Record};
use super::labels::{LabelRules, check_names, push};
use super::lock::{Joint, Lock};
use super::names::Type;
use super::number::Countable;

/// The most characters that OpenMetrics allows an exemplar's names and values.
const MAX_CHARACTERS: usize = 128;

/// What points to one request: labels such as `trace_id`, and when it was.
#[derive(Clone, Debug)]
pub struct Exemplar {
    pub(super) labels: Box<str>,
    pub(super) time: Option<Duration>,
    pub(super) value: f64,
}

impl Exemplar {
    /// An exemplar with these labels.
    ///
    /// # Errors
    /// Where a name is none, or there twice, or names and values are more than 128 characters.
    pub fn new(labels: &[(&str, &str)]) -> Result<Self, RegistryError> {
        let rules = LabelRules {
            utf8: false,
            histogram: false,
        };
        check_names(&labels.iter().map(|(name, _)| *name), "", rules)?;
        let characters = labels.iter().flat_map(|(name, value)| [name, value]);
        let characters: usize = characters.map(|text| text.chars().count()).sum();
        let mut text = String::new();
        for (name, value) in labels {
            push(&mut text, name, value);
        }
        if characters > MAX_CHARACTERS {
            return Err(RegistryError::Exemplar(text));
        }
        Ok(Self {
            labels: text.into(),
            time: None,
            value: 0.0,
        })
    }

    /// The same with its time, since the Unix epoch.
    #[must_use]
    pub fn at(self, time: Duration) -> Self {
        Self {
            time: Some(time),
            ..self
        }
    }
}

/// A [`Counter`] that can be given exemplars: it shows the last. Counting without one costs the same.
#[derive(Clone, Debug, Default)]
pub struct CounterWithExemplar<N: Countable = u64> {
    counter: Counter<N>,
    last: Joint<Lock<Option<Exemplar>>>,
}

impl<N: Countable + Into<Value>> CounterWithExemplar<N> {
    /// Adds some, and keeps the exemplar in place of the last: takes a lock of this series.
    pub fn inc_by_with(&self, value: N, exemplar: Exemplar) {
        self.counter.inc_by(value);
        let exemplar = Exemplar {
            value: value.into().0,
            ..exemplar
        };
        let _last = self.last.with(|last| last.replace(exemplar));
    }
}

/// A counter's number as an exemplar shows it.
#[derive(Clone, Copy, Debug)]
pub struct Value(f64);

impl From<u64> for Value {
    #[expect(
        clippy::cast_precision_loss,
        reason = "an exemplar does not need the last digit"
    )]
    fn from(value: u64) -> Self {
        Self(value as f64)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self(value)
    }
}

impl<N: Countable> Deref for CounterWithExemplar<N> {
    type Target = Counter<N>;

    fn deref(&self) -> &Counter<N> {
        &self.counter
    }
}

/// A [`Histogram`] that can be given exemplars: each bucket shows its last. Observing without one costs
/// the same.
#[derive(Clone, Debug)]
pub struct HistogramWithExemplars {
    histogram: Histogram,
    last: Joint<Lock<Vec<Option<Exemplar>>>>,
}

impl HistogramWithExemplars {
    /// Observes a value, and keeps the exemplar in place of the bucket's last: takes a lock of this
    /// series.
    pub fn observe_with(&self, value: f64, exemplar: Exemplar) {
        self.histogram.observe(value);
        let bucket = self.histogram.bucket(value);
        let exemplar = Exemplar { value, ..exemplar };
        let _last = self.last.with(|last| {
            let last = last.get_mut(bucket)?;
            last.replace(exemplar)
        });
    }
}

impl Deref for HistogramWithExemplars {
    type Target = Histogram;

    fn deref(&self) -> &Histogram {
        &self.histogram
    }
}

impl<N: Countable> Instrument for CounterWithExemplar<N> {}

impl<N: Countable> Record for CounterWithExemplar<N> {
    type Options = ();
    const TYPE: Type = Type::Counter;

    fn create((): &()) -> Self {
        Self {
            counter: Counter::default(),
            last: Joint::default(),
        }
    }

    fn expose(&self, to: &mut SeriesWriter<'_, '_>) -> fmt::Result {
        let exemplar = self.last.with(|last| last.clone());
        to.value(self.counter.get(), exemplar.as_ref())
    }

    fn fingerprint(&self) -> u64 {
        self.counter.fingerprint()
    }

    fn is_held(&self) -> bool {
        self.counter.is_held()
    }
}

impl Instrument for HistogramWithExemplars {}

impl Record for HistogramWithExemplars {
    type Options = Buckets;
    const TYPE: Type = Type::Histogram;

    fn create(buckets: &Buckets) -> Self {
        let histogram = Histogram::create(buckets);
        let last = (0..histogram.bucket_count()).map(|_| None).collect();
        Self {
            histogram,
            last: Joint::new(Lock::new(last)),
        }
    }

    fn is_valid(buckets: &Buckets) -> bool {
        Histogram::is_valid(buckets)
    }

    fn is_same(one: &Buckets, other: &Buckets) -> bool {
        one == other
    }

    fn expose(&self, to: &mut SeriesWriter<'_, '_>) -> fmt::Result {
        let last = self.last.with(|last| last.to_owned());
        self.histogram
            .expose_with(to, |nth| last.get(nth).cloned().flatten())
    }

    fn fingerprint(&self) -> u64 {
        self.histogram.fingerprint()
    }

    fn is_held(&self) -> bool {
        self.histogram.is_held()
    }
}
