//! Records TCP connections: while they are open, and at their end. How a label set is found is the
//! same as for requests.

use super::Recorder;
use super::context::Context;
use super::facts::{Facts, SeriesKey};
use super::plan::{PlannedMetric, PlannedValue};
use super::tables::Tables;
use crate::host::Metrics;
use crate::labels::metrics::TcpMetric;

/// What there was of a connection since it was last reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionCounts {
    /// Whether it is reported for the first time.
    pub opened: bool,
    /// Whether it has ended.
    pub closed: bool,
    /// Bytes of the application to the client.
    pub sent_bytes: u64,
    /// Bytes of the application from the client.
    pub received_bytes: u64,
}

impl Recorder {
    /// Records what there was of a connection since the last time. A count of zero is not recorded;
    /// metrics of the user's own are recorded at the end.
    pub fn record_connection(
        &mut self,
        host: &mut dyn Metrics,
        tables: &Tables,
        facts: &Facts,
        new: ConnectionCounts,
    ) {
        let key = SeriesKey::new(facts, &self.visible);
        let set = match self.at_end.sets.find(&key) {
            Some(set) => set,
            None => self.make_set(host, tables, key).0,
        };
        let expressions = &self.expressions;
        let value = |metric: &PlannedMetric| match metric.value {
            PlannedValue::Tcp(metric) => match new.of(metric) {
                0 => None,
                count => Some(count),
            },
            PlannedValue::Number(at) if new.closed => expressions.number(at),
            _ => None,
        };
        let context = Context::at_end(&self.fixed, tables);
        if !self.at_end.record(host, context.planned, set, value) {
            self.at_end.keep(host, &context, &key, set, &value);
        }
    }
}

impl ConnectionCounts {
    fn of(self, metric: TcpMetric) -> u64 {
        match metric {
            TcpMetric::ConnectionsOpenedTotal => u64::from(self.opened),
            TcpMetric::ConnectionsClosedTotal => u64::from(self.closed),
            TcpMetric::SentBytesTotal => self.sent_bytes,
            TcpMetric::ReceivedBytesTotal => self.received_bytes,
        }
    }
}
