//! An installation from nothing but the archive: the commands of the pages, as they are written, in an empty directory.
//!
//! `cargo xtask dist --check` makes the archive and runs this.

use std::env;
use std::env::consts::ARCH;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use harness::install;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::docs::{commands, read_page};
use crate::support::{must, parse};

/// The environment variable that names the archive.
const ARCHIVE_VARIABLE: &str = "MIXERLESS_ARCHIVE";

/// Before the commands: what the pages take for granted. Run in a network of its own, where the pages' ports are free, and among
/// processes of its own, which end with it.
const WORLD: &str = r#"
ip link set lo up
answers() {
    for _ in $(seq 600); do
        if (exec 3<>"/dev/tcp/localhost/$1") 2>/dev/null; then return; fi
        sleep 0.1
    done
    echo "nothing listens on port $1" >&2
    exit 1
}
docker-registry serve ../registry.yaml >../registry.log 2>&1 &
(cd ../app && exec python3 -m http.server --bind 127.0.0.1 9898 >../app.log 2>&1) &
answers 5000
answers 9898
"#;

#[tokio::test]
#[ignore = "needs the archive: cargo xtask dist --check"]
async fn the_pages_lead_from_the_archive_to_all_is_well() {
    let archive = PathBuf::from(env::var_os(ARCHIVE_VARIABLE).unwrap());
    let root = TempDir::new().unwrap();
    let empty = furnish(root.path());
    fs::copy(&archive, empty.join(archive.file_name().unwrap())).unwrap();

    let readme = read_page("../README.md");
    let install = section(&readme, "## Install");
    let bare = read_page("bare-envoy.md");
    // The first block of each; the second ways of both need a clone.
    let walk = [first_block(install), first_block(&bare)].concat();
    assert!(walk.len() >= 8, "{walk:?}");
    // They name the archive of one architecture.
    let walk = walk.iter().map(|command| command.replace("x86_64", ARCH));
    let script = walk.map(|command| {
        // The page's reader has another terminal for it.
        if command.starts_with("envoy ") {
            format!("{command} >../envoy.log 2>&1 &\nanswers 15006\nanswers 15090\n")
        } else {
            format!("{command}\n")
        }
    });
    let script: String = [WORLD.to_owned()].into_iter().chain(script).collect();
    let output = must(alone(&script, &empty, root.path())).await;

    let settings = fs::read_to_string(empty.join("mixerless.yaml")).unwrap();
    let settings = &parse(&settings)[0];
    let image = settings["image"].as_str().unwrap();
    assert!(
        image.starts_with("oci://localhost:5000/mesh/mixerless@sha256:"),
        "{image}"
    );
    let applied = fs::read_to_string(empty.join("mesh/istio/envoyfilter-http-inbound.yaml"));
    assert!(applied.unwrap().contains(image));
    assert_eq!(
        fs::read(empty.join("mixerless.wasm")).unwrap(),
        fs::read(install::module().unwrap()).unwrap()
    );
    assert!(
        output.contains("/stats/prometheus: all is well\n"),
        "{output}"
    );
}

/// What an archive has besides: each file that the README names, and the lists.
#[tokio::test]
#[ignore = "needs the archive: cargo xtask dist --check"]
async fn the_archive_has_help_for_shells_and_readers() {
    let archive = PathBuf::from(env::var_os(ARCHIVE_VARIABLE).unwrap());
    let mut tar = Command::new("tar");
    tar.arg("tzf").arg(&archive);
    let listed = must(tar).await;
    for file in [
        "LICENSE",
        "README.md",
        "THIRD-PARTY.md",
        "completions/_mixerless",
        "completions/mixerless.bash",
        "completions/mixerless.fish",
        "docs/bare-envoy.md",
        "libmixerless.so",
        "man/mixerless.1",
        "man/mixerless-push.1",
        "mixerless",
        "mixerless.wasm",
        "sbom.cdx.json",
    ] {
        let entry = format!("/{file}");
        assert!(
            listed.lines().any(|line| line.ends_with(&entry)),
            "{file}:\n{listed}"
        );
    }
    let names: Vec<&str> = listed.lines().collect();
    assert!(names.is_sorted(), "{listed}");
}

/// The image is one for other programs, and its file system is enough for the command line.
#[tokio::test]
#[ignore = "needs the archive: cargo xtask dist --check"]
async fn the_image_runs_with_nothing_else_in_it() {
    let archive = env::var(ARCHIVE_VARIABLE).unwrap();
    let image = archive.replace(".tar.gz", ".oci.tar");
    let root = TempDir::new().unwrap();
    let [pulled, system] = ["pulled", "system"].map(|name| root.path().join(name));
    let mut skopeo = Command::new("skopeo");
    skopeo
        .args(["copy", "--quiet", "--insecure-policy"])
        .arg(format!("oci-archive:{image}"))
        .arg(format!("dir:{}", pulled.display()));
    must(skopeo).await;
    let mut inspect = Command::new("skopeo");
    inspect.args(["inspect", "--config"]);
    inspect.arg(format!("oci-archive:{image}"));
    let config: Value = serde_json::from_str(&must(inspect).await).unwrap();
    assert_eq!(config["os"], "linux");
    let [program] = config["config"]["Entrypoint"]
        .as_array()
        .unwrap()
        .as_slice()
    else {
        panic!("one entry point: {config}");
    };

    let manifest = fs::read_to_string(pulled.join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    let layer = manifest["layers"][0]["digest"].as_str().unwrap();
    fs::create_dir(&system).unwrap();
    let mut unpack = Command::new("tar");
    unpack
        .arg("xzf")
        .arg(pulled.join(layer.trim_start_matches("sha256:")))
        .arg("-C")
        .arg(&system);
    must(unpack).await;
    let inside = |arguments: &[&str]| {
        let mut inside = Command::new("unshare");
        inside
            .arg("--map-root-user")
            .arg(format!("--root={}", system.display()))
            .arg(program.as_str().unwrap())
            .args(arguments);
        inside
    };
    must(inside(&["module", "--out", "/module.wasm"])).await;
    assert_eq!(
        fs::read(system.join("module.wasm")).unwrap(),
        fs::read(install::module().unwrap()).unwrap()
    );
    // There are no certificate authorities in it. Nothing listens on port 1.
    for (arguments, status) in [
        (["check", "127.0.0.1:1"], 2),
        (["push", "127.0.0.1:1/mesh/mixerless:1.0"], 1),
    ] {
        let output = inside(&arguments).output().unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert_eq!(output.status.code(), Some(status), "{said}");
        assert!(
            said.contains("127.0.0.1:1") && said.contains("refused"),
            "{said}"
        );
    }
}

/// The directory to start in, with a registry's configuration, an application and Envoy beside it.
fn furnish(root: &Path) -> PathBuf {
    let registry = json!({
        "version": 0.1,
        "http": { "addr": "127.0.0.1:5000" },
        "storage": { "filesystem": { "rootdirectory": root.join("storage") } },
    });
    let registry = yaml_serde::to_string(&registry).unwrap();
    fs::write(root.join("registry.yaml"), registry).unwrap();
    for directory in ["app", "bin", "empty", "home"] {
        fs::create_dir(root.join(directory)).unwrap();
    }
    fs::write(root.join("app/version"), "1\n").unwrap();
    symlink(install::envoy().unwrap(), root.join("bin/envoy")).unwrap();
    root.join("empty")
}

/// A shell that stops at the first command that fails.
fn alone(script: &str, directory: &Path, root: &Path) -> Command {
    let path = env::var_os("PATH").unwrap_or_default();
    let programs = [root.join("bin")]
        .into_iter()
        .chain(env::split_paths(&path));
    let mut command = Command::new("unshare");
    command
        .args([
            "--map-root-user",
            "--net",
            "--pid",
            "--fork",
            "--kill-child",
        ])
        .args(["bash", "-euc", script])
        .current_dir(directory)
        .env("PATH", env::join_paths(programs).unwrap())
        .env("HOME", root.join("home"))
        .env_remove("DOCKER_CONFIG");
    command
}

fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let (_, rest) = page.split_once(&format!("\n{heading}\n")).unwrap();
    rest.split("\n## ").next().unwrap()
}

fn first_block(page: &str) -> Vec<String> {
    let (_, block) = page.split_once("```console\n").unwrap();
    commands(block.split("```").next().unwrap())
}
