//! The bootstrap configuration of a sidecar, as JSON.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use anyhow::Result;
use serde_json::{Value, json};

use super::TrafficListener;
use super::setup::{Roles, SidecarBuilder, Tls};
use crate::envoy::ADMIN_SOCKET;
use crate::envoy_config::{
    NativeFilter, WasmPlugin, cluster, file_logger, http_connection_manager, istio_metadata,
    lb_endpoint, metrics_cluster, router, socket_address, stats_config, tcp_proxy,
    without_module_prefix,
};
use crate::{ModuleHost, SidecarDirection, install};

/// The name of the listener for traffic.
pub const TRAFFIC: &str = "traffic";
/// The name of the listener for traffic of the other direction, where the Envoy carries both.
pub const OTHER_TRAFFIC: &str = "other_traffic";
/// The name of the listener that serves `/stats/prometheus`.
pub const METRICS: &str = "metrics";

/// The access log's file.
pub const ACCESS_LOG: &str = "access.log";

/// The whole bootstrap without the admin section, which [`Envoy::start`](crate::Envoy::start) adds.
pub(super) fn sidecar(sidecar: &SidecarBuilder, traffic: &[TrafficListener]) -> Result<Value> {
    let mut listeners = vec![metrics_listener(sidecar.metrics)];
    let mut clusters = vec![admin_cluster()];
    for listener in traffic {
        listeners.push(traffic_listener(listener)?);
        clusters.push(traffic_cluster(listener));
    }
    let native = sidecar.module.host == ModuleHost::Native;
    if native && !sidecar.module.metrics_discovered {
        clusters.push(metrics_cluster(&configurations(traffic)));
    }
    let mut bootstrap = json!({
        "node": sidecar.node.to_json(),
        "stats_flush_interval": sidecar.flush_interval,
        "static_resources": { "listeners": listeners, "clusters": clusters },
    });
    // Labels of a library are labels; only its prefix has to go.
    let (part, content) = match sidecar.module.host {
        ModuleHost::Native => ("layered_runtime", without_module_prefix()),
        ModuleHost::Wasm => ("stats_config", stats_config(&sidecar.module.labels)),
    };
    bootstrap[part] = content;
    if native && sidecar.module.metrics_discovered {
        bootstrap["dynamic_resources"] = json!({ "cds_config": {
            "resource_api_version": "V3",
            "path_config_source": { "path": format!("./{METRICS_FILE}") },
        } });
    }
    Ok(bootstrap)
}

/// The file with the cluster of a native module's metrics, where Envoy discovers it.
pub const METRICS_FILE: &str = "metrics_cluster.json";

/// The content of that file.
pub fn discovered_metrics_cluster(configurations: &str) -> Value {
    let mut cluster = metrics_cluster(configurations);
    cluster["@type"] = "type.googleapis.com/envoy.config.cluster.v3.Cluster".into();
    json!({ "version_info": "0", "resources": [cluster] })
}

/// The configurations of all filters of ours: one alone as it is, different ones as a list.
fn configurations(traffic: &[TrafficListener]) -> String {
    let texts = traffic
        .iter()
        .map(|listener| listener.sidecar.module.plugin_config.as_str());
    let texts: BTreeSet<&str> = texts.collect();
    match texts.first() {
        Some(only) if texts.len() == 1 => (*only).to_owned(),
        _ => {
            let or_empty = |text: &&str| if text.is_empty() { "{}" } else { *text }.to_owned();
            let texts: Vec<String> = texts.iter().map(or_empty).collect();
            format!("[{}]", texts.join(","))
        }
    }
}

/// Our module as one HTTP filter, in the role that `root_id` names.
///
/// # Errors
/// When it has not been built.
pub fn module_filter(host: ModuleHost, root_id: &str, plugin_config: &str) -> Result<Value> {
    let name = filter_name(root_id);
    if host == ModuleHost::Native {
        let filter = NativeFilter {
            name: &name,
            role: root_id,
            configuration: plugin_config,
        };
        return Ok(filter.http_filter());
    }
    let module = install::module()?;
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

/// The content of the file with the filter of that role, for extension config discovery.
///
/// # Errors
/// When the module has not been built.
pub fn discovered_filter(host: ModuleHost, root_id: &str, plugin_config: &str) -> Result<Value> {
    let mut filter = module_filter(host, root_id, plugin_config)?;
    filter["@type"] = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig".into();
    Ok(json!({ "version_info": "0", "resources": [filter] }))
}

/// The name of that file.
pub fn discovered_file(root_id: &str) -> String {
    format!("{}.json", filter_name(root_id))
}

/// The filter of that role, as a reference to its file.
fn filter_reference(host: ModuleHost, root_id: &str) -> Value {
    let kind = match host {
        ModuleHost::Wasm => "wasm.v3.Wasm",
        ModuleHost::Native => "dynamic_modules.v3.DynamicModuleFilter",
    };
    json!({
        "name": filter_name(root_id),
        "config_discovery": {
            "config_source": {
                "resource_api_version": "V3",
                "path_config_source": { "path": format!("./{}", discovered_file(root_id)) },
            },
            "type_urls": [format!("type.googleapis.com/envoy.extensions.filters.http.{kind}")],
        },
    })
}

fn filter_name(root_id: &str) -> String {
    match root_id {
        "" => "mixerless".to_owned(),
        root_id => format!("mixerless.{root_id}"),
    }
}

fn traffic_listener(traffic: &TrafficListener) -> Result<Value> {
    let &TrafficListener {
        listener, sidecar, ..
    } = traffic;
    let (filters, alpn): (_, &[&str]) = if let Some(in_front) = &sidecar.tcp {
        (tcp_filters(listener, sidecar, in_front)?, &[])
    } else {
        (vec![http_manager(listener, sidecar)?], &["h2", "http/1.1"])
    };
    let mut filter_chain = json!({ "filters": filters });
    if let (SidecarDirection::Inbound, Some(tls)) = (sidecar.direction, &sidecar.tls) {
        filter_chain["transport_socket"] = json!({
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
                "require_client_certificate": true,
                "common_tls_context": tls_context(tls, alpn),
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

/// The network filters of a listener for HTTP: one.
fn http_manager(listener: &str, sidecar: &SidecarBuilder) -> Result<Value> {
    let routes = json!({
        "name": "traffic",
        "virtual_hosts": [{
            "name": "podinfo",
            "domains": sidecar.http.domains,
            "routes": [{
                "name": "default",
                "match": { "prefix": "/" },
                // Envoy's own limit of 15 seconds is off in Istio too.
                "route": { "cluster": cluster_name(sidecar), "timeout": "0s" },
            }],
        }],
    });
    let mut manager = http_connection_manager(listener, &routes, &http_filters(sidecar)?);
    // As Istio has it.
    manager["typed_config"]["upgrade_configs"] = json!([{ "upgrade_type": "websocket" }]);
    log(&mut manager, sidecar, "flush_access_log_on_new_request")?;
    Ok(manager)
}

/// Adds the access loggers to a network filter. `at_begin` is the option that has it log when something begins.
fn log(filter: &mut Value, sidecar: &SidecarBuilder, at_begin: &str) -> Result<()> {
    let format = sidecar.http.access_log.as_deref();
    let file = format.map(|format| file_logger(ACCESS_LOG, format));
    let mut loggers: Vec<Value> = file.into_iter().collect();
    if sidecar.module.roles == Roles::Logger {
        loggers.push(module_logger("stats", &sidecar.module.plugin_config)?);
    }
    filter["typed_config"]["access_log"] = loggers.into();
    if sidecar.http.logs_open_requests {
        filter["typed_config"]["access_log_options"] =
            json!({ at_begin: true, "access_log_flush_interval": "0.05s" });
    }
    Ok(())
}

/// The network filters of a listener for TCP: those in front, the module's, and the proxy behind them.
fn tcp_filters(listener: &str, sidecar: &SidecarBuilder, in_front: &[Value]) -> Result<Vec<Value>> {
    let (module, config) = (install::module()?, &sidecar.module.plugin_config);
    let plugin = |root_id: &&str| {
        let name = filter_name(root_id);
        WasmPlugin::new(&name, root_id, &module, config).network_filter()
    };
    let mut filters = in_front.to_vec();
    if sidecar.module.roles != Roles::Logger {
        filters.extend(sidecar.root_ids().iter().map(plugin));
    }
    let mut proxy = tcp_proxy(listener, cluster_name(sidecar));
    log(&mut proxy, sidecar, "flush_access_log_on_connected")?;
    filters.push(proxy);
    Ok(filters)
}

/// As in a pod: a separate listener that serves one page of the admin endpoint.
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

fn http_filters(sidecar: &SidecarBuilder) -> Result<Vec<Value>> {
    let mut filters = sidecar.http.filters_in_front.clone();
    for root_id in sidecar.root_ids() {
        filters.push(if sidecar.module.discovered {
            filter_reference(sidecar.module.host, root_id)
        } else {
            let module = &sidecar.module;
            module_filter(module.host, root_id, &module.plugin_config)?
        });
    }
    filters.extend_from_slice(&sidecar.http.filters_behind);
    filters.push(router());
    Ok(filters)
}

fn cluster_name(sidecar: &SidecarBuilder) -> &'static str {
    let of_service = match sidecar.direction {
        SidecarDirection::Inbound => "inbound|9898||",
        SidecarDirection::Outbound => "outbound|9898||podinfo.test.svc.cluster.local",
    };
    sidecar.cluster.name.unwrap_or(of_service)
}

fn traffic_cluster(traffic: &TrafficListener) -> Value {
    let &TrafficListener {
        sidecar, endpoint, ..
    } = traffic;
    let endpoints: Vec<Value> = endpoint
        .into_iter()
        .map(|address| {
            let mut endpoint = lb_endpoint(&socket_address(address));
            if !sidecar.cluster.endpoint_metadata.is_null() {
                endpoint["metadata"] = istio_metadata(&sidecar.cluster.endpoint_metadata);
            }
            endpoint
        })
        .collect();
    let mut cluster = cluster(cluster_name(sidecar), &endpoints);
    // Upstream requests use the HTTP version of the downstream request, because gRPC needs HTTP/2 on both.
    cluster["typed_extension_protocol_options"] = json!({
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "use_downstream_protocol_config": { "http_protocol_options": {}, "http2_protocol_options": {} },
        },
    });
    let mut metadata = sidecar.cluster.metadata.clone();
    if let Some(service) = &sidecar.cluster.service {
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
