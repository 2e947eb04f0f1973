//! Pieces of an Envoy configuration, as JSON, of which bootstraps of any kind are made.
//! Not here: a sidecar's own, see [`sidecar::bootstrap`](crate::sidecar::bootstrap).

use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};
use stats_core::labels::LABELS;
use stats_core::labels::stat_name;

use crate::install::NATIVE_MODULE;

/// One rule for each label: without it the label stays in the metric's name. Istio's mesh configuration calls this
/// `extraStatTags`; the two rules of the build gauge are in its own bootstrap.
pub fn stats_config(added_labels: &[String]) -> Value {
    let rule = |name: &str, regex: &str| json!({ "tag_name": name, "regex": regex });
    let added = added_labels.iter().map(String::as_str);
    let labels = LABELS.into_iter().chain(added);
    let labels = labels.map(|label| rule(label, &stat_name::tag_regex(label)));
    let build = stat_name::BUILD_TAG_REGEXES.map(|(label, regex)| rule(label, regex));
    let rules: Vec<Value> = labels.chain(build).collect();
    json!({ "use_all_default_tags": false, "stats_tags": rules })
}

/// A plugin of a Wasm module.
#[derive(Clone, Debug)]
pub struct WasmPlugin<'a> {
    /// Its name, and the filter's.
    pub name: &'a str,
    /// The plugin's role.
    pub root_id: &'a str,
    /// Plugins of one module with the same id have one VM on each worker.
    pub vm_id: &'a str,
    /// The module.
    pub module: &'a Path,
    /// The plugin's configuration.
    pub configuration: &'a str,
}

impl<'a> WasmPlugin<'a> {
    /// A plugin in the VM that all plugins of our module share.
    pub fn new(name: &'a str, root_id: &'a str, module: &'a Path, configuration: &'a str) -> Self {
        Self {
            name,
            root_id,
            vm_id: "mixerless",
            module,
            configuration,
        }
    }

    /// As an entry in `http_filters`.
    pub fn http_filter(&self) -> Value {
        self.extension("envoy.extensions.filters.http.wasm.v3.Wasm")
    }

    /// As an entry in a filter chain's `filters`.
    pub fn network_filter(&self) -> Value {
        self.extension("envoy.extensions.filters.network.wasm.v3.Wasm")
    }

    /// As an entry in `access_log`.
    pub fn access_logger(&self) -> Value {
        self.extension("envoy.extensions.access_loggers.wasm.v3.WasmAccessLog")
    }

    fn extension(&self, kind: &str) -> Value {
        json!({
            "name": self.name,
            "typed_config": {
                "@type": format!("type.googleapis.com/{kind}"),
                "config": {
                    "name": self.name,
                    "root_id": self.root_id,
                    "failure_policy": "FAIL_OPEN",
                    "configuration": {
                        "@type": "type.googleapis.com/google.protobuf.StringValue",
                        "value": self.configuration,
                    },
                    "vm_config": {
                        "vm_id": self.vm_id,
                        "runtime": "envoy.wasm.runtime.v8",
                        "code": { "local": { "filename": self.module } },
                    },
                },
            },
        })
    }
}

/// A filter of the library for Envoy's dynamic modules.
#[derive(Clone, Debug)]
pub struct NativeFilter<'a> {
    /// The filter's name.
    pub name: &'a str,
    /// The filter's role.
    pub role: &'a str,
    /// The filter's configuration.
    pub configuration: &'a str,
}

impl NativeFilter<'_> {
    /// As an entry in `http_filters`.
    pub fn http_filter(&self) -> Value {
        json!({
            "name": self.name,
            "typed_config": {
                "@type":
                    "type.googleapis.com/envoy.extensions.filters.http.dynamic_modules.v3.DynamicModuleFilter",
                "dynamic_module_config": dynamic_module(),
                "filter_name": self.role,
                "filter_config": string_value(self.configuration),
            },
        })
    }
}

/// The cluster that holds the metrics of [`NativeFilter`]s with these configurations, and routes nothing.
pub fn metrics_cluster(configurations: &str) -> Value {
    json!({
        "name": METRICS_CLUSTER,
        "connect_timeout": "1s",
        "lb_policy": "CLUSTER_PROVIDED",
        "cluster_type": {
            "name": "envoy.clusters.dynamic_modules",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.clusters.dynamic_modules.v3.ClusterConfig",
                "dynamic_module_config": dynamic_module(),
                "cluster_name": METRICS_CLUSTER,
                "cluster_config": string_value(configurations),
            },
        },
    })
}

/// The name of [`metrics_cluster`].
pub const METRICS_CLUSTER: &str = "mixerless_metrics";

/// Has Envoy show the metrics of dynamic modules without a prefix of its own.
pub fn without_module_prefix() -> Value {
    json!({ "layers": [{
        "name": "mixerless",
        "static_layer": {
            "envoy.reloadable_features.dynamic_modules_strip_custom_stat_prefix": true,
        },
    }] })
}

fn dynamic_module() -> Value {
    json!({ "name": NATIVE_MODULE, "do_not_close": true })
}

fn string_value(text: &str) -> Value {
    json!({ "@type": "type.googleapis.com/google.protobuf.StringValue", "value": text })
}

/// The network filter that speaks HTTP.
pub fn http_connection_manager(stat_prefix: &str, routes: &Value, http_filters: &[Value]) -> Value {
    json!({
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {
            "@type":
                "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": stat_prefix,
            "codec_type": "AUTO",
            "route_config": routes,
            "http_filters": http_filters,
        },
    })
}

/// The network filter that sends on whatever comes.
pub fn tcp_proxy(stat_prefix: &str, cluster: &str) -> Value {
    json!({
        "name": "envoy.filters.network.tcp_proxy",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
            "stat_prefix": stat_prefix,
            "cluster": cluster,
        },
    })
}

/// The last of the HTTP filters.
pub fn router() -> Value {
    json!({
        "name": "envoy.filters.http.router",
        "typed_config": { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
    })
}

/// Envoy's own access logger, which writes a line of that format to a file in Envoy's directory.
pub fn file_logger(path: &str, format: &str) -> Value {
    json!({
        "name": "envoy.access_loggers.file",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": path,
            "log_format": { "text_format_source": { "inline_string": format!("{format}\n") } },
        },
    })
}

/// A cluster of fixed endpoints.
pub fn cluster(name: &str, endpoints: &[Value]) -> Value {
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "10s",
        "load_assignment": { "cluster_name": name, "endpoints": [{ "lb_endpoints": endpoints }] },
    })
}

/// Metadata as Istio's control plane attaches it.
pub fn istio_metadata(fields: &Value) -> Value {
    json!({ "filter_metadata": { "istio": fields } })
}

/// An endpoint of a cluster.
pub fn lb_endpoint(address: &Value) -> Value {
    json!({ "endpoint": { "address": address } })
}

/// An address, as Envoy has it.
pub fn socket_address(address: SocketAddr) -> Value {
    json!({ "socket_address": { "address": address.ip(), "port_value": address.port() } })
}
