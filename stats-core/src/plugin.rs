//! One plugin on one worker: its role, and its part in each of a request's callbacks.
//!
//! What the exchange does is in [`exchange`](crate::exchange), what becomes of a finished request
//! in [`stats`](crate::stats).

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::mem;
use core::time::Duration;

use prost::Message;

use crate::attributes;
use crate::clusters::Clusters;
use crate::config::{Config, ConfigError};
use crate::direction::{Direction, Directions, Way};
use crate::discovery;
use crate::exchange::{Exchange, Introduction, Received, UnknownReason};
use crate::host::{HeaderMap, Host, LogLevel};
use crate::metrics::ExtraMetric;
use crate::proto::Node;
use crate::started::Started;
use crate::stats::{self, Learned, Messages, Stats};
use crate::workload::Workload;

/// A tick enters the module on every worker.
const FASTEST_TICK: Duration = Duration::from_millis(100);
/// How long what a cluster's metadata said may be out of date.
const SLOWEST_TICK: Duration = Duration::from_secs(5);

/// What a plugin does, by its `root_id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Exchange and stats in one filter: the normal one.
    Telemetry,
    /// Exchange only; what it learns is published as filter state.
    MetadataExchange,
    /// Stats only; the peer is what an exchange filter published.
    Stats,
}

impl Role {
    /// The role of a `root_id`; `None` for a name that is none of ours.
    pub fn of(root_id: &[u8]) -> Option<Self> {
        match root_id {
            b"" | b"telemetry" => Some(Self::Telemetry),
            b"metadata_exchange" => Some(Self::MetadataExchange),
            b"stats" | b"stats_inbound" | b"stats_outbound" => Some(Self::Stats),
            _ => None,
        }
    }
}

/// One plugin on one worker.
pub struct Plugin {
    setup: Setup,
    /// The time since what grows during requests was last reported.
    since_report: Duration,
    /// Whether a request has anything to be noted before it has ended.
    looks_at_headers: bool,
    /// Whether nothing but the exchange rests on a direction before a request has ended.
    may_assume: bool,
    /// Whether what an access logger cannot do has been said.
    warned_of_logger: bool,
    directions: Directions,
    /// By direction, each set up by its first request: listeners of both directions may share a
    /// plugin, and the host tells the direction with a request only.
    sides: [Option<Side>; Direction::ALL.len()],
}

/// What a plugin is for all directions.
struct Setup {
    role: Role,
    publishes: bool,
    config: Config,
    id: String,
    /// This proxy's workload as the exchange sends it.
    introduction: Vec<u8>,
    local: Workload,
}

/// What a plugin is for one direction.
struct Side {
    clusters: Clusters,
    exchange: Option<Exchange>,
    publishes: bool,
    skips_external: bool,
    stats: Option<Stats>,
    started: Option<Started>,
    takes_first_byte: bool,
}

/// What is remembered of a request between its callbacks.
#[derive(Debug, Default)]
pub struct Stream {
    way: Way,
    downstream: Received,
    upstream: Option<Received>,
    messages: Messages,
    began_at: Option<u64>,
    first_byte: Option<u64>,
    in_flight: bool,
    only_logged: bool,
}

/// What was learned of a request in finding out which way it goes.
struct Met<'a> {
    direction: Direction,
    /// Whether that is certain.
    way: fn(Direction) -> Way,
    read: Read<'a>,
}

/// What was read of a request on the way; it need not be read again.
#[derive(Clone, Copy)]
enum Read<'a> {
    Nothing,
    /// What its sender says.
    Introduction(Introduction<'a>),
    /// Its cluster's name.
    Cluster(&'a [u8]),
}

impl Plugin {
    /// A plugin as `root_id` and the JSON `configuration` want it. Warnings go to the host's log.
    ///
    /// # Errors
    /// Where the configuration cannot be used; see [`Config::parse`].
    #[inline(never)] // for size, see Cargo.toml
    pub fn configure(
        host: &dyn Host,
        root_id: &[u8],
        configuration: &[u8],
    ) -> Result<Self, ConfigError> {
        let role = Role::of(root_id).ok_or_else(|| ConfigError {
            path: "root_id".into(),
            problem: format!(
                "found {:?}, wants \"\" or \"telemetry\", \"metadata_exchange\", \"stats\", \
                 \"stats_inbound\" or \"stats_outbound\"",
                String::from_utf8_lossy(root_id)
            ),
        })?;
        let (config, warnings) = Config::parse(configuration)?;
        for warning in &warnings {
            host.log(LogLevel::Warn, &format!("mixerless: {warning}"));
        }
        let node = host
            .attribute(attributes::NODE)
            .and_then(|bytes| Node::decode(bytes).ok())
            .unwrap_or_default();
        if role != Role::MetadataExchange {
            stats::define_build(host, &node, &config);
        }
        let publishes =
            role == Role::MetadataExchange || (role == Role::Telemetry && config.publish_peer);
        if publishes {
            // Only here: the host keeps declarations with the plugin, not with a request.
            host.declare_struct(discovery::DOWNSTREAM_PEER);
            host.declare_struct(discovery::UPSTREAM_PEER);
        }
        let local = Workload::from_node(&node, &config.additional_labels);
        let owner = node
            .metadata
            .as_ref()
            .map_or("", |fields| fields.text("OWNER"));
        Ok(Self {
            since_report: Duration::ZERO,
            looks_at_headers: role != Role::Stats
                || !(config.metrics.is_empty()
                    && config.definitions.is_empty()
                    && config.extra_metrics.is_empty()),
            warned_of_logger: false,
            may_assume: role == Role::Telemetry && config.extra_metrics.is_empty(),
            directions: Directions::new(&config),
            setup: Setup {
                role,
                publishes,
                introduction: local.to_exchange(owner),
                local,
                config,
                id: node.id,
            },
            sides: Direction::ALL.map(|_| None),
        })
    }

    /// How often [`Self::on_tick`] wants to be called: as often as is reported, but clusters are
    /// looked at every few seconds whatever the reports.
    pub fn tick(&self) -> Duration {
        match self.setup.config.tcp_reporting_duration {
            Duration::ZERO => SLOWEST_TICK,
            wanted => wanted.clamp(FASTEST_TICK, SLOWEST_TICK),
        }
    }

    /// The request's headers are here.
    pub fn on_request_headers(&mut self, host: &impl Host, stream: &mut Stream) {
        if !self.looks_at_headers {
            return;
        }
        let Met {
            direction,
            way,
            read,
        } = self.meet(host);
        stream.way = way(direction);
        let side = self.side(host, direction);
        if let Some(stats) = &mut side.stats {
            stream.messages = stats.begin(host);
        }
        if side.takes_first_byte {
            stream.began_at = Some(host.now());
        }
        if let Some(started) = &side.started {
            started.begin(host);
            stream.in_flight = true;
        }
        if direction.faces_downstream()
            && let Some(exchange) = &mut side.exchange
        {
            let introduction = match read {
                Read::Introduction(introduction) => introduction,
                Read::Nothing | Read::Cluster(_) => exchange.introduction(host),
            };
            stream.downstream = exchange.receive_request(host, introduction);
            side.publish(host, discovery::DOWNSTREAM_PEER, &stream.downstream);
        }
        if direction.faces_upstream() {
            side.introduce(host, read);
        }
    }

    /// The response's headers are here.
    pub fn on_response_headers(&mut self, host: &impl Host, stream: &mut Stream) {
        if !self.looks_at_headers {
            return;
        }
        let direction = match stream.way {
            Way::Known(direction) | Way::Assumed(direction) => direction,
            // An answer of the proxy's own, to a request that did not come this far.
            Way::Unknown => self.directions.ask(host),
        };
        let side = self.side(host, direction);
        if let Some(began_at) = stream.began_at {
            stream.first_byte = Some(host.now().saturating_sub(began_at));
        }
        if direction.faces_upstream()
            && let Some(exchange) = &mut side.exchange
        {
            let received = exchange.receive_response(host);
            side.publish(host, discovery::UPSTREAM_PEER, &received);
            stream.upstream = Some(received);
        }
        if direction.faces_downstream()
            && let Some(exchange) = &side.exchange
        {
            exchange.answer(host, &stream.downstream);
        }
    }

    /// The request has ended.
    pub fn on_log(&mut self, host: &impl Host, stream: &mut Stream) {
        self.on_done(host, stream);
        if stream.only_logged && !self.warned_of_logger {
            self.warn_of_logger(host);
        }
        if self.setup.role == Role::MetadataExchange {
            return;
        }
        if let Way::Unknown = stream.way {
            stream.way = self.directions.guess(host);
        }
        let (Way::Known(assumed) | Way::Assumed(assumed)) = stream.way else {
            return;
        };
        let Some(stats) = &mut self.side(host, assumed).stats else {
            return;
        };
        let mut ended = stats.ask(host);
        if stream.only_logged && ended.response_code == 0 && is_connection(host) {
            return;
        }
        let direction = self.directions.verify(host, stream.way, ended.connection);
        let side = self.side(host, direction);
        let Some(stats) = &mut side.stats else {
            return;
        };
        if direction != assumed {
            ended = stats.ask(host);
            stream.messages = stream.messages.elsewhere();
        }
        let learned = stream.learned(direction, side.exchange.is_some());
        let messages = stream.messages;
        stats.count(host, &mut side.clusters, &ended, learned, messages);
    }

    /// A request is gone, whether or not it was logged.
    pub fn on_done(&mut self, host: &impl Host, stream: &mut Stream) {
        if mem::take(&mut stream.in_flight)
            && let Way::Known(direction) = stream.way
            && let Some(started) = &self.side(host, direction).started
        {
            started.end(host);
        }
    }

    /// The time of [`Self::tick`] has passed. Whether open requests are to be reported now: each
    /// through [`Self::on_report`].
    pub fn on_tick(&mut self) -> bool {
        for side in self.sides.iter_mut().flatten() {
            side.clusters.tick();
            if let Some(stats) = &mut side.stats {
                stats.tick();
            }
        }
        let every = self.setup.config.tcp_reporting_duration;
        self.since_report += self.tick();
        let due = !every.is_zero() && self.since_report >= every;
        if due {
            self.since_report = Duration::ZERO;
        }
        due
    }

    /// Reports what grows while a request is open. The host's current request is this one, and of
    /// it only attributes can be read.
    pub fn on_report(&mut self, host: &impl Host, stream: &mut Stream) {
        let direction = match stream.way {
            Way::Known(direction) => direction,
            Way::Assumed(_) | Way::Unknown => self.directions.ask(host),
        };
        if let Way::Assumed(assumed) = stream.way
            && assumed != direction
        {
            stream.messages = stream.messages.elsewhere();
        }
        stream.way = Way::Known(direction);
        let side = self.side(host, direction);
        // Why a peer is unknown does not matter before the end.
        let learned = stream.learned(direction, false);
        if let Some(stats) = &mut side.stats {
            let clusters = &mut side.clusters;
            let messages = stats.report_messages(host, clusters, learned, stream.messages, None);
            stream.messages = messages;
        }
    }

    /// Gives back what the host holds for this plugin, which is configured anew.
    #[inline(never)] // for size, see Cargo.toml
    pub fn release(self, host: &dyn Host) {
        for stats in self
            .sides
            .iter()
            .flatten()
            .filter_map(|side| side.stats.as_ref())
        {
            stats.release(host);
        }
    }

    /// Drops a plugin that the host has let go of, and of what it held.
    #[inline(never)] // for size, see Cargo.toml
    pub fn end(self) {}

    /// Which way a request goes whose headers are here.
    ///
    /// Where all requests so far went one way, one that looks like them is taken for another until
    /// it has ended: inbound, one whose sender introduces itself, as only a peer does; outbound, one
    /// to a cluster that outbound ones went to before.
    fn meet<'a>(&mut self, host: &'a impl Host) -> Met<'a> {
        let assumed = |direction, read| Met {
            direction,
            way: Way::Assumed,
            read,
        };
        let mut read = Read::Nothing;
        if self.may_assume && self.directions.are_inbound() {
            if let Some(exchange) = &mut self.side(host, Direction::Inbound).exchange {
                let introduction = exchange.introduction(host);
                read = Read::Introduction(introduction);
                if introduction.id.is_some() {
                    return assumed(Direction::Inbound, read);
                }
            }
        } else if self.may_assume && self.directions.are_outbound() {
            let name = attributes::cluster_name(host);
            read = Read::Cluster(name);
            let side = self.side(host, Direction::Outbound);
            if !name.is_empty() && side.clusters.find(host, name).outbound {
                return assumed(Direction::Outbound, read);
            }
        }
        Met {
            direction: self.directions.ask(host),
            way: Way::Known,
            read,
        }
    }

    /// Says once what does not work where the plugin is an access logger.
    #[cold]
    fn warn_of_logger(&mut self, host: &dyn Host) {
        self.warned_of_logger = true;
        if self.setup.role != Role::Stats {
            host.log(
                LogLevel::Warn,
                "mixerless: as an access logger the plugin sees no headers pass, so it does not exchange \
                 metadata; use the root_id \"stats\", and \"metadata_exchange\" in an HTTP filter",
            );
        }
        if !self.setup.config.extra_metrics.is_empty() {
            host.log(
                LogLevel::Warn,
                "mixerless: as an access logger the plugin sees only how requests end, so extra_metrics \
                 count nothing; use an HTTP filter",
            );
        }
    }

    #[inline]
    fn side(&mut self, host: &dyn Host, direction: Direction) -> &mut Side {
        let Self { setup, sides, .. } = self;
        let [inbound, outbound, waypoint] = sides;
        let side = match direction {
            Direction::Inbound => inbound,
            Direction::Outbound => outbound,
            Direction::Waypoint => waypoint,
        };
        side.get_or_insert_with(|| setup.side(host, direction))
    }
}

impl Setup {
    #[cold]
    fn side(&self, host: &dyn Host, direction: Direction) -> Side {
        let Self { config, local, .. } = self;
        let (exchanges, counts) = match self.role {
            Role::Telemetry => (true, true),
            Role::MetadataExchange => (true, false),
            Role::Stats => (false, true),
        };
        let reporter = direction.reporter();
        Side {
            clusters: Clusters::default(),
            exchange: exchanges.then(|| Exchange::new(&self.id, &self.introduction, config)),
            publishes: self.publishes,
            skips_external: config.skip_external_clusters,
            stats: counts.then(|| Stats::new(host, config, reporter, exchanges, local)),
            started: counts
                .then(|| Started::new(host, config, reporter, local))
                .flatten(),
            takes_first_byte: counts
                && config
                    .extra_metrics
                    .contains(&ExtraMetric::ResponseFirstByte),
        }
    }
}

impl Side {
    /// Introduces this proxy to the upstream, unless its cluster is not to be introduced to.
    fn introduce(&mut self, host: &impl Host, read: Read<'_>) {
        let Some(exchange) = &self.exchange else {
            return;
        };
        let name = match read {
            Read::Cluster(name) => name,
            Read::Nothing | Read::Introduction(_) => attributes::cluster_name(host),
        };
        let cluster = self.clusters.find(host, name);
        cluster.outbound = true;
        if cluster.disables_exchange || (self.skips_external && cluster.external) {
            exchange.withhold(host);
        } else {
            exchange.send(host);
        }
    }

    fn publish(&self, host: &impl Host, name: &str, received: &Received) {
        if let (true, Some(peer)) = (self.publishes, &received.peer) {
            host.publish(name, peer.published());
        }
    }
}

/// Whether an access logger is not told of a request: it may be a TCP proxy's, or a listener's.
#[cold]
fn is_connection(host: &dyn Host) -> bool {
    host.header(HeaderMap::Request, ":method").is_none()
}

impl Stream {
    /// A request of which there will be nothing but its end: the plugin is an access logger.
    pub fn only_logged() -> Self {
        Self {
            only_logged: true,
            ..Self::default()
        }
    }

    #[inline]
    fn learned(&self, direction: Direction, exchanged: bool) -> Learned<'_> {
        let upstream = self.upstream.as_ref();
        Learned {
            downstream: self.downstream.peer.as_ref(),
            upstream: upstream.and_then(|received| received.peer.as_ref()),
            reason: match (direction, upstream) {
                _ if !exchanged => UnknownReason::NoMetadata,
                (Direction::Outbound, Some(received)) => received.reason,
                (Direction::Outbound, None) => UnknownReason::NoResponse,
                (Direction::Inbound | Direction::Waypoint, _) => self.downstream.reason,
            },
            first_byte: self.first_byte,
        }
    }
}
