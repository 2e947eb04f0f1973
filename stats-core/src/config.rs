//! The plugin's configuration: JSON, field names in `snake_case` or `camelCase`.
//!
//! An error says the JSON path, what is there and what is wanted. A field that nobody knows is a
//! warning, so that a configuration written for another version does not stop telemetry.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use crate::dimensions::LABELS;
use crate::host::MetricKind;
use crate::json::{self, Json};
use crate::metrics::{self, ExtraMetric};
use crate::operation::Operations;
use crate::sources::PeerSource;

/// What can be configured; `docs/configuration.md` has an example of each field.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "a user's switches, not states"
)]
pub struct Config {
    /// Who reports: by the listener's direction, or as a waypoint.
    pub reporter: ReporterKind,
    /// Whether the `:authority` header may not name the service where the cluster does not.
    pub disable_host_header_fallback: bool,
    /// How often what grows during a request is reported.
    pub tcp_reporting_duration: Duration,
    /// Metrics of one's own.
    pub definitions: Vec<Definition>,
    /// Changes to metrics, in their order: a later one wins.
    pub metrics: Vec<MetricOverride>,
    /// What every metric's name begins with, without the `_` between.
    pub stat_prefix: String,
    /// The most decoded peers to remember from each source; zero decodes every time.
    pub max_peer_cache_size: usize,
    /// The most label sets for which there are series of their own, in each of the proxy's
    /// workers; what exceeds it is counted in one more.
    pub max_series: usize,
    /// Where the peer may come from; the first that knows it wins.
    pub peer_sources: Vec<PeerSource>,
    /// Workload labels that the exchange carries beside the standard ones.
    pub additional_labels: Vec<String>,
    /// Whether peers behind clusters outside of the mesh are not introduced to.
    pub skip_external_clusters: bool,
    /// Whether what the exchange learned is published as filter state. An exchange without stats
    /// always publishes; one with stats only on demand, for it costs a call per request.
    pub publish_peer: bool,
    /// Metrics that Istio does not have.
    pub extra_metrics: Vec<ExtraMetric>,
    /// Templates for the label `request_operation`; none, no label.
    pub request_operations: Operations,
    /// The only labels that standard metrics keep; `None` keeps all.
    pub allowed_labels: Option<Vec<String>>,
    /// Whether a known peer has a success and an error series from its first request on.
    pub zero_initialize: bool,
    /// Whether there is a label `peer_unknown_reason`.
    pub peer_unknown_reason: bool,
}

/// The field `reporter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReporterKind {
    /// As the listener's direction has it.
    Unspecified,
    /// As a waypoint.
    ServerGateway,
}

/// An entry of `definitions`: a metric of one's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// Its name behind the prefix.
    pub name: String,
    /// The CEL expression of the value to record.
    pub value: String,
    /// Its kind.
    pub kind: MetricKind,
}

/// An entry of `metrics`: changes to one metric, or to all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetricOverride {
    /// The metric's name behind the prefix; empty means all.
    pub name: String,
    /// Labels to override or to add, with the CEL expressions of their values.
    pub dimensions: Vec<(String, String)>,
    /// Labels to remove.
    pub tags_to_remove: Vec<String>,
    /// Whether the metric is not recorded at all.
    pub drop: bool,
    /// The CEL expression that must be true for the entry to apply; empty: always.
    pub condition: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            reporter: ReporterKind::Unspecified,
            disable_host_header_fallback: false,
            tcp_reporting_duration: Duration::from_secs(5),
            definitions: Vec::new(),
            metrics: Vec::new(),
            stat_prefix: metrics::PREFIX.to_owned(),
            max_peer_cache_size: 500,
            max_series: 10_000,
            peer_sources: PeerSource::ALL.to_vec(),
            additional_labels: Vec::new(),
            skip_external_clusters: false,
            publish_peer: false,
            extra_metrics: Vec::new(),
            request_operations: Operations::default(),
            allowed_labels: None,
            zero_initialize: false,
            peer_unknown_reason: false,
        }
    }
}

/// Labels that Kiali or Flagger query: without one of them, they show nothing and say nothing.
const QUERIED: [&str; 13] = [
    "reporter",
    "source_workload",
    "source_workload_namespace",
    "source_canonical_service",
    "destination_workload",
    "destination_workload_namespace",
    "destination_service",
    "destination_service_name",
    "destination_service_namespace",
    "destination_canonical_service",
    "request_protocol",
    "response_code",
    "response_flags",
];

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

/// The fields of a configuration, in the order of `docs/configuration.md`.
pub const FIELDS: [&str; 17] = [
    "reporter",
    "disable_host_header_fallback",
    "tcp_reporting_duration",
    "definitions",
    "metrics",
    "stat_prefix",
    "max_peer_cache_size",
    "peer_sources",
    "additional_labels",
    "skip_external_clusters",
    "publish_peer",
    "peer_unknown_reason",
    "max_series",
    "allowed_labels",
    "extra_metrics",
    "request_operations",
    "zero_initialize",
];

/// Fields of versions long gone: no error and no warning.
const RETIRED: [&str; 3] = ["debug", "field_separator", "value_separator"];

/// The most conditions that a configuration can have: which hold is one bit each.
const MAX_CONDITIONS: usize = 64;

impl Config {
    /// Reads a configuration; nothing at all means the defaults. Also returns warnings, a line
    /// each.
    ///
    /// # Errors
    /// Where it is not a JSON object, or a field cannot be used.
    pub fn parse(json: &[u8]) -> Result<(Self, Vec<String>), ConfigError> {
        let mut config = Self::default();
        if json.trim_ascii().is_empty() {
            return Ok((config, Vec::new()));
        }
        let root = serde_json::from_slice(json).map_err(|error| ConfigError {
            path: "$".to_owned(),
            problem: format!("not JSON ({error}): write an object such as {{}}"),
        })?;
        let mut fields = Field {
            path: "$".to_owned(),
            value: root,
        }
        .object()?;
        let mut warnings = Vec::new();

        fields.read("reporter", &mut config.reporter, Field::reporter)?;
        let no_fallback = &mut config.disable_host_header_fallback;
        fields.read("disable_host_header_fallback", no_fallback, Field::boolean)?;
        let reporting = &mut config.tcp_reporting_duration;
        fields.read("tcp_reporting_duration", reporting, Field::duration)?;
        fields.read("stat_prefix", &mut config.stat_prefix, Field::name)?;
        fields.read(
            "max_peer_cache_size",
            &mut config.max_peer_cache_size,
            Field::count,
        )?;
        fields.read("max_series", &mut config.max_series, Field::count)?;
        fields.read("peer_sources", &mut config.peer_sources, |field| {
            field.list(|source| source.choice(PeerSource::ALL, PeerSource::name))
        })?;
        fields.read(
            "additional_labels",
            &mut config.additional_labels,
            |field| field.list(Field::text),
        )?;
        fields.read(
            "skip_external_clusters",
            &mut config.skip_external_clusters,
            Field::boolean,
        )?;
        fields.read("publish_peer", &mut config.publish_peer, Field::boolean)?;
        fields.read("extra_metrics", &mut config.extra_metrics, |field| {
            field.list(|metric| metric.choice(ExtraMetric::ALL, ExtraMetric::name))
        })?;
        fields.read(
            "request_operations",
            &mut config.request_operations,
            Field::operations,
        )?;
        fields.read("allowed_labels", &mut config.allowed_labels, |field| {
            field.list(Field::name).map(Some)
        })?;
        fields.read(
            "zero_initialize",
            &mut config.zero_initialize,
            Field::boolean,
        )?;
        fields.read(
            "peer_unknown_reason",
            &mut config.peer_unknown_reason,
            Field::boolean,
        )?;
        fields.read("definitions", &mut config.definitions, |field| {
            field.list(|entry| Definition::read(entry, &mut warnings))
        })?;
        fields.read("metrics", &mut config.metrics, |field| {
            field.list(|entry| MetricOverride::read(entry, &mut warnings))
        })?;
        for retired in RETIRED {
            fields.take(retired);
        }
        fields.warn_of_the_rest(&mut warnings);
        config.check(&mut warnings)?;
        Ok((config, warnings))
    }

    /// What only shows when all fields are there.
    fn check(&mut self, warnings: &mut Vec<String>) -> Result<(), ConfigError> {
        let conditions = self
            .metrics
            .iter()
            .filter(|entry| !entry.condition.is_empty());
        if conditions.count() > MAX_CONDITIONS {
            return Err(ConfigError {
                path: "$.metrics".to_owned(),
                problem: format!("more than {MAX_CONDITIONS} entries with a match: join some"),
            });
        }
        let mut names = Vec::new();
        self.definitions.retain(|definition| {
            let twice = names.contains(&definition.name);
            names.push(definition.name.clone());
            if twice {
                warnings.push(format!(
                    "configuration at $.definitions: {:?} is defined twice; the first counts",
                    definition.name
                ));
                return false;
            }
            let standard = metrics::is_standard(&definition.name);
            if standard {
                warnings.push(format!(
                    "configuration at $.definitions: {:?} is a standard metric and cannot be \
                     redefined; ignored, change it with an entry in metrics",
                    definition.name
                ));
            }
            !standard
        });
        for entry in &self.metrics {
            let defined = |definition: &Definition| definition.name == entry.name;
            let known = metrics::is_standard(&entry.name) || self.definitions.iter().any(defined);
            if !entry.name.is_empty() && !known {
                warnings.push(format!(
                    "configuration at $.metrics: no metric is called {:?}, the entry changes \
                     nothing; names have no prefix, such as requests_total",
                    entry.name
                ));
            }
        }
        let added = self.metrics.iter().flat_map(|entry| &entry.dimensions);
        for (label, _) in added {
            let hides = |other: &&str| other != label && other.ends_with(label.as_str());
            if let Some(other) = LABELS.into_iter().find(hides) {
                warnings.push(format!(
                    "configuration at $.metrics: the label {label:?} ends like {other:?}, and Envoy's \
                     stats_tags rule for the one finds the other; choose another name"
                ));
            }
        }
        if let Some(allowed) = &self.allowed_labels {
            let missing: Vec<_> = QUERIED
                .into_iter()
                .filter(|label| !allowed.iter().any(|allowed| allowed == label))
                .collect();
            if !missing.is_empty() {
                warnings.push(format!(
                    "configuration at $.allowed_labels: removes {}, which Kiali or Flagger query",
                    missing.join(", ")
                ));
            }
        }
        Ok(())
    }
}

impl Definition {
    fn read(field: Field, warnings: &mut Vec<String>) -> Result<Self, ConfigError> {
        let mut fields = field.object()?;
        let definition = Self {
            name: fields.required("name")?.name()?,
            value: fields.required("value")?.text()?,
            kind: match fields.take("type") {
                Some(kind) => kind.metric_kind()?,
                None => MetricKind::Counter,
            },
        };
        fields.warn_of_the_rest(warnings);
        Ok(definition)
    }
}

impl MetricOverride {
    fn read(field: Field, warnings: &mut Vec<String>) -> Result<Self, ConfigError> {
        let mut entry = Self::default();
        let mut fields = field.object()?;
        fields.read("name", &mut entry.name, Field::text)?;
        fields.read("dimensions", &mut entry.dimensions, Field::dimensions)?;
        fields.read("tags_to_remove", &mut entry.tags_to_remove, |field| {
            field.list(Field::text)
        })?;
        fields.read("drop", &mut entry.drop, Field::boolean)?;
        fields.read("match", &mut entry.condition, Field::text)?;
        fields.warn_of_the_rest(warnings);
        Ok(entry)
    }
}

/// The fields of an object that nobody has taken yet.
struct Fields {
    path: String,
    fields: Vec<(String, Json)>,
}

impl Fields {
    /// Reads a field into its place, where it is there.
    fn read<T>(
        &mut self,
        name: &str,
        place: &mut T,
        read: impl FnOnce(Field) -> Result<T, ConfigError>,
    ) -> Result<(), ConfigError> {
        if let Some(field) = self.take(name) {
            *place = read(field)?;
        }
        Ok(())
    }

    fn required(&mut self, name: &str) -> Result<Field, ConfigError> {
        self.take(name).ok_or_else(|| ConfigError {
            path: self.path.clone(),
            problem: format!("the field {name} is missing"),
        })
    }

    /// Takes a field by its `snake_case` name, or the same in `camelCase`.
    fn take(&mut self, name: &str) -> Option<Field> {
        let snake = json::take(&mut self.fields, name);
        let value = snake.or_else(|| json::take(&mut self.fields, &camel_case(name)))?;
        let path = format!("{}.{name}", self.path);
        (value != Json::Null).then_some(Field { path, value })
    }

    fn warn_of_the_rest(self, warnings: &mut Vec<String>) {
        for (name, _) in self.fields {
            let path = &self.path;
            warnings.push(format!(
                "configuration at {path}.{name}: no such field, ignored"
            ));
        }
    }
}

/// One value, and where it stands.
struct Field {
    path: String,
    value: Json,
}

impl Field {
    fn boolean(self) -> Result<bool, ConfigError> {
        match self.value {
            Json::Bool(value) => Ok(value),
            _ => Err(self.mismatch("true or false")),
        }
    }

    fn text(self) -> Result<String, ConfigError> {
        match self.value {
            Json::Text(text) => Ok(text),
            _ => Err(self.mismatch("a text")),
        }
    }

    /// A whole number from zero; protobuf's JSON may write it as text.
    fn count(self) -> Result<usize, ConfigError> {
        let number = match &self.value {
            Json::Text(text) => text.parse().ok(),
            other => other.count(),
        };
        number
            .and_then(|number| usize::try_from(number).ok())
            .ok_or_else(|| self.mismatch("a whole number from 0"))
    }

    /// What can be a metric's or a label's name.
    fn name(self) -> Result<String, ConfigError> {
        match &self.value {
            Json::Text(text) if is_name(text) => Ok(text.clone()),
            _ => Err(self.mismatch("letters, digits and _, no digit first")),
        }
    }

    /// A protobuf duration.
    fn duration(self) -> Result<Duration, ConfigError> {
        let text = self.value.text().and_then(|text| text.strip_suffix('s'));
        let parsed = text.and_then(|seconds| {
            let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
            let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
            if !digits(whole) || !digits(fraction) || fraction.len() > 9 {
                return None;
            }
            let nanoseconds = format!("{fraction:0<9}").parse().ok()?;
            Some(Duration::new(
                whole.parse::<u32>().ok()?.into(),
                nanoseconds,
            ))
        });
        parsed.ok_or_else(|| self.mismatch("a duration such as \"5s\" or \"0.5s\""))
    }

    fn reporter(self) -> Result<ReporterKind, ConfigError> {
        use ReporterKind::{ServerGateway, Unspecified};
        self.numbered([
            ("UNSPECIFIED", Unspecified),
            ("SERVER_GATEWAY", ServerGateway),
        ])
    }

    fn metric_kind(self) -> Result<MetricKind, ConfigError> {
        use MetricKind::{Counter, Gauge, Histogram};
        self.numbered([
            ("COUNTER", Counter),
            ("GAUGE", Gauge),
            ("HISTOGRAM", Histogram),
        ])
    }

    /// A protobuf enum: JSON has its name or its number.
    fn numbered<T: Copy, const N: usize>(self, values: [(&str, T); N]) -> Result<T, ConfigError> {
        let by_name = |text: &str| values.iter().find(|(name, _)| *name == text);
        let by_number = |number: u64| values.get(usize::try_from(number).ok()?);
        let found = match &self.value {
            Json::Text(text) => by_name(text),
            other => other.count().and_then(by_number),
        };
        match found {
            Some((_, value)) => Ok(*value),
            None => Err(self.mismatch(&one_of(values.map(|(name, _)| name)))),
        }
    }

    /// One of a closed set, by name.
    fn choice<T: Copy, const N: usize>(
        self,
        values: [T; N],
        name: impl Fn(T) -> &'static str,
    ) -> Result<T, ConfigError> {
        let found = values
            .into_iter()
            .find(|value| self.value.text() == Some(name(*value)));
        found.ok_or_else(|| self.mismatch(&one_of(values.map(name))))
    }

    fn list<T>(
        self,
        mut read: impl FnMut(Self) -> Result<T, ConfigError>,
    ) -> Result<Vec<T>, ConfigError> {
        let mut list = Vec::new();
        self.each(&mut |element| {
            list.push(read(element)?);
            Ok(())
        })?;
        Ok(list)
    }

    /// Reads each element of a list.
    fn each(
        self,
        read: &mut dyn FnMut(Self) -> Result<(), ConfigError>,
    ) -> Result<(), ConfigError> {
        let Json::List(values) = self.value else {
            return Err(self.mismatch("a list"));
        };
        for (at, value) in values.into_iter().enumerate() {
            let path = format!("{}[{at}]", self.path);
            read(Self { path, value })?;
        }
        Ok(())
    }

    fn object(self) -> Result<Fields, ConfigError> {
        match self.value {
            Json::Object(fields) => Ok(Fields {
                path: self.path,
                fields,
            }),
            _ => Err(self.mismatch("an object")),
        }
    }

    /// Label names and expressions.
    fn dimensions(self) -> Result<Vec<(String, String)>, ConfigError> {
        let Fields { path, fields } = self.object()?;
        let mut dimensions = Vec::new();
        for (label, value) in fields {
            let path = format!("{path}[{label:?}]");
            let name = Self {
                path: path.clone(),
                value: Json::Text(label),
            }
            .name()?;
            dimensions.push((name, Self { path, value }.text()?));
        }
        Ok(dimensions)
    }

    fn operations(self) -> Result<Operations, ConfigError> {
        let templates = self.list(|field| {
            let path = field.path.clone();
            Ok((path, field.text()?))
        })?;
        let mut operations = Operations::default();
        for (path, template) in templates {
            operations.add(&template).map_err(|wanted| {
                Self {
                    path,
                    value: Json::Text(template),
                }
                .mismatch(wanted)
            })?;
        }
        Ok(operations)
    }

    fn mismatch(self, wanted: &str) -> ConfigError {
        let found = match &self.value {
            Json::Null => "null".into(),
            Json::Bool(value) => value.to_string(),
            Json::Whole(number) => number.to_string(),
            Json::Negative(number) => number.to_string(),
            Json::Fraction => "a number with a fraction or an exponent".into(),
            Json::Text(text) => quoted(text),
            Json::List(_) => "a list".into(),
            Json::Object(_) => "an object".into(),
        };
        ConfigError {
            path: self.path,
            problem: format!("found {found}, wants {wanted}"),
        }
    }
}

/// A text as errors show it; of a long one only the beginning.
fn quoted(text: &str) -> String {
    let mut shown: String = text.chars().take(60).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("{shown:?}")
}

fn one_of<const N: usize>(names: [&str; N]) -> String {
    let quoted = names.map(|name| format!("{name:?}"));
    format!("one of {}", quoted.join(", "))
}

fn is_name(name: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    name.starts_with(letter) && name.chars().all(|c| letter(c) || c.is_ascii_digit())
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
    fn every_field_is_read() {
        let json = r#"{
            "reporter": "SERVER_GATEWAY",
            "disable_host_header_fallback": true,
            "tcp_reporting_duration": "1.5s",
            "definitions": [{"name": "mine", "value": "request.size", "type": "HISTOGRAM"}],
            "metrics": [{
                "name": "mine",
                "dimensions": {"b": "1", "a": "2"},
                "tags_to_remove": ["reporter"],
                "drop": true,
                "match": "true"
            }],
            "stat_prefix": "mesh",
            "max_peer_cache_size": 7,
            "max_series": "9",
            "peer_sources": ["headers", "baggage"],
            "additional_labels": ["team"],
            "skip_external_clusters": true,
            "publish_peer": true,
            "extra_metrics": ["requests_in_flight"],
            "request_operations": ["GET /a/{id}"],
            "allowed_labels": ["reporter"],
            "zero_initialize": true,
            "peer_unknown_reason": true
        }"#;
        let mut operations = Operations::default();
        operations.add("GET /a/{id}").expect("a template");
        let text = |text: &str| text.to_owned();
        let expected = Config {
            reporter: ReporterKind::ServerGateway,
            disable_host_header_fallback: true,
            tcp_reporting_duration: Duration::from_millis(1500),
            definitions: Vec::from([Definition {
                name: text("mine"),
                value: text("request.size"),
                kind: MetricKind::Histogram,
            }]),
            metrics: Vec::from([MetricOverride {
                name: text("mine"),
                dimensions: [(text("b"), text("1")), (text("a"), text("2"))].into(),
                tags_to_remove: Vec::from([text("reporter")]),
                drop: true,
                condition: text("true"),
            }]),
            stat_prefix: text("mesh"),
            max_peer_cache_size: 7,
            max_series: 9,
            peer_sources: Vec::from([PeerSource::Headers, PeerSource::Baggage]),
            additional_labels: Vec::from([text("team")]),
            skip_external_clusters: true,
            publish_peer: true,
            extra_metrics: Vec::from([ExtraMetric::RequestsInFlight]),
            request_operations: operations,
            allowed_labels: Some(Vec::from([text("reporter")])),
            zero_initialize: true,
            peer_unknown_reason: true,
        };
        let (snake, warnings) = parse(json).expect("a configuration");
        assert_eq!(snake, expected);
        assert_eq!(warnings.len(), 1, "the removed labels: {warnings:?}");

        // The same names in the other spelling; values have underscores too, and keep them.
        let fields = json.split('"').enumerate().map(|(at, part)| match at % 2 {
            1 if !part.contains(' ') && json.contains(&format!("\"{part}\":")) => camel_case(part),
            _ => part.to_owned(),
        });
        let camel: Vec<_> = fields.collect();
        let camel = camel.join("\"");
        assert!(camel.contains("maxPeerCacheSize"));
        assert_eq!(parse(&camel).expect("a configuration").0, expected);
    }

    #[test]
    fn an_error_says_where_what_and_what_instead() {
        for (json, expected) in [
            (
                r#"{"maxSeries": -1}"#,
                "$.max_series: found -1, wants a whole number from 0",
            ),
            (
                r#"{"maxSeries": 1.5}"#,
                "$.max_series: found a number with a fraction or an exponent, wants a whole number from 0",
            ),
            (
                r#"{"disable_host_header_fallback": "yes"}"#,
                r#"$.disable_host_header_fallback: found "yes", wants true or false"#,
            ),
            ("[]", "$: found a list, wants an object"),
            (
                r#"{"reporter": "WAYPOINT"}"#,
                r#"$.reporter: found "WAYPOINT", wants one of "UNSPECIFIED", "SERVER_GATEWAY""#,
            ),
            (
                r#"{"tcp_reporting_duration": "5"}"#,
                r#"$.tcp_reporting_duration: found "5", wants a duration such as "5s" or "0.5s""#,
            ),
            (
                r#"{"tcp_reporting_duration": "-1s"}"#,
                r#"$.tcp_reporting_duration: found "-1s", wants a duration such as "5s" or "0.5s""#,
            ),
            (
                r#"{"metrics": {}}"#,
                "$.metrics: found an object, wants a list",
            ),
            (
                r#"{"metrics": [{}, {"drop": 1}]}"#,
                "$.metrics[1].drop: found 1, wants true or false",
            ),
            (
                r#"{"metrics": [{"dimensions": {"a b": "1"}}]}"#,
                r#"$.metrics[0].dimensions["a b"]: found "a b", wants letters, digits and _, no digit first"#,
            ),
            (
                r#"{"metrics": [{"dimensions": {"a": 1}}]}"#,
                r#"$.metrics[0].dimensions["a"]: found 1, wants a text"#,
            ),
            (
                r#"{"definitions": [{"name": "a"}]}"#,
                "$.definitions[0]: the field value is missing",
            ),
            (
                r#"{"definitions": [{"name": "a", "value": "1", "type": "RATE"}]}"#,
                r#"$.definitions[0].type: found "RATE", wants one of "COUNTER", "GAUGE", "HISTOGRAM""#,
            ),
            (
                r#"{"request_operations": ["reviews"]}"#,
                r#"$.request_operations[0]: found "reviews", wants a method and a path such as "GET /reviews/{id}", or a path alone"#,
            ),
        ] {
            let error = parse(json).expect_err(json);
            assert_eq!(error, format!("configuration at {expected}"));
        }
        let error = parse("reporter: x").unwrap_err();
        assert!(
            error.starts_with("configuration at $: not JSON (expected value"),
            "{error}"
        );
    }

    #[test]
    fn durations_are_protobufs() {
        for (text, milliseconds) in [
            ("5s", 5000),
            ("0.25s", 250),
            ("0s", 0),
            ("3600s", 3_600_000),
        ] {
            let json = format!(r#"{{"tcpReportingDuration": "{text}"}}"#);
            let (config, _) = parse(&json).expect(text);
            assert_eq!(
                config.tcp_reporting_duration,
                Duration::from_millis(milliseconds)
            );
        }
        for text in [
            "",
            "s",
            "5 s",
            "1e3s",
            "+5s",
            "5m",
            "0.0000000001s",
            "99999999999s",
        ] {
            assert!(
                parse(&format!(r#"{{"tcpReportingDuration": "{text}"}}"#)).is_err(),
                "{text}"
            );
        }
    }

    #[test]
    fn redefinitions_and_unknown_metrics_are_ignored_with_a_warning() {
        let json = r#"{
            "definitions": [
                {"name": "requests_total", "value": "1"},
                {"name": "x", "value": "1"},
                {"name": "x", "value": "2"}
            ],
            "metrics": [{"name": "istio_requests_total"}, {"name": "x"}, {"name": "request_bytes"}]
        }"#;
        let (config, warnings) = parse(json).expect("a configuration");
        assert_eq!(config.definitions.len(), 1);
        assert_eq!(config.definitions[0].value, "1");
        assert_eq!(warnings.len(), 3, "{warnings:#?}");
        assert!(
            warnings[0].contains("\"requests_total\" is a standard metric"),
            "{warnings:?}"
        );
        assert!(warnings[1].contains("\"x\" is defined twice"));
        assert!(warnings[2].contains("no metric is called \"istio_requests_total\""));
    }

    #[test]
    fn a_label_that_ends_like_a_standard_one_warns() {
        let json = r#"{"metrics": [{"dimensions": {"status": "1", "my_status": "1"}}]}"#;
        let (_, warnings) = parse(json).expect("a configuration");
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains(r#""status" ends like "grpc_response_status""#));
    }

    #[test]
    fn unknown_fields_warn_and_retired_ones_are_silent() {
        let json = r#"{"debug": true, "stat_prefix": "istio", "fieldSeparator": ";", "colour": 1}"#;
        let expected = "configuration at $.colour: no such field, ignored".to_owned();
        assert_eq!(parse(json), Ok((Config::default(), Vec::from([expected]))));
    }
}
