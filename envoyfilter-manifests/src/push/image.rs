//! An image in memory. The same module and annotations always give the same bytes, so the same digest: it has no dates,
//! no owners, and a fixed order.

use std::io::Write as _;

use anyhow::Result;
use flate2::Compression;
use flate2::write::GzEncoder;
use oci_client::client::{Config, ImageLayer};
use oci_client::manifest::{
    IMAGE_CONFIG_MEDIA_TYPE, IMAGE_LAYER_GZIP_MEDIA_TYPE, OciImageManifest,
};
use serde_json::json;

use super::{Form, hex_sha256};
use crate::module::ABI;

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
            Form::Image => container(module)?,
            Form::Artifact => artifact(module),
        };
        let annotations = annotations
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        let manifest = OciImageManifest::build(&layers, &config, Some(annotations));
        Ok(Self {
            layers,
            config,
            manifest,
        })
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

fn container(module: &[u8]) -> Result<(Vec<ImageLayer>, Config)> {
    let tar = tar(module)?;
    let config = json!({
        "architecture": "wasm",
        "config": {},
        "os": "wasi",
        "rootfs": { "diff_ids": [format!("sha256:{}", hex_sha256(&tar))], "type": "layers" },
    });
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

fn tar(module: &[u8]) -> Result<Vec<u8>> {
    let mut header = tar::Header::new_ustar();
    header.set_size(module.len() as u64);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    let mut tar = tar::Builder::new(Vec::new());
    tar.append_data(&mut header, FILE, module)?;
    Ok(tar.into_inner()?)
}
