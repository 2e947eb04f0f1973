//! The label values of a label set, for each metric: from numbers back to text. Only for a new label
//! set; one that is known is found by its key.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use super::facts::SeriesKey;
use super::overflow::OverflowKey;
use super::plan::{Plan, PlannedMetric, Shown};
use super::tables::Tables;
use crate::host::{FamilyId, Metrics, SeriesId};
use crate::labels::outcome::Outcome;
use crate::labels::service::Service;
use crate::labels::table::{self, Inputs, Origin, Party};
use crate::labels::value::neutral;
use crate::labels::{Label, OVERFLOW, Reporter, UNKNOWN};
use crate::peer::principals::Principals;
use crate::peer::workload::Workload;

/// The families of some metrics under one set of conditions, and what their labels show.
pub struct SeriesLayout {
    conditions: u64,
    /// In the order of the metrics; `None` for one that is dropped.
    metrics: Vec<Option<(FamilyId, Vec<Shown>)>>,
}

/// The label values of one label set by metric, `None` for a dropped one. Label sets that show the
/// same are equal here.
#[derive(PartialEq, Eq, Hash)]
pub struct LabelValues<'a>(pub Vec<Option<(FamilyId, Vec<&'a str>)>>);

impl LabelValues<'_> {
    /// The series of the label set, in the order of the metrics.
    pub fn series(&self, host: &mut dyn Metrics) -> impl Iterator<Item = Option<SeriesId>> {
        self.0.iter().map(|metric| {
            let (family, values) = metric.as_ref()?;
            host.series(*family, values)
        })
    }
}

impl SeriesLayout {
    fn new(
        host: &mut dyn Metrics,
        plan: &Plan,
        planned: &[PlannedMetric],
        conditions: u64,
    ) -> Self {
        let mut layout = |metric: &PlannedMetric| {
            let (names, shown): (Vec<_>, _) = plan.labels(metric, conditions)?.into_iter().unzip();
            let family = host.family(metric.kind, &metric.full_name, &names)?;
            Some((family, shown))
        };
        Self {
            conditions,
            metrics: planned.iter().map(&mut layout).collect(),
        }
    }

    /// The values of a label set.
    pub fn values<'a>(&self, texts: &'a Texts<'_>) -> LabelValues<'a> {
        let metrics = self.metrics.iter().map(|metric| {
            let (family, shown) = metric.as_ref()?;
            let values = shown.iter().map(|shown| texts.of(*shown));
            Some((*family, values.collect()))
        });
        LabelValues(metrics.collect())
    }

    /// Whether no metric is recorded while the conditions hold.
    pub fn drops_all(&self) -> bool {
        self.metrics.iter().all(Option::is_none)
    }
}

/// Layouts by conditions. There are few: most configurations have no condition at all.
#[derive(Default)]
pub struct SeriesLayouts(Vec<SeriesLayout>);

impl SeriesLayouts {
    /// The layout of the planned metrics while these conditions hold.
    pub fn get(
        &mut self,
        host: &mut dyn Metrics,
        plan: &Plan,
        planned: &[PlannedMetric],
        conditions: u64,
    ) -> &SeriesLayout {
        let known = self.position(conditions);
        let at = known.unwrap_or_else(|| {
            let layout = SeriesLayout::new(host, plan, planned, conditions);
            self.0.push(layout);
            self.0.len() - 1
        });
        &self.0[at]
    }

    /// The layout for these conditions, if it was needed before.
    pub fn known(&self, conditions: u64) -> Option<&SeriesLayout> {
        self.0.get(self.position(conditions)?)
    }

    fn position(&self, conditions: u64) -> Option<usize> {
        let mut layouts = self.0.iter();
        layouts.position(|layout| layout.conditions == conditions)
    }
}

/// The texts of a label set.
pub struct Texts<'a> {
    standard: [Cow<'a, str>; Label::ALL.len()],
    expressions: Vec<Cow<'a, str>>,
    operation: &'a str,
    reason: &'static str,
}

impl<'a> Texts<'a> {
    /// The texts of a key; `None` where a table had no room for one of its numbers.
    pub fn new(
        tables: &'a Tables,
        reporter: Reporter,
        local: &'a Workload,
        expressions: usize,
        key: &SeriesKey,
    ) -> Option<Self> {
        let principals = tables.principals.get(key.principals)?;
        let inputs = Inputs {
            reporter,
            local,
            peer: tables.peers.get(key.peer)?,
            upstream: tables.peers.get(key.upstream)?,
            principals: Principals {
                peer: &principals.peer,
                local: &principals.local,
            },
            service: tables.services.get(key.service)?.view(),
            outcome: key.outcome,
        };
        let evaluated = tables.evaluated.get(key.evaluated)?;
        let operation = key
            .operation
            .and_then(|number| tables.operations.text(number));
        Some(Self {
            standard: Label::ALL.map(|label| text(table::value(label, &inputs))),
            expressions: (0..expressions)
                .map(|at| neutral(evaluated.value(at)))
                .collect(),
            operation: operation.unwrap_or(UNKNOWN),
            reason: key.reason.name(),
        })
    }

    /// The texts of what exceeds the limit on label sets.
    pub fn overflow(
        tables: &'a Tables,
        reporter: Reporter,
        local: &'a Workload,
        expressions: usize,
        key: &OverflowKey,
    ) -> Self {
        let told = key.told;
        let principal: &[u8] = match told {
            Some(told) if told.mutual_tls => b"-",
            _ => b"",
        };
        let inputs = Inputs {
            reporter,
            local,
            peer: &Workload::UNKNOWN,
            upstream: &Workload::UNKNOWN,
            principals: Principals {
                peer: principal,
                local: principal,
            },
            service: Service::default(),
            outcome: told.map_or_else(Outcome::default, |told| told.outcome),
        };
        let standard = |label: Label| {
            let origin = table::origin(label, reporter);
            let known = match told {
                Some(told) => told.knows(origin),
                None => matches!(
                    origin,
                    Origin::Constant(_) | Origin::Workload(Party::Local, ..)
                ),
            };
            if known {
                Cow::Owned(text(origin.value(&inputs)).into_owned())
            } else {
                Cow::Borrowed(OVERFLOW)
            }
        };
        let operation = |number| tables.operations.text(number).unwrap_or(UNKNOWN);
        Self {
            standard: Label::ALL.map(standard),
            expressions: (0..expressions).map(|_| Cow::Borrowed(OVERFLOW)).collect(),
            operation: told.map_or(OVERFLOW, |told| told.operation.map_or(UNKNOWN, operation)),
            reason: told.map_or(OVERFLOW, |told| told.reason.name()),
        }
    }

    fn of(&self, shown: Shown) -> &str {
        match shown {
            Shown::Standard(label) => &self.standard[label as usize],
            Shown::Expression(at) => self.expressions.get(at).map_or(UNKNOWN, |text| text),
            Shown::Operation => self.operation,
            Shown::UnknownReason => self.reason,
        }
    }
}

fn text(value: Cow<'_, [u8]>) -> Cow<'_, str> {
    match value {
        Cow::Borrowed(value) => neutral(value),
        Cow::Owned(value) => Cow::Owned(neutral(&value).into_owned()),
    }
}
