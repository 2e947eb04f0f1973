//! `mixerless push`: the module as an OCI image in a registry. And `mixerless image`: this program as one in a file.

mod credentials;
mod image;
mod layout;
mod registry;

use std::fmt;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use oci_client::Reference;
use sha2::{Digest, Sha256};

use self::image::Image;
pub use self::layout::{LayoutOptions, write_layout};
use self::registry::ImageRegistry;
use crate::module;

/// The options of `mixerless push`.
#[derive(Args, Clone, Debug)]
pub struct PushOptions {
    /// Destination: REGISTRY/REPOSITORY:TAG
    #[arg(value_name = "REGISTRY/REPOSITORY:TAG")]
    pub to: String,
    /// The module; without it, the one inside this program
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// The form of the image; Istio and Envoy Gateway take both
    #[arg(long, value_enum, default_value_t = Form::Image)]
    pub form: Form,
    /// Use HTTP without TLS; the default for a registry on this machine
    #[arg(long)]
    pub plain_http: bool,
    /// Annotation: where the module's source code is
    #[arg(long, value_name = "URL")]
    pub source: Option<String>,
    /// Annotation: the commit that it was built from
    #[arg(long, value_name = "COMMIT")]
    pub revision: Option<String>,
    /// Annotation: its version
    #[arg(long, value_name = "VERSION", default_value = env!("CARGO_PKG_VERSION"))]
    pub module_version: String,
    /// Annotation: its licence, as an SPDX expression
    #[arg(long, value_name = "SPDX", default_value = env!("CARGO_PKG_LICENSE"))]
    pub license: String,
}

/// The form of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// Like a container image: one tar+gzip layer with plugin.wasm in it
    Image,
    /// As an artifact: one layer for the configuration and one for the unpacked module
    Artifact,
}

/// The pushed image. Its `Display` is a settings file for `mixerless manifests`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// `REGISTRY/REPOSITORY@sha256:…`
    pub reference: String,
    /// The digest of the manifest in hexadecimal, which Istio verifies for `oci://`.
    pub sha256: String,
    /// That of the module, which Istio verifies for `https://`.
    pub module_sha256: String,
}

impl fmt::Display for Pushed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "image: oci://{}", self.reference)?;
        writeln!(f, "sha256: {}", self.sha256)?;
        write!(
            f,
            "# The module itself, for https:// in place of oci://: sha256 {}",
            self.module_sha256
        )
    }
}

/// Pushes the module.
///
/// # Errors
/// When the reference or the file is wrong, or the registry refuses the image. The manifest is pushed last, so that after a
/// failure no incomplete image can be pulled.
pub async fn push(options: &PushOptions) -> Result<Pushed> {
    let to = reference(&options.to)?;
    let module = module::load(options.file.as_deref())?;
    let image = Image::new(options.form, &module, &annotations(options))?;
    let registry = ImageRegistry::new(&to, options.plain_http)?;

    let progress = ProgressBar::new(image.size()).with_style(ProgressStyle::with_template(
        "{msg} [{bar:30}] {bytes}/{total_bytes}",
    )?);
    progress.set_message(format!("Pushing to {to}"));
    registry.log_in().await?;
    for blob in image.blobs() {
        registry.push_blob(&blob).await?;
        progress.inc(blob.data.len() as u64);
    }
    let sha256 = registry.push_manifest(image.manifest()?).await?;
    progress.finish_and_clear();

    Ok(Pushed {
        reference: format!("{}/{}@sha256:{sha256}", to.registry(), to.repository()),
        sha256,
        module_sha256: hex_sha256(&module),
    })
}

fn reference(text: &str) -> Result<Reference> {
    let name = text.strip_prefix("oci://").unwrap_or(text);
    let last = name.rsplit('/').next().unwrap_or_default();
    ensure!(
        name.contains('/') && !name.contains('@'),
        "{text} is not a destination for a push: write REGISTRY/REPOSITORY:TAG"
    );
    ensure!(
        last.contains(':'),
        "{text} has no tag: write REGISTRY/REPOSITORY:TAG"
    );
    name.parse().with_context(|| {
        format!("{text} is not a destination for a push: write REGISTRY/REPOSITORY:TAG")
    })
}

fn annotations(options: &PushOptions) -> Vec<(&'static str, String)> {
    let given = [
        (
            "org.opencontainers.image.licenses",
            Some(options.license.clone()),
        ),
        (
            "org.opencontainers.image.revision",
            options.revision.clone(),
        ),
        ("org.opencontainers.image.source", options.source.clone()),
        (
            "org.opencontainers.image.title",
            Some("mixerless".to_owned()),
        ),
        (
            "org.opencontainers.image.version",
            Some(options.module_version.clone()),
        ),
    ];
    given
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

fn hex_sha256(bytes: &[u8]) -> String {
    use fmt::Write as _;
    Sha256::digest(bytes)
        .iter()
        .fold(String::with_capacity(64), |mut hex, byte| {
            // Cannot fail: it writes into a string.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_has_registry_repository_and_tag() {
        let to = reference("oci://localhost:5000/mesh/mixerless:1.0").unwrap();
        assert_eq!((to.registry(), to.tag()), ("localhost:5000", Some("1.0")));
        for (text, expected) in [
            ("localhost:5000/mixerless", "has no tag"),
            ("mixerless:1", "is not a destination"),
            ("localhost:5000/m@sha256:00", "is not a destination"),
            ("localhost:5000/M:1", "is not a destination"),
        ] {
            let error = reference(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
