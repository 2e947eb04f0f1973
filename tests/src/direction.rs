//! The direction of the traffic that a sidecar carries.

/// The direction of the traffic, seen from the sidecar's own workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SidecarDirection {
    /// Towards its workload.
    Inbound,
    /// Away from its workload.
    Outbound,
}

impl SidecarDirection {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Inbound, Self::Outbound];

    /// The name, also in the module's configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
        }
    }

    /// The listener's `traffic_direction`.
    pub const fn of_listener(self) -> &'static str {
        match self {
            Self::Inbound => "INBOUND",
            Self::Outbound => "OUTBOUND",
        }
    }
}
