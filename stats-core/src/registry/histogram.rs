//! A histogram with cumulative `le` buckets, as Prometheus has them.

use alloc::vec::Vec;
use core::fmt;

use super::exemplar::Exemplar;
use super::exposition::SeriesWriter;
use super::instrument::{FAMILY_HANDLES, Instrument, Record};
use super::names::Type;
use super::number::{Bits, Number, Shared, SharedBits};

/// The upper bounds that Envoy's histograms have unless its bootstrap says otherwise; those of
/// Istio's metrics.
pub const ENVOY_BOUNDS: [f64; 19] = [
    0.5,
    1.0,
    5.0,
    10.0,
    25.0,
    50.0,
    100.0,
    250.0,
    500.0,
    1000.0,
    2500.0,
    5000.0,
    10_000.0,
    30_000.0,
    60_000.0,
    300_000.0,
    600_000.0,
    1_800_000.0,
    3_600_000.0,
];

/// The upper bounds that Prometheus' own client libraries have unless told otherwise: made for
/// seconds of a web service.
pub const DEFAULT_BOUNDS: [f64; 11] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// The upper bounds of a histogram's buckets, `+Inf` left out. They must be finite and ascending:
/// whether they are is seen when the histogram is registered.
#[derive(Clone, Debug, PartialEq)]
pub struct Buckets(Shared<[f64]>);

impl Buckets {
    /// So many bounds, each higher than the one before by `width`, from `start` on.
    pub fn linear(start: f64, width: f64, count: u32) -> Self {
        (0..count)
            .map(|nth| start + width * f64::from(nth))
            .collect()
    }

    /// So many bounds, each higher than the one before by the `factor`, from `start` on.
    pub fn exponential(start: f64, factor: f64, count: u32) -> Self {
        let bounds = core::iter::successors(Some(start), |bound| Some(bound * factor));
        bounds.take(count as usize).collect()
    }

    /// The bounds.
    pub fn bounds(&self) -> &[f64] {
        &self.0
    }

    fn are_valid(&self) -> bool {
        let bounds = self.bounds();
        bounds.iter().all(|bound| bound.is_finite()) && bounds.is_sorted_by(|a, b| a < b)
    }
}

impl From<&[f64]> for Buckets {
    fn from(bounds: &[f64]) -> Self {
        Self(bounds.into())
    }
}

impl<const N: usize> From<[f64; N]> for Buckets {
    fn from(bounds: [f64; N]) -> Self {
        Self(Shared::new(bounds))
    }
}

impl FromIterator<f64> for Buckets {
    fn from_iter<I: IntoIterator<Item = f64>>(bounds: I) -> Self {
        Self(bounds.into_iter().collect())
    }
}

/// [`DEFAULT_BOUNDS`].
impl Default for Buckets {
    fn default() -> Self {
        DEFAULT_BOUNDS.into()
    }
}

/// A handle to one histogram series. Cheap to clone; all clones observe into the same series, from
/// any thread.
///
/// Observing is a binary search, one atomic addition, and one compare-and-swap loop for the sum.
#[derive(Clone, Debug)]
pub struct Histogram(Shared<Observations<SharedBits>>);

/// What was observed. Any cell will do, so that a model of them can stand in for the target's.
#[derive(Debug)]
pub(super) struct Observations<B> {
    buckets: Buckets,
    /// Observations by bucket, not cumulated; the last is `+Inf`.
    counts: Vec<B>,
    /// An `f64`.
    sum: B,
}

impl<B: Bits> Observations<B> {
    pub fn new(buckets: Buckets) -> Self {
        let sum = B::of(0);
        0.0.set(&sum);
        Self {
            counts: (0..=buckets.bounds().len()).map(|_| B::of(0)).collect(),
            sum,
            buckets,
        }
    }

    #[inline]
    pub fn observe(&self, value: f64) {
        if let Some(count) = self.counts.get(self.bucket(value)) {
            count.add_bits(1);
        }
        value.add(&self.sum);
    }

    /// Which bucket counts the value. NaN is below no bound and above none; Prometheus counts it in
    /// `+Inf` alone.
    #[inline]
    pub fn bucket(&self, value: f64) -> usize {
        let bounds = self.buckets.bounds();
        if value.is_nan() {
            bounds.len()
        } else {
            bounds.partition_point(|bound| *bound < value)
        }
    }

    pub fn cumulated(&self) -> impl Iterator<Item = (f64, u64)> {
        let bounds = self.buckets.bounds().iter().copied().chain([f64::INFINITY]);
        let counts = self.counts.iter().scan(0_u64, |all, count| {
            *all = all.wrapping_add(count.bits());
            Some(*all)
        });
        bounds.zip(counts)
    }

    pub fn sum(&self) -> f64 {
        f64::get(&self.sum)
    }
}

impl Histogram {
    /// A histogram that no registry knows.
    pub fn new(buckets: impl Into<Buckets>) -> Self {
        Self(Shared::new(Observations::new(buckets.into())))
    }

    /// Observes a value: it counts in every bucket whose bound is not below it.
    #[inline]
    pub fn observe(&self, value: f64) {
        self.0.observe(value);
    }

    /// Each bucket's upper bound and how many observations are not above it, `+Inf` last: its count
    /// is that of all observations.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64)> {
        self.0.cumulated()
    }

    /// The sum of all observations.
    pub fn sum(&self) -> f64 {
        self.0.sum()
    }

    /// Which of the buckets counts the value.
    pub(super) fn bucket(&self, value: f64) -> usize {
        self.0.bucket(value)
    }

    pub(super) fn bucket_count(&self) -> usize {
        self.0.counts.len()
    }

    pub(super) fn expose_with(
        &self,
        to: &mut SeriesWriter<'_, '_>,
        mut exemplar: impl FnMut(usize) -> Option<Exemplar>,
    ) -> fmt::Result {
        let mut all = 0;
        for (nth, (bound, count)) in self.buckets().enumerate() {
            to.bucket(bound, count, exemplar(nth).as_ref())?;
            all = count;
        }
        to.sum_and_count(self.sum(), all, self.has_negative_bounds())
    }

    fn has_negative_bounds(&self) -> bool {
        let first = self.0.buckets.bounds().first();
        first.is_some_and(|bound| *bound < 0.0)
    }
}

impl Instrument for Histogram {}

impl Record for Histogram {
    type Options = Buckets;
    const TYPE: Type = Type::Histogram;

    fn create(buckets: &Buckets) -> Self {
        Self::new(buckets.clone())
    }

    fn is_valid(buckets: &Buckets) -> bool {
        buckets.are_valid()
    }

    fn is_same(one: &Buckets, other: &Buckets) -> bool {
        one == other
    }

    fn expose(&self, to: &mut SeriesWriter<'_, '_>) -> fmt::Result {
        self.expose_with(to, |_| None)
    }

    fn fingerprint(&self) -> u64 {
        self.buckets().last().map_or(0, |(_, all)| all)
    }

    fn is_held(&self) -> bool {
        Shared::strong_count(&self.0) > FAMILY_HANDLES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observed(values: &[f64]) -> Histogram {
        let histogram = Histogram::new([1.0, 5.0]);
        for value in values {
            histogram.observe(*value);
        }
        histogram
    }

    #[test]
    fn a_value_counts_in_every_bucket_that_holds_it() {
        let buckets: Vec<_> = observed(&[0.0, 1.0, 1.5, 5.0, 7.0]).buckets().collect();
        assert_eq!(buckets, [(1.0, 2), (5.0, 4), (f64::INFINITY, 5)]);
    }

    #[test]
    fn the_sum_is_that_of_the_values() {
        assert!((observed(&[0.5, 7.25]).sum() - 7.75).abs() < 1e-9);
    }

    #[test]
    fn what_is_no_number_counts_only_in_the_last() {
        let buckets: Vec<_> = observed(&[f64::NAN]).buckets().collect();
        assert_eq!(buckets, [(1.0, 0), (5.0, 0), (f64::INFINITY, 1)]);
    }

    #[test]
    fn bounds_can_be_computed() {
        assert_eq!(Buckets::linear(1.0, 2.0, 3).bounds(), [1.0, 3.0, 5.0]);
        assert_eq!(
            Buckets::exponential(1.0, 10.0, 3).bounds(),
            [1.0, 10.0, 100.0]
        );
    }
}
