//! The plugin's configuration: JSON, field names in `snake_case` or `camelCase`.
//!
//! An error says the JSON path, what is there and what is wanted. A field that nobody knows is a
//! warning, so that a configuration written for another version does not stop telemetry.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use serde_json::{Map, Value};

/// What can be configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Whether the `:authority` header may not name the service where the cluster does not.
    pub disable_host_header_fallback: bool,
    /// The most decoded peers to remember; zero decodes every time.
    pub max_peer_cache_size: usize,
    /// The most label sets for which there are series of their own, in each of the proxy's
    /// workers; what exceeds it is counted in one more.
    pub max_series: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            disable_host_header_fallback: false,
            max_peer_cache_size: 500,
            max_series: 10_000,
        }
    }
}

/// Why a configuration is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Where, as a JSON path: `$.max_series`.
    pub path: String,
    /// What is there, and what is wanted.
    pub problem: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "configuration at {}: {}", self.path, self.problem)
    }
}

impl core::error::Error for ConfigError {}

/// Fields of versions long gone, or that take effect elsewhere: no error and no warning.
const RETIRED: [&str; 4] = ["debug", "field_separator", "stat_prefix", "value_separator"];

impl Config {
    /// Reads a configuration; nothing at all means the defaults. Also returns warnings, a line
    /// each.
    ///
    /// # Errors
    /// Where it is not a JSON object, or a field has the wrong type.
    pub fn parse(json: &[u8]) -> Result<(Self, Vec<String>), ConfigError> {
        let mut config = Self::default();
        if json.trim_ascii().is_empty() {
            return Ok((config, Vec::new()));
        }
        let root = serde_json::from_slice(json).map_err(|error| ConfigError {
            path: "$".to_owned(),
            problem: format!("not JSON ({error}): write an object such as {{}}"),
        })?;
        let mut fields = Fields::new(root)?;
        if let Some(value) = fields.take("disable_host_header_fallback") {
            config.disable_host_header_fallback = value.boolean()?;
        }
        if let Some(value) = fields.take("max_peer_cache_size") {
            config.max_peer_cache_size = value.count()?;
        }
        if let Some(value) = fields.take("max_series") {
            config.max_series = value.count()?;
        }
        for retired in RETIRED {
            fields.take(retired);
        }
        Ok((config, fields.warnings()))
    }
}

/// The fields of an object that nobody has taken yet.
struct Fields(Map<String, Value>);

impl Fields {
    fn new(root: Value) -> Result<Self, ConfigError> {
        match root {
            Value::Object(fields) => Ok(Self(fields)),
            other => Err(Field {
                path: "$".to_owned(),
                value: other,
            }
            .mismatch("an object")),
        }
    }

    /// Takes a field by its `snake_case` name, or the same in `camelCase`.
    fn take(&mut self, name: &str) -> Option<Field> {
        let value = self
            .0
            .remove(name)
            .or_else(|| self.0.remove(&camel_case(name)))?;
        (value != Value::Null).then(|| Field {
            path: format!("$.{name}"),
            value,
        })
    }

    fn warnings(self) -> Vec<String> {
        let unknown = self.0.into_iter();
        unknown
            .map(|(name, _)| format!("configuration at $.{name}: no such field, ignored"))
            .collect()
    }
}

/// One field's value, and where it stands.
struct Field {
    path: String,
    value: Value,
}

impl Field {
    fn boolean(self) -> Result<bool, ConfigError> {
        self.value
            .as_bool()
            .ok_or_else(|| self.mismatch("true or false"))
    }

    /// A whole number from zero; protobuf's JSON may write it as text.
    fn count(self) -> Result<usize, ConfigError> {
        let number = match &self.value {
            Value::String(text) => text.parse().ok(),
            other => other.as_u64(),
        };
        number
            .and_then(|number| usize::try_from(number).ok())
            .ok_or_else(|| self.mismatch("a whole number from 0"))
    }

    fn mismatch(self, wanted: &str) -> ConfigError {
        let mut found: String = self.value.to_string().chars().take(60).collect();
        if self.value.to_string().len() > found.len() {
            found.push('…');
        }
        ConfigError {
            path: self.path,
            problem: format!("found {found}, wants {wanted}"),
        }
    }
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let mut camel = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        camel.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
    }
    camel
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<(Config, Vec<String>), String> {
        Config::parse(json.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_and_an_empty_object_are_the_defaults() {
        for json in ["", "  \n", "{}", r#"{"max_series": null}"#] {
            assert_eq!(parse(json), Ok((Config::default(), Vec::new())));
        }
    }

    #[test]
    fn both_spellings_are_read() {
        for json in [
            r#"{"disable_host_header_fallback": true, "max_peer_cache_size": 7, "max_series": "9"}"#,
            r#"{"disableHostHeaderFallback": true, "maxPeerCacheSize": 7, "maxSeries": "9"}"#,
        ] {
            let expected = Config {
                disable_host_header_fallback: true,
                max_peer_cache_size: 7,
                max_series: 9,
            };
            assert_eq!(parse(json), Ok((expected, Vec::new())));
        }
    }

    #[test]
    fn an_error_says_where_what_and_what_instead() {
        let error = |json| parse(json).unwrap_err();
        assert_eq!(
            error(r#"{"maxSeries": -1}"#),
            "configuration at $.max_series: found -1, wants a whole number from 0"
        );
        assert_eq!(
            error(r#"{"disable_host_header_fallback": "yes"}"#),
            r#"configuration at $.disable_host_header_fallback: found "yes", wants true or false"#
        );
        assert_eq!(error("[]"), "configuration at $: found [], wants an object");
        assert!(error("reporter: x").starts_with("configuration at $: not JSON (expected value"));
    }

    #[test]
    fn unknown_fields_warn_and_retired_ones_are_silent() {
        let json = r#"{"debug": true, "stat_prefix": "istio", "fieldSeparator": ";", "colour": 1}"#;
        let expected = "configuration at $.colour: no such field, ignored".to_owned();
        assert_eq!(parse(json), Ok((Config::default(), Vec::from([expected]))));
    }
}
