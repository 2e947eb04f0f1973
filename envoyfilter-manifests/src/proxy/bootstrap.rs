//! Pieces of a bootstrap file: the node, the listener for Prometheus, and the whole file.

use serde_json::{Value, json};

use super::library::{metrics_cluster, without_module_prefix};
use super::{STATS_PORT, stats_config};
use crate::installation::{Installation, ModuleForm, ScaledWorkload};

/// The cluster that leads to the admin endpoint.
pub const ADMIN_CLUSTER: &str = "prometheus_stats";
const ADMIN_PORT: u16 = 15000;
const TRAFFIC_PORT: u16 = 15006;

/// A whole bootstrap for one server's proxy, with this filter before the router.
pub fn bootstrap(installation: &Installation, filter: &Value) -> Value {
    let workload = &installation.workload;
    let mut clusters = vec![cluster(ADMIN_CLUSTER, ADMIN_PORT), application(workload)];
    let (part, content) = match installation.form {
        ModuleForm::Wasm => ("stats_config", stats_config(&installation.plugin)),
        ModuleForm::Library => {
            clusters.push(metrics_cluster(installation));
            ("layered_runtime", without_module_prefix())
        }
    };
    json!({
        "admin": { "address": address("127.0.0.1", ADMIN_PORT) },
        "node": node(&workload.name, &workload.namespace, &installation.cluster),
        "static_resources": {
            "clusters": clusters,
            "listeners": [traffic_listener(filter), stats_listener()],
        },
        part: content,
    })
}

/// The proxy's node: its own workload, which it also sends to peers.
pub fn node(name: &str, namespace: &str, cluster: &str) -> Value {
    json!({
        "cluster": format!("{name}.{namespace}"),
        "id": format!("{name}.{namespace}"),
        "metadata": {
            "CLUSTER_ID": cluster,
            "LABELS": { "app": name, "service.istio.io/canonical-name": name, "version": "v1" },
            "NAME": name,
            "NAMESPACE": namespace,
            "OWNER": format!("kubernetes://apis/apps/v1/namespaces/{namespace}/deployments/{name}"),
            "WORKLOAD_NAME": name,
        },
    })
}

/// The listener on :15090, which serves one page of the admin endpoint.
pub fn stats_listener() -> Value {
    let route =
        json!({ "match": { "path": "/stats/prometheus" }, "route": { "cluster": ADMIN_CLUSTER } });
    listener("stats", STATS_PORT, &route, &[])
}

fn traffic_listener(filter: &Value) -> Value {
    let route = json!({ "match": { "prefix": "/" }, "route": { "cluster": "application" } });
    let mut listener = listener(
        "inbound",
        TRAFFIC_PORT,
        &route,
        std::slice::from_ref(filter),
    );
    listener["traffic_direction"] = json!("INBOUND");
    listener
}

fn listener(name: &str, port: u16, route: &Value, filters: &[Value]) -> Value {
    let router = json!({
        "name": "envoy.filters.http.router",
        "typed_config": { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
    });
    let filters: Vec<&Value> = filters.iter().chain([&router]).collect();
    json!({
        "address": address("0.0.0.0", port),
        "filter_chains": [{
            "filters": [{
                "name": "envoy.filters.network.http_connection_manager",
                "typed_config": {
                    "@type":
                        "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                    "http_filters": filters,
                    "route_config": {
                        "name": name,
                        "virtual_hosts": [{ "domains": ["*"], "name": name, "routes": [route] }],
                    },
                    "stat_prefix": name,
                },
            }],
        }],
        "name": name,
    })
}

/// The application's cluster, with its service in the metadata, as Istio has it.
fn application(workload: &ScaledWorkload) -> Value {
    let ScaledWorkload {
        name, namespace, ..
    } = workload;
    let host = format!("{name}.{namespace}.svc.cluster.local");
    let service = json!({ "host": host, "name": name, "namespace": namespace });
    let mut cluster = cluster("application", workload.port);
    cluster["metadata"] = json!({ "filter_metadata": { "istio": { "services": [service] } } });
    cluster
}

fn cluster(name: &str, port: u16) -> Value {
    let endpoint = json!({ "endpoint": { "address": address("127.0.0.1", port) } });
    json!({
        "load_assignment": { "cluster_name": name, "endpoints": [{ "lb_endpoints": [endpoint] }] },
        "name": name,
        "type": "STATIC",
    })
}

fn address(host: &str, port: u16) -> Value {
    json!({ "socket_address": { "address": host, "port_value": port } })
}
