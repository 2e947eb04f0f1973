//! Records the facts of a request: a key finds the label set, the label set its series.
//!
//! What recurs is resolved once and kept as a number, so that the steady state neither allocates nor
//! looks at a label. Behind the facts only this reaches the host: is there room, make this series, record.

mod connections;
mod context;
pub mod definition_budget;
pub mod evaluated;
pub mod expressions;
pub mod facts;
mod group;
mod label_sets;
mod layout;
mod messages;
mod overflow;
pub mod pending;
pub mod plan;
pub mod tables;
mod value_text;

#[cfg(test)]
mod tests;

use crate::host::{Expressions, Metrics};
use crate::intern::seed::Seed;
use crate::labels::Reporter;
use crate::labels::metrics::HttpMetric;
use crate::labels::outcome::{Outcome, Protocol};
use crate::labels::visible::Visible;
use crate::peer::workload::Workload;
pub use connections::ConnectionCounts;
use context::{Context, Fixed};
use expressions::UserExpressions;
use facts::{Facts, SeriesKey};
use group::MetricGroup;
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
        let (measures, expressions) = (&facts.measures, &self.expressions);
        let value = |metric: &PlannedMetric| match metric.value {
            PlannedValue::Http(HttpMetric::RequestsTotal) => Some(1),
            PlannedValue::Http(HttpMetric::RequestDuration) => measures.duration,
            PlannedValue::Http(HttpMetric::RequestBytes) => Some(measures.request_bytes),
            PlannedValue::Http(HttpMetric::ResponseBytes) => Some(measures.response_bytes),
            PlannedValue::FirstByte => measures.first_byte,
            PlannedValue::Number(at) => expressions.number(at),
            PlannedValue::Messages(_) | PlannedValue::Tcp(_) => None,
        };
        let context = Context::at_end(&self.fixed, tables);
        if !self.at_end.record(host, context.planned, set, value) {
            self.at_end.keep(host, &context, &key, set, &value);
        }
    }

    /// Makes one series of a label set that waits; whether one did.
    pub fn make_pending(&mut self, host: &mut dyn Metrics, tables: &Tables) -> bool {
        let (at_end, messages) = (
            Context::at_end(&self.fixed, tables),
            Context::messages(&self.fixed, tables),
        );
        // Both, or one could keep the other waiting.
        self.at_end.make_pending(host, &at_end) | self.messages.make_pending(host, &messages)
    }

    /// Whether label sets wait for their series.
    pub fn has_pending(&self) -> bool {
        self.at_end.has_pending() || self.messages.has_pending()
    }

    /// Counts what waits for its series as overflow: the recorder ends.
    pub fn end(&mut self, host: &mut dyn Metrics, tables: &Tables) {
        let context = Context::at_end(&self.fixed, tables);
        self.at_end.give_up(host, &context);
        let context = Context::messages(&self.fixed, tables);
        self.messages.give_up(host, &context);
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
            let zero = |metric: &PlannedMetric| {
                let requests = PlannedValue::Http(HttpMetric::RequestsTotal);
                (metric.value == requests).then_some(0)
            };
            let context = Context::at_end(&self.fixed, tables);
            if is_new && !self.at_end.record(host, context.planned, set, zero) {
                self.at_end.keep(host, &context, &key, set, &zero);
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
        let exceeded = self.messages.has_exceeded();
        let context = Context::at_end(&self.fixed, tables);
        self.at_end.make(host, &context, key, exceeded)
    }
}
