//! The set-up of the tests, and functions that examine pages and logs.

use bytes::Bytes;
use harness::client::request;
use harness::page::Sample;
use harness::{App, Client, Page, Response, Sidecar, SidecarBuilder, eventually};
use http_body_util::Full;
use hyper::{Method, Request};
use serde_json::Value;
use stats_core::labels::stat_name;

/// The counter of requests.
pub const REQUESTS: &str = "istio_requests_total";

/// A server's sidecar with that configuration, which adds these labels, and the application behind it.
pub async fn inbound(config: Value, labels: &[&str]) -> (App, Sidecar) {
    start(SidecarBuilder::inbound(), config, labels).await
}

/// A client's sidecar with that configuration, which adds these labels, and a server without a sidecar.
pub async fn outbound(config: Value, labels: &[&str]) -> (App, Sidecar) {
    start(SidecarBuilder::outbound(), config, labels).await
}

/// A sidecar with that configuration, which adds these labels, and the application as its upstream.
pub async fn start(sidecar: SidecarBuilder, config: Value, labels: &[&str]) -> (App, Sidecar) {
    let sidecar = sidecar.plugin_config(config).labels(labels);
    sidecar.start_with_app().await.unwrap()
}

/// GET over a new HTTP/1.1 connection.
pub async fn get(sidecar: &Sidecar, path: &str) -> Response {
    client(sidecar).await.get(path).await.unwrap()
}

/// An HTTP/1.1 connection.
pub async fn client(sidecar: &Sidecar) -> Client {
    Client::http1(sidecar.traffic).await.unwrap()
}

/// GET of that host.
pub fn to_host(host: &str) -> Request<Full<Bytes>> {
    let mut request = request(Method::GET, "/version").unwrap();
    *request.uri_mut() = format!("http://{host}/version").parse().unwrap();
    request
}

/// The page once that many requests are counted; unlike [`Sidecar::page_after`], it does not wait for the histograms.
pub async fn page_after(sidecar: &Sidecar, requests: u32) -> Page {
    let counted = |page: &Page| page.sum(REQUESTS, &[]) >= f64::from(requests);
    let what = format!("{requests} requests in the counter");
    sidecar.page_when(&what, counted).await.unwrap()
}

/// The only series of that name.
pub fn only<'a>(page: &'a Page, name: &str) -> &'a Sample {
    let series = page.series(name);
    assert_eq!(series.len(), 1, "{name}: {series:#?}");
    series[0]
}

/// The sum of these series as Prometheus writes it.
pub fn sum(page: &Page, name: &str, labels: &[(&str, &str)]) -> String {
    page.sum(name, labels).to_string()
}

/// The labels of each stat of that metric, in the order in which its name has them.
pub async fn label_order(sidecar: &Sidecar, metric: &str) -> Vec<Vec<String>> {
    let path = format!("/stats?usedonly&filter={metric}");
    let stats = sidecar.envoy.admin_get(&path).await.unwrap().text();
    let names = stats
        .lines()
        .filter_map(|line| line.strip_prefix("wasmcustom.")?.rsplit_once(": "))
        .filter_map(|(name, _)| stat_name::parse(name));
    names
        .filter(|(_, name)| *name == metric)
        .map(|(labels, _)| {
            labels
                .into_iter()
                .map(|(label, _)| label.to_owned())
                .collect()
        })
        .collect()
}

/// The module's own lines in Envoy's log, without Envoy's prefix; each text once, because each of Envoy's
/// threads configures a copy of the plugin.
pub fn module_log(sidecar: &Sidecar) -> Vec<String> {
    let mut lines = module_lines(sidecar);
    lines.sort();
    lines.dedup();
    lines
}

/// The module's own lines in Envoy's log, without Envoy's prefix.
pub fn module_lines(sidecar: &Sidecar) -> Vec<String> {
    let log = sidecar.envoy.log().unwrap();
    log.lines()
        .filter_map(|line| line.split_once("wasm log mixerless"))
        .filter_map(|(_, line)| Some(line.split_once(": ")?.1.to_owned()))
        .collect()
}

/// The access log once it has that many lines.
pub async fn access_log(sidecar: &Sidecar, lines: usize) -> Vec<String> {
    let log = eventually("lines in the access log", async || {
        Ok(Some(sidecar.access_log()?).filter(|log| log.len() >= lines))
    });
    log.await.unwrap()
}
