//! The plugin's role by its `root_id`: the names are part of a mesh's configuration.

use stats_core::config::ConfigError;
use stats_core::http::role::Role;

/// The role of a plugin with this `root_id`.
///
/// # Errors
/// For a name that is not known; the error says which are.
pub fn role(root_id: &[u8]) -> Result<Role, ConfigError> {
    match root_id {
        b"" | b"telemetry" => Ok(Role::Telemetry),
        b"metadata_exchange" => Ok(Role::MetadataExchange),
        b"stats" | b"stats_inbound" | b"stats_outbound" => Ok(Role::Stats),
        other => Err(ConfigError {
            path: "root_id".into(),
            problem: format!(
                "found {:?}, wants \"\" or \"telemetry\", \"metadata_exchange\", \"stats\", \
                 \"stats_inbound\" or \"stats_outbound\"",
                String::from_utf8_lossy(other)
            ),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_root_id_is_refused_with_the_known_ones() {
        assert_eq!(
            role(b"stat").unwrap_err().to_string(),
            "configuration at root_id: found \"stat\", wants \"\" or \"telemetry\", \
             \"metadata_exchange\", \"stats\", \"stats_inbound\" or \"stats_outbound\""
        );
        assert_eq!(role(b"stats_inbound"), Ok(Role::Stats));
        assert_eq!(role(b""), Ok(Role::Telemetry));
    }
}
