//! What is kept of a connection between its reports.

use super::handshake::Handshake;
use crate::host::{ConnectionFacts, End};
use crate::http::direction::Direction;
use crate::record::ConnectionCounts;
use crate::record::facts::Facts;

/// The state of one connection. The default is that of one of which nothing has been reported.
#[derive(Clone, Debug, Default)]
pub struct Connection {
    /// The exchange of metadata on it; begun with the first bytes.
    pub(super) handshake: Handshake,
    /// Whether those have come.
    pub(super) has_begun: bool,
    /// How often the host has been told of time while it kept the client's first bytes.
    pub(super) waited: u32,
    /// Which way it was opened, once that is known.
    pub(super) direction: Option<Direction>,
    /// Whether it is counted as opened.
    pub(super) is_counted: bool,
    /// What was known when it was first reported: it stays in the series that it began in.
    pub(super) first: Option<Facts>,
    /// Bytes to the client that have been reported.
    pub(super) sent_bytes: u64,
    /// Bytes from the client that have been reported.
    pub(super) received_bytes: u64,
}

impl Connection {
    /// Forgets what belongs to the tables of a plugin that another one has replaced. What has been
    /// reported of it stays reported.
    pub fn forget_plugin(&mut self) {
        self.first = None;
    }

    /// Whether all bytes that come from this end pass as they are.
    #[inline]
    pub fn passes(&self, from: End) -> bool {
        self.has_begun && self.handshake.is_over(from)
    }

    /// The bytes that have not been reported.
    pub(super) fn since(&self, known: &ConnectionFacts<'_>) -> ConnectionCounts {
        ConnectionCounts {
            sent_bytes: known.sent_bytes.saturating_sub(self.sent_bytes),
            received_bytes: known.received_bytes.saturating_sub(self.received_bytes),
            ..ConnectionCounts::default()
        }
    }
}
