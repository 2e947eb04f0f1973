//! What a label set is made from: what all of a recorder have in common, and what the numbers of a key
//! stand for.

use super::facts::SeriesKey;
use super::layout::{LabelValues, SeriesLayouts, Texts};
use super::overflow::OverflowKey;
use super::plan::{Plan, PlannedMetric};
use super::tables::Tables;
use crate::host::{Metrics, SeriesId};
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

/// What a new label set is made from.
pub struct Context<'a> {
    /// What all of them have in common.
    pub fixed: &'a Fixed,
    /// The metrics of the group.
    pub planned: &'a [PlannedMetric],
    /// The contents of a key's numbers.
    pub tables: &'a Tables,
}

impl<'a> Context<'a> {
    /// Of what is recorded at the end.
    pub fn at_end(fixed: &'a Fixed, tables: &'a Tables) -> Self {
        let planned = &fixed.plan.at_end;
        Self {
            fixed,
            planned,
            tables,
        }
    }

    /// Of messages.
    pub fn messages(fixed: &'a Fixed, tables: &'a Tables) -> Self {
        let planned = &fixed.plan.messages;
        Self {
            fixed,
            planned,
            tables,
        }
    }

    /// The texts of a key; `None` where a table had no room for a part of it.
    pub fn texts(&self, key: &SeriesKey) -> Option<Texts<'_>> {
        let Fixed {
            plan,
            reporter,
            local,
            ..
        } = self.fixed;
        Texts::new(self.tables, *reporter, local, plan.expressions, key)
    }

    /// The texts of what exceeds the limit.
    pub fn overflow_texts(&self, key: &OverflowKey) -> Texts<'_> {
        let Fixed {
            plan,
            reporter,
            local,
            ..
        } = self.fixed;
        Texts::overflow(self.tables, *reporter, local, plan.expressions, key)
    }
}

impl SeriesLayouts {
    /// The series of a key's label set for the metric at a position.
    pub fn make_one(
        &self,
        host: &mut dyn Metrics,
        context: &Context<'_>,
        key: &SeriesKey,
        metric: usize,
    ) -> Option<SeriesId> {
        let texts = context.texts(key)?;
        let evaluated = context.tables.evaluated.get(key.evaluated)?;
        let values = self.known(evaluated.conditions)?.values(&texts);
        let (family, values) = values.0.get(metric)?.as_ref()?;
        host.series(*family, values)
    }

    /// Whether the label set of another key has these values.
    pub fn have_values(
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
