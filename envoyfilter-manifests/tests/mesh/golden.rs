//! The whole output, as files in `snapshots/`, for typical settings.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::json;

use crate::support::{IMAGE, SHA256, manifests, mixerless, must, run, texts};

/// All defaults for Istio, with the module pinned.
#[test]
fn istio() {
    insta::assert_snapshot!(manifests(json!({ "image": IMAGE, "sha256": SHA256 })).stream());
}

/// Another choice for every setting of Istio.
#[test]
fn wasm_plugin_side_by_side_with_labels_of_its_own() {
    let bundle = manifests(json!({
        "image": IMAGE,
        "sha256": SHA256,
        "image-pull-secret": "registry",
        "istio-version": "1.20",
        "method": "wasm-plugin",
        "native": "side-by-side",
        "plugin-config": { "metrics": [{ "dimensions": { "request_host": "request.host" } }] },
        "workload": "web",
        "workload-namespace": "shop",
        "workload-port": 80,
        "requests-per-second": 50,
    }));
    insta::assert_snapshot!(bundle.stream());
}

/// What comes on top where the module counts connections too.
#[test]
fn tcp_in_the_module() {
    let settings = json!({ "image": IMAGE, "sha256": SHA256, "tcp": "module" });
    let only = ["envoyfilter-tcp-inbound", "telemetry"].map(|file| format!("istio/{file}.yaml"));
    insta::assert_snapshot!(manifests(settings).only(&only).unwrap().stream());
}

#[test]
fn traffic_extension() {
    let bundle = manifests(json!({ "image": IMAGE, "method": "traffic-extension" }));
    insta::assert_snapshot!(bundle.only(&["istio".to_owned()]).unwrap().stream());
}

/// An old Istio has rules for the standard labels, so only others need one; a file in the proxy needs no checksum.
#[test]
fn an_old_istio_with_a_local_file() {
    let config = json!({ "metrics": [{ "dimensions": { "request_host": "request.host" } }] });
    let bundle = manifests(json!({
        "image": "/etc/istio/extensions/mixerless.wasm", "istio-version": "1.17", "plugin-config": config,
    }));
    let only = ["istio".to_owned(), "mesh-config".to_owned()];
    insta::assert_snapshot!(bundle.only(&only).unwrap().stream());

    let plain = manifests(json!({ "image": IMAGE, "istio-version": "1.17" }));
    assert!(
        plain.only(&["mesh-config".to_owned()]).is_err(),
        "nothing to say, no file"
    );
}

#[test]
fn envoy_gateway() {
    let bundle = manifests(json!({ "image": IMAGE, "sha256": SHA256, "target": "envoy-gateway" }));
    let only = [
        "envoy-gateway".to_owned(),
        "prometheus/prometheus.yaml".to_owned(),
    ];
    insta::assert_snapshot!(bundle.only(&only).unwrap().stream());
}

#[test]
fn an_envoy_of_its_own() {
    let bundle = manifests(json!({ "image": "/opt/mixerless.wasm", "target": "envoy" }));
    let only = ["envoy".to_owned(), "prometheus/prometheus.yaml".to_owned()];
    insta::assert_snapshot!(bundle.only(&only).unwrap().stream());
}

/// With the command itself: files and stream are the same in two runs, with settings from a file.
#[tokio::test]
async fn files_and_stream_are_the_same_and_the_same_again() {
    let directory = tempfile::tempdir().unwrap();
    let settings = directory.path().join("mixerless.yaml");
    fs::write(&settings, format!("image: {IMAGE}\nworkload: web\n")).unwrap();
    let out = directory.path().join("out");
    let command = |arguments: &[&str]| {
        let mut command = mixerless();
        command
            .args(["manifests", "--settings"])
            .arg(&settings)
            .args(arguments);
        command
    };
    let stream = must(command(&[])).await;
    for _ in 0..2 {
        let names = must(command(&["--out", out.to_str().unwrap()])).await;
        let mut together = String::new();
        for name in names.lines() {
            let path = Path::new(name).strip_prefix(&out).unwrap();
            let text = fs::read_to_string(name).unwrap();
            write!(together, "---\n# file: {}\n{text}", path.display()).unwrap();
        }
        assert_eq!(together, stream);
    }
    assert!(stream.contains("name: web"));
}

#[tokio::test]
async fn bad_input_is_one_error_and_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("out");
    let mut command = mixerless();
    command
        .args([
            "manifests",
            "--image",
            "oci://registry.example/mixerless",
            "--out",
        ])
        .arg(&out);
    let output = run(command).await;
    let (stdout, stderr) = texts(&output);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(stdout, "");
    assert_eq!(
        stderr,
        "error: --image: oci://registry.example/mixerless has no tag: add :TAG, or @sha256:DIGEST as `mixerless push` prints it\n"
    );
    assert!(!out.exists());
}
