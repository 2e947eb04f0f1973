//! The pieces for a bare Envoy.

use std::fs;
use std::process::Command;

use envoyfilter_manifests::plugin_config::PluginConfig;
use harness::envoy::{ADMIN_SOCKET, EnvoyOptions};
use harness::envoy_config::tcp_proxy;
use harness::{App, Client, Envoy, Page, eventually, install};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{IMAGE, manifests, must, objects, parse};

#[tokio::test]
async fn envoy_accepts_the_bootstrap_and_each_piece_is_in_it() {
    let bundle = manifests(json!({ "image": install::module().unwrap(), "target": "envoy" }));
    let bootstrap = objects(&bundle, "envoy/bootstrap.yaml").remove(0);
    let listeners = &bootstrap["static_resources"]["listeners"];
    assert_eq!(
        objects(&bundle, "envoy/stats-config.yaml")[0]["stats_config"],
        bootstrap["stats_config"]
    );
    assert_eq!(
        objects(&bundle, "envoy/stats-listener.yaml")[0],
        listeners[1]
    );
    let filters = &listeners[0]["filter_chains"][0]["filters"][0]["typed_config"]["http_filters"];
    assert_eq!(objects(&bundle, "envoy/http-filter.yaml")[0], filters[0]);

    validate(
        &bundle
            .files()
            .iter()
            .find(|file| file.path == "envoy/bootstrap.yaml")
            .unwrap()
            .text,
    )
    .await;
}

/// Envoy Gateway merges its part into a bootstrap of its own.
#[tokio::test]
async fn envoy_accepts_what_envoy_gateway_merges_into_its_bootstrap() {
    let bundle = manifests(json!({ "image": IMAGE, "target": "envoy-gateway" }));
    let envoy_proxy = &objects(&bundle, "envoy-gateway/envoy-proxy.yaml")[0];
    let mut bootstrap =
        parse(envoy_proxy["spec"]["bootstrap"]["value"].as_str().unwrap()).remove(0);
    bootstrap["node"]["id"] = json!("gateway");
    bootstrap["node"]["cluster"] = json!("gateway");
    validate(&bootstrap.to_string()).await;
}

#[tokio::test]
async fn the_bootstrap_counts_requests_with_all_labels_and_shows_nothing_but_the_page() {
    let proxy = BareEnvoy::start(|_| {}).await;
    proxy.get("/version").await;
    let page = proxy
        .page_when("a request is counted", |page| {
            !page.series("istio_requests_total").is_empty()
        })
        .await;
    let requests = page.series("istio_requests_total");
    assert!(requests[0].has(&[
        ("reporter", "destination"),
        ("destination_workload", "podinfo"),
        ("destination_service", "podinfo.test.svc.cluster.local"),
        ("source_workload", "unknown"),
        ("response_code", "200"),
    ]));
    assert_eq!(requests[0].labels.len(), stats_core::labels::LABELS.len());

    let mut metrics = Client::http1(proxy.metrics).await.unwrap();
    for path in [
        "/",
        "/config_dump",
        "/stats/prometheus/../config_dump",
        "/stats",
    ] {
        assert_eq!(metrics.get(path).await.unwrap().status, 404, "{path}");
    }
}

/// User-defined labels, and another prefix: the rules are made from the configuration that emits them.
#[tokio::test]
async fn labels_of_ones_own_come_out_of_the_names_too() {
    let config = json!({
        "metrics": [{ "dimensions": { "request_host": "request.host" } }],
        "peer_unknown_reason": true,
        "stat_prefix": "mesh",
    });
    let proxy = BareEnvoy::configured(config, |_| {}).await;
    proxy.get("/version").await;
    let counted = |page: &Page| !page.series("mesh_requests_total").is_empty();
    let page = proxy.page_when("a request is counted", counted).await;
    let requests = page.series("mesh_requests_total");
    assert!(requests[0].has(&[
        ("request_host", harness::client::AUTHORITY),
        ("peer_unknown_reason", "no_metadata"),
        ("response_code", "200"),
    ]));
    let glued: Vec<&String> = page
        .families
        .keys()
        .filter(|name| name.contains("___"))
        .collect();
    assert!(glued.is_empty(), "{glued:?}");
}

/// What does not parse here is what Envoy does not parse, whose module then leaves the label out.
#[tokio::test]
async fn expressions_are_judged_as_envoy_judges_them() {
    let expressions = [
        "request.host",
        "'a' + \"b\"",
        "has(request.headers['x'])",
        "['a'].exists(x, x == request.method)",
        "request.headers[?'x']",
        "response.code >= ",
        "request.host ==== 'a'",
        "'open",
        "size(request.path",
        "a b",
        "1 ? 2",
        "request..host",
    ];
    let labels: Vec<String> = (0..expressions.len())
        .map(|at| format!("label_{at}"))
        .collect();
    let config = |expression: &dyn Fn(usize) -> String| {
        let dimensions: serde_json::Map<String, Value> = labels
            .iter()
            .enumerate()
            .map(|(at, label)| (label.clone(), json!(expression(at))))
            .collect();
        json!({ "metrics": [{ "dimensions": dimensions }] })
    };
    let asked = config(&|at| expressions[at].to_owned()).to_string();
    let proxy = BareEnvoy::configured(config(&|_| "'a'".to_owned()), |bootstrap| {
        configure(bootstrap, &asked);
    })
    .await;
    proxy.get("/version").await;
    let counted = |page: &Page| !page.series("istio_requests_total").is_empty();
    let page = proxy.page_when("a request is counted", counted).await;
    let series = page.series("istio_requests_total");
    for (label, expression) in labels.iter().zip(expressions) {
        let by_envoy = series[0].label(label).is_some();
        let config = json!({ "metrics": [{ "match": expression }] });
        let here = PluginConfig::from_setting(&config).is_ok();
        assert_eq!(here, by_envoy, "{expression}");
    }
}

async fn validate(bootstrap: &str) {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("bootstrap.yaml");
    fs::write(&file, bootstrap).unwrap();
    let mut envoy = Command::new(install::envoy().unwrap());
    envoy
        .args(["--mode", "validate", "--config-path"])
        .arg(&file);
    must(envoy).await;
}

/// The generated bootstrap at work, on free ports, before an application that runs.
pub struct BareEnvoy {
    _app: App,
    _envoy: Envoy,
    pub traffic: std::net::SocketAddr,
    pub metrics: std::net::SocketAddr,
}

impl BareEnvoy {
    /// Starts it with a change to the bootstrap.
    pub async fn start(change: impl FnOnce(&mut Value)) -> Self {
        Self::configured(json!({}), change).await
    }

    /// Starts it with a configuration of the module as well.
    pub async fn configured(plugin_config: Value, change: impl FnOnce(&mut Value)) -> Self {
        let module = install::module().unwrap();
        let bundle = manifests(
            json!({ "image": module, "target": "envoy", "plugin-config": plugin_config }),
        );
        let mut bootstrap = objects(&bundle, "envoy/bootstrap.yaml").remove(0);
        let app = App::start().await.unwrap();
        let resources = &mut bootstrap["static_resources"];
        for listener in resources["listeners"].as_array_mut().unwrap() {
            listener["address"]["socket_address"] =
                json!({ "address": "127.0.0.1", "port_value": 0 });
        }
        *endpoint(resources, 0) = json!({ "pipe": { "path": ADMIN_SOCKET } });
        endpoint(resources, 1)["socket_address"]["port_value"] = json!(app.address().port());
        bootstrap["stats_flush_interval"] = json!("0.1s");
        change(&mut bootstrap);
        let envoy = Envoy::start(&bootstrap, &EnvoyOptions::default())
            .await
            .unwrap();
        Self {
            traffic: envoy.listener("inbound").await.unwrap(),
            metrics: envoy.listener("stats").await.unwrap(),
            _app: app,
            _envoy: envoy,
        }
    }

    /// A request through the proxy.
    pub async fn get(&self, path: &str) {
        let mut client = Client::http1(self.traffic).await.unwrap();
        client.get(path).await.unwrap();
    }

    /// The page as text.
    pub async fn text(&self) -> String {
        let mut client = Client::http1(self.metrics).await.unwrap();
        client.get("/stats/prometheus").await.unwrap().text()
    }

    /// Waits until this is on the page.
    pub async fn shows(&self, what: &str) {
        let shown = eventually(what, async || {
            Ok(self.text().await.contains(what).then_some(()))
        });
        shown.await.unwrap();
    }

    /// The page once it satisfies a condition.
    pub async fn page_when(&self, what: &str, condition: impl Fn(&Page) -> bool) -> Page {
        let page = eventually(what, async || {
            Ok(Some(Page::parse(&self.text().await)?).filter(|page| condition(page)))
        });
        page.await.unwrap()
    }
}

/// The address of a cluster's only endpoint.
pub fn endpoint(resources: &mut Value, cluster: usize) -> &mut Value {
    let load = &mut resources["clusters"][cluster]["load_assignment"];
    &mut load["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]
}

/// The traffic listener's connection manager.
pub fn connection_manager(bootstrap: &mut Value) -> &mut Value {
    let pointer = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";
    bootstrap.pointer_mut(pointer).unwrap()
}

/// Its filters.
pub fn http_filters(bootstrap: &mut Value) -> &mut Value {
    &mut connection_manager(bootstrap)["http_filters"]
}

/// Gives the module this configuration, whether it will take it or not.
pub fn configure(bootstrap: &mut Value, config: &str) {
    http_filters(bootstrap)[0]["typed_config"]["config"]["configuration"]["value"] = json!(config);
}

/// Puts the module into the chain a second time, under another name.
pub fn twice(bootstrap: &mut Value) {
    let filters = http_filters(bootstrap).as_array_mut().unwrap();
    let mut second = filters[0].clone();
    second["name"] = json!("mixerless.again");
    second["typed_config"]["config"]["name"] = json!("mixerless.again");
    filters.insert(1, second);
}

/// Another extension makes metrics of the same names, as Istio's native ones would.
pub fn made_twice(bootstrap: &mut Value) {
    let tags = [
        ("reporter", "destination"),
        ("response_code", "%RESPONSE_CODE%"),
    ];
    connection_manager(bootstrap)["access_log"] = json!([stats_logger("requests_total", &tags)]);
}

/// Has the listener take TCP connections, with the module in front of the proxy that sends them on.
pub fn take_tcp(bootstrap: &mut Value) -> &mut Vec<Value> {
    let mut module = http_filters(bootstrap)[0].clone();
    module["typed_config"]["@type"] =
        json!("type.googleapis.com/envoy.extensions.filters.network.wasm.v3.Wasm");
    let resources = &mut bootstrap["static_resources"];
    let cluster = resources["clusters"][1]["name"].as_str().unwrap();
    let proxy = tcp_proxy("inbound", cluster);
    let filters = &mut resources["listeners"][0]["filter_chains"][0]["filters"];
    *filters = json!([module, proxy]);
    filters.as_array_mut().unwrap()
}

/// The module counts each connection twice.
pub fn tcp_twice(bootstrap: &mut Value) {
    let filters = take_tcp(bootstrap);
    let mut second = filters[0].clone();
    second["name"] = json!("mixerless.again");
    second["typed_config"]["config"]["name"] = json!("mixerless.again");
    filters.insert(1, second);
}

/// Another extension makes a metric of connections too.
pub fn tcp_made_twice(bootstrap: &mut Value) {
    let logger = stats_logger(
        "tcp_connections_opened_total",
        &[("reporter", "destination")],
    );
    take_tcp(bootstrap)[1]["typed_config"]["access_log"] = json!([logger]);
}

/// Envoy's own logger that counts, under the names that the module's metrics have.
fn stats_logger(name: &str, tags: &[(&str, &str)]) -> Value {
    let tag = |(name, value): &(&str, &str)| json!({ "name": name, "value_format": value });
    let tags: Vec<Value> = tags.iter().map(tag).collect();
    json!({
        "name": "envoy.access_loggers.stats",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.stats.v3.Config",
            "stat_prefix": "wasmcustom.istio",
            "counters": [{ "stat": { "name": name, "tags": tags }, "value_fixed": 1 }],
        },
    })
}
