//! The direction of requests, and who reports them.

use crate::config::{Config, DirectionSetting, ReporterSetting};
use crate::host::{Connections, End, ListenerDirection};
use crate::labels::Reporter;
use crate::peer::PeerId;

/// The direction of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Towards this proxy's workload.
    Inbound,
    /// Away from it; a gateway's requests are treated alike.
    Outbound,
    /// Through a waypoint: from the client's proxy to the server's.
    Waypoint,
}

impl Direction {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Inbound, Self::Outbound, Self::Waypoint];

    /// The direction of all requests, where the configuration states it; `None` where the host has to
    /// be [asked](Self::ask) for each.
    pub fn configured(config: &Config) -> Option<Self> {
        match (config.reporter, config.direction) {
            (ReporterSetting::ServerGateway, _) => Some(Self::Waypoint),
            (ReporterSetting::Unspecified, DirectionSetting::Inbound) => Some(Self::Inbound),
            (
                ReporterSetting::Unspecified,
                DirectionSetting::Outbound | DirectionSetting::Gateway,
            ) => Some(Self::Outbound),
            (ReporterSetting::Unspecified, DirectionSetting::Auto) => None,
        }
    }

    /// The current request's, from its listener.
    pub fn ask(host: &(impl Connections + ?Sized)) -> Self {
        match host.listener_direction() {
            ListenerDirection::Inbound => Self::Inbound,
            ListenerDirection::Outbound | ListenerDirection::Unspecified => Self::Outbound,
        }
    }

    /// Who reports requests of this direction.
    pub const fn reporter(self) -> Reporter {
        match self {
            Self::Inbound => Reporter::Destination,
            Self::Outbound => Reporter::Source,
            Self::Waypoint => Reporter::Waypoint,
        }
    }

    /// Whether there is a peer at this end.
    #[inline]
    pub const fn has_peer(self, end: End) -> bool {
        match end {
            End::Downstream => matches!(self, Self::Inbound | Self::Waypoint),
            End::Upstream => matches!(self, Self::Outbound | Self::Waypoint),
        }
    }

    /// The peer and the upstream of what goes this way, each as `find` knows the peer at that end.
    #[inline]
    pub fn peers(
        self,
        mut find: impl FnMut(End) -> Option<PeerId>,
    ) -> (Option<PeerId>, Option<PeerId>) {
        match self {
            Self::Inbound => (find(End::Downstream), None),
            Self::Outbound => (find(End::Upstream), None),
            Self::Waypoint => (find(End::Downstream), find(End::Upstream)),
        }
    }

    /// The connection whose principals the labels show.
    #[inline]
    pub const fn principals(self) -> End {
        match self {
            Self::Inbound | Self::Waypoint => End::Downstream,
            Self::Outbound => End::Upstream,
        }
    }
}
