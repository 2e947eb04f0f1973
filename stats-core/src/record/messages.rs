//! Records messages of gRPC requests, which grow while a request is open.

use super::Recorder;
use super::context::Context;
use super::facts::{Facts, SeriesKey};
use super::label_sets::SetId;
use super::plan::{PlannedMetric, PlannedValue};
use super::tables::Tables;
use crate::host::{MessageCounts, Metrics};
use crate::labels::metrics::MessageMetric;
use crate::labels::outcome::{Outcome, Protocol};
use crate::peer::unknown::UnknownReason;

impl Recorder {
    /// Records messages of a gRPC request, those since the last time. A count of zero is not recorded.
    pub fn record_messages(
        &mut self,
        host: &mut dyn Metrics,
        tables: &Tables,
        facts: &Facts,
        new: MessageCounts,
    ) {
        // Only what is known while the request is open; the status never is.
        let facts = Facts {
            operation: None,
            reason: UnknownReason::None,
            outcome: Outcome {
                protocol: Protocol::Grpc,
                ..Outcome::default()
            },
            ..*facts
        };
        let key = SeriesKey::new(&facts, &self.visible);
        let set = match self.messages.sets.find(&key) {
            Some(set) => set,
            None => self.make_messages(host, tables, key),
        };
        let value = |metric: &PlannedMetric| {
            let count = match metric.value {
                PlannedValue::Messages(MessageMetric::RequestMessagesTotal) => new.request,
                PlannedValue::Messages(MessageMetric::ResponseMessagesTotal) => new.response,
                _ => 0,
            };
            (count > 0).then_some(count)
        };
        let context = Context::messages(&self.fixed, tables);
        if !self.messages.record(host, context.planned, set, value) {
            self.messages.keep(host, &context, &key, set, &value);
        }
    }

    #[cold]
    fn make_messages(&mut self, host: &mut dyn Metrics, tables: &Tables, key: SeriesKey) -> SetId {
        let exceeded = self.at_end.has_exceeded();
        let context = Context::messages(&self.fixed, tables);
        self.messages.make(host, &context, key, exceeded).0
    }
}
