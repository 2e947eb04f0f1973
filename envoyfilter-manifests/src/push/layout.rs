//! `mixerless image`: this program as an image on nothing, in one file that `skopeo` and `podman load` read.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use oci_client::manifest::{OCI_IMAGE_INDEX_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE};
use serde_json::json;

use super::hex_sha256;
use super::image::{Image, READABLE, tar};

/// The options of `mixerless image`.
#[derive(Args, Clone, Debug)]
pub struct LayoutOptions {
    /// Write the OCI layout to this file, as a tar archive
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// Writes the layout.
///
/// # Errors
/// When this program cannot be read, or the file not be written.
pub fn write_layout(options: &LayoutOptions) -> Result<()> {
    let program = std::env::current_exe()
        .and_then(fs::read)
        .context("cannot read this program")?;
    let annotations = [
        (
            "org.opencontainers.image.licenses",
            env!("CARGO_PKG_LICENSE"),
        ),
        ("org.opencontainers.image.title", "mixerless"),
        (
            "org.opencontainers.image.version",
            env!("CARGO_PKG_VERSION"),
        ),
    ];
    let annotations = annotations.map(|(name, value)| (name, value.to_owned()));
    let image = Image::of_program("mixerless", &program, &annotations)?;
    fs::write(&options.out, layout(&image)?)
        .with_context(|| format!("--out: cannot write {}", options.out.display()))
}

/// The directory of an image as a tar archive: blobs by their digests, and an index of one image.
fn layout(image: &Image) -> Result<Vec<u8>> {
    let manifest = image.manifest()?;
    let sha256 = hex_sha256(&manifest);
    let index = json!({
        "manifests": [{
            "annotations": { "org.opencontainers.image.ref.name": env!("CARGO_PKG_VERSION") },
            "digest": format!("sha256:{sha256}"),
            "mediaType": OCI_IMAGE_MEDIA_TYPE,
            "size": manifest.len(),
        }],
        "mediaType": OCI_IMAGE_INDEX_MEDIA_TYPE,
        "schemaVersion": 2,
    });
    let mut files = vec![
        (
            "oci-layout".to_owned(),
            json!({ "imageLayoutVersion": "1.0.0" })
                .to_string()
                .into_bytes(),
        ),
        ("index.json".to_owned(), index.to_string().into_bytes()),
        (format!("blobs/sha256/{sha256}"), manifest),
    ];
    let blobs = image.blobs().into_iter();
    files.extend(blobs.map(|blob| {
        let name = blob.digest.replacen(':', "/", 1);
        (format!("blobs/{name}"), blob.data)
    }));
    let files = files.iter();
    tar(files.map(|(name, content)| (name.as_str(), READABLE, content.as_slice())))
}
