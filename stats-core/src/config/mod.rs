//! The plugin's configuration: what can be configured, with its defaults. How it is parsed from JSON is
//! in `parse`, what only shows when all fields are there in `check`, what is more than a proxy can
//! bear in `limits`, and the values themselves come from `reader`.

mod check;
mod json;
mod limits;
mod parse;
mod reader;

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use crate::labels::metrics::{self, ExtraMetric};
use crate::labels::operation::Operations;
use crate::peer::sources::PeerSource;
use crate::registry::MetricKind;

/// What can be configured; `docs/configuration.md` has an example of each field.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The direction of the requests.
    pub direction: DirectionSetting,
    /// Who reports: by the direction, or as a waypoint.
    pub reporter: ReporterSetting,
    /// Whether the `:authority` header may not name the service where the cluster does not.
    pub disable_host_header_fallback: bool,
    /// How often what grows during a request is reported; zero: only at its end.
    pub reporting_interval: Duration,
    /// Whether an access logger counts the TCP connections that it is told of.
    pub tcp_access_log: bool,
    /// Peers and the exchange.
    pub peers: PeerConfig,
    /// Metrics and their labels.
    pub metrics: MetricsConfig,
}

/// The part of a configuration that concerns peers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerConfig {
    /// The most decoded peers to remember from each source; zero decodes every time.
    pub max_cache_size: usize,
    /// Where the peer may come from; the first that knows it wins.
    pub sources: Vec<PeerSource>,
    /// Workload labels that the exchange carries beside the standard ones.
    pub additional_labels: Vec<String>,
    /// Whether no metadata is sent to clusters outside of the mesh.
    pub skip_external_clusters: bool,
    /// Clusters whose servers are known to answer an exchange over TCP: names, or what names begin with and
    /// a `*`.
    pub tcp_exchange_clusters: Vec<String>,
    /// Whether the peer that the exchange decodes is published as filter state. An exchange without stats
    /// always publishes; one with stats only on demand, for it costs a call per request.
    pub publish: bool,
}

/// The part of a configuration that concerns metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsConfig {
    /// What every metric's name begins with, without the `_` between.
    pub stat_prefix: String,
    /// Metrics of the user's own.
    pub definitions: Vec<Definition>,
    /// Changes to metrics, in their order: a later one wins.
    pub overrides: Vec<MetricOverride>,
    /// Metrics that Istio does not have.
    pub extra: Vec<ExtraMetric>,
    /// Templates for the label `request_operation`; none, no label.
    pub operations: Operations,
    /// The only labels that standard metrics keep; `None` keeps all.
    pub allowed_labels: Option<Vec<String>>,
    /// Whether a known peer has a success and an error series from its first request on.
    pub zero_initialize: bool,
    /// Whether there is a label `peer_unknown_reason`.
    pub peer_unknown_reason: bool,
    /// The most label sets for which there are series of their own, in all of the proxy's workers
    /// together where the host counts them; what exceeds it is counted in a few more.
    pub max_series: usize,
    /// The most of a worker's time that goes into new series, in percent, from 1.
    pub new_series_percent: u8,
}

/// The field `direction`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirectionSetting {
    /// As the listener has it: asked once per request.
    Auto,
    /// Towards the local workload.
    Inbound,
    /// Away from it.
    Outbound,
    /// Through a gateway: reported as outbound.
    Gateway,
}

impl DirectionSetting {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Auto, Self::Inbound, Self::Outbound, Self::Gateway];

    /// The name in a configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
            Self::Gateway => "gateway",
        }
    }
}

/// The field `reporter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReporterSetting {
    /// As the direction has it.
    Unspecified,
    /// As a waypoint, whatever the direction.
    ServerGateway,
}

/// An entry of `definitions`: a metric of the user's own.
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
            direction: DirectionSetting::Auto,
            reporter: ReporterSetting::Unspecified,
            disable_host_header_fallback: false,
            reporting_interval: Duration::from_secs(5),
            tcp_access_log: false,
            peers: PeerConfig::default(),
            metrics: MetricsConfig::default(),
        }
    }
}

impl Default for PeerConfig {
    fn default() -> Self {
        Self {
            max_cache_size: 500,
            sources: PeerSource::ALL.to_vec(),
            additional_labels: Vec::new(),
            skip_external_clusters: false,
            tcp_exchange_clusters: Vec::new(),
            publish: false,
        }
    }
}

impl Default for MetricsConfig {
    fn default() -> Self {
        Self {
            stat_prefix: metrics::PREFIX.to_owned(),
            definitions: Vec::new(),
            overrides: Vec::new(),
            extra: Vec::new(),
            operations: Operations::default(),
            allowed_labels: None,
            zero_initialize: false,
            peer_unknown_reason: false,
            max_series: 1_000,
            new_series_percent: 10,
        }
    }
}

/// The most conditions that a configuration can have: which hold is one bit each.
pub const MAX_CONDITIONS: usize = 64;

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
pub const FIELDS: [&str; 21] = [
    "reporter",
    "disable_host_header_fallback",
    "tcp_reporting_duration",
    "definitions",
    "metrics",
    "stat_prefix",
    "max_peer_cache_size",
    "direction",
    "peer_sources",
    "additional_labels",
    "skip_external_clusters",
    "tcp_exchange_clusters",
    "tcp_access_log",
    "publish_peer",
    "peer_unknown_reason",
    "max_series",
    "new_series_cpu_percent",
    "allowed_labels",
    "extra_metrics",
    "request_operations",
    "zero_initialize",
];

#[cfg(test)]
mod tests;
