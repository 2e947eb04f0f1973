//! `mixerless check` as the gate of a rollout, of real Envoys with real faults.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use harness::{Client, Mesh, Roles};
use serde_json::{Value, json};
use tokio::task::AbortHandle;

use crate::bare_envoy::{BareEnvoy, configure, http_filters, made_twice, twice};
use crate::prometheus::Prometheus;
use crate::support::{free_port, mixerless, run, texts};

/// As in `docs/check.md`, with less patience.
const SCRIPT: &str = r#"
"$MIXERLESS" check "$1" --since 1500ms --fail-on error
case $? in
  0) echo promoted ;;
  1) echo rolled back ;;
  *) echo not checked ;;
esac
"#;

type Change = fn(&mut Value);

#[tokio::test]
async fn a_rollout_goes_on_stops_at_each_fault_and_goes_on_again() {
    let versions: [(&str, Change, &str, &str); 9] = [
        ("in order", |_| {}, "promoted", "all is well"),
        (
            "labels in names",
            no_rules,
            "rolled back",
            "labels-in-names",
        ),
        ("two copies", twice, "rolled back", "counted-twice"),
        (
            "native metrics too",
            made_twice,
            "rolled back",
            "made-twice",
        ),
        (
            "a refused configuration",
            refused,
            "rolled back",
            "config-refused",
        ),
        ("without the module", no_module, "rolled back", "no-metrics"),
        (
            "without node metadata",
            no_node,
            "rolled back",
            "unknown-self",
        ),
        (
            "bounds too few, a warning",
            few_bounds,
            "promoted",
            "missing-buckets",
        ),
        ("in order again", |_| {}, "promoted", "all is well"),
    ];
    for (name, change, decision, reason) in versions {
        let proxy = BareEnvoy::start(change).await;
        let traffic = Traffic::to(proxy.traffic);
        let output = rollout(&proxy.metrics.to_string()).await;
        assert!(
            output.ends_with(&format!("{decision}\n")),
            "{name}: {output}"
        );
        assert!(output.contains(reason), "{name}: {output}");
        drop(traffic);
    }
    let gone = rollout(&free_port().to_string()).await;
    assert!(gone.ends_with("not checked\n"), "{gone}");
}

/// What went wrong while a proxy started must not fail its rollout for ever.
#[tokio::test]
async fn with_since_only_what_happens_meanwhile_is_judged() {
    let proxy = BareEnvoy::configured(json!({ "max_series": 2 }), |_| {}).await;
    for path in ["/version", "/status/201", "/status/202", "/status/204"] {
        proxy.get(path).await;
    }
    let address = proxy.metrics.to_string();
    let flags = ["--fail-on", "error", "--threshold", "49"];
    assert_eq!(code(&address, &flags[..2]).await.0, Some(1));
    // Two of four requests: more than 49 %, not more than 50 %.
    assert_eq!(code(&address, &flags).await.0, Some(1));
    assert_eq!(
        code(&address, &["--fail-on", "error", "--threshold", "50%"])
            .await
            .0,
        Some(0)
    );
    let ignored = [
        "--ignore",
        "series-over-limit",
        "--ignore",
        "series-near-limit",
    ];
    assert_eq!(code(&address, &ignored).await.0, Some(0));

    let since = ["--since", "1s", "--fail-on", "error"];
    let (status, text) = code(&address, &since).await;
    assert_eq!(status, Some(0), "{text}");
    assert!(
        text.contains("warning no-requests: No request was counted in the time"),
        "{text}"
    );

    let traffic = Traffic::to(proxy.traffic);
    let (status, text) = code(&address, &since).await;
    assert_eq!(status, Some(0), "{text}");
    assert!(!text.contains("no-requests"), "{text}");
    drop(traffic);
}

#[tokio::test]
async fn a_fleet_is_judged_from_what_prometheus_has_of_it() {
    let mesh = Mesh::builder().start().await.unwrap();
    mesh.get("/version").await.unwrap();
    let targets = [mesh.inbound.metrics, mesh.outbound.metrics];
    let prometheus = Prometheus::start(&targets).await;
    prometheus
        .at_least("count(istio_requests_total)", 2.0)
        .await;
    let traffic = Traffic::to(mesh.outbound.traffic);
    // Of both: `min` would pass over one that has no rate yet.
    let both = "count(increase(istio_requests_total[10s]) > 4)";
    prometheus.at_least(both, 2.0).await;
    let buckets = "count(count by (instance) (istio_request_duration_milliseconds_bucket))";
    prometheus.at_least(buckets, 2.0).await;

    let (status, text) = fleet(&prometheus).await;
    assert_eq!(status, Some(0), "{text}");
    for target in targets {
        assert!(text.contains(&format!("{target}: all is well\n")), "{text}");
    }

    drop(traffic);
    drop(mesh.outbound);
    prometheus.at_least("count(up == 0)", 1.0).await;
    let (status, text) = fleet(&prometheus).await;
    assert_eq!(status, Some(2), "{text}");
    assert!(
        text.contains(&format!(
            "{}:\n  error no-stats-listener: Prometheus cannot",
            targets[1]
        )),
        "{text}"
    );
}

/// Peers that do not exchange metadata, and a limit that is reached.
#[tokio::test]
async fn a_fleets_faults_are_found_too() {
    let config = json!({ "max_series": 1 });
    let mesh = Mesh::builder()
        .outbound(|sidecar| sidecar.roles(Roles::None))
        .inbound(|sidecar| sidecar.plugin_config(config))
        .start()
        .await
        .unwrap();
    for path in ["/version", "/status/404"] {
        mesh.get(path).await.unwrap();
    }
    let prometheus = Prometheus::start(&[mesh.inbound.metrics]).await;
    prometheus
        .at_least("count(istio_requests_total)", 2.0)
        .await;
    let increases = "count(increase(istio_requests_total[10s]) > 0)";
    let _traffic = [
        Traffic::to(mesh.outbound.traffic),
        Traffic::on(mesh.outbound.traffic, "/status/404"),
    ];
    prometheus.at_least(increases, 2.0).await;
    let (status, text) = fleet(&prometheus).await;
    assert_eq!(status, Some(1), "{text}");
    for fault in ["error series-over-limit", "warning unknown-peers"] {
        assert!(text.contains(fault), "{text}");
    }
}

async fn fleet(prometheus: &Prometheus) -> (Option<i32>, String) {
    let mut command = mixerless();
    let url = format!("http://{}/", prometheus.address);
    command.args(["check", "--prometheus", &url, "--since", "10s"]);
    let output = run(command).await;
    let (stdout, stderr) = texts(&output);
    (output.status.code(), stdout + &stderr)
}

/// The decision of the script, below what the check printed.
async fn rollout(address: &str) -> String {
    let directory = tempfile::TempDir::new().unwrap();
    let script = directory.path().join("rollout.sh");
    fs::write(&script, SCRIPT).unwrap();
    let mut shell = Command::new("sh");
    shell
        .arg(&script)
        .arg(address)
        .env("MIXERLESS", env!("CARGO_BIN_EXE_mixerless"));
    let (stdout, stderr) = texts(&run(shell).await);
    assert_eq!(stderr, "");
    stdout
}

async fn code(address: &str, flags: &[&str]) -> (Option<i32>, String) {
    let mut command = mixerless();
    command.args(["check", address]).args(flags);
    let output = run(command).await;
    (output.status.code(), texts(&output).0)
}

/// Requests, one after the other, until this is dropped.
pub struct Traffic(AbortHandle);

impl Traffic {
    /// To the usual path.
    pub fn to(address: SocketAddr) -> Self {
        Self::on(address, "/version")
    }

    /// To another path.
    pub fn on(address: SocketAddr, path: &'static str) -> Self {
        let requests = tokio::spawn(async move {
            let mut client = Client::http1(address).await.unwrap();
            loop {
                client.get(path).await.unwrap();
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        Self(requests.abort_handle())
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn no_rules(bootstrap: &mut Value) {
    bootstrap.as_object_mut().unwrap().remove("stats_config");
}

fn refused(bootstrap: &mut Value) {
    configure(bootstrap, r#"{"max_series": "many"}"#);
}

fn no_module(bootstrap: &mut Value) {
    http_filters(bootstrap).as_array_mut().unwrap().remove(0);
}

fn no_node(bootstrap: &mut Value) {
    bootstrap["node"]
        .as_object_mut()
        .unwrap()
        .remove("metadata");
}

fn few_bounds(bootstrap: &mut Value) {
    bootstrap["stats_config"]["histogram_bucket_settings"] =
        json!([{ "match": { "prefix": "wasmcustom" }, "buckets": [5, 10, 1000] }]);
}
