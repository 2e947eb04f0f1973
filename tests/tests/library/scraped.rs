//! The example service, scraped by a real Prometheus.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command};
use std::sync::Arc;

use harness::{Client, eventually};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::SETUP;

#[expect(dead_code, reason = "the example's main is the example's")]
#[path = "../../../stats-core/examples/hyper_service.rs"]
mod hyper_service;

/// A Prometheus that runs until this is dropped.
struct Prometheus {
    process: Child,
    address: SocketAddr,
    _directory: TempDir,
}

impl Prometheus {
    fn start(target: SocketAddr) -> Self {
        let directory = TempDir::new().unwrap();
        let config = directory.path().join("prometheus.yaml");
        let scrape = format!(
            "scrape_configs:\n- job_name: example\n  scrape_interval: 200ms\n  scrape_timeout: 200ms\n  \
             static_configs:\n  - targets: [\"{target}\"]\n"
        );
        fs::write(&config, scrape).unwrap();
        // Prometheus cannot choose a port and tell.
        let port = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = port.local_addr().unwrap();
        drop(port);
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                directory.path().join("tsdb").display()
            ))
            .arg(format!("--web.listen-address={address}"))
            .stderr(File::create(directory.path().join("prometheus.log")).unwrap())
            .spawn();
        Self {
            process: process.unwrap_or_else(|error| panic!("prometheus: {error}; {SETUP}")),
            address,
            _directory: directory,
        }
    }

    /// The query's value, once there is one that is at least so much.
    async fn at_least(&self, query: &str, least: f64) -> f64 {
        let answer = eventually(query, async || {
            let Ok(mut client) = Client::http1(self.address).await else {
                return Ok(None);
            };
            let Ok(response) = client.get(&format!("/api/v1/query?query={query}")).await else {
                return Ok(None);
            };
            let Ok(answer) = serde_json::from_slice::<Value>(&response.body) else {
                return Ok(None);
            };
            let value = answer["data"]["result"][0]["value"][1].as_str();
            let value: Option<f64> = value.and_then(|value| value.parse().ok());
            Ok(value.filter(|value| *value >= least))
        });
        answer.await.unwrap()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // Fails only for a process that is already gone.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn prometheus_scrapes_the_example_as_open_metrics() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let metrics = Arc::new(hyper_service::Metrics::new().unwrap());
    let service = tokio::spawn(hyper_service::serve(listener, metrics));
    let mut client = Client::http1(address).await.unwrap();
    for _ in 0..3 {
        assert_eq!(
            client.get("/hello").await.unwrap().text(),
            "You asked for /hello.\n"
        );
    }
    let prometheus = Prometheus::start(address);
    let hello = "app_http_requests_total{path=\"/hello\",method=\"GET\",code=\"200\"}";
    let hello = hello
        .replace('{', "%7B")
        .replace('}', "%7D")
        .replace('"', "%22");
    let requests = prometheus.at_least(&hello, 3.0).await;
    assert!((requests - 3.0).abs() < 1e-9, "{requests}");
    prometheus
        .at_least("app_http_request_duration_seconds_count", 4.0)
        .await;
    prometheus
        .at_least(
            "app_http_request_duration_seconds_bucket%7Ble=%22%2BInf%22%7D",
            4.0,
        )
        .await;
    // Only OpenMetrics has this one: what Prometheus asked for is what it got.
    prometheus
        .at_least("app_http_request_duration_seconds_created", 1.0)
        .await;
    service.abort();
}
