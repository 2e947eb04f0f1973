//! What a plugin does.

use alloc::format;
use alloc::string::String;

use crate::config::ConfigError;

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
    /// The role of this name, as a mesh's configuration has it.
    ///
    /// # Errors
    /// For a name that is not known: at `field`; the error says which are.
    pub fn named(name: &[u8], field: &str) -> Result<Self, ConfigError> {
        match name {
            b"" | b"telemetry" => Ok(Self::Telemetry),
            b"metadata_exchange" => Ok(Self::MetadataExchange),
            b"stats" | b"stats_inbound" | b"stats_outbound" => Ok(Self::Stats),
            other => Err(ConfigError {
                path: field.into(),
                problem: format!(
                    "found {:?}, wants \"\" or \"telemetry\", \"metadata_exchange\", \"stats\", \
                     \"stats_inbound\" or \"stats_outbound\"",
                    String::from_utf8_lossy(other)
                ),
            }),
        }
    }

    /// Whether metadata is exchanged.
    pub const fn exchanges(self) -> bool {
        matches!(self, Self::Telemetry | Self::MetadataExchange)
    }

    /// Whether requests are recorded.
    pub const fn records(self) -> bool {
        matches!(self, Self::Telemetry | Self::Stats)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn an_unknown_name_is_refused_with_the_known_ones() {
        assert_eq!(
            Role::named(b"stat", "root_id").unwrap_err().to_string(),
            "configuration at root_id: found \"stat\", wants \"\" or \"telemetry\", \
             \"metadata_exchange\", \"stats\", \"stats_inbound\" or \"stats_outbound\""
        );
        assert_eq!(Role::named(b"stats_inbound", ""), Ok(Role::Stats));
        assert_eq!(Role::named(b"", ""), Ok(Role::Telemetry));
    }
}
