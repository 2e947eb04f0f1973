//! The Helm chart and the kustomization: rendered by the real programs, they are the same objects as the files.
//!
//! `cargo xtask packages` builds both programs, which takes minutes, and runs these tests.

use std::path::Path;
use std::process::Command;

use envoyfilter_manifests::chart::chart;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{IMAGE, SHA256, manifests, must, parse, run, texts, write};

/// Every kind of object: each method, a pull secret, native metrics beside ours, each source of the module.
fn settings() -> [Value; 7] {
    let plugin = json!({ "metrics": [{ "dimensions": { "host": "request.host" } }] });
    [
        json!({ "image": IMAGE, "sha256": SHA256, "tcp": "module", "plugin-config": plugin }),
        json!({ "image": IMAGE, "sha256": SHA256, "method": "wasm-plugin", "image-pull-secret": "registry" }),
        json!({ "image": IMAGE, "sha256": SHA256, "method": "traffic-extension", "native": "side-by-side" }),
        json!({ "image": format!("{IMAGE}@sha256:{SHA256}"), "istio-version": "1.15", "namespace": "mesh" }),
        json!({ "image": "/etc/mixerless.wasm", "native": "all-off" }),
        json!({ "image": IMAGE, "sha256": SHA256, "target": "envoy-gateway", "gateway": "edge" }),
        json!({ "image": "https://files.example/mixerless.wasm", "sha256": SHA256, "target": "envoy-gateway" }),
    ]
}

#[tokio::test]
#[ignore = "needs kustomize: cargo xtask packages"]
async fn kustomize_builds_the_same_objects() {
    for settings in settings() {
        let directory = TempDir::new().unwrap();
        write(&manifests(settings.clone()), directory.path());
        let mut kustomize = Command::new("kustomize");
        kustomize.arg("build").arg(directory.path());
        let built = sorted(parse(&must(kustomize).await));
        assert_eq!(built, applied(&settings), "{settings}");
    }
}

/// With the values that the chart has, and with others: the same as files for these settings.
#[tokio::test]
#[ignore = "needs helm: cargo xtask packages"]
async fn helm_renders_the_same_objects() {
    for settings in settings() {
        let directory = TempDir::new().unwrap();
        let chart_directory = directory.path().join("chart");
        write(&chart(&read(&settings)).unwrap(), &chart_directory);
        must(helm("lint", &chart_directory, &["--strict"])).await;
        let rendered = must(helm("template", &chart_directory, &[])).await;
        assert_eq!(objects_of(&rendered), applied(&settings), "{settings}");

        let other = another(&settings);
        let values = directory.path().join("mixerless.yaml");
        std::fs::write(&values, yaml_serde::to_string(&other).unwrap()).unwrap();
        let values = ["--values", values.to_str().unwrap()];
        let rendered = must(helm("template", &chart_directory, &values)).await;
        assert_eq!(objects_of(&rendered), applied(&other), "{other}");
    }
}

#[tokio::test]
#[ignore = "needs helm: cargo xtask packages"]
async fn helm_refuses_what_the_chart_is_not_made_for() {
    let directory = TempDir::new().unwrap();
    let settings = json!({ "image": IMAGE, "sha256": SHA256 });
    write(&chart(&read(&settings)).unwrap(), directory.path());
    for (wrong, expected) in [
        ("method=wasm-plugin", "method"),
        ("sha256=12", "sha256"),
        ("image=registry.example/mixerless:1", "image"),
        ("image=oci://x/y:1 {{ fail }}", "image"),
        ("image-pull-secret=registry", "image-pull-secret"),
        ("plugin-config.stat_prefix=other", "plugin-config"),
        ("imgae=1", "imgae"),
    ] {
        let output = run(helm("template", directory.path(), &["--set", wrong])).await;
        let (_, error) = texts(&output);
        assert!(!output.status.success(), "{wrong}");
        assert!(error.contains(expected), "{wrong}: {error}");
    }
}

#[test]
fn a_chart_without_a_checksum_or_a_cluster_is_refused() {
    for (settings, expected) in [
        (json!({ "image": IMAGE }), "--chart needs --sha256"),
        (
            json!({ "image": "/a.wasm", "target": "envoy" }),
            "--chart is for a cluster",
        ),
    ] {
        let error = chart(&read(&settings)).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

fn helm(command: &str, chart: &Path, more: &[&str]) -> Command {
    let mut helm = Command::new("helm");
    helm.arg(command);
    if command == "template" {
        helm.arg("mixerless");
    }
    helm.arg(chart).args(more);
    helm
}

/// The same with another value in each place where the chart takes one.
fn another(settings: &Value) -> Value {
    let mut other = settings.clone();
    let image = settings["image"].as_str().unwrap();
    other["image"] = match image.split_once("://") {
        Some(("oci", _)) => json!("oci://localhost:5000/other/name:2"),
        Some((scheme, _)) => json!(format!("{scheme}://other.example/m.wasm")),
        None => json!("/opt/other.wasm"),
    };
    if image.contains("://") {
        other["sha256"] = json!("0123456789".repeat(7)[..64]);
    }
    other["namespace"] = json!("another");
    for name in ["gateway", "image-pull-secret"] {
        if settings.get(name).is_some() {
            other[name] = json!("another-one");
        }
    }
    // A setting of what is not in the chart.
    other["scrape-interval"] = json!("5s");
    other
}

fn read(settings: &Value) -> envoyfilter_manifests::settings::Settings {
    serde_json::from_value(settings.clone()).unwrap()
}

/// The objects in the files that are to be applied.
fn applied(settings: &Value) -> Vec<Value> {
    let bundle = manifests(settings.clone());
    let files = bundle.files().iter();
    let files = files
        .filter(|file| file.path.starts_with("istio/") || file.path.starts_with("envoy-gateway/"));
    sorted(files.flat_map(|file| parse(&file.text)).collect())
}

fn objects_of(text: &str) -> Vec<Value> {
    let objects = parse(text).into_iter();
    sorted(objects.filter(|object| !object.is_null()).collect())
}

/// In one order, and with YAML that an object holds as text as what it means.
fn sorted(mut objects: Vec<Value>) -> Vec<Value> {
    for object in &mut objects {
        if let Some(text) = object.pointer_mut("/spec/bootstrap/value") {
            *text = parse(text.as_str().unwrap()).remove(0);
        }
    }
    objects.sort_by_key(|object| format!("{} {}", object["kind"], object["metadata"]["name"]));
    objects
}
