//! `mixerless push` into a real registry with a login, and from there into Envoy.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use flate2::read::GzDecoder;
use harness::{Client, eventually, install};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::bare_envoy::BareEnvoy;
use crate::support::{Server, free_port, mixerless, must, parse, run, texts};

const USER: &str = "pusher";
const PASSWORD: &str = "not-a-secret";
/// `USER:PASSWORD` in the form of `htpasswd -B`.
const HTPASSWD: &str = "pusher:$2b$04$abcdefghijklmnopqrstuukiPfWbK4Chx2wQkrCBcuNQWm8D.wM3i\n";

#[tokio::test]
async fn the_image_form_comes_back_as_the_module_and_runs() {
    let registry = Registry::start().await;
    let pushed = registry.pushed("mesh/mixerless:1.0", &[]).await;
    let (manifest, blobs) = registry.pull(&pushed).await;

    assert_eq!(
        manifest["config"]["mediaType"],
        "application/vnd.oci.image.config.v1+json"
    );
    let [layer] = manifest["layers"].as_array().unwrap().as_slice() else {
        panic!("one layer: {manifest}");
    };
    assert_eq!(
        layer["mediaType"],
        "application/vnd.oci.image.layer.v1.tar+gzip"
    );
    let mut archive = tar::Archive::new(GzDecoder::new(File::open(blob(&blobs, layer)).unwrap()));
    let mut entries = archive.entries().unwrap();
    let mut entry = entries.next().unwrap().unwrap();
    assert_eq!(entry.path().unwrap(), Path::new("plugin.wasm"));
    let module = blobs.join("plugin.wasm");
    entry.unpack(&module).unwrap();
    assert!(entries.next().is_none());

    assert_runs(&module).await;
}

#[tokio::test]
async fn the_artifact_form_comes_back_as_the_module_and_runs() {
    let registry = Registry::start().await;
    let pushed = registry
        .pushed("mesh/mixerless:1.0", &["--form", "artifact"])
        .await;
    let (manifest, blobs) = registry.pull(&pushed).await;

    let [config, module] = manifest["layers"].as_array().unwrap().as_slice() else {
        panic!("two layers: {manifest}");
    };
    assert_eq!(
        config["mediaType"],
        "application/vnd.module.wasm.config.v1+json"
    );
    assert_eq!(
        module["mediaType"],
        "application/vnd.module.wasm.content.layer.v1+wasm"
    );
    assert_runs(&blob(&blobs, module)).await;
}

#[tokio::test]
async fn the_same_module_has_the_same_digest_and_says_where_it_is_from() {
    let registry = Registry::start().await;
    let annotations = [
        "--source",
        "https://source.example/mixerless",
        "--revision",
        "0123abc",
    ];
    for form in ["image", "artifact"] {
        let flags = [&["--form", form], &annotations[..]].concat();
        let once = registry.pushed("mesh/mixerless:1.0", &flags).await;
        let again = registry.pushed("mesh/mixerless:1.0", &flags).await;
        let elsewhere = registry.pushed("other/name:2", &flags).await;
        assert_eq!(once, again);
        assert_eq!(once["sha256"], elsewhere["sha256"]);

        let (manifest, _) = registry.pull(&once).await;
        assert_eq!(
            manifest["annotations"],
            json!({
                "org.opencontainers.image.licenses": "Apache-2.0",
                "org.opencontainers.image.revision": "0123abc",
                "org.opencontainers.image.source": "https://source.example/mixerless",
                "org.opencontainers.image.title": "mixerless",
                "org.opencontainers.image.version": env!("CARGO_PKG_VERSION"),
            })
        );
    }
}

/// `manifests` accepts the output of `push` as settings.
#[tokio::test]
async fn what_is_printed_are_settings_for_manifests() {
    let registry = Registry::start().await;
    let output = registry.push("mesh/mixerless:1.0", &[]).await;
    let (settings, stderr) = texts(&output);
    assert!(output.status.success(), "{stderr}");
    let file = registry.directory.path().join("mixerless.yaml");
    fs::write(&file, &settings).unwrap();
    let mut command = mixerless();
    command
        .args([
            "manifests",
            "--only",
            "istio/envoyfilter-http-inbound.yaml",
            "--settings",
        ])
        .arg(&file);
    let envoy_filter = parse(&must(command).await).remove(0);

    let remote = envoy_filter
        .pointer("/spec/configPatches/0/patch/value/typed_config/config/vm_config/code/remote")
        .unwrap();
    let settings = &parse(&settings)[0];
    assert_eq!(remote["http_uri"]["uri"], settings["image"]);
    assert_eq!(remote["sha256"], settings["sha256"]);
}

#[tokio::test]
async fn missing_and_wrong_credentials_are_refused_with_one_error() {
    let registry = Registry::start().await;
    for credentials in [None, Some("wrong")] {
        registry.log_in(credentials);
        let output = registry.push("mesh/mixerless:1.0", &[]).await;
        let (stdout, stderr) = texts(&output);
        assert_eq!(output.status.code(), Some(2));
        assert_eq!(stdout, "");
        assert_eq!(
            stderr,
            format!(
                "error: {0} refuses these credentials for mesh/mixerless: `docker login {0}` as a user who may push there\n",
                registry.address
            )
        );
    }
}

#[tokio::test]
async fn a_registry_that_is_not_there_is_one_error() {
    let registry = format!("{}/mixerless:1.0", free_port());
    let mut command = mixerless();
    command
        .arg("push")
        .arg(&registry)
        .arg(install::module().unwrap());
    let output = run(command).await;
    let (_, stderr) = texts(&output);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr.starts_with("error: cannot reach the registry 127.0.0.1:"),
        "{stderr}"
    );
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}

async fn assert_runs(module: &Path) {
    assert_eq!(
        fs::read(module).unwrap(),
        fs::read(install::module().unwrap()).unwrap()
    );
    let proxy = BareEnvoy::start(|bootstrap| {
        let filter =
            "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters/0";
        let filter = bootstrap.pointer_mut(filter).unwrap();
        filter["typed_config"]["config"]["vm_config"]["code"]["local"]["filename"] = json!(module);
    })
    .await;
    proxy.get("/version").await;
    let counted = |page: &harness::Page| !page.series("istio_requests_total").is_empty();
    proxy.page_when("the pulled module counts", counted).await;
}

fn blob(blobs: &Path, descriptor: &Value) -> PathBuf {
    blobs.join(
        descriptor["digest"]
            .as_str()
            .unwrap()
            .trim_start_matches("sha256:"),
    )
}

/// A registry that accepts pushes of one user.
struct Registry {
    address: SocketAddr,
    directory: TempDir,
    _server: Server,
}

impl Registry {
    async fn start() -> Self {
        let directory = TempDir::new().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::write(path("htpasswd"), HTPASSWD).unwrap();
        let address = free_port();
        let config = json!({
            "version": 0.1,
            "auth": { "htpasswd": { "path": path("htpasswd"), "realm": "test" } },
            "http": { "addr": address },
            "storage": { "filesystem": { "rootdirectory": path("storage") } },
        });
        fs::write(
            path("registry.yaml"),
            yaml_serde::to_string(&config).unwrap(),
        )
        .unwrap();
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(path("registry.yaml"));
        let server = Server::start(&mut command, &path("registry.log")).unwrap();
        let answers = eventually("the registry answers", async || {
            let Ok(mut client) = Client::http1(address).await else {
                return Ok(None);
            };
            Ok(client.get("/v2/").await.ok())
        });
        assert_eq!(answers.await.unwrap().status, 401);
        let registry = Self {
            address,
            directory,
            _server: server,
        };
        registry.log_in(Some(PASSWORD));
        registry
    }

    /// The docker configuration after `docker login`.
    fn log_in(&self, password: Option<&str>) {
        use base64::Engine as _;
        let encoded = |password: &str| {
            base64::engine::general_purpose::STANDARD.encode(format!("{USER}:{password}"))
        };
        let auths = match password {
            Some(password) => json!({ self.address.to_string(): { "auth": encoded(password) } }),
            None => json!({}),
        };
        let file = self.directory.path().join("config.json");
        fs::write(file, json!({ "auths": auths }).to_string()).unwrap();
    }

    async fn push(&self, name: &str, flags: &[&str]) -> Output {
        let mut command = mixerless();
        command
            .env("DOCKER_CONFIG", self.directory.path())
            .arg("push")
            .arg(format!("{}/{name}", self.address))
            .arg(install::module().unwrap())
            .args(flags);
        run(command).await
    }

    /// The settings that it prints.
    async fn pushed(&self, name: &str, flags: &[&str]) -> Value {
        let output = self.push(name, flags).await;
        let (stdout, stderr) = texts(&output);
        assert!(output.status.success(), "{stderr}");
        parse(&stdout).remove(0)
    }

    /// The manifest by its digest, and the directory of everything that belongs to it.
    async fn pull(&self, pushed: &Value) -> (Value, PathBuf) {
        let image = pushed["image"].as_str().unwrap();
        let (name, digest) = image
            .trim_start_matches("oci://")
            .split_once("@sha256:")
            .unwrap();
        assert_eq!(pushed["sha256"], digest);
        let directory = self.directory.path().join(format!("pulled-{digest}"));
        let mut skopeo = Command::new("skopeo");
        skopeo
            .args([
                "copy",
                "--quiet",
                "--insecure-policy",
                "--src-tls-verify=false",
            ])
            .args(["--src-creds", &format!("{USER}:{PASSWORD}")])
            .arg(format!("docker://{name}@sha256:{digest}"))
            .arg(format!("dir:{}", directory.display()));
        must(skopeo).await;
        let manifest = fs::read_to_string(directory.join("manifest.json")).unwrap();
        (serde_json::from_str(&manifest).unwrap(), directory)
    }
}
