//! Counters and histograms that take exemplars.

use alloc::borrow::ToOwned;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Deref;

use super::counter::Counter;
use super::exemplar::Exemplar;
use super::exposition::SeriesWriter;
use super::histogram::{Buckets, Histogram};
use super::instrument::{Instrument, Record};
use super::lock::{Joint, Lock};
use super::names::Type;
use super::number::Countable;

/// A [`Counter`] that can be given exemplars: it shows the last. Counting without one costs the same.
#[derive(Clone, Debug, Default)]
pub struct CounterWithExemplar<N: Countable = u64> {
    counter: Counter<N>,
    last: Joint<Lock<Option<Exemplar>>>,
}

impl<N: Countable + Into<ExemplarValue>> CounterWithExemplar<N> {
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
pub struct ExemplarValue(f64);

impl From<u64> for ExemplarValue {
    #[expect(
        clippy::cast_precision_loss,
        reason = "an exemplar does not need the last digit"
    )]
    fn from(value: u64) -> Self {
        Self(value as f64)
    }
}

impl From<f64> for ExemplarValue {
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
