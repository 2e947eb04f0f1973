//! A real Prometheus with the generated configuration, on proxies with known failures and delays.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use harness::{Client, Mesh, Page, eventually};
use reqwest::Url;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{IMAGE, Server, free_port, manifests, must, objects, parse, write};

/// Enough that one percent is more than one.
const GOOD: u32 = 190;
const FAILED: u32 = 5;
const SLOW: u32 = 5;
const ALL: f64 = 200.0;
const PER_SECOND: f64 = ALL / 60.0;
/// Duration and success as a workload's clients see them, and as the canary's queries see them.
const SUCCESS_PERCENT: f64 = 97.5;

const REQUESTS: &str = "istio_requests_total";
const BUCKETS: &str = "istio_request_duration_milliseconds_bucket";

#[tokio::test]
async fn canary_autoscaler_and_rules_see_the_failures_and_the_delays() {
    let mesh = Mesh::builder().start().await.unwrap();
    let (prometheus, p99) = observed(&mesh).await;
    the_canary_fails(&prometheus, p99).await;
    the_autoscaler_sees_the_rate(&prometheus).await;
    the_rules_record_the_same(&prometheus, p99).await;
    every_rule_has_a_value(&prometheus).await;
}

/// A failure is one although its label set came too late for a series of its own.
#[tokio::test]
async fn beyond_the_limit_of_series_the_canary_sees_the_same() {
    let config = json!({ "max_series": 1 });
    let mesh = Mesh::builder().both(|sidecar| sidecar.plugin_config(config.clone()));
    let mesh = mesh.start().await.unwrap();
    let (prometheus, p99) = observed(&mesh).await;
    let beyond = format!("sum({REQUESTS}{{source_workload=\"overflow\",response_code=\"503\"}})");
    let failed = prometheus.number(&beyond).await;
    assert_eq!(failed.to_string(), (FAILED + 1).to_string());
    the_canary_fails(&prometheus, p99).await;
}

/// Prometheus when it has seen the traffic, and the 99th percentile of its duration.
async fn observed(mesh: &Mesh) -> (Prometheus, f64) {
    // One of each, so that every series is there from the first scrape on: rates then see all that follows.
    traffic(mesh, 1, 1, 1).await;
    let before = mesh.inbound.page_after(3).await.unwrap();
    mesh.outbound.page_after(3).await.unwrap();
    let targets = [mesh.inbound.metrics, mesh.outbound.metrics];
    let prometheus = Prometheus::start(&targets).await;
    prometheus
        .at_least("count(istio_requests_total)", 4.0)
        .await;
    prometheus.at_least(&format!("count({BUCKETS})"), 4.0).await;

    // Rates extrapolate by up to a scrape on each side. With this many, that is a few percent.
    let scrapes = format!("min(count_over_time({REQUESTS}[1m]))");
    prometheus.at_least(&scrapes, 40.0).await;

    traffic(mesh, GOOD, FAILED, SLOW).await;
    let after = mesh.inbound.page_after(203).await.unwrap();
    let requests = format!("sum({REQUESTS}{{reporter=\"destination\"}})");
    prometheus.at_least(&requests, 203.0).await;
    prometheus
        .at_least("sum(istio_request_duration_milliseconds_count)", 406.0)
        .await;
    // The recording rules have the same result.
    let now = prometheus.number("time()").await;
    let recorded = "min(timestamp(workload:istio_request_duration_milliseconds:p99_1m))";
    prometheus.at_least(recorded, now).await;
    (prometheus.frozen().await, p99(&before, &after))
}

/// With its own templates and limits: too many requests fail, and too many are slow.
async fn the_canary_fails(prometheus: &Prometheus, p99: f64) {
    let istio = manifests(podinfo());
    let canary = &objects(&istio, "flagger/canary.yaml")[0];
    let limit = |at: usize| &canary["spec"]["analysis"]["metrics"][at]["thresholdRange"];
    let [success, duration] = [0, 1].map(|at| {
        let metric = &canary["spec"]["analysis"]["metrics"][at];
        let templates = objects(&istio, "flagger/metric-templates.yaml");
        let template = templates
            .iter()
            .find(|template| template["metadata"]["name"] == metric["templateRef"]["name"]);
        // As Flagger fills it in.
        template.unwrap()["spec"]["query"]
            .as_str()
            .unwrap()
            .replace("{{ namespace }}", "test")
            .replace("{{ target }}", "podinfo")
            .replace("{{ interval }}", metric["interval"].as_str().unwrap())
    });

    let success = prometheus.number(&success).await;
    assert!((success - SUCCESS_PERCENT).abs() < 0.2, "{success}");
    assert!(success < limit(0)["min"].as_f64().unwrap());

    let duration = prometheus.number(&duration).await;
    assert!((duration / p99 - 1.0).abs() < 0.05, "{duration}, not {p99}");
    assert!(duration > limit(1)["max"].as_f64().unwrap());
}

/// The settings of the workload that is scaled and released.
fn podinfo() -> Value {
    json!({ "image": IMAGE, "workload": "podinfo", "workload-namespace": "test" })
}

/// For a pod and for the deployment, as prometheus-adapter fills its rules in.
async fn the_autoscaler_sees_the_rate(prometheus: &Prometheus) {
    let istio = manifests(podinfo());
    let values = &objects(&istio, "autoscaling/prometheus-adapter-values.yaml")[0];
    for (rule, group) in [(0, "pod"), (1, "destination_workload")] {
        let rule = &values["rules"]["custom"][rule];
        let query = rule["metricsQuery"].as_str().unwrap();
        let query = query
            .replace("<<.Series>>", REQUESTS)
            .replace("<<.LabelMatchers>>", "destination_workload=\"podinfo\"")
            .replace("<<.GroupBy>>", group);
        let rate = prometheus.number(&query).await;
        assert!(
            (rate / PER_SECOND - 1.0).abs() < 0.1,
            "{rate}, not {PER_SECOND}"
        );
        // The adapter discovers the metric by this.
        let series = rule["seriesQuery"].as_str().unwrap();
        prometheus.at_least(&format!("count({series})"), 1.0).await;
    }
}

async fn the_rules_record_the_same(prometheus: &Prometheus, p99: f64) {
    for (record, expected, tolerance) in [
        (
            "workload:istio_success_percent:rate1m",
            SUCCESS_PERCENT,
            0.01,
        ),
        (
            "workload:istio_request_duration_milliseconds:p99_1m",
            p99,
            0.05,
        ),
        (
            "sum(workload:istio_requests:rate1m{reporter=\"destination\"})",
            PER_SECOND,
            0.1,
        ),
        (
            "sum(workload:istio_requests:rate1m{reporter=\"destination\",response_code=\"503\"})",
            f64::from(FAILED) / 60.0,
            0.1,
        ),
        (
            "sum(workload:istio_request_duration_milliseconds_count:rate1m{reporter=\"source\"})",
            PER_SECOND,
            0.1,
        ),
    ] {
        let value = prometheus.number(record).await;
        assert!(
            (value / expected - 1.0).abs() < tolerance,
            "{record}: {value}, not {expected}"
        );
    }
    // One series for each source, destination and outcome, whatever the pods.
    let series = prometheus
        .number("count(workload:istio_requests:rate1m)")
        .await;
    assert_eq!(series.to_string(), "4");
}

/// On every platform each recording rule has a value here. The client's sidecar stands for a gateway: what both report is of the
/// reporter `source`.
async fn every_rule_has_a_value(prometheus: &Prometheus) {
    for settings in [
        json!({ "image": IMAGE }),
        json!({ "image": IMAGE, "target": "envoy-gateway" }),
        json!({ "image": "/opt/mixerless.wasm", "target": "envoy" }),
    ] {
        let rules = &objects(&manifests(settings), "prometheus/rules.yaml")[0];
        let groups = rules["groups"].as_array().unwrap().iter();
        for rule in groups.flat_map(|group| group["rules"].as_array().unwrap()) {
            // There are no connections here; `tcp_dashboards` has them.
            if rule["record"].as_str().unwrap().contains(":istio_tcp_") {
                continue;
            }
            let query = rule["expr"].as_str().unwrap();
            let series = prometheus.series(query).await;
            assert!(series.is_some_and(|series| !series.is_empty()), "{query}");
        }
    }
}

#[tokio::test]
async fn promtool_accepts_every_configuration_and_its_rules() {
    for settings in [
        json!({ "image": IMAGE }),
        json!({ "image": IMAGE, "native": "side-by-side" }),
        json!({ "image": IMAGE, "target": "envoy-gateway" }),
        json!({ "image": "/opt/mixerless.wasm", "target": "envoy" }),
    ] {
        let directory = TempDir::new().unwrap();
        let bundle = manifests(settings.clone());
        write(&bundle, directory.path());
        let prometheus = directory.path().join("prometheus");
        discover_statically(&prometheus.join("prometheus.yaml"), &[]);
        promtool(&prometheus).await;
        let mut command = Command::new("promtool");
        command
            .args(["check", "rules"])
            .arg(prometheus.join("alerts.yaml"));
        must(command).await;

        let Some(file) = bundle
            .files()
            .iter()
            .find(|file| file.path.starts_with("high-availability/"))
        else {
            assert_eq!(settings["target"], "envoy");
            continue;
        };
        let objects = parse(&file.text);
        let config = objects
            .iter()
            .find(|object| object["kind"] == "ConfigMap")
            .unwrap();
        let pair = directory.path().join("pair");
        fs::create_dir(&pair).unwrap();
        let config = |name: &str| config["data"][name].as_str().unwrap();
        let filled_in = config("prometheus.yaml.tmpl")
            .replace("$(POD_NAME)", "prometheus-ha-0")
            .replace("/etc/prometheus/rules.yaml", "rules.yaml");
        fs::write(pair.join("prometheus.yaml"), filled_in).unwrap();
        fs::write(pair.join("rules.yaml"), config("rules.yaml")).unwrap();
        discover_statically(&pair.join("prometheus.yaml"), &[]);
        promtool(&pair).await;
    }
}

/// Each alert fires for the series that it is about, and not for those in order.
#[tokio::test]
async fn every_alert_fires_when_it_should_and_only_then() {
    let directory = TempDir::new().unwrap();
    let config = json!({ "max_series": 5 });
    let bundle = manifests(json!({ "image": IMAGE, "plugin-config": config }));
    write(&bundle, directory.path());
    let alerts = directory.path().join("prometheus/alerts.yaml");

    let series = |name: &str, labels: &str, values: &str| -> Value {
        json!({ "series": format!("{name}{{{labels}}}"), "values": values })
    };
    let call = |reporter: &str, to: &str, code: &str, more: &str| {
        format!(
            "instance=\"{to}:15090\",job=\"envoy-stats\",reporter=\"{reporter}\",source_workload=\"client\",\
             source_workload_namespace=\"shop\",destination_workload=\"{to}\",destination_workload_namespace=\"shop\",\
             response_code=\"{code}\"{more}"
        )
    };
    // A minute apart: 60 more is one per second.
    let (steady, double, idle) = ("0+60x40", "0+120x40", "0x40");
    let bucket = |to: &str, le: &str, values: &str| {
        let le = format!(",le=\"{le}\"");
        let name = "istio_request_duration_milliseconds_bucket";
        series(name, &call("destination", to, "200", &le), values)
    };
    let up = |to: &str| {
        series(
            "up",
            &format!("instance=\"{to}:15090\",job=\"envoy-stats\""),
            "1x40",
        )
    };
    let build = |to: &str| {
        series(
            "istio_build",
            &format!("instance=\"{to}:15090\",job=\"envoy-stats\""),
            "1x40",
        )
    };
    let overflow = ",destination_service=\"overflow\"";
    let mut input = vec![
        series(REQUESTS, &call("destination", "good", "200", ""), steady),
        series(REQUESTS, &call("source", "good", "200", ""), steady),
        series(REQUESTS, &call("destination", "bad", "200", ""), steady),
        series(REQUESTS, &call("destination", "bad", "503", ""), steady),
        series(REQUESTS, &call("destination", "slow", "200", ""), steady),
        bucket("slow", "1000", idle),
        bucket("slow", "2500", steady),
        bucket("slow", "+Inf", steady),
        bucket("good", "1000", steady),
        bucket("good", "+Inf", steady),
        series(REQUESTS, &call("destination", "twice", "200", ""), double),
        series(REQUESTS, &call("source", "twice", "200", ""), steady),
        series(
            REQUESTS,
            &call("destination", "full", "200", overflow),
            steady,
        ),
        up("good"),
        build("good"),
        up("refused"),
    ];
    for code in 201..206 {
        input.push(series(
            REQUESTS,
            &call("destination", "near", &code.to_string(), ""),
            steady,
        ));
    }
    let expected = [
        ("MixerlessRequestsFail", "destination_workload", "bad"),
        ("MixerlessRequestsAreSlow", "destination_workload", "slow"),
        ("MixerlessSeriesOverLimit", "instance", "full:15090"),
        ("MixerlessSeriesNearLimit", "instance", "near:15090"),
        ("MixerlessModuleMissing", "instance", "refused:15090"),
        ("MixerlessCountedTwice", "destination_workload", "twice"),
    ];
    let known = &objects(&bundle, "prometheus/alerts.yaml")[0]["groups"][0]["rules"];
    assert_eq!(known.as_array().unwrap().len(), expected.len());
    let firing = |(alert, label, value): &(&str, &str, &str)| -> Value {
        let samples = json!([{
            "labels": format!("{{alertname=\"{alert}\",{label}=\"{value}\"}}"),
            "value": 1,
        }]);
        json!({
            "expr": format!("count by (alertname, {label}) (ALERTS{{alertname=\"{alert}\",alertstate=\"firing\"}})"),
            "eval_time": "35m",
            "exp_samples": samples,
        })
    };
    let firing: Vec<Value> = expected.iter().map(firing).collect();
    let test = json!({
        "rule_files": [alerts],
        "evaluation_interval": "1m",
        "tests": [{ "interval": "1m", "input_series": input, "promql_expr_test": firing }],
    });
    let file = directory.path().join("alerts.test.yaml");
    fs::write(&file, test.to_string()).unwrap();
    let mut command = Command::new("promtool");
    command.args(["test", "rules"]).arg(file);
    must(command).await;
}

/// Debian's Prometheus is built without Kubernetes. The results of discovery are put into the file instead: a pod for
/// each target, with its ports and annotations, so that the relabelling is tested.
fn discover_statically(config: &Path, targets: &[SocketAddr]) {
    let mut prometheus = parse(&fs::read_to_string(config).unwrap()).remove(0);
    let pods: Vec<Value> = targets
        .iter()
        .enumerate()
        .flat_map(|(at, target)| pod(at, *target))
        .collect();
    for job in prometheus["scrape_configs"].as_array_mut().unwrap() {
        let job = job.as_object_mut().unwrap();
        if job.remove("kubernetes_sd_configs") == Some(json!([{ "role": "pod" }])) {
            job.insert("static_configs".to_owned(), json!(pods));
        }
    }
    fs::write(config, yaml_serde::to_string(&prometheus).unwrap()).unwrap();
}

/// A container's port is a target of its own: the sidecar's, and one of the application that must not be scraped.
fn pod(at: usize, target: SocketAddr) -> [Value; 2] {
    let port = |name: &str, number: u16, address: SocketAddr| {
        json!({
            "labels": {
                "__meta_kubernetes_namespace": "test",
                "__meta_kubernetes_pod_container_port_name": name,
                "__meta_kubernetes_pod_container_port_number": number.to_string(),
                "__meta_kubernetes_pod_label_app": "podinfo",
                "__meta_kubernetes_pod_label_app_kubernetes_io_managed_by": "envoy-gateway",
                "__meta_kubernetes_pod_name": format!("podinfo-{at}"),
                "__meta_kubernetes_pod_phase": "Running",
            },
            "targets": [address],
        })
    };
    [
        port("http-envoy-prom", 19001, target),
        port("http", 8080, free_port()),
    ]
}

async fn promtool(directory: &Path) {
    for (kind, file) in [("config", "prometheus.yaml"), ("rules", "rules.yaml")] {
        let mut command = Command::new("promtool");
        command.args(["check", kind]).arg(directory.join(file));
        must(command).await;
    }
}

async fn traffic(mesh: &Mesh, good: u32, failed: u32, slow: u32) {
    let mut client = mesh.client().await.unwrap();
    for (path, times) in [
        ("/version", good),
        ("/status/503", failed),
        ("/delay/700", slow),
    ] {
        for _ in 0..times {
            client.get(path).await.unwrap();
        }
    }
}

/// The 99th percentile between two pages, by the definition of `histogram_quantile`.
fn p99(before: &Page, after: &Page) -> f64 {
    let mut lower = (0.0, 0.0);
    let rank = 0.99 * ALL;
    for bucket in after
        .series(BUCKETS)
        .iter()
        .filter(|bucket| bucket.has(&[("response_code", "200")]))
    {
        let bound = bucket.label("le").unwrap();
        let count = after.sum(BUCKETS, &[("le", bound)]) - before.sum(BUCKETS, &[("le", bound)]);
        let bound: f64 = bound.parse().unwrap();
        if count >= rank {
            return lower.0 + (bound - lower.0) * (rank - lower.1) / (count - lower.1);
        }
        lower = (bound, count);
    }
    panic!("no bucket holds the 99th percentile");
}

/// Prometheus with the generated configuration and rules.
pub struct Prometheus {
    pub address: SocketAddr,
    /// The time of queries; now, if not set.
    at: Option<f64>,
    _server: Server,
    _directory: TempDir,
}

impl Prometheus {
    /// Starts it with what is generated for Istio; it scrapes these twice a second.
    pub async fn start(targets: &[SocketAddr]) -> Self {
        Self::of(json!({ "image": IMAGE }), targets).await
    }

    /// The same with what is generated for other settings.
    pub async fn of(mut settings: Value, targets: &[SocketAddr]) -> Self {
        let directory = TempDir::new().unwrap();
        settings["scrape-interval"] = json!("500ms");
        if settings["target"] == "envoy" {
            settings["scrape-target"] = json!(targets);
        }
        let bundle = manifests(settings);
        write(&bundle, directory.path());
        let config = directory.path().join("prometheus/prometheus.yaml");
        discover_statically(&config, targets);
        let address = free_port();
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                directory.path().join("tsdb").display()
            ))
            .arg(format!("--web.listen-address={address}"));
        let server = Server::start(&mut command, &directory.path().join("prometheus.log")).unwrap();
        let prometheus = Self {
            address,
            at: None,
            _server: server,
            _directory: directory,
        };
        for target in targets {
            let up = format!("up{{instance=\"{target}\"}}");
            prometheus.at_least(&up, 1.0).await;
        }
        // And nothing else: relabelling has left out the other ports.
        let found = prometheus.number("count(up)").await;
        assert_eq!(found.to_string(), targets.len().to_string());
        prometheus
    }

    /// Fixes the time of all further queries, however long they take.
    async fn frozen(self) -> Self {
        Self {
            at: Some(self.number("time()").await),
            ..self
        }
    }

    /// Waits until a query's only series has at least that value.
    pub async fn at_least(&self, query: &str, least: f64) {
        let enough = eventually(query, async || {
            let value = self.query(query).await;
            Ok(value.filter(|value| *value >= least))
        });
        enough.await.unwrap();
    }

    /// The value of a query's only series, which must be there.
    pub async fn number(&self, query: &str) -> f64 {
        let value = self.query(query).await;
        value.unwrap_or_else(|| panic!("no value: {query}"))
    }

    /// The value of a query's only series; `None` while Prometheus does not answer, or has no value.
    async fn query(&self, query: &str) -> Option<f64> {
        let series = self.series(query).await?;
        assert!(series.len() <= 1, "{query}: {series:?}");
        series.first().copied()
    }

    /// The values of a query's series; `None` while Prometheus does not answer.
    pub async fn series(&self, query: &str) -> Option<Vec<f64>> {
        let url = format!("http://{}/api/v1/query", self.address);
        let url = Url::parse_with_params(&url, [("query", query)]).unwrap();
        let time = self.at.map(|at| format!("&time={at}")).unwrap_or_default();
        let path = format!("{}?{}{time}", url.path(), url.query().unwrap());
        let response = Client::http1(self.address)
            .await
            .ok()?
            .get(&path)
            .await
            .ok()?;
        let answer: Value = serde_json::from_slice(&response.body).ok()?;
        let value = |sample: &Value| sample[1].as_str()?.parse().ok();
        let result = &answer["data"]["result"];
        if answer["data"]["resultType"] == "scalar" {
            return Some(vec![value(result)?]);
        }
        result
            .as_array()?
            .iter()
            .map(|series| value(&series["value"]))
            .collect()
    }
}
