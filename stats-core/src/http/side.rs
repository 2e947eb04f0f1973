//! What a plugin is for the requests of one direction: its exchange, what it gathers and records, and
//! the tables that both use.

use super::direction::Direction;
use super::exchange::Exchange;
use super::gather::{Gatherer, protocol};
use super::in_flight::InFlight;
use super::messages::OpenMessages;
use super::request::Request;
use super::role::Role;
use crate::config::{Config, PeerConfig};
use crate::gather::clusters::Clusters;
use crate::gather::peers::PeerFinder;
use crate::host::{End, HttpHost, LocalProxy, Metrics};
use crate::labels::metrics::ExtraMetric;
use crate::labels::operation::Operations;
use crate::labels::outcome::Protocol;
use crate::labels::visible::Visible;
use crate::peer::cache::PeerCache;
use crate::record::Recorder;
use crate::record::expressions::UserExpressions;
use crate::record::pending::Pending;
use crate::record::plan::Plan;
use crate::record::tables::Tables;

/// The requests of one direction.
pub struct Side {
    direction: Direction,
    exchange: Option<Exchange>,
    stats: Option<Stats>,
    clusters: Clusters,
    tables: Tables,
    skips_external: bool,
}

/// What only a plugin has that records.
struct Stats {
    gatherer: Gatherer,
    recorder: Recorder,
    in_flight: Option<InFlight>,
    takes_first_byte: bool,
}

impl Side {
    /// The side of a plugin for one direction.
    #[cold]
    pub fn new(
        host: &mut dyn HttpHost,
        role: Role,
        config: &Config,
        proxy: &LocalProxy,
        direction: Direction,
    ) -> Self {
        let exchanges = role.exchanges();
        let stats = role
            .records()
            .then(|| Stats::new(host, config, proxy, direction, exchanges));
        let (limit, visible) = match &stats {
            Some(stats) => (config.metrics.max_series, stats.recorder.visible()),
            None => (0, Visible::default()),
        };
        let operations = match &stats {
            Some(_) => config.metrics.operations.clone(),
            None => Operations::default(),
        };
        let reporter = direction.reporter();
        Self {
            direction,
            exchange: exchanges.then(|| {
                let publishes = role == Role::MetadataExchange || config.peers.publish;
                let cache = PeerCache::new(proxy.seed, config.peers.max_cache_size);
                Exchange::new(proxy, &config.peers.additional_labels, cache, publishes)
            }),
            stats,
            clusters: Clusters::new(proxy.seed),
            tables: Tables::new(proxy.seed, limit, reporter, visible, operations),
            skips_external: config.peers.skip_external_clusters,
        }
    }

    /// The request's headers are here.
    #[inline]
    pub fn on_request_headers(&mut self, host: &mut impl HttpHost, request: &mut Request) {
        let Self {
            direction,
            exchange,
            stats,
            clusters,
            tables,
            skips_external,
        } = self;
        if let Some(stats) = stats {
            stats.begin(host, tables, request);
        }
        let Some(exchange) = exchange else {
            return;
        };
        if direction.has_peer(End::Downstream) {
            request.downstream = exchange.receive_request(host, &mut tables.peers);
        }
        if direction.has_peer(End::Upstream) {
            let cluster = clusters.find(&*host, tables, host.cluster_name());
            let is_excluded = cluster.is_some_and(|cluster| {
                cluster.disables_exchange || (*skips_external && cluster.external)
            });
            if is_excluded {
                exchange.strip(host);
            } else {
                exchange.inject(host);
            }
        }
    }

    /// The response's headers are here.
    #[inline]
    pub fn on_response_headers(&mut self, host: &mut impl HttpHost, request: &mut Request) {
        if let Some(began_at) = request.began_at {
            request.first_byte = Some(host.now().saturating_sub(began_at));
        }
        let Some(exchange) = &mut self.exchange else {
            return;
        };
        if self.direction.has_peer(End::Upstream) {
            request.upstream = Some(exchange.receive_response(host, &mut self.tables.peers));
        }
        if self.direction.has_peer(End::Downstream) {
            exchange.reply(host, &request.downstream);
        }
    }

    /// The request has ended.
    #[inline]
    pub fn on_log(&mut self, host: &mut impl HttpHost, request: &mut Request) {
        let Self {
            stats: Some(stats),
            clusters,
            tables,
            ..
        } = self
        else {
            return;
        };
        let Stats {
            gatherer,
            recorder,
            in_flight,
            ..
        } = stats;
        if let Some(in_flight) = in_flight
            && !request.started
            && !request.only_logged
        {
            in_flight.begin_and_end(host);
        }
        let expressions = recorder.expressions();
        let Some(facts) = gatherer.finished(&*host, tables, clusters, expressions, request) else {
            return;
        };
        request
            .messages
            .report_finished(host, recorder, tables, &facts);
        recorder.record(host, tables, &facts);
    }

    /// Reports what grows while a request is open.
    pub fn on_report(&mut self, host: &mut impl HttpHost, request: &mut Request) {
        let Self {
            stats: Some(stats),
            clusters,
            tables,
            ..
        } = self
        else {
            return;
        };
        if let Some(facts) = stats.gatherer.open(&*host, tables, clusters, request) {
            request
                .messages
                .report_open(host, &mut stats.recorder, tables, &facts);
        }
    }

    /// A request is gone that was in flight.
    pub fn end(&self, host: &mut impl HttpHost) {
        let in_flight = self
            .stats
            .as_ref()
            .and_then(|stats| stats.in_flight.as_ref());
        if let Some(in_flight) = in_flight {
            in_flight.end(host);
        }
    }

    /// Some time has passed.
    pub fn tick(&mut self) {
        self.clusters.tick();
        if let Some(stats) = &mut self.stats {
            stats.gatherer.tick();
        }
    }

    /// Counts what waits for its series.
    pub fn finish(&mut self, host: &mut dyn Metrics) {
        if let Some(stats) = &mut self.stats {
            stats.recorder.end(host, &self.tables);
        }
    }

    /// Gives back what the host holds.
    pub fn release(&self, host: &mut dyn HttpHost) {
        if let Some(stats) = &self.stats {
            stats.recorder.release(host);
        }
    }
}

impl Pending for Side {
    fn make_pending(&mut self, host: &mut dyn Metrics) -> bool {
        let stats = self.stats.as_mut();
        stats.is_some_and(|stats| stats.recorder.make_pending(host, &self.tables))
    }

    fn has_pending(&self) -> bool {
        let stats = self.stats.as_ref();
        stats.is_some_and(|stats| stats.recorder.has_pending())
    }
}

impl Stats {
    fn new(
        host: &mut dyn HttpHost,
        config: &Config,
        proxy: &LocalProxy,
        direction: Direction,
        exchanges: bool,
    ) -> Self {
        let (metrics, local, seed) = (&config.metrics, &proxy.workload, proxy.seed);
        let reporter = direction.reporter();
        let mut expressions = UserExpressions::default();
        let plan = Plan::compile(host, metrics, &mut expressions);
        let PeerConfig {
            sources,
            max_cache_size,
            ..
        } = &config.peers;
        Self {
            gatherer: Gatherer::new(
                direction,
                |end| PeerFinder::new(seed, end, sources, *max_cache_size, exchanges),
                exchanges,
                !config.disable_host_header_fallback,
                metrics.peer_unknown_reason,
            ),
            recorder: Recorder::new(
                plan,
                expressions,
                reporter,
                local,
                seed,
                metrics.max_series,
                metrics.zero_initialize,
            ),
            in_flight: InFlight::new(host, &metrics.stat_prefix, &metrics.extra, reporter, local),
            takes_first_byte: metrics.extra.contains(&ExtraMetric::ResponseFirstByte),
        }
    }

    /// A request begins. Labels of the user's own on its messages, if it is of gRPC, are those of
    /// this moment.
    fn begin(&mut self, host: &mut impl HttpHost, tables: &mut Tables, request: &mut Request) {
        let expressions = self.recorder.expressions();
        if !expressions.is_empty() && protocol(host) == Protocol::Grpc {
            let evaluated = expressions.evaluate(host, &mut tables.evaluated);
            request.messages = OpenMessages::new(Some(evaluated));
        }
        if self.takes_first_byte {
            request.began_at = Some(host.now());
        }
        if let Some(in_flight) = &self.in_flight {
            in_flight.begin(host);
            request.started = true;
            request.in_flight = true;
        }
    }
}
