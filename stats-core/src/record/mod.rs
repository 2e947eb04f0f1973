//! Records the facts of a request: a key finds the label set, the label set its series.
//!
//! What recurs is resolved once and kept as a number, so that the steady state neither allocates nor
//! looks at a label. Behind the facts only this reaches the host: is there room, make this series, record.

mod connections;
pub mod evaluated;
pub mod expressions;
pub mod facts;
mod group;
mod label_sets;
mod layout;
mod messages;
mod overflow;
pub mod plan;
pub mod tables;
mod value_text;

#[cfg(test)]
mod tests;

use crate::host::{Expressions, MetricKind, Metrics, SeriesId};
use crate::intern::seed::Seed;
use crate::labels::Reporter;
use crate::labels::metrics::HttpMetric;
use crate::labels::outcome::{Outcome, Protocol};
use crate::labels::visible::Visible;
use crate::peer::workload::Workload;
pub use connections::ConnectionCounts;
use expressions::UserExpressions;
use facts::{Facts, SeriesKey};
use group::{Context, Fixed, MetricGroup};
use label_sets::SetId;
use plan::{Plan, PlannedMetric, PlannedValue};
use tables::Tables;

/// Records what is gathered of requests.
pub struct Recorder {
    fixed: Fixed,
    visible: Visible,
    expressions: UserExpressions,
    zero_initialize: bool,
    at_end: MetricGroup,
    messages: MetricGroup,
}

impl Recorder {
    /// A recorder of what is planned, for at most `limit` label sets. `zero_initialize` says whether a
    /// known peer has a success and an error series from its first request on.
    pub fn new(
        plan: Plan,
        expressions: UserExpressions,
        reporter: Reporter,
        local: &Workload,
        seed: Seed,
        limit: usize,
        zero_initialize: bool,
    ) -> Self {
        let group = |planned: &[PlannedMetric]| MetricGroup::new(seed, limit, planned.len());
        Self {
            visible: plan.visible(reporter),
            expressions,
            zero_initialize,
            at_end: group(&plan.at_end),
            messages: group(&plan.messages),
            fixed: Fixed {
                plan,
                reporter,
                local: local.clone(),
                seed,
            },
        }
    }

    /// What the labels depend on.
    pub fn visible(&self) -> Visible {
        self.visible
    }

    /// The user's expressions, which are evaluated when facts are gathered.
    #[inline]
    pub fn expressions(&mut self) -> &mut UserExpressions {
        &mut self.expressions
    }

    /// Whether the labels of a request show its peers, or would not show them anyway.
    #[inline]
    pub fn knows_peers(&self, facts: &Facts) -> bool {
        let upstream = facts.upstream.is_some() || self.visible.upstream.is_empty();
        upstream && (facts.peer.is_some() || self.visible.peer.is_empty())
    }

    /// Records a request that has ended.
    #[inline]
    pub fn record(&mut self, host: &mut impl Metrics, tables: &Tables, facts: &Facts) {
        let key = SeriesKey::new(facts, &self.visible);
        let set = match self.at_end.sets.find(&key) {
            Some(set) => set,
            None => self.make(host, tables, facts, key),
        };
        let series = self.at_end.sets.series(set);
        for (metric, series) in self.fixed.plan.at_end.iter().zip(series) {
            let measures = &facts.measures;
            let value = match metric.value {
                PlannedValue::Http(HttpMetric::RequestsTotal) => Some(1),
                PlannedValue::Http(HttpMetric::RequestDuration) => measures.duration,
                PlannedValue::Http(HttpMetric::RequestBytes) => Some(measures.request_bytes),
                PlannedValue::Http(HttpMetric::ResponseBytes) => Some(measures.response_bytes),
                PlannedValue::FirstByte => measures.first_byte,
                PlannedValue::Number(at) => self.expressions.number(at),
                PlannedValue::Messages(_) | PlannedValue::Tcp(_) => None,
            };
            if let (Some(series), Some(value)) = (series, value) {
                record_value(host, metric.kind, series, value);
            }
        }
    }

    /// Gives back what the host holds.
    pub fn release(&self, host: &mut dyn Expressions) {
        self.expressions.release(host);
    }

    /// The label set of a key that is new.
    #[cold]
    fn make(
        &mut self,
        host: &mut dyn Metrics,
        tables: &Tables,
        facts: &Facts,
        key: SeriesKey,
    ) -> SetId {
        let (set, is_new) = self.make_set(host, tables, key);
        if is_new && self.zero_initialize && self.knows_peers(facts) {
            self.make_zeroes(host, tables, facts);
        }
        set
    }

    /// The success and the error series beside a new one, so that a query for them finds a zero and
    /// not nothing: beyond the limit those of the overflow.
    #[cold]
    fn make_zeroes(&mut self, host: &mut dyn Metrics, tables: &Tables, facts: &Facts) {
        let grpc = facts.outcome.protocol == Protocol::Grpc;
        for (response_code, status) in [(200, 0), (500, 13)] {
            let outcome = Outcome {
                response_code,
                response_flags: 0,
                grpc_status: grpc.then_some(status),
                ..facts.outcome
            };
            let facts = Facts { outcome, ..*facts };
            let key = SeriesKey::new(&facts, &self.visible);
            if self.at_end.sets.find(&key).is_some() {
                continue;
            }
            let (set, is_new) = self.make_set(host, tables, key);
            let requests = self.at_end.sets.series(set).next().flatten();
            if let (true, Some(requests)) = (is_new, requests) {
                host.add(requests, 0);
            }
        }
    }

    /// The label set of a key that is new, and whether the label set is new too.
    fn make_set(
        &mut self,
        host: &mut dyn Metrics,
        tables: &Tables,
        key: SeriesKey,
    ) -> (SetId, bool) {
        let exceeded = self.messages.sets.has_overflow();
        let context = Context {
            fixed: &self.fixed,
            planned: &self.fixed.plan.at_end,
            tables,
        };
        self.at_end.make(host, &context, key, exceeded)
    }
}

#[inline]
fn record_value(
    host: &mut (impl Metrics + ?Sized),
    kind: MetricKind,
    series: SeriesId,
    value: u64,
) {
    match kind {
        MetricKind::Counter => host.add(series, value),
        MetricKind::Gauge => host.gauge_set(series, value),
        MetricKind::Histogram => host.observe(series, value),
    }
}
