//! The dashboards: what Grafana takes, and each query of each of them asked of a real Prometheus that scrapes proxies at work,
//! for every platform with its own generated configuration.
//!
//! Grafana itself is not here: nobody has seen a picture of them.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use envoyfilter_manifests::bundle::Bundle;
use harness::{Client, Mesh, TcpApp, eventually};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::bare_envoy::{BareEnvoy, configure, endpoint};
use crate::prometheus::Prometheus;
use crate::support::{IMAGE, manifests, objects, parse};
use crate::tcp_dashboards::{exchange, pair};

/// What Kiali's page of an Envoy asks for; the middle ones, too, where Istio's proxies show them.
const KIALI: [&str; 7] = [
    "envoy_server_uptime",
    "envoy_server_memory_allocated",
    "envoy_server_memory_heap_size",
    "envoy_cluster_upstream_cx_active",
    "envoy_cluster_upstream_rq_total",
    "envoy_listener_downstream_cx_active",
    "envoy_listener_http_downstream_rq_xx",
];

/// What Istio's dashboard of Wasm extensions asks for, as Envoy names it today.
const WASM: [&str; 2] = [
    "envoy_wasm_envoy_wasm_runtime_v8_active",
    "envoy_wasm_envoy_wasm_runtime_v8_created",
];

#[tokio::test]
async fn every_query_answers_in_a_mesh() {
    let mesh = Mesh::builder().start().await.unwrap();
    let app = TcpApp::start(b"").await.unwrap();
    let tcp = pair(&app, true).await;
    let targets = [&mesh, &tcp].map(|mesh| [mesh.outbound.metrics, mesh.inbound.metrics]);
    let prometheus = Prometheus::of(istio(), targets.as_flattened()).await;
    let _traffic = Traffic::start(mesh.outbound.traffic, Some(tcp.outbound.traffic));
    all_answer(&prometheus, istio()).await;
    // The cart only calls, and can be chosen like podinfo.
    let (_, workload) = dashboards(&manifests(istio())).pop().unwrap();
    let query = &workload["templating"]["list"][2]["query"]["query"];
    let workloads = filled_in(&values(query.as_str().unwrap()), ".*");
    let workloads = prometheus.number(&format!("count({workloads})")).await;
    assert_eq!(workloads.to_string(), "2");
    // By the labels with which Kiali chooses a workload's proxies. The others are not on a sidecar's page by default.
    for metric in KIALI[..3].iter().chain(&WASM) {
        let of_podinfo = format!("{metric}{{namespace=\"test\",app=\"podinfo\"}}");
        answers(&prometheus, &of_podinfo).await;
    }
}

/// The generated pieces in an Envoy, as Envoy Gateway would put them in.
#[tokio::test]
async fn every_query_answers_at_a_gateway() {
    let bundle = manifests(envoy_gateway());
    let policy = &objects(&bundle, "envoy-gateway/envoy-extension-policy.yaml")[0];
    let config = policy["spec"]["wasm"][0]["config"].to_string();
    let proxy = &objects(&bundle, "envoy-gateway/envoy-proxy.yaml")[0];
    let merged = parse(proxy["spec"]["bootstrap"]["value"].as_str().unwrap()).remove(0);
    let gateway = BareEnvoy::start(|bootstrap| {
        configure(bootstrap, &config);
        bootstrap["node"]["metadata"] = merged["node"]["metadata"].clone();
        bootstrap["stats_config"] = merged["stats_config"].clone();
        let resources = &mut bootstrap["static_resources"];
        resources["listeners"][0]["traffic_direction"] = json!("OUTBOUND");
        resources["clusters"][1]["metadata"] = json!({});
    })
    .await;
    let prometheus = Prometheus::of(envoy_gateway(), &[gateway.metrics]).await;
    let _traffic = Traffic::start(gateway.traffic, None);
    all_answer(&prometheus, envoy_gateway()).await;
}

#[tokio::test]
async fn every_query_answers_of_bare_envoys() {
    let server = BareEnvoy::start(|_| {}).await;
    let client = BareEnvoy::configured(json!({ "direction": "outbound" }), |bootstrap| {
        let resources = &mut bootstrap["static_resources"];
        resources["listeners"][0]["traffic_direction"] = json!("OUTBOUND");
        endpoint(resources, 1)["socket_address"]["port_value"] = json!(server.traffic.port());
    })
    .await;
    let app = TcpApp::start(b"").await.unwrap();
    let tcp = pair(&app, true).await;
    let targets = [
        server.metrics,
        client.metrics,
        tcp.inbound.metrics,
        tcp.outbound.metrics,
    ];
    let prometheus = Prometheus::of(bare(), &targets).await;
    let _traffic = Traffic::start(client.traffic, Some(tcp.outbound.traffic));
    all_answer(&prometheus, bare()).await;
    for metric in KIALI.iter().chain(&WASM) {
        answers(&prometheus, metric).await;
    }
    // The name in Istio's dashboard.
    let older = prometheus.series("envoy_wasm_vm_v8_active").await;
    assert_eq!(older, Some(vec![]));
}

fn istio() -> Value {
    json!({ "image": IMAGE })
}

fn envoy_gateway() -> Value {
    json!({ "image": IMAGE, "target": "envoy-gateway" })
}

fn bare() -> Value {
    json!({ "image": "/opt/mixerless.wasm", "target": "envoy" })
}

/// Everything that the dashboards ask, once for all and once for a choice of two.
async fn all_answer(prometheus: &Prometheus, settings: Value) {
    let bundle = manifests(settings);
    for choice in [".*", "(podinfo.*|cart|test|shop|eg|default|unknown)"] {
        let mut asked = 0;
        for (file, dashboard) in dashboards(&bundle) {
            for panel in dashboard["panels"].as_array().unwrap() {
                for target in panel["targets"].as_array().into_iter().flatten() {
                    let query = filled_in(target["expr"].as_str().unwrap(), choice);
                    println!("{file}: {}", panel["title"]);
                    answers(prometheus, &query).await;
                    asked += 1;
                }
            }
            for variable in &dashboard["templating"]["list"].as_array().unwrap()[1..] {
                let query = variable["query"]["query"].as_str().unwrap();
                let values = values(query);
                answers(prometheus, &filled_in(&values, choice)).await;
                asked += 1;
            }
        }
        assert!(asked > 50, "{asked}");
        println!("{asked} queries");
    }
}

/// What Grafana asks for the values of a variable.
fn values(query: &str) -> String {
    let inside = query.trim_end_matches(')');
    if let Some(inside) = inside.strip_prefix("label_values(") {
        let (series, label) = inside.rsplit_once(", ").unwrap();
        return format!("group by ({label}) ({series})");
    }
    let inside = query.strip_prefix("query_result(").unwrap();
    inside.strip_suffix(')').unwrap().to_owned()
}

/// As Grafana fills it in, with the same choice for every variable.
fn filled_in(query: &str, choice: &str) -> String {
    let query = query.replace("$__rate_interval", "1m");
    ["namespace", "service", "workload"]
        .iter()
        .fold(query, |query, variable| {
            query.replace(&format!("${variable}"), choice)
        })
}

async fn answers(prometheus: &Prometheus, query: &str) {
    let answered = eventually(query, async || {
        let series = prometheus.series(query).await;
        Ok(series
            .filter(|values| !values.is_empty() && values.iter().all(|value| value.is_finite())))
    });
    answered.await.unwrap();
}

#[test]
fn grafana_can_read_every_dashboard() {
    let schema = schema();
    let mut uids = Vec::new();
    for settings in [istio(), envoy_gateway(), bare()] {
        for (file, dashboard) in dashboards(&manifests(settings)) {
            assert_eq!(complaints(&schema, &dashboard), [""; 0], "{file}");
            has_places_of_its_own(&dashboard);
            knows_its_variables(&dashboard);
            uids.push(dashboard["uid"].as_str().unwrap().to_owned());
        }
    }
    uids.sort_unstable();
    uids.dedup();
    assert_eq!(
        uids,
        ["mixerless-mesh", "mixerless-service", "mixerless-workload"]
    );
}

#[test]
fn what_grafana_would_ignore_or_misread_is_noticed() {
    let schema = schema();
    let bundle = manifests(istio());
    let (_, good) = dashboards(&bundle).remove(0);
    for (pointer, value) in [
        ("/colour", json!(1)),
        ("/panels/1/type", json!("graph")),
        ("/panels/1/gridPos/w", json!(25)),
        ("/panels/1/description", json!("")),
        ("/panels/1/fieldConfig/defaults/unit", json!("requests")),
        ("/panels/1/targets/0/refId", json!("a")),
        ("/panels/1/options/textMode", json!("large")),
        ("/templating/list/1/multi", json!(false)),
    ] {
        let mut bad = good.clone();
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        bad.pointer_mut(parent).unwrap()[field] = value;
        assert_ne!(complaints(&schema, &bad), [""; 0], "{pointer}");
    }
}

/// No two panels have an id or a place in common.
fn has_places_of_its_own(dashboard: &Value) {
    let mut taken = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        assert!(ids.insert(panel["id"].as_u64().unwrap()));
        let [x, y, w, h] =
            ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap());
        assert!(x + w <= 24, "{}", panel["title"]);
        for place in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(taken.insert(place), "{}", panel["title"]);
        }
    }
}

fn knows_its_variables(dashboard: &Value) {
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let variables: Vec<&str> = variables
        .iter()
        .map(|variable| variable["name"].as_str().unwrap())
        .collect();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            for used in target["expr"].as_str().unwrap().split('$').skip(1) {
                let used = used.split(|c: char| !c.is_alphanumeric() && c != '_');
                let used = used.into_iter().next().unwrap();
                assert!(
                    used == "__rate_interval" || variables.contains(&used),
                    "{used}"
                );
            }
        }
    }
}

fn dashboards(bundle: &Bundle) -> Vec<(String, Value)> {
    let files = bundle.files().iter();
    let files = files.filter(|file| file.path.starts_with("grafana/"));
    files
        .map(|file| (file.path.clone(), serde_json::from_str(&file.text).unwrap()))
        .collect()
}

fn schema() -> jsonschema::Validator {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mesh/schemas/grafana.json");
    let schema = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    jsonschema::validator_for(&schema).unwrap()
}

fn complaints(schema: &jsonschema::Validator, dashboard: &Value) -> Vec<String> {
    let errors = schema.iter_errors(dashboard);
    errors
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect()
}

/// Requests of which some fail, and connections, until it is dropped.
struct Traffic {
    _tasks: JoinSet<()>,
}

impl Traffic {
    fn start(http: SocketAddr, tcp: Option<SocketAddr>) -> Self {
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut client = Client::http1(http).await.unwrap();
            for path in ["/version", "/version", "/status/503"].into_iter().cycle() {
                client.get(path).await.unwrap();
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        if let Some(tcp) = tcp {
            tasks.spawn(async move {
                loop {
                    exchange(tcp, b"").await.unwrap();
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            });
        }
        Self { _tasks: tasks }
    }
}
