//! An image in memory. The same module and annotations always give the same bytes, so the same digest: it has no dates,
//! no owners, and a fixed order. Of the module for proxies, and of a program for people.

use std::io::Write as _;

use anyhow::Result;
use flate2::Compression;
use flate2::write::GzEncoder;
use oci_client::client::{Config, ImageLayer};
use oci_client::manifest::{
    IMAGE_CONFIG_MEDIA_TYPE, IMAGE_LAYER_GZIP_MEDIA_TYPE, OciImageManifest,
};
use serde_json::{Value, json};

use super::{Form, hex_sha256};
use crate::module::ABI;

/// The mode of a file that is only read.
pub const READABLE: u32 = 0o644;
const EXECUTABLE: u32 = 0o755;
/// Nobody in particular, who owns nothing.
const USER: &str = "65532:65532";

/// The name under which proxies look for the module in an image's last layer.
const FILE: &str = "plugin.wasm";
const WASM_CONFIG: &str = "application/vnd.module.wasm.config.v1+json";
const WASM_LAYER: &str = "application/vnd.module.wasm.content.layer.v1+wasm";

/// Layers, configuration and manifest.
pub struct Image {
    layers: Vec<ImageLayer>,
    config: Config,
    manifest: OciImageManifest,
}

/// Something that a registry stores by its digest.
pub struct Blob {
    /// The bytes.
    pub data: Vec<u8>,
    /// `sha256:…`
    pub digest: String,
}

impl Image {
    /// Packs a module.
    pub fn new(form: Form, module: &[u8], annotations: &[(&str, String)]) -> Result<Self> {
        let (layers, config) = match form {
            Form::Image => {
                let config = json!({ "architecture": "wasm", "config": {}, "os": "wasi" });
                container((FILE, READABLE, module), config)?
            }
            Form::Artifact => artifact(module),
        };
        Ok(Self::built(layers, config, annotations))
    }

    /// Packs a program for Linux that needs nothing else, for the architecture of this program.
    pub fn of_program(name: &str, program: &[u8], annotations: &[(&str, String)]) -> Result<Self> {
        let config = json!({
            "architecture": architecture(),
            "config": { "Entrypoint": [format!("/{name}")], "User": USER, "WorkingDir": "/" },
            "os": "linux",
        });
        let (layers, config) = container((name, EXECUTABLE, program), config)?;
        Ok(Self::built(layers, config, annotations))
    }

    fn built(layers: Vec<ImageLayer>, config: Config, annotations: &[(&str, String)]) -> Self {
        let annotations = annotations
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        let manifest = OciImageManifest::build(&layers, &config, Some(annotations));
        Self {
            layers,
            config,
            manifest,
        }
    }

    /// The blobs that must be in the registry before the manifest.
    pub fn blobs(&self) -> Vec<Blob> {
        let layers = self.layers.iter().map(|layer| &layer.data);
        layers
            .chain([&self.config.data])
            .map(|data| Blob {
                digest: format!("sha256:{}", hex_sha256(data)),
                data: data.to_vec(),
            })
            .collect()
    }

    /// The size of the blobs in bytes.
    pub fn size(&self) -> u64 {
        let layers: usize = self.layers.iter().map(|layer| layer.data.len()).sum();
        (layers + self.config.data.len()) as u64
    }

    /// The manifest as it is stored.
    pub fn manifest(&self) -> Result<Vec<u8>> {
        Ok(serde_json::to_vec(&self.manifest)?)
    }
}

/// An image of one file in one layer. The configuration gets the layer's digest.
fn container(
    (name, mode, content): (&str, u32, &[u8]),
    mut config: Value,
) -> Result<(Vec<ImageLayer>, Config)> {
    let tar = tar([(name, mode, content)])?;
    config["rootfs"] =
        json!({ "diff_ids": [format!("sha256:{}", hex_sha256(&tar))], "type": "layers" });
    // This encoder writes no date into its header.
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&tar)?;
    let layer = ImageLayer::new(gzip.finish()?, IMAGE_LAYER_GZIP_MEDIA_TYPE.to_owned(), None);
    let config = Config::new(config.to_string(), IMAGE_CONFIG_MEDIA_TYPE.to_owned(), None);
    Ok((vec![layer], config))
}

fn artifact(module: &[u8]) -> (Vec<ImageLayer>, Config) {
    let config = json!({ "abiVersions": [ABI], "type": "envoy_proxy" }).to_string();
    let layers = vec![
        ImageLayer::new(config.clone(), WASM_CONFIG.to_owned(), None),
        ImageLayer::new(module.to_vec(), WASM_LAYER.to_owned(), None),
    ];
    (layers, Config::new(config, WASM_CONFIG.to_owned(), None))
}

/// As registries call it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Files by name, mode and content, in this order.
pub fn tar<'a>(files: impl IntoIterator<Item = (&'a str, u32, &'a [u8])>) -> Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, mode, content) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(mode);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        tar.append_data(&mut header, name, content)?;
    }
    Ok(tar.into_inner()?)
}
