//! One plugin on one worker: its role, and its part in each of a request's callbacks.
//!
//! What the exchange does is in [`exchange`](crate::exchange), what becomes of a finished request
//! in [`stats`](crate::stats).

use alloc::string::String;

use prost::Message;

use crate::attributes;
use crate::config::{Config, ConfigError};
use crate::dimensions::Reporter;
use crate::exchange::{Exchange, Received};
use crate::host::{HeaderMap, Host, LogLevel};
use crate::proto::Node;
use crate::stats::{self, Stats};
use crate::workload::Workload;

/// How often [`Plugin::on_tick`] wants to be called, in milliseconds.
pub const TICK_MILLISECONDS: u32 = 5_000;

/// The filter state `wasm.downstream_peer`, by the name under which it is declared.
const DOWNSTREAM_PEER: &str = "downstream_peer";
/// The filter state `wasm.upstream_peer`.
const UPSTREAM_PEER: &str = "upstream_peer";

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

/// Which way a listener's requests go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Towards this proxy's workload.
    Inbound,
    /// Away from it; a gateway's requests are treated alike.
    Outbound,
}

impl Direction {
    /// That of the listener of the current request.
    fn of_listener(host: &impl Host) -> Self {
        match host
            .attribute(attributes::LISTENER_DIRECTION)
            .and_then(attributes::integer)
        {
            Some(1) => Self::Inbound,
            _ => Self::Outbound,
        }
    }

    const fn reporter(self) -> Reporter {
        match self {
            Self::Inbound => Reporter::Destination,
            Self::Outbound => Reporter::Source,
        }
    }
}

/// One plugin on one worker.
pub struct Plugin {
    role: Role,
    config: Config,
    id: String,
    local: Workload,
    /// Set up by the first request: the host does not tell the listener's direction before.
    side: Option<Side>,
}

/// What a plugin is once its direction is known.
struct Side {
    direction: Direction,
    exchange: Option<Exchange>,
    publishes: bool,
    stats: Option<Stats>,
}

/// What is remembered of a request between its callbacks.
#[derive(Debug, Default)]
pub struct Stream {
    received: Received,
}

impl Plugin {
    /// A plugin as `root_id` and the JSON `configuration` want it. Warnings go to the host's log.
    ///
    /// # Errors
    /// Where the configuration cannot be used; see [`Config::parse`].
    pub fn configure(
        host: &impl Host,
        root_id: &[u8],
        configuration: &[u8],
    ) -> Result<Self, ConfigError> {
        let role = Role::of(root_id).ok_or_else(|| ConfigError {
            path: "root_id".into(),
            problem: alloc::format!(
                "found {:?}, wants \"\" or \"telemetry\", \"metadata_exchange\", \"stats\", \
                 \"stats_inbound\" or \"stats_outbound\"",
                String::from_utf8_lossy(root_id)
            ),
        })?;
        let (config, warnings) = Config::parse(configuration)?;
        for warning in &warnings {
            host.log(LogLevel::Warn, warning);
        }
        let node = host
            .attribute(attributes::NODE)
            .and_then(|bytes| Node::decode(bytes).ok())
            .unwrap_or_default();
        if role != Role::MetadataExchange {
            stats::define_build(host, &node);
        }
        Ok(Self {
            role,
            config,
            local: Workload::from_node(&node),
            id: node.id,
            side: None,
        })
    }

    /// The request's headers are here.
    pub fn on_request_headers(&mut self, host: &impl Host, stream: &mut Stream) {
        let side = self.side(host);
        let Some(exchange) = &mut side.exchange else {
            return;
        };
        match side.direction {
            Direction::Inbound => {
                stream.received = exchange.receive(host, HeaderMap::Request);
                side.publish(host, stream);
            }
            Direction::Outbound => exchange.send(host),
        }
    }

    /// The response's headers are here.
    pub fn on_response_headers(&mut self, host: &impl Host, stream: &mut Stream) {
        let side = self.side(host);
        let Some(exchange) = &mut side.exchange else {
            return;
        };
        match side.direction {
            Direction::Inbound => exchange.answer(host, &stream.received),
            Direction::Outbound => {
                stream.received = exchange.receive(host, HeaderMap::Response);
                side.publish(host, stream);
            }
        }
    }

    /// The request has ended.
    pub fn on_log(&mut self, host: &impl Host, stream: &Stream) {
        if let Some(stats) = &mut self.side(host).stats {
            stats.count(host, stream.received.peer.as_ref());
        }
    }

    /// Some time has passed: see [`TICK_MILLISECONDS`].
    pub fn on_tick(&mut self) {
        if let Some(stats) = self.side.as_mut().and_then(|side| side.stats.as_mut()) {
            stats.tick();
        }
    }

    /// Gives back what the host holds for this plugin, before it is dropped or configured anew.
    pub fn release(&self, host: &impl Host) {
        if let Some(stats) = self.side.as_ref().and_then(|side| side.stats.as_ref()) {
            stats.release(host);
        }
    }

    fn side(&mut self, host: &impl Host) -> &mut Side {
        let Self {
            role,
            config,
            id,
            local,
            side,
        } = self;
        side.get_or_insert_with(|| Side::new(host, *role, config, id, local))
    }
}

impl Side {
    fn new(host: &impl Host, role: Role, config: &Config, id: &str, local: &Workload) -> Self {
        let direction = Direction::of_listener(host);
        let (exchanges, counts) = match role {
            Role::Telemetry => (true, true),
            Role::MetadataExchange => (true, false),
            Role::Stats => (false, true),
        };
        let publishes = exchanges && !counts;
        if publishes {
            host.declare_struct(peer_state(direction));
        }
        Self {
            direction,
            exchange: exchanges.then(|| Exchange::new(id, local, config.max_peer_cache_size)),
            publishes,
            stats: counts.then(|| {
                let peer_state = (!exchanges).then(|| peer_state(direction));
                Stats::new(host, config, direction.reporter(), peer_state, local)
            }),
        }
    }

    fn publish(&self, host: &impl Host, stream: &Stream) {
        if let (true, Some(peer)) = (self.publishes, &stream.received.peer) {
            host.publish(peer_state(self.direction), &peer.workload.to_filter_state());
        }
    }
}

/// The filter state that holds the peer of a request in this direction.
fn peer_state(direction: Direction) -> &'static str {
    match direction {
        Direction::Inbound => DOWNSTREAM_PEER,
        Direction::Outbound => UPSTREAM_PEER,
    }
}
