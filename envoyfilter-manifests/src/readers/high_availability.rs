//! More than one Prometheus: a pair that scrapes the same targets, and Thanos, which shows them as one and keeps old blocks
//! in an object store. Each piece can lose a pod without a gap in queries.

mod objects;

use anyhow::Result;
use serde_json::{Value, json};

use self::objects::{app, mount, pod, pod_name, port};
use super::{prometheus, rules};
use crate::bundle::Document;
use crate::installation::{Installation, Platform};

const PROMETHEUS: &str = "prom/prometheus:v3.5.0";
const THANOS: &str = "thanosio/thanos:v0.39.2";
/// The external label in which two copies of a series differ.
const REPLICA: &str = "replica";
const GRPC: u16 = 10901;
const HTTP: u16 = 10902;
/// The port of Prometheus, and of `thanos-query` in its place.
const PROMETHEUS_PORT: u16 = 9090;
const OBJECT_STORE: &str = "thanos-object-store";

/// All objects of the layout, in the order in which they are applied.
pub fn documents(installation: &Installation) -> Result<Vec<Document>> {
    let namespace = monitoring_namespace(installation);
    let layout = Layout { namespace };
    Ok(vec![
        layout.account(),
        Layout::role(),
        layout.role_binding(),
        layout.config(installation)?,
        layout.prometheus(),
        layout.headless("thanos-sidecar", "prometheus-ha"),
        layout.store(),
        layout.headless("thanos-store", "thanos-store"),
        layout.compactor(),
        layout.query(),
        layout.query_service(),
    ])
}

fn monitoring_namespace(installation: &Installation) -> String {
    match installation.platform {
        Platform::Istio { .. } => installation.namespace.clone(),
        Platform::EnvoyGateway { .. } | Platform::Envoy { .. } => "monitoring".to_owned(),
    }
}

struct Layout {
    namespace: String,
}

impl Layout {
    fn account(&self) -> Document {
        Document::new(
            format!(
                "Two Prometheus, and Thanos over them. Needs a Secret that says where the object store is, in Thanos' own words:\n\
                 kubectl -n {} create secret generic {OBJECT_STORE} --from-file=objstore.yml",
                self.namespace
            ),
            json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": self.metadata("prometheus-ha") }),
        )
    }

    fn role() -> Document {
        Document::new(
            "Finding pods, and nothing else.",
            json!({
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "ClusterRole",
                "metadata": { "name": "prometheus-ha" },
                "rules": [{ "apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"] }],
            }),
        )
    }

    fn role_binding(&self) -> Document {
        let subject = json!({ "kind": "ServiceAccount", "name": "prometheus-ha", "namespace": self.namespace });
        Document::new(
            "",
            json!({
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "ClusterRoleBinding",
                "metadata": { "name": "prometheus-ha" },
                "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "prometheus-ha" },
                "subjects": [subject],
            }),
        )
    }

    /// `$(POD_NAME)` is filled in by the sidecar's reloader: otherwise the two are equal.
    fn config(&self, installation: &Installation) -> Result<Document> {
        let labels = json!({ "cluster": installation.cluster, REPLICA: "$(POD_NAME)" });
        let mut config = prometheus::value(installation, &labels);
        config["rule_files"] = json!(["/etc/prometheus/rules.yaml"]);
        let config = yaml_serde::to_string(&config)?;
        let rules = yaml_serde::to_string(rules::rules(installation).object())?;
        Ok(Document::new(
            "The configuration of both; each fills in its own name as replica.",
            json!({
                "apiVersion": "v1",
                "data": { "prometheus.yaml.tmpl": config, "rules.yaml": rules },
                "kind": "ConfigMap",
                "metadata": self.metadata("prometheus-ha"),
            }),
        ))
    }

    fn prometheus(&self) -> Document {
        let containers = [prometheus_container(), sidecar_container()];
        let mut object =
            self.stateful_set("prometheus-ha", "thanos-sidecar", 2, &containers, "20Gi");
        let pod = &mut object["spec"]["template"]["spec"];
        pod["initContainers"] = json!([first_config_container()]);
        pod["serviceAccountName"] = json!("prometheus-ha");
        pod["volumes"] = json!([
            { "configMap": { "name": "prometheus-ha" }, "name": "config" },
            { "emptyDir": {}, "name": "shared" },
            object_store_volume(),
        ]);
        Document::new(
            "Two that scrape the same, never on one node. Blocks of two hours, uploaded as they are: Prometheus may not\n\
             compact them itself, because Thanos does.",
            object,
        )
    }

    fn store(&self) -> Document {
        let store = json!({
            "args": ["store", "--data-dir=/data", "--objstore.config-file=/etc/thanos/objstore.yml"],
            "image": THANOS,
            "name": "thanos-store",
            "ports": [port("grpc", GRPC), port("http", HTTP)],
            "volumeMounts": [mount("data", "/data"), mount("object-store", "/etc/thanos")],
        });
        let mut object = self.stateful_set("thanos-store", "thanos-store", 2, &[store], "5Gi");
        object["spec"]["template"]["spec"]["volumes"] = json!([object_store_volume()]);
        Document::new(
            "Reads the past out of the object store; what it keeps itself is a cache.",
            object,
        )
    }

    fn compactor(&self) -> Document {
        let compactor = json!({
            "args": [
                "compact",
                "--wait",
                "--data-dir=/data",
                "--objstore.config-file=/etc/thanos/objstore.yml",
                format!("--deduplication.replica-label={REPLICA}"),
                "--compact.enable-vertical-compaction",
                "--retention.resolution-raw=14d",
                "--retention.resolution-5m=90d",
                "--retention.resolution-1h=2y",
            ],
            "image": THANOS,
            "name": "thanos-compact",
            "ports": [port("http", HTTP)],
            "volumeMounts": [mount("data", "/data"), mount("object-store", "/etc/thanos")],
        });
        let mut object =
            self.stateful_set("thanos-compact", "thanos-compact", 1, &[compactor], "20Gi");
        object["spec"]["template"]["spec"]["volumes"] = json!([object_store_volume()]);
        Document::new(
            "One and never two, because it rewrites what is stored: thins out the past, and makes one of two copies. It may be\n\
             down for a while; nobody asks it anything.",
            object,
        )
    }

    fn query(&self) -> Document {
        let endpoint = |service: &str| {
            format!(
                "--endpoint=dnssrv+_grpc._tcp.{service}.{}.svc",
                self.namespace
            )
        };
        let container = json!({
            "args": [
                "query",
                format!("--query.replica-label={REPLICA}"),
                endpoint("thanos-sidecar"),
                endpoint("thanos-store"),
            ],
            "image": THANOS,
            "name": "thanos-query",
            "ports": [port("http", HTTP)],
            "readinessProbe": { "httpGet": { "path": "/-/ready", "port": "http" } },
        });
        Document::new(
            "Asks everybody, and shows two copies of a series as one, without the gaps of either.",
            json!({
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": self.metadata("thanos-query"),
                "spec": {
                    "replicas": 2,
                    "selector": { "matchLabels": app("thanos-query") },
                    "template": pod("thanos-query", &[container]),
                },
            }),
        )
    }

    fn query_service(&self) -> Document {
        Document::new(
            format!(
                "What Grafana, Kiali, Flagger and the adapter ask: http://thanos-query.{}:{PROMETHEUS_PORT}",
                self.namespace
            ),
            json!({
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": self.metadata("thanos-query"),
                "spec": {
                    "ports": [{ "name": "http", "port": PROMETHEUS_PORT, "targetPort": "http" }],
                    "selector": app("thanos-query"),
                },
            }),
        )
    }

    /// A service without an address of its own: its name resolves to all pods, because all are queried.
    fn headless(&self, name: &str, pods: &str) -> Document {
        Document::new(
            "",
            json!({
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": self.metadata(name),
                "spec": {
                    "clusterIP": "None",
                    "ports": [{ "name": "grpc", "port": GRPC, "targetPort": "grpc" }],
                    "selector": app(pods),
                },
            }),
        )
    }

    fn metadata(&self, name: &str) -> Value {
        json!({ "labels": app(name), "name": name, "namespace": self.namespace })
    }
}

fn prometheus_container() -> Value {
    json!({
        "args": [
            "--config.file=/etc/prometheus-shared/prometheus.yaml",
            "--storage.tsdb.path=/prometheus",
            "--storage.tsdb.retention.time=2d",
            "--storage.tsdb.min-block-duration=2h",
            "--storage.tsdb.max-block-duration=2h",
            "--web.enable-lifecycle",
        ],
        "image": PROMETHEUS,
        "name": "prometheus",
        "ports": [port("http-prom", PROMETHEUS_PORT)],
        "readinessProbe": { "httpGet": { "path": "/-/ready", "port": "http-prom" } },
        "volumeMounts": [
            mount("data", "/prometheus"),
            mount("shared", "/etc/prometheus-shared"),
            mount("config", "/etc/prometheus"),
        ],
    })
}

/// Thanos beside Prometheus: fills in the configuration, and uploads blocks.
fn sidecar_container() -> Value {
    json!({
        "args": [
            "sidecar",
            "--tsdb.path=/prometheus",
            format!("--prometheus.url=http://127.0.0.1:{PROMETHEUS_PORT}"),
            "--objstore.config-file=/etc/thanos/objstore.yml",
            "--reloader.config-file=/etc/prometheus/prometheus.yaml.tmpl",
            "--reloader.config-envsubst-file=/etc/prometheus-shared/prometheus.yaml",
            "--reloader.rule-dir=/etc/prometheus",
        ],
        "env": [pod_name()],
        "image": THANOS,
        "name": "thanos-sidecar",
        "ports": [port("grpc", GRPC), port("http", HTTP)],
        "volumeMounts": [
            mount("data", "/prometheus"),
            mount("shared", "/etc/prometheus-shared"),
            mount("config", "/etc/prometheus"),
            mount("object-store", "/etc/thanos"),
        ],
    })
}

/// Fills in the configuration for the first time: Prometheus starts before the reloader has written anything.
fn first_config_container() -> Value {
    // `[$]`, because Kubernetes would fill in `$(…)` itself.
    let fill_in = "sed \"s/[$](POD_NAME)/$POD_NAME/\" /etc/prometheus/prometheus.yaml.tmpl \
                   > /etc/prometheus-shared/prometheus.yaml";
    json!({
        "args": ["-c", fill_in],
        "command": ["sh"],
        "env": [pod_name()],
        "image": PROMETHEUS,
        "name": "first-config",
        "volumeMounts": [mount("config", "/etc/prometheus"), mount("shared", "/etc/prometheus-shared")],
    })
}

fn object_store_volume() -> Value {
    json!({ "name": "object-store", "secret": { "secretName": OBJECT_STORE } })
}
