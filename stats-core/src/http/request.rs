//! What is kept of a request between its callbacks.

use super::direction::Direction;
use super::exchange::ExchangeResult;
use super::messages::OpenMessages;
use crate::host::End;
use crate::peer::PeerId;
use crate::peer::unknown::UnknownReason;

/// The state of one request. The default is that of one of which nothing has been seen yet.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request {
    /// Its direction, once that is known.
    pub(super) direction: Option<Direction>,
    /// What the exchange found in its headers.
    pub(super) downstream: ExchangeResult,
    /// What the exchange found in the response's headers, once they are there.
    pub(super) upstream: Option<ExchangeResult>,
    pub(super) messages: OpenMessages,
    /// When its headers came, in nanoseconds, where the time to the first byte is recorded.
    pub(super) began_at: Option<u64>,
    /// The time from its headers to the response's, in nanoseconds.
    pub(super) first_byte: Option<u64>,
    /// Whether it is counted as started.
    pub(super) started: bool,
    /// Whether it counts as in flight.
    pub(super) in_flight: bool,
    /// Whether there is nothing of it but its end: the plugin is an access logger.
    pub(super) only_logged: bool,
}

impl Request {
    /// A request of which there will be nothing but its end: the plugin is an access logger.
    pub fn only_logged() -> Self {
        Self {
            only_logged: true,
            ..Self::default()
        }
    }

    /// Forgets what belongs to the tables of a plugin that another one has replaced. Whether it is in
    /// flight stays true.
    pub fn forget_plugin(&mut self) {
        *self = Self {
            direction: self.direction,
            began_at: self.began_at,
            first_byte: self.first_byte,
            in_flight: self.in_flight,
            started: self.started,
            only_logged: self.only_logged,
            ..Self::default()
        };
    }

    /// The peer that the exchange decoded at one end.
    #[inline]
    pub(super) fn exchanged(&self, end: End) -> Option<PeerId> {
        match end {
            End::Downstream => self.downstream.peer,
            End::Upstream => self.upstream.and_then(|result| result.peer),
        }
    }

    /// Why the exchange does not know the peer that matters for a direction.
    #[inline]
    pub(super) fn reason(&self, direction: Direction) -> UnknownReason {
        match (direction, self.upstream) {
            (Direction::Outbound, Some(result)) => result.reason,
            (Direction::Outbound, None) => UnknownReason::NoResponse,
            (Direction::Inbound | Direction::Waypoint, _) => self.downstream.reason,
        }
    }
}
