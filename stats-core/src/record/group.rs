//! Makes the label sets of metrics that are recorded together: by its values a key that is new comes to a
//! set that is there, to a new one, or to those of what exceeds the limit.
//!
//! Whether a request is recorded at all is decided before it takes any room.

use super::facts::SeriesKey;
use super::label_sets::{LabelSets, SetId};
use super::layout::{LabelValues, SeriesLayouts, Texts};
use super::overflow::OverflowKey;
use super::plan::{Plan, PlannedMetric};
use super::tables::Tables;
use crate::host::Metrics;
use crate::intern::seed::Seed;
use crate::labels::Reporter;
use crate::peer::workload::Workload;

/// What all label sets of a recorder have in common.
pub struct Fixed {
    /// What is recorded.
    pub plan: Plan,
    /// Who reports.
    pub reporter: Reporter,
    /// This proxy's workload.
    pub local: Workload,
    /// The key of the hashes of values.
    pub seed: Seed,
}

/// Metrics that are recorded together.
pub struct MetricGroup {
    layouts: SeriesLayouts,
    /// Their label sets.
    pub sets: LabelSets,
}

/// What a new label set is made from.
pub struct Context<'a> {
    /// What all of them have in common.
    pub fixed: &'a Fixed,
    /// The metrics of the group.
    pub planned: &'a [PlannedMetric],
    /// The contents of a key's numbers.
    pub tables: &'a Tables,
}

impl Context<'_> {
    /// The texts of a key; `None` where a table had no room for a part of it.
    fn texts(&self, key: &SeriesKey) -> Option<Texts<'_>> {
        let Fixed {
            plan,
            reporter,
            local,
            ..
        } = self.fixed;
        Texts::new(self.tables, *reporter, local, plan.expressions, key)
    }

    fn overflow_texts(&self, key: &OverflowKey) -> Texts<'_> {
        let Fixed {
            plan,
            reporter,
            local,
            ..
        } = self.fixed;
        Texts::overflow(self.tables, *reporter, local, plan.expressions, key)
    }
}

impl MetricGroup {
    /// Room for at most `limit` label sets of `width` metrics, and for what exceeds them.
    pub fn new(seed: Seed, limit: usize, width: usize) -> Self {
        Self {
            layouts: SeriesLayouts::default(),
            sets: LabelSets::new(seed, limit, width),
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
        let Self { layouts, sets } = self;
        let Context { fixed, planned, .. } = context;
        let beyond = OverflowKey::new(&key, context.tables);
        let layout = layouts.get(host, &fixed.plan, planned, beyond.conditions);
        if layout.drops_all() {
            sets.remember(key, SetId::DROPPED);
            return (SetId::DROPPED, false);
        }
        // Past the limit, where nothing could be remembered of what the values are, a new request costs
        // no look at them.
        if sets.may_learn()
            && let Some(texts) = context.texts(&key)
        {
            let values = layout.values(&texts);
            let values_hash = fixed.seed.hash(&values);
            let same = sets.find_by_values(values_hash, |other| {
                layouts.have_values(context, other, &values)
            });
            if let Some(set) = same {
                sets.remember(key, set);
                return (set, false);
            }
            if sets.has_room() && !admits(host, &values, sets.limit()) {
                sets.close();
            } else if sets.has_room() {
                let series = values.series(host);
                return (sets.add(key, values_hash, series), true);
            }
        }
        let (set, is_new) = self.overflow(host, context, beyond, exceeded_before);
        self.sets.remember(key, set);
        (set, is_new)
    }

    /// The label set of what exceeds the limit, and whether it is new.
    #[cold]
    fn overflow(
        &mut self,
        host: &mut dyn Metrics,
        context: &Context<'_>,
        mut key: OverflowKey,
        exceeded_before: bool,
    ) -> (SetId, bool) {
        let mut known = self.sets.find_overflow(key);
        if known.is_none() && !self.sets.has_room_for_overflow() {
            key = key.last();
            known = self.sets.find_overflow(key);
        }
        if let Some(set) = known {
            return (set, false);
        }
        if !exceeded_before && !self.sets.has_overflow() {
            log::warn!(
                "max_series is reached: requests with a new label set are counted in series in which \
                 the peer, the service and labels of your own say \"overflow\"; raise max_series, or \
                 find the label with too many values"
            );
        }
        let Context { fixed, planned, .. } = context;
        let layout = self.layouts.get(host, &fixed.plan, planned, key.conditions);
        let texts = context.overflow_texts(&key);
        let values = layout.values(&texts);
        let series = values.series(host);
        (self.sets.add_overflow(key, series), true)
    }
}

impl SeriesLayouts {
    /// Whether the label set of another key has these values.
    fn have_values(
        &self,
        context: &Context<'_>,
        other: &SeriesKey,
        values: &LabelValues<'_>,
    ) -> bool {
        let Some(texts) = context.texts(other) else {
            return false;
        };
        let evaluated = context.tables.evaluated.get(other.evaluated);
        let layout = evaluated.and_then(|evaluated| self.known(evaluated.conditions));
        layout.is_some_and(|layout| layout.values(&texts) == *values)
    }
}

/// Whether the host takes the label set, of which it is told the first series.
fn admits(host: &mut dyn Metrics, values: &LabelValues<'_>, limit: usize) -> bool {
    let mut series = values.0.iter().flatten();
    let first = series.next();
    first.is_none_or(|(family, values)| host.admit(*family, values, limit))
}
