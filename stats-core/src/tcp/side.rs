//! What a plugin is for the connections of one direction, and when it reports them.

use super::connection::Connection;
use super::gather::{ConnectionGatherer, outcome};
use crate::config::Config;
use crate::gather::clusters::Clusters;
use crate::gather::peers::PeerFinder;
use crate::host::{ConnectionFacts, End, ExchangeBytes, Expressions, LocalProxy, Metrics, TcpHost};
use crate::http::direction::Direction;
use crate::http::role::Role;
use crate::labels::operation::Operations;
use crate::record::expressions::UserExpressions;
use crate::record::facts::Facts;
use crate::record::pending::Pending;
use crate::record::plan::Plan;
use crate::record::tables::Tables;
use crate::record::{ConnectionCounts, Recorder};

/// The connections of one direction.
pub struct ConnectionSide {
    direction: Direction,
    /// Whether another filter exchanges, and tells which bytes are not the application's.
    is_told: bool,
    gatherer: ConnectionGatherer,
    recorder: Recorder,
    tables: Tables,
}

impl ConnectionSide {
    /// The side of a plugin for one direction.
    #[cold]
    pub fn new(
        host: &mut dyn Expressions,
        role: Role,
        config: &Config,
        proxy: &LocalProxy,
        direction: Direction,
    ) -> Self {
        let (metrics, seed, reporter) = (&config.metrics, proxy.seed, direction.reporter());
        let mut expressions = UserExpressions::default();
        let plan = Plan::compile_tcp(host, metrics, &mut expressions);
        let (limit, zeroes) = (metrics.max_series, false);
        let local = &proxy.workload;
        let recorder = Recorder::new(plan, expressions, reporter, local, seed, limit, zeroes);
        let visible = recorder.visible();
        let (sources, cache_size) = (&config.peers.sources, config.peers.max_cache_size);
        let finder = |end| PeerFinder::new(seed, end, sources, cache_size, false);
        Self {
            direction,
            is_told: !role.exchanges() && direction.has_peer(End::Downstream),
            gatherer: ConnectionGatherer::new(direction, finder, Clusters::new(seed)),
            recorder,
            tables: Tables::new(seed, limit, reporter, visible, Operations::default()),
        }
    }

    /// Reports a connection that is open, if all that labels show is known.
    pub fn on_report(&mut self, host: &mut dyn TcpHost, connection: &mut Connection) {
        let exchanged = self.exchanged(host, connection);
        let known = host.open_connection(self.direction.principals());
        let known = known.without(exchanged);
        let facts = connection.first.or_else(|| self.first(&*host, &known));
        let Some(facts) = facts else {
            return;
        };
        let new = ConnectionCounts {
            opened: !connection.is_counted,
            ..connection.since(&known)
        };
        self.report(host, connection, &facts, new);
    }

    /// A connection has ended.
    pub fn on_end(&mut self, host: &mut dyn TcpHost, connection: &mut Connection) {
        let exchanged = self.exchanged(host, connection);
        let known = host.ended_connection(self.direction.principals());
        let known = known.without(exchanged);
        let new = ConnectionCounts {
            opened: !connection.is_counted,
            closed: true,
            ..connection.since(&known)
        };
        let facts = if let Some(first) = connection.first {
            Facts {
                outcome: outcome(&known),
                ..first
            }
        } else {
            let tables = &mut self.tables;
            let expressions = self.recorder.expressions();
            Facts {
                evaluated: expressions.evaluate(&*host, &mut tables.evaluated),
                ..self.gatherer.facts(&*host, tables, &known)
            }
        };
        self.report(host, connection, &facts, new);
    }

    /// Some time has passed.
    pub fn tick(&mut self) {
        self.gatherer.tick();
    }

    /// Counts what waits for its series.
    pub fn finish(&mut self, host: &mut dyn Metrics) {
        self.recorder.end(host, &self.tables);
    }

    /// Gives back what the host holds.
    pub fn release(&self, host: &mut dyn Expressions) {
        self.recorder.release(host);
    }

    /// Which of the bytes that the host counts are not the application's.
    fn exchanged(&self, host: &dyn TcpHost, connection: &Connection) -> ExchangeBytes {
        if self.is_told {
            host.exchanged()
        } else {
            connection.handshake.bytes()
        }
    }

    /// The facts of an open connection that has not been reported before; `None` where it has to wait:
    /// its peer may still become known, or the certificate of the server, or the user's expressions can
    /// only be evaluated at its end.
    fn first(&mut self, host: &dyn TcpHost, known: &ConnectionFacts<'_>) -> Option<Facts> {
        if !self.recorder.expressions().is_empty() {
            return None;
        }
        if self.direction.has_peer(End::Upstream) && !known.reached_upstream {
            return None;
        }
        let facts = self.gatherer.facts(host, &mut self.tables, known);
        let may_open = self.recorder.knows_peers(&facts) || self.gatherer.has_heard(known);
        may_open.then_some(facts)
    }

    /// Records what there is new of a connection.
    fn report(
        &mut self,
        host: &mut dyn TcpHost,
        connection: &mut Connection,
        facts: &Facts,
        new: ConnectionCounts,
    ) {
        connection.is_counted = true;
        connection.first = Some(*facts);
        connection.sent_bytes += new.sent_bytes;
        connection.received_bytes += new.received_bytes;
        if new != ConnectionCounts::default() {
            self.recorder
                .record_connection(host, &self.tables, facts, new);
        }
    }
}

impl Pending for ConnectionSide {
    fn make_pending(&mut self, host: &mut dyn Metrics) -> bool {
        self.recorder.make_pending(host, &self.tables)
    }

    fn has_pending(&self) -> bool {
        self.recorder.has_pending()
    }
}
