//! A histogram with cumulative `le` buckets, as Prometheus has them.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

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

/// A handle to one histogram series. Cheap to clone; all clones observe into the same series, from
/// any thread.
#[derive(Clone, Debug)]
pub struct Histogram(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    bounds: Arc<[f64]>,
    /// Observations by bucket, not cumulated; the last is `+Inf`.
    buckets: Vec<AtomicU64>,
    /// The bits of an `f64`.
    sum: AtomicU64,
}

impl Histogram {
    /// Bounds must be in ascending order; the registry sees to it.
    pub(crate) fn new(bounds: Arc<[f64]>) -> Self {
        Self(Arc::new(Inner {
            buckets: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0.0_f64.to_bits()),
            bounds,
        }))
    }

    /// Observes a value: it counts in every bucket whose bound is not below it.
    pub fn observe(&self, value: f64) {
        let bucket = self.0.bounds.partition_point(|bound| *bound < value);
        // NaN is below no bound and above none; Prometheus counts it in +Inf alone.
        let bucket = if value.is_nan() {
            self.0.bounds.len()
        } else {
            bucket
        };
        if let Some(bucket) = self.0.buckets.get(bucket) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        let mut sum = self.0.sum.load(Ordering::Relaxed);
        while let Err(other) = self.0.sum.compare_exchange_weak(
            sum,
            (f64::from_bits(sum) + value).to_bits(),
            Ordering::Relaxed,
            Ordering::Relaxed,
        ) {
            sum = other;
        }
    }

    /// Each bucket's upper bound and how many observations are not above it, `+Inf` last: its count
    /// is that of all observations.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64)> {
        let bounds = self.0.bounds.iter().copied().chain([f64::INFINITY]);
        let counts = self.0.buckets.iter().scan(0, |count, bucket| {
            *count += bucket.load(Ordering::Relaxed);
            Some(*count)
        });
        bounds.zip(counts)
    }

    /// The sum of all observations.
    pub fn sum(&self) -> f64 {
        f64::from_bits(self.0.sum.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observed(values: &[f64]) -> Histogram {
        let histogram = Histogram::new(Arc::from([1.0, 5.0]));
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
}
