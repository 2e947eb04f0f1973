//! Label sets that wait for their series, and what was recorded of them meanwhile, exactly: sums of
//! counters, and how often a histogram is to observe which value.

use alloc::vec::Vec;
use core::mem;

use super::facts::SeriesKey;
use super::label_sets::SetId;
use super::plan::PlannedMetric;
use crate::host::{MetricKind, Metrics, SeriesId};

/// The most label sets that wait.
const MAX_SETS: usize = 1_000;
/// The most values that are kept of one label set: beyond them it takes long to find one again.
const MAX_VALUES_OF_A_SET: usize = 1_000;
/// The most values that are kept of all: 1.5 MB.
const MAX_VALUES: usize = 65_536;

/// Where label sets may wait for their series.
pub trait Pending {
    /// Whether any does.
    fn has_pending(&self) -> bool;

    /// Makes one series of one of them; whether one waited.
    fn make_pending(&mut self, host: &mut dyn Metrics) -> bool;
}

/// Makes series in all of these places in turns, so that none keeps another waiting, as long as at most
/// `percent` of the worker's time goes into it. Whether any label set still waits.
pub fn make_in_turns<P: Pending>(
    places: &mut [Option<P>],
    host: &mut dyn Metrics,
    percent: u8,
) -> bool {
    while places.iter().flatten().any(P::has_pending) {
        if !host.has_time(percent) {
            return true;
        }
        for place in places.iter_mut().flatten() {
            place.make_pending(host);
        }
    }
    false
}

/// Label sets that wait for their series.
#[derive(Default)]
pub struct PendingSets {
    sets: Vec<PendingSet>,
    /// How many values are kept of all.
    values: usize,
}

/// A label set that waits for its series.
pub struct PendingSet {
    /// Its number.
    pub set: SetId,
    /// Its first key, which has its labels.
    pub key: SeriesKey,
    /// The series that it has so far, in the order of the metrics.
    pub series: Vec<Option<SeriesId>>,
    /// How often something was recorded of it.
    count: u64,
    values: Vec<PendingValue>,
}

/// A value that waits to be recorded.
struct PendingValue {
    /// The position of its metric.
    metric: u32,
    /// How often it is to be recorded; once for a counter and a gauge.
    times: u32,
    value: u64,
}

impl PendingSets {
    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }

    /// Whether one more may wait.
    pub fn has_room(&self) -> bool {
        self.sets.len() < MAX_SETS
    }

    /// One more waits.
    pub fn push(&mut self, set: SetId, key: SeriesKey) {
        self.sets.push(PendingSet {
            set,
            key,
            series: Vec::new(),
            count: 0,
            values: Vec::new(),
        });
    }

    /// Keeps what is recorded of a label set, by metric; whether there was room for it.
    pub fn keep(
        &mut self,
        set: SetId,
        planned: &[PlannedMetric],
        value: &dyn Fn(&PlannedMetric) -> Option<u64>,
    ) -> bool {
        let Some(pending) = self.sets.iter_mut().find(|pending| pending.set == set) else {
            return false;
        };
        let before = pending.values.len();
        if before + planned.len() > MAX_VALUES_OF_A_SET || self.values + planned.len() > MAX_VALUES
        {
            return false;
        }
        for (at, metric) in planned.iter().enumerate() {
            if let Some(value) = value(metric) {
                pending.add(at as u32, metric.kind, value);
            }
        }
        pending.count += 1;
        self.values += pending.values.len() - before;
        true
    }

    /// The one that comes next: it has begun to get its series, or the most was recorded of it.
    pub fn most_counted(&mut self) -> Option<&mut PendingSet> {
        let order = |pending: &&mut PendingSet| (pending.series.len(), pending.count);
        self.sets.iter_mut().max_by_key(order)
    }

    /// Takes out one that waits no more.
    pub fn remove(&mut self, set: SetId) -> Option<PendingSet> {
        let at = self.sets.iter().position(|pending| pending.set == set)?;
        let pending = self.sets.swap_remove(at);
        self.values -= pending.values.len();
        Some(pending)
    }

    /// Takes out all.
    pub fn take(&mut self) -> Vec<PendingSet> {
        self.values = 0;
        mem::take(&mut self.sets)
    }
}

impl PendingSet {
    fn add(&mut self, metric: u32, kind: MetricKind, value: u64) {
        let known = self.values.iter_mut().find(|known| {
            known.metric == metric && (kind != MetricKind::Histogram || known.value == value)
        });
        match (known, kind) {
            (None, _) => self.values.push(PendingValue {
                metric,
                times: 1,
                value,
            }),
            (Some(known), MetricKind::Counter) => known.value = known.value.saturating_add(value),
            (Some(known), MetricKind::Gauge) => known.value = value,
            (Some(known), MetricKind::Histogram) => known.times = known.times.saturating_add(1),
        }
    }

    /// Records what was kept, in the series of each metric.
    pub fn record(
        &self,
        host: &mut dyn Metrics,
        planned: &[PlannedMetric],
        series: impl Iterator<Item = Option<SeriesId>>,
    ) {
        for (at, (metric, series)) in planned.iter().zip(series).enumerate() {
            let Some(series) = series else { continue };
            let of_metric = self
                .values
                .iter()
                .filter(|value| value.metric as usize == at);
            for value in of_metric {
                for _ in 0..value.times {
                    metric.record(host, series, value.value);
                }
            }
        }
    }
}
