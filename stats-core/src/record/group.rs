//! Makes the label sets of metrics that are recorded together: by its values a key that is new comes to a
//! set that is there, to a new one, or to those of what exceeds the limit. A new one has its series at
//! once, or waits for them where the worker has spent its time for that.
//!
//! Whether a request is recorded at all is decided before it takes any room.

use core::mem;

use super::context::{Context, Fixed};
use super::facts::SeriesKey;
use super::label_sets::{LabelSets, SetId};
use super::layout::{LabelValues, SeriesLayouts};
use super::overflow::OverflowKey;
use super::pending::PendingSets;
use super::plan::PlannedMetric;
use crate::host::{MetricKind, Metrics, SeriesId};
use crate::intern::seed::Seed;
use crate::labels::metrics::PENDING_LABELS;

/// Metrics that are recorded together.
pub struct MetricGroup {
    layouts: SeriesLayouts,
    /// Their label sets.
    pub sets: LabelSets,
    pending: PendingSets,
    /// How many wait, once one did.
    pending_gauge: Option<SeriesId>,
    /// Whether the limit was reached.
    exceeded: bool,
}

impl MetricGroup {
    /// Room for at most `limit` label sets of `width` metrics, and for what exceeds them.
    pub fn new(seed: Seed, limit: usize, width: usize) -> Self {
        Self {
            layouts: SeriesLayouts::default(),
            sets: LabelSets::new(seed, limit, width),
            pending: PendingSets::default(),
            pending_gauge: None,
            exceeded: false,
        }
    }

    /// Records the value of each metric in a label set; not where that waits for its series.
    #[inline]
    pub fn record(
        &self,
        host: &mut (impl Metrics + ?Sized),
        planned: &[PlannedMetric],
        set: SetId,
        value: impl Fn(&PlannedMetric) -> Option<u64>,
    ) -> bool {
        if self.sets.is_pending(set) {
            return false;
        }
        for (metric, series) in planned.iter().zip(self.sets.series(set)) {
            if let (Some(series), Some(value)) = (series, value(metric)) {
                metric.record(host, series, value);
            }
        }
        true
    }

    /// Keeps the value of each metric until the label set has its series. Where there is no room, they
    /// go to what exceeds the limit.
    #[cold]
    pub fn keep(
        &mut self,
        host: &mut dyn Metrics,
        context: &Context<'_>,
        key: &SeriesKey,
        set: SetId,
        value: &dyn Fn(&PlannedMetric) -> Option<u64>,
    ) {
        if !self.pending.keep(set, context.planned, value) {
            let beyond = OverflowKey::new(key, context.tables);
            let (set, _) = self.overflow(host, context, beyond);
            self.record(host, context.planned, set, value);
        }
    }

    /// Whether label sets wait for their series.
    pub fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Makes one series of a label set that waits; whether one did.
    pub fn make_pending(&mut self, host: &mut dyn Metrics, context: &Context<'_>) -> bool {
        let Some(next) = self.pending.most_counted() else {
            return false;
        };
        let layouts = &self.layouts;
        let series = layouts.make_one(host, context, &next.key, next.series.len());
        next.series.push(series);
        let set = next.set;
        if next.series.len() >= context.planned.len()
            && let Some(done) = self.pending.remove(set)
        {
            self.sets.settle(set, done.series.iter().copied());
            done.record(host, context.planned, self.sets.series(set));
            self.add_pending(host, context, -1);
        }
        true
    }

    /// Counts what waits for its series as overflow.
    pub fn give_up(&mut self, host: &mut dyn Metrics, context: &Context<'_>) {
        let pending = self.pending.take();
        let count = i64::try_from(pending.len()).unwrap_or_default();
        self.add_pending(host, context, -count);
        for pending in pending {
            let beyond = OverflowKey::new(&pending.key, context.tables);
            let (set, _) = self.overflow(host, context, beyond);
            pending.record(host, context.planned, self.sets.series(set));
        }
    }

    /// Whether the limit was reached, and a line in the log has said so.
    pub fn has_exceeded(&self) -> bool {
        self.exceeded
    }

    /// So many more wait.
    fn add_pending(&mut self, host: &mut dyn Metrics, context: &Context<'_>, by: i64) {
        if by == 0 {
            return;
        }
        if self.pending_gauge.is_none() {
            let Fixed { plan, reporter, .. } = context.fixed;
            let family = host.family(MetricKind::Gauge, &plan.pending_name, &PENDING_LABELS);
            self.pending_gauge = family.and_then(|family| host.series(family, &[reporter.name()]));
        }
        if let Some(gauge) = self.pending_gauge {
            host.gauge_add(gauge, by);
        }
    }

    /// The label set of a key that is new, and whether the label set is new too. `exceeded_before` says
    /// whether the limit was reached elsewhere, and a line in the log has said so.
    pub fn make(
        &mut self,
        host: &mut dyn Metrics,
        context: &Context<'_>,
        key: SeriesKey,
        exceeded_before: bool,
    ) -> (SetId, bool) {
        let Context { fixed, planned, .. } = context;
        let beyond = OverflowKey::new(&key, context.tables);
        let layouts = &mut self.layouts;
        let layout = layouts.get(host, &fixed.plan, planned, beyond.conditions);
        if layout.drops_all() {
            self.sets.remember(key, SetId::DROPPED);
            return (SetId::DROPPED, false);
        }
        // Past the limit, where nothing could be remembered of what the values are, a new request costs
        // no look at them.
        if self.sets.may_learn()
            && let Some(found) = self.find_or_add(host, context, key, beyond)
        {
            return found;
        }
        if !mem::replace(&mut self.exceeded, true) && !exceeded_before {
            log::warn!(
                "max_series is reached: requests with a new label set are counted in series in which \
                 the peer, the service and labels of your own say \"overflow\"; raise max_series, or \
                 find the label with too many values"
            );
        }
        let (set, is_new) = self.overflow(host, context, beyond);
        self.sets.remember(key, set);
        (set, is_new)
    }

    /// The label set with the values of a key, and whether it is new; `None` where the limit is reached.
    fn find_or_add(
        &mut self,
        host: &mut dyn Metrics,
        context: &Context<'_>,
        key: SeriesKey,
        beyond: OverflowKey,
    ) -> Option<(SetId, bool)> {
        let Self {
            layouts,
            sets,
            pending,
            ..
        } = self;
        let texts = context.texts(&key)?;
        let values = layouts.known(beyond.conditions)?.values(&texts);
        let values_hash = context.fixed.seed.hash(&values);
        let same = sets.find_by_values(values_hash, |other| {
            layouts.have_values(context, other, &values)
        });
        if let Some(set) = same {
            sets.remember(key, set);
            return Some((set, false));
        }
        let percent = context.fixed.plan.new_series_percent;
        let set = match room(host, sets, pending, &values, percent) {
            Room::Now => sets.add(key, values_hash, values.series(host)),
            Room::Later => {
                if pending.is_empty() {
                    host.make_soon();
                }
                let set = sets.add_pending(key, values_hash);
                pending.push(set, key);
                self.add_pending(host, context, 1);
                set
            }
            // Not remembered: once there is room again, it has series of its own.
            Room::NotNow => return Some(self.overflow(host, context, beyond)),
            Room::Never => return None,
        };
        Some((set, true))
    }

    /// The label set of what exceeds the limit, and whether it is new.
    #[cold]
    fn overflow(
        &mut self,
        host: &mut dyn Metrics,
        context: &Context<'_>,
        mut key: OverflowKey,
    ) -> (SetId, bool) {
        let mut known = self.sets.find_overflow(key);
        if known.is_none() && !self.sets.has_room_for_overflow() {
            key = key.last();
            known = self.sets.find_overflow(key);
        }
        if let Some(set) = known {
            return (set, false);
        }
        let Context { fixed, planned, .. } = context;
        let layout = self.layouts.get(host, &fixed.plan, planned, key.conditions);
        let texts = context.overflow_texts(&key);
        let values = layout.values(&texts);
        let series = values.series(host);
        (self.sets.add_overflow(key, series), true)
    }
}

/// Whether a new label set can have series.
enum Room {
    Now,
    /// It waits for them.
    Later,
    /// Too many wait already.
    NotNow,
    /// The limit is reached.
    Never,
}

fn room(
    host: &mut dyn Metrics,
    sets: &mut LabelSets,
    pending: &PendingSets,
    values: &LabelValues<'_>,
    percent: u8,
) -> Room {
    if !sets.has_room() {
        return Room::Never;
    }
    // Who comes later must not be served before those that wait.
    let has_time = pending.is_empty() && host.has_time(percent);
    if !has_time && !pending.has_room() {
        return Room::NotNow;
    }
    if !admits(host, values, sets.limit()) {
        sets.close();
        return Room::Never;
    }
    if has_time { Room::Now } else { Room::Later }
}

/// Whether the host takes the label set, of which it is told the first series.
fn admits(host: &mut dyn Metrics, values: &LabelValues<'_>, limit: usize) -> bool {
    let mut series = values.0.iter().flatten();
    let first = series.next();
    first.is_none_or(|(family, values)| host.admit(*family, values, limit))
}
