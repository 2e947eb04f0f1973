//! What a plugin does.

/// What a plugin does; a host's configuration names it (Istio's `root_id`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Exchange and stats in one filter: the normal one.
    Telemetry,
    /// Exchange only; the peer is published as filter state.
    MetadataExchange,
    /// Stats only; the peer is what an exchange filter published.
    Stats,
}

impl Role {
    /// Whether metadata is exchanged.
    pub const fn exchanges(self) -> bool {
        matches!(self, Self::Telemetry | Self::MetadataExchange)
    }

    /// Whether requests are recorded.
    pub const fn records(self) -> bool {
        matches!(self, Self::Telemetry | Self::Stats)
    }
}
