//! From JSON to a [`Config`]. Field names are in `snake_case` or `camelCase`.
//!
//! An error says the JSON path, what is there and what is wanted. A field that is not known is a
//! warning, so that a configuration written for another version does not stop telemetry.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::limits::{self, MAX_BYTES};
use super::reader::{JsonField, JsonFields};
use super::{
    Config, ConfigError, Definition, DirectionSetting, MetricOverride, MetricsConfig, PeerConfig,
    ReporterSetting,
};
use crate::labels::metrics::ExtraMetric;
use crate::peer::sources::PeerSource;
use crate::registry::MetricKind;

/// Fields of versions long gone: no error and no warning.
const RETIRED: [&str; 3] = ["debug", "field_separator", "value_separator"];

impl Config {
    /// Parses a configuration; nothing at all means the defaults. Also returns warnings, a line
    /// each.
    ///
    /// # Errors
    /// Where it is not a JSON object, or a field cannot be used.
    pub fn parse(json: &[u8]) -> Result<(Self, Vec<String>), ConfigError> {
        let mut config = Self::default();
        if json.trim_ascii().is_empty() {
            return Ok((config, Vec::new()));
        }
        if json.len() > MAX_BYTES {
            return Err(ConfigError {
                path: "$".to_owned(),
                problem: format!("{} bytes, at most {MAX_BYTES}", json.len()),
            });
        }
        let root = serde_json::from_slice(json).map_err(|error| ConfigError {
            path: "$".to_owned(),
            problem: format!("not JSON ({error}): write an object such as {{}}"),
        })?;
        let mut fields = JsonField::root(root).object()?;
        let mut warnings = Vec::new();
        fields.read("direction", &mut config.direction, |field| {
            field.choice(DirectionSetting::ALL, DirectionSetting::name)
        })?;
        fields.read("reporter", &mut config.reporter, reporter)?;
        let no_fallback = &mut config.disable_host_header_fallback;
        fields.read(
            "disable_host_header_fallback",
            no_fallback,
            JsonField::boolean,
        )?;
        let interval = &mut config.reporting_interval;
        fields.read("tcp_reporting_duration", interval, JsonField::duration)?;
        let logs = &mut config.tcp_access_log;
        fields.read("tcp_access_log", logs, JsonField::boolean)?;
        config.peers.parse(&mut fields)?;
        config.metrics.parse(&mut fields, &mut warnings)?;
        for retired in RETIRED {
            fields.take(retired);
        }
        fields.warn_of_the_rest(&mut warnings);
        config.check(&mut warnings)?;
        limits::bound(&mut warnings);
        Ok((config, warnings))
    }
}

impl PeerConfig {
    fn parse(&mut self, fields: &mut JsonFields) -> Result<(), ConfigError> {
        fields.read(
            "max_peer_cache_size",
            &mut self.max_cache_size,
            JsonField::count,
        )?;
        fields.read("peer_sources", &mut self.sources, |field| {
            field.list(|source| source.choice(PeerSource::ALL, PeerSource::name))
        })?;
        fields.read("additional_labels", &mut self.additional_labels, |field| {
            field.list(JsonField::text)
        })?;
        let skip = &mut self.skip_external_clusters;
        fields.read("skip_external_clusters", skip, JsonField::boolean)?;
        let clusters = &mut self.tcp_exchange_clusters;
        fields.read("tcp_exchange_clusters", clusters, |field| {
            field.list(JsonField::text)
        })?;
        fields.read("publish_peer", &mut self.publish, JsonField::boolean)
    }
}

impl MetricsConfig {
    fn parse(
        &mut self,
        fields: &mut JsonFields,
        warnings: &mut Vec<String>,
    ) -> Result<(), ConfigError> {
        fields.read("stat_prefix", &mut self.stat_prefix, JsonField::name)?;
        fields.read("max_series", &mut self.max_series, JsonField::count)?;
        let percent = &mut self.new_series_percent;
        fields.read("new_series_cpu_percent", percent, JsonField::percent)?;
        fields.read("extra_metrics", &mut self.extra, |field| {
            field.list(|metric| metric.choice(ExtraMetric::ALL, ExtraMetric::name))
        })?;
        fields.read(
            "request_operations",
            &mut self.operations,
            JsonField::operations,
        )?;
        fields.read("allowed_labels", &mut self.allowed_labels, |field| {
            field.list(JsonField::name).map(Some)
        })?;
        fields.read(
            "zero_initialize",
            &mut self.zero_initialize,
            JsonField::boolean,
        )?;
        let reason = &mut self.peer_unknown_reason;
        fields.read("peer_unknown_reason", reason, JsonField::boolean)?;
        fields.read("definitions", &mut self.definitions, |field| {
            field.list(|entry| Definition::parse(entry, warnings))
        })?;
        fields.read("metrics", &mut self.overrides, |field| {
            field.list(|entry| MetricOverride::parse(entry, warnings))
        })
    }
}

impl Definition {
    fn parse(field: JsonField, warnings: &mut Vec<String>) -> Result<Self, ConfigError> {
        let mut fields = field.object()?;
        let definition = Self {
            name: fields.required("name")?.name()?,
            value: fields.required("value")?.text()?,
            kind: match fields.take("type") {
                Some(kind) => metric_kind(kind)?,
                None => MetricKind::Counter,
            },
        };
        fields.warn_of_the_rest(warnings);
        Ok(definition)
    }
}

impl MetricOverride {
    fn parse(field: JsonField, warnings: &mut Vec<String>) -> Result<Self, ConfigError> {
        let mut entry = Self::default();
        let mut fields = field.object()?;
        fields.read("name", &mut entry.name, JsonField::text)?;
        fields.read("dimensions", &mut entry.dimensions, JsonField::dimensions)?;
        fields.read("tags_to_remove", &mut entry.tags_to_remove, |field| {
            field.list(JsonField::text)
        })?;
        fields.read("drop", &mut entry.drop, JsonField::boolean)?;
        fields.read("match", &mut entry.condition, JsonField::text)?;
        fields.warn_of_the_rest(warnings);
        Ok(entry)
    }
}

fn reporter(field: JsonField) -> Result<ReporterSetting, ConfigError> {
    use ReporterSetting::{ServerGateway, Unspecified};
    field.numbered([
        ("UNSPECIFIED", Unspecified),
        ("SERVER_GATEWAY", ServerGateway),
    ])
}

fn metric_kind(field: JsonField) -> Result<MetricKind, ConfigError> {
    use MetricKind::{Counter, Gauge, Histogram};
    field.numbered([
        ("COUNTER", Counter),
        ("GAUGE", Gauge),
        ("HISTOGRAM", Histogram),
    ])
}
