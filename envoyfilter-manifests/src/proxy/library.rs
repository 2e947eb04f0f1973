//! The module as a library: a filter, the cluster that holds its metrics, and what takes Envoy's own prefix off their names.

use serde_json::{Value, json};

use crate::installation::Installation;
use crate::module_source::ModuleSource;
use crate::plugin_config::PluginConfig;

/// The type of the configuration of a filter for requests.
pub const LIBRARY_TYPE: &str =
    "type.googleapis.com/envoy.extensions.filters.http.dynamic_modules.v3.DynamicModuleFilter";
/// The directory at which an image with the library is mounted.
pub const DIRECTORY: &str = "/opt/mixerless";
/// The cluster's name.
const CLUSTER: &str = "mixerless_metrics";

/// The library's path in the proxy's container.
pub fn library_path(installation: &Installation) -> String {
    match &installation.source {
        ModuleSource::File { path } => path.clone(),
        ModuleSource::Oci { .. } | ModuleSource::Http { .. } => {
            format!("{DIRECTORY}/libmixerless.so")
        }
    }
}

/// The `typed_config` of the filter.
pub fn library(installation: &Installation, plugin: &PluginConfig) -> Value {
    json!({
        "@type": LIBRARY_TYPE,
        "dynamic_module_config": module(installation),
        "filter_config": string(&plugin.to_json()),
        "filter_name": "",
    })
}

/// The cluster that holds the metrics: without endpoints, and nothing is routed to it. Directions share their metrics, so that
/// it needs none.
pub fn metrics_cluster(installation: &Installation) -> Value {
    json!({
        "cluster_type": {
            "name": "envoy.clusters.dynamic_modules",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.clusters.dynamic_modules.v3.ClusterConfig",
                "cluster_config": string(&installation.plugin.to_json()),
                "cluster_name": CLUSTER,
                "dynamic_module_config": module(installation),
            },
        },
        "connect_timeout": "1s",
        "lb_policy": "CLUSTER_PROVIDED",
        "name": CLUSTER,
    })
}

/// The bootstrap's `layered_runtime`, in which a flag of Envoy keeps its own prefix off the names of the metrics.
pub fn without_module_prefix() -> Value {
    json!({ "layers": [{
        "name": "mixerless",
        "static_layer": { "envoy.reloadable_features.dynamic_modules_strip_custom_stat_prefix": true },
    }] })
}

fn module(installation: &Installation) -> Value {
    json!({
        "do_not_close": true,
        "module": { "local": { "filename": library_path(installation) } },
    })
}

fn string(text: &str) -> Value {
    json!({ "@type": "type.googleapis.com/google.protobuf.StringValue", "value": text })
}
