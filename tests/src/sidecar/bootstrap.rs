//! The bootstrap configuration of a sidecar, as JSON.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};
use stats_core::dimensions::LABELS;
use stats_core::stat_name;

use super::{Roles, SidecarBuilder, Tls, TrafficListener};
use crate::envoy::ADMIN_SOCKET;
use crate::{SidecarDirection, install};

/// The name of the listener for traffic.
pub const TRAFFIC: &str = "traffic";
/// The name of the listener for traffic of the other direction, where the Envoy carries both.
pub const OTHER_TRAFFIC: &str = "other_traffic";
/// The name of the listener that serves `/stats/prometheus`.
pub const METRICS: &str = "metrics";

/// The access log's file.
pub const ACCESS_LOG: &str = "access.log";

/// The whole bootstrap, but for the admin section.
pub(super) fn sidecar(sidecar: &SidecarBuilder, sides: &[TrafficListener]) -> Result<Value> {
    let mut listeners = vec![metrics_listener(sidecar.metrics)];
    let mut clusters = vec![admin_cluster()];
    for side in sides {
        listeners.push(traffic_listener(side)?);
        clusters.push(traffic_cluster(side));
    }
    Ok(json!({
        "node": sidecar.node.to_json(),
        "stats_config": stats_config(&sidecar.labels),
        "stats_flush_interval": sidecar.flush_interval,
        "static_resources": { "listeners": listeners, "clusters": clusters },
    }))
}

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
    /// What the plugin is to be.
    pub root_id: &'a str,
    /// Plugins of one module with the same id have one VM on each worker.
    pub vm_id: &'a str,
    /// The module.
    pub module: &'a Path,
    /// The plugin's configuration.
    pub configuration: &'a str,
}

impl<'a> WasmPlugin<'a> {
    /// One in the VM that all of ours share.
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

/// Our module as one HTTP filter, in the role that `root_id` names.
///
/// # Errors
/// When it has not been built.
pub fn module_filter(root_id: &str, plugin_config: &str) -> Result<Value> {
    let (name, module) = (filter_name(root_id), install::module()?);
    Ok(WasmPlugin::new(&name, root_id, &module, plugin_config).http_filter())
}

/// Our module as an access logger, in the role that `root_id` names.
///
/// # Errors
/// When it has not been built.
pub fn module_logger(root_id: &str, plugin_config: &str) -> Result<Value> {
    let (name, module) = (filter_name(root_id), install::module()?);
    Ok(WasmPlugin::new(&name, root_id, &module, plugin_config).access_logger())
}

/// The content of the file from which Envoy learns the filter of that role.
///
/// # Errors
/// When the module has not been built.
pub fn discovered_filter(root_id: &str, plugin_config: &str) -> Result<Value> {
    let mut filter = module_filter(root_id, plugin_config)?;
    filter["@type"] = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig".into();
    Ok(json!({ "version_info": "0", "resources": [filter] }))
}

/// The name of that file.
pub fn discovered_file(root_id: &str) -> String {
    format!("{}.json", filter_name(root_id))
}

/// The filter of that role, to be learned from its file.
fn filter_reference(root_id: &str) -> Value {
    json!({
        "name": filter_name(root_id),
        "config_discovery": {
            "config_source": {
                "resource_api_version": "V3",
                "path_config_source": { "path": format!("./{}", discovered_file(root_id)) },
            },
            "type_urls": ["type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm"],
        },
    })
}

fn filter_name(root_id: &str) -> String {
    match root_id {
        "" => "mixerless".to_owned(),
        root_id => format!("mixerless.{root_id}"),
    }
}

fn traffic_listener(side: &TrafficListener) -> Result<Value> {
    let &TrafficListener {
        listener, sidecar, ..
    } = side;
    let routes = json!({
        "name": "traffic",
        "virtual_hosts": [{
            "name": "podinfo",
            "domains": sidecar.domains,
            "routes": [{
                "name": "default",
                "match": { "prefix": "/" },
                // Envoy's own limit of 15 seconds is off in Istio too.
                "route": { "cluster": cluster_name(sidecar), "timeout": "0s" },
            }],
        }],
    });
    let mut manager = http_connection_manager(listener, &routes, &http_filters(sidecar)?);
    let mut loggers: Vec<Value> = sidecar
        .access_log
        .as_deref()
        .map(|format| file_logger(ACCESS_LOG, format))
        .into_iter()
        .collect();
    if sidecar.roles == Roles::Logger {
        loggers.push(module_logger("stats", &sidecar.plugin_config)?);
    }
    manager["typed_config"]["access_log"] = loggers.into();
    if sidecar.logs_open_requests {
        manager["typed_config"]["access_log_options"] = json!({
            "flush_access_log_on_new_request": true,
            "access_log_flush_interval": "0.05s",
        });
    }
    let mut filter_chain = json!({ "filters": [manager] });
    if let (SidecarDirection::Inbound, Some(tls)) = (sidecar.direction, &sidecar.tls) {
        filter_chain["transport_socket"] = json!({
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
                "require_client_certificate": true,
                "common_tls_context": tls_context(tls, &["h2", "http/1.1"]),
            },
        });
    }
    Ok(json!({
        "name": listener,
        "address": socket_address(sidecar.listen),
        "traffic_direction": sidecar.direction.of_listener(),
        "filter_chains": [filter_chain],
    }))
}

/// As in a pod: a listener of its own, which shows the world one page of the admin endpoint.
pub fn metrics_listener(address: SocketAddr) -> Value {
    let routes = json!({
        "name": METRICS,
        "virtual_hosts": [{
            "name": METRICS,
            "domains": ["*"],
            "routes": [{ "match": { "prefix": "/stats/prometheus" }, "route": { "cluster": "prometheus_stats" } }],
        }],
    });
    json!({
        "name": METRICS,
        "address": socket_address(address),
        "filter_chains": [{ "filters": [http_connection_manager(METRICS, &routes, &[router()])] }],
    })
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

fn http_filters(sidecar: &SidecarBuilder) -> Result<Vec<Value>> {
    let mut filters = sidecar.http_filters.clone();
    for root_id in sidecar.root_ids() {
        filters.push(if sidecar.discovered {
            filter_reference(root_id)
        } else {
            module_filter(root_id, &sidecar.plugin_config)?
        });
    }
    filters.extend_from_slice(&sidecar.filters_behind);
    filters.push(router());
    Ok(filters)
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

fn cluster_name(sidecar: &SidecarBuilder) -> &'static str {
    let of_service = match sidecar.direction {
        SidecarDirection::Inbound => "inbound|9898||",
        SidecarDirection::Outbound => "outbound|9898||podinfo.test.svc.cluster.local",
    };
    sidecar.cluster_name.unwrap_or(of_service)
}

fn traffic_cluster(side: &TrafficListener) -> Value {
    let &TrafficListener {
        sidecar, endpoint, ..
    } = side;
    let endpoints: Vec<Value> = endpoint
        .into_iter()
        .map(|address| {
            let mut endpoint = lb_endpoint(&socket_address(address));
            if !sidecar.endpoint_metadata.is_null() {
                endpoint["metadata"] = istio_metadata(&sidecar.endpoint_metadata);
            }
            endpoint
        })
        .collect();
    let mut cluster = cluster(cluster_name(sidecar), &endpoints);
    // A request leaves in the version of HTTP in which it came, as gRPC needs it.
    cluster["typed_extension_protocol_options"] = json!({
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "use_downstream_protocol_config": { "http_protocol_options": {}, "http2_protocol_options": {} },
        },
    });
    let mut metadata = sidecar.cluster_metadata.clone();
    if let Some(service) = &sidecar.service {
        let host = format!("{}.{}.svc.cluster.local", service.name, service.namespace);
        let service = json!({ "host": host, "name": service.name, "namespace": service.namespace });
        metadata.insert("services".to_owned(), json!([service]));
    }
    if !metadata.is_empty() {
        cluster["metadata"] = istio_metadata(&metadata.into());
    }
    if let (SidecarDirection::Outbound, Some(tls)) = (sidecar.direction, &sidecar.tls) {
        cluster["transport_socket"] = json!({
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
                // The connection pool offers the version that it speaks.
                "common_tls_context": tls_context(tls, &[]),
            },
        });
    }
    cluster
}

/// The cluster behind [`metrics_listener`].
pub fn admin_cluster() -> Value {
    cluster(
        "prometheus_stats",
        &[lb_endpoint(&json!({ "pipe": { "path": ADMIN_SOCKET } }))],
    )
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

/// This side's certificate, and what the other side's must say.
fn tls_context(tls: &Tls, alpn: &[&str]) -> Value {
    let Tls { identity, peer } = tls;
    let names: Vec<Value> = peer
        .iter()
        .map(|uri| json!({ "san_type": "URI", "matcher": { "exact": uri } }))
        .collect();
    json!({
        "alpn_protocols": alpn,
        "tls_certificates": [{
            "certificate_chain": { "inline_string": identity.certificate },
            "private_key": { "inline_string": identity.key },
        }],
        "validation_context": {
            "trusted_ca": { "inline_string": identity.root },
            "match_typed_subject_alt_names": names,
        },
    })
}
