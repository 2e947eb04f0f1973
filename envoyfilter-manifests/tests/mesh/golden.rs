//! The whole output, as files in `snapshots/`, for typical settings.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use tempfile::TempDir;

use crate::support::{IMAGE, SHA256, manifests, mixerless, must, run, texts};

/// All defaults for Istio, with the module pinned and a workload to scale.
#[test]
fn istio() {
    let settings = json!({
        "image": IMAGE,
        "sha256": SHA256,
        "workload": "podinfo",
        "workload-namespace": "test",
        "workload-port": 9898,
    });
    insta::assert_snapshot!(manifests(settings).stream());
}

/// Nothing that is applied to a workload which nobody named.
#[test]
fn without_a_workload_there_is_no_autoscaler_and_no_canary() {
    let bundle = manifests(json!({ "image": IMAGE, "sha256": SHA256 }));
    let scaling = |path: &str| path.starts_with("autoscaling/") || path.starts_with("flagger/");
    assert!(bundle.files().iter().all(|file| !scaling(&file.path)));
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
    let (_directory, settings, out) = settings();
    let stream = must(command(&settings, &[])).await;
    for word in ["new", "unchanged"] {
        let said = must(command(&settings, &["--out", out.to_str().unwrap()])).await;
        let mut together = String::new();
        for line in said.lines() {
            let (said, name) = line.split_once(' ').unwrap();
            assert_eq!(said, word);
            let path = Path::new(name.trim_start());
            let text = fs::read_to_string(path).unwrap();
            let path = path.strip_prefix(&out).unwrap();
            write!(together, "---\n# file: {}\n{text}", path.display()).unwrap();
        }
        assert_eq!(together, stream);
    }
    assert!(stream.contains("name: web"));
}

/// An edit survives everything but `--force`; `--dry-run` and `--diff` show it and write nothing.
#[tokio::test]
async fn an_edited_file_is_shown_and_kept_until_forced() {
    let (_directory, settings, out) = settings();
    let to = |flags: &[&str]| {
        command(
            &settings,
            &[&["--out", out.to_str().unwrap()], flags].concat(),
        )
    };
    assert!(must(to(&["--dry-run"])).await.starts_with("new "));
    assert!(!out.exists());
    must(to(&[])).await;
    assert_eq!(must(to(&["--diff"])).await, "");

    let edited = out.join("istio/telemetry.yaml");
    let ours = fs::read_to_string(&edited).unwrap();
    let theirs = format!("# by hand\n{ours}");
    fs::write(&edited, &theirs).unwrap();
    let line = format!("replaced   {}  (edited)\n", edited.display());
    for flags in [&[][..], &["--dry-run"]] {
        let output = run(to(flags)).await;
        let (stdout, stderr) = texts(&output);
        assert_eq!(output.status.code(), Some(2));
        assert!(stdout.contains(&line), "{stdout}");
        assert!(stderr.contains("telemetry.yaml was edited"), "{stderr}");
    }
    let diff = must(to(&["--diff"])).await;
    assert!(diff.starts_with("--- a/istio/telemetry.yaml\n+++ b/istio/telemetry.yaml\n"));
    assert!(diff.contains("\n-# by hand\n"), "{diff}");
    assert_eq!(fs::read_to_string(&edited).unwrap(), theirs);

    assert!(must(to(&["--force", "--dry-run"])).await.contains(&line));
    assert_eq!(fs::read_to_string(&edited).unwrap(), theirs);
    assert!(must(to(&["--force"])).await.contains(&line));
    assert_eq!(fs::read_to_string(&edited).unwrap(), ours);
}

/// A directory for settings, the settings, and a directory for files.
fn settings() -> (TempDir, PathBuf, PathBuf) {
    let directory = TempDir::new().unwrap();
    let settings = directory.path().join("mixerless.yaml");
    let text = format!("image: {IMAGE}\nsha256: {SHA256}\nworkload: web\n");
    fs::write(&settings, text).unwrap();
    let out = directory.path().join("out");
    (directory, settings, out)
}

fn command(settings: &Path, arguments: &[&str]) -> Command {
    let mut command = mixerless();
    command
        .args(["manifests", "--settings"])
        .arg(settings)
        .args(arguments);
    command
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
