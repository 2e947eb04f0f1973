//! What is measured: Envoy's own stats logger, our module in its roles, modules that only make its
//! calls, and any other module that is named.
//!
//! Not here: the chain around it, and how its cost is measured.

mod dynamic;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use harness::SidecarDirection;
use harness::envoy_config::WasmPlugin;
use serde_json::{Map, Value, json};
use stats_core::labels::LABELS;
use stats_core::labels::metrics::HttpMetric;

use super::probe::{Probe, ProbeCall};
pub use dynamic::{DYNAMIC, DYNAMIC_STATS};

/// Something that a listener's chain can have copies of.
#[derive(Clone, Debug)]
pub struct Variant {
    /// What tables call it.
    pub name: String,
    /// The filters of one copy.
    pub filters: Vec<Value>,
    /// The access loggers of one copy.
    pub loggers: Vec<Value>,
    /// Filters in front of all copies, there once.
    pub in_front: Vec<Value>,
    /// The baseline whose cost is subtracted: the bare chain, or one with the same filters in front.
    pub without: Option<&'static str>,
    /// The counter of [`COUNTERS`] that each copy adds one to with each request.
    pub counter: Option<&'static str>,
    /// Labels beside the usual ones, each of which needs a rule.
    pub added_labels: &'static [&'static str],
    /// For filters of the library: the configuration of the cluster that holds their metrics.
    pub metrics_of: Option<String>,
}

/// The chain without any copies.
pub const BARE: &str = "bare chain";
/// The chain without any copies but with an exchange in front, which publishes the peer.
pub const EXCHANGE_IN_FRONT: &str = "bare chain behind an exchange";
/// The chain without any copies but with a filter in front that sets the peer as dynamic metadata.
pub const PEER_IN_FRONT: &str = "bare chain behind the peer's metadata";
/// Envoy's own stats logger.
pub const NATIVE: &str = "native stats logger";
/// The same, with the peer taken from the request.
pub const NATIVE_WITH_PEER: &str = "native, peer from the request";
/// Our module, all in one filter.
pub const COMBINED: &str = "combined";

/// The counters of requests on Envoy's page: of our module, the native logger and the probes.
pub const COUNTERS: [&str; 3] = [ISTIO_COUNTER, NATIVE_COUNTER, PROBE_COUNTER];
const ISTIO_COUNTER: &str = "istio_requests_total";
const NATIVE_COUNTER: &str = "envoy_native_requests_total";
const PROBE_COUNTER: &str = "bench_probe_total";

impl Variant {
    /// The chain alone.
    pub fn bare() -> Self {
        Self {
            name: BARE.to_owned(),
            filters: Vec::new(),
            loggers: Vec::new(),
            in_front: Vec::new(),
            without: None,
            counter: None,
            added_labels: &[],
            metrics_of: None,
        }
    }

    /// The chain behind an exchange of ours.
    ///
    /// # Errors
    /// When the module has not been built.
    pub fn behind_exchange() -> Result<Self> {
        let exchange = filter(
            "bench.in_front",
            "metadata_exchange",
            &harness::install::module()?,
            "",
        );
        Ok(Self {
            name: EXCHANGE_IN_FRONT.to_owned(),
            in_front: vec![exchange],
            ..Self::bare()
        })
    }

    /// The chain behind a filter that sets the peer as dynamic metadata, once for all copies.
    pub fn behind_peer(direction: SidecarDirection) -> Self {
        let fields = LABELS
            .iter()
            .filter_map(|label| peer_field(direction, label));
        let fields: Map<String, Value> = fields
            .map(|field| (field.to_owned(), peer_name(direction).into()))
            .collect();
        let set_metadata = json!({
            "name": "envoy.filters.http.set_metadata",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.set_metadata.v3.Config",
                "metadata": [{ "metadata_namespace": PEER, "value": fields, "allow_overwrite": true }],
            },
        });
        Self {
            name: PEER_IN_FRONT.to_owned(),
            in_front: vec![set_metadata],
            ..Self::bare()
        }
    }

    /// Envoy's native logger with the four HTTP metrics and their 25 labels: the cheapest
    /// configuration that gives them. What does not change from request to request is a constant in
    /// the configuration, the peer too.
    pub fn native(direction: SidecarDirection) -> Self {
        Self {
            name: NATIVE.to_owned(),
            loggers: vec![native_logger(|label| {
                native_value(direction, label).to_owned()
            })],
            without: Some(BARE),
            counter: Some(NATIVE_COUNTER),
            ..Self::bare()
        }
    }

    /// The same, with the peer read from each request, as is needed where there is more than one. The
    /// cost of providing it is not included.
    pub fn native_with_peer(direction: SidecarDirection) -> Self {
        let value = |label: &str| match peer_field(direction, label) {
            Some(field) => format!("%DYNAMIC_METADATA({PEER}:{field})%"),
            None => native_value(direction, label).to_owned(),
        };
        Self {
            name: NATIVE_WITH_PEER.to_owned(),
            loggers: vec![native_logger(value)],
            in_front: Self::behind_peer(direction).in_front,
            without: Some(PEER_IN_FRONT),
            ..Self::native(direction)
        }
    }

    /// Our module in these roles, one filter each.
    ///
    /// # Errors
    /// When it has not been built.
    pub fn ours(name: &str, root_ids: &[&str], configuration: &str) -> Result<Self> {
        let module = harness::install::module()?;
        Ok(Self {
            counter: Some(ISTIO_COUNTER),
            ..Self::module(name, &module, root_ids, configuration)
        })
    }

    /// Our module as an access logger, which the native one is too.
    ///
    /// # Errors
    /// When it has not been built.
    pub fn our_logger(name: &str, configuration: &str) -> Result<Self> {
        let module = harness::install::module()?;
        let plugin_name = format!("bench.{name}");
        let logger = plugin(&plugin_name, "stats", &module, configuration);
        Ok(Self {
            loggers: vec![logger.access_logger()],
            ..Self::ours(name, &[], "")?
        })
    }

    /// Our module, all in one filter.
    ///
    /// # Errors
    /// When it has not been built.
    pub fn combined(configuration: &str) -> Result<Self> {
        Self::ours(COMBINED, &[""], configuration)
    }

    /// The same behind our exchange filter, whose cost is not included.
    ///
    /// # Errors
    /// When our module has not been built.
    pub fn learning_from_exchange(self) -> Result<Self> {
        Ok(Self {
            in_front: Self::behind_exchange()?.in_front,
            without: Some(EXCHANGE_IN_FRONT),
            ..self
        })
    }

    /// A probe, written to a file in `directory` for Envoy to read.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn probe(name: &str, probe: &Probe, directory: &Path) -> Result<Self> {
        let path = directory.join(format!("{}.wasm", name.replace(' ', "_")));
        fs::write(&path, probe.module()?).with_context(|| path.display().to_string())?;
        let counts = probe
            .on_log
            .iter()
            .any(|call| matches!(call, ProbeCall::Count));
        Ok(Self {
            counter: counts.then_some(PROBE_COUNTER),
            ..Self::module(name, &path, &[""], "")
        })
    }

    fn module(name: &str, module: &Path, root_ids: &[&str], configuration: &str) -> Self {
        let filter =
            |root_id: &&str| filter(&format!("bench.{name}"), root_id, module, configuration);
        Self {
            name: name.to_owned(),
            filters: root_ids.iter().map(filter).collect(),
            without: Some(BARE),
            ..Self::bare()
        }
    }
}

/// Another module and the plugin in it that is to run: `PATH:ROOT_ID`.
#[derive(Clone, Debug)]
pub struct OtherModule {
    /// What tables call it.
    pub name: String,
    /// The module's file.
    pub path: PathBuf,
    /// The plugin.
    pub root_id: String,
}

impl std::str::FromStr for OtherModule {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (path, root_id) = text
            .rsplit_once(':')
            .context("needs PATH:ROOT_ID; ROOT_ID may be empty")?;
        let path = Path::new(path)
            .canonicalize()
            .with_context(|| path.to_owned())?;
        let file = path.file_stem().unwrap_or_default().to_string_lossy();
        Ok(Self {
            name: format!("{file}:{root_id}"),
            path,
            root_id: root_id.to_owned(),
        })
    }
}

impl OtherModule {
    /// As something to measure.
    pub fn variant(&self) -> Variant {
        let root_ids = [self.root_id.as_str()];
        Variant {
            counter: None,
            ..Variant::module(&self.name, &self.path, &root_ids, "")
        }
    }
}

/// Each name has its own VM, so that the memory of another variant does not matter.
pub(super) fn filter(name: &str, root_id: &str, module: &Path, configuration: &str) -> Value {
    plugin(name, root_id, module, configuration).http_filter()
}

fn plugin<'a>(
    name: &'a str,
    root_id: &'a str,
    module: &'a Path,
    configuration: &'a str,
) -> WasmPlugin<'a> {
    WasmPlugin {
        vm_id: name,
        ..WasmPlugin::new(name, root_id, module, configuration)
    }
}

fn native_logger(value_of: impl Fn(&str) -> String) -> Value {
    let tag = |label: &str| json!({ "name": label, "value_format": value_of(label) });
    let tags: Vec<Value> = LABELS.into_iter().map(tag).collect();
    let stat = |metric: HttpMetric| json!({ "name": metric.name(), "tags": tags });
    let histogram = |metric, value| json!({ "stat": stat(metric), "value_format": value, "unit": "Unspecified" });
    json!({
        "name": "envoy.access_loggers.stats",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.stats.v3.Config",
            "stat_prefix": "native",
            "counters": [{ "stat": stat(HttpMetric::RequestsTotal), "value_fixed": 1 }],
            "histograms": [
                histogram(HttpMetric::RequestDuration, "%DURATION%"),
                histogram(HttpMetric::RequestBytes, "%BYTES_RECEIVED%"),
                histogram(HttpMetric::ResponseBytes, "%BYTES_SENT%"),
            ],
        },
    })
}

pub(super) fn native_value(direction: SidecarDirection, label: &str) -> &'static str {
    match (label, direction) {
        ("reporter", SidecarDirection::Inbound) => "destination",
        ("reporter", SidecarDirection::Outbound) => "source",
        ("source_principal", SidecarDirection::Inbound) => "%DOWNSTREAM_PEER_URI_SAN%",
        ("destination_principal", SidecarDirection::Inbound) => "%DOWNSTREAM_LOCAL_URI_SAN%",
        ("source_principal", SidecarDirection::Outbound) => "%UPSTREAM_LOCAL_URI_SAN%",
        ("destination_principal", SidecarDirection::Outbound) => "%UPSTREAM_PEER_URI_SAN%",
        ("destination_service", _) => "%REQ(:AUTHORITY)%",
        ("request_protocol", _) => "http",
        ("response_flags", _) => "%RESPONSE_FLAGS%",
        ("response_code", _) => "%RESPONSE_CODE%",
        ("grpc_response_status", _) => "%GRPC_STATUS_NUMBER%",
        ("connection_security_policy", _) => "none",
        (label, _) if label.starts_with("source_") => "cart",
        _ => "podinfo",
    }
}

/// The namespace of the dynamic metadata with the peer.
const PEER: &str = "bench.peer";

/// The peer's field that a label shows, such as `workload`; `None` for a label that is not about the peer.
fn peer_field(direction: SidecarDirection, label: &str) -> Option<&str> {
    let prefix = match direction {
        SidecarDirection::Inbound => "source_",
        SidecarDirection::Outbound => "destination_",
    };
    let of_a_workload = [
        "workload",
        "workload_namespace",
        "app",
        "version",
        "canonical_service",
        "canonical_revision",
        "cluster",
    ];
    let field = label.strip_prefix(prefix)?;
    of_a_workload.contains(&field).then_some(field)
}

fn peer_name(direction: SidecarDirection) -> &'static str {
    match direction {
        SidecarDirection::Inbound => "cart",
        SidecarDirection::Outbound => "podinfo",
    }
}
