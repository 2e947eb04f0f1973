//! Which way requests go. Only the host knows, it tells with a request only, and one plugin may be in
//! listeners of both directions; but asking is a call per request, so it is asked for as seldom as can
//! be. What follows from a direction is in [`plugin`](crate::plugin).

use crate::attributes;
use crate::config::{Config, ReporterKind};
use crate::connections::Connections;
use crate::dimensions::Reporter;
use crate::host::Attributes;

/// Which way a listener's requests go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Towards this proxy's workload.
    Inbound,
    /// Away from it; a gateway's requests are treated alike.
    Outbound,
    /// Through a waypoint: from a caller's proxy to the called's.
    Waypoint,
}

impl Direction {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Inbound, Self::Outbound, Self::Waypoint];

    /// Who reports requests that go this way.
    pub const fn reporter(self) -> Reporter {
        match self {
            Self::Inbound => Reporter::Destination,
            Self::Outbound => Reporter::Source,
            Self::Waypoint => Reporter::Waypoint,
        }
    }

    /// Whether the other proxy is the caller's.
    #[inline]
    pub const fn faces_downstream(self) -> bool {
        matches!(self, Self::Inbound | Self::Waypoint)
    }

    /// Whether the other proxy is the called's.
    #[inline]
    pub const fn faces_upstream(self) -> bool {
        matches!(self, Self::Outbound | Self::Waypoint)
    }
}

/// The direction of one request, as far as it is known.
#[derive(Clone, Copy, Debug, Default)]
pub enum Way {
    /// Nobody has asked yet.
    #[default]
    Unknown,
    /// Taken for granted: [`Directions::verify`] before anything is counted.
    Assumed(Direction),
    /// Certain.
    Known(Direction),
}

/// What a plugin knows of its requests' directions.
pub struct Directions {
    /// That of all requests, where the configuration says what the proxy is.
    fixed: Option<Direction>,
    seen_inbound: bool,
    seen_outbound: bool,
    /// By downstream connection: one belongs to one listener.
    connections: Connections<Direction>,
}

impl Directions {
    /// Nothing but what the configuration says.
    pub fn new(config: &Config) -> Self {
        let waypoint = config.reporter == ReporterKind::ServerGateway;
        Self {
            fixed: waypoint.then_some(Direction::Waypoint),
            seen_inbound: false,
            seen_outbound: false,
            connections: Connections::default(),
        }
    }

    /// The current request's.
    pub fn ask(&mut self, host: &dyn Attributes) -> Direction {
        if let Some(fixed) = self.fixed {
            return fixed;
        }
        let direction = host.attribute(attributes::LISTENER_DIRECTION);
        if direction.and_then(attributes::integer) == Some(1) {
            self.seen_inbound = true;
            Direction::Inbound
        } else {
            self.seen_outbound = true;
            Direction::Outbound
        }
    }

    /// Whether requests were only inbound so far.
    #[inline]
    pub fn are_inbound(&self) -> bool {
        self.seen_inbound && !self.seen_outbound
    }

    /// Whether requests were only outbound so far.
    #[inline]
    pub fn are_outbound(&self) -> bool {
        self.seen_outbound && !self.seen_inbound
    }

    /// What the current request's may be, to be [verified](Self::verify).
    pub fn guess(&mut self, host: &dyn Attributes) -> Way {
        if self.are_inbound() {
            Way::Assumed(Direction::Inbound)
        } else if self.are_outbound() {
            Way::Assumed(Direction::Outbound)
        } else {
            Way::Known(self.ask(host))
        }
    }

    /// The current request's, which has this connection.
    pub fn verify(
        &mut self,
        host: &dyn Attributes,
        way: Way,
        connection: Option<u64>,
    ) -> Direction {
        if let Way::Known(direction) = way {
            return direction;
        }
        let Some(id) = connection else {
            return self.ask(host);
        };
        if let Some(direction) = self.connections.find(id) {
            return direction;
        }
        let direction = self.ask(host);
        self.connections.remember(id, direction);
        direction
    }
}
