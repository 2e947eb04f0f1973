//! The source of the module, checked against the platform that is to load it. How an address is read is in
//! [`module_source`](crate::module_source).

use anyhow::{Result, bail};

use super::{ModuleForm, Platform};
use crate::module_source::{ModuleSource, sha256};
use crate::settings::Settings;

/// The source of the module, where the platform can load it.
pub fn find(settings: &Settings, platform: &Platform, form: ModuleForm) -> Result<ModuleSource> {
    let Some(image) = &settings.image else {
        bail!("--image is missing: say where the module is, as `mixerless push` prints it");
    };
    let source = ModuleSource::parse(image)?;
    if form == ModuleForm::Library {
        check_library(&source)?;
    }
    match (platform, &source) {
        (Platform::Envoy { .. }, ModuleSource::Oci { .. } | ModuleSource::Http { .. }) => bail!(
            "--image: an Envoy of its own cannot pull {source}: unpack the module beside it, and write the path of the file"
        ),
        (Platform::EnvoyGateway { .. }, ModuleSource::File { .. }) if form == ModuleForm::Wasm => {
            bail!(
                "--image: Envoy Gateway does not take files: write oci:// or https://, not {source}"
            )
        }
        (Platform::Istio { .. }, ModuleSource::File { .. })
            if settings.image_pull_secret.is_some() =>
        {
            bail!("--image-pull-secret: {source} is not pulled from anywhere: leave the secret out")
        }
        _ => Ok(source),
    }
}

/// A library is a file beside the proxy, in an image that is mounted there or put there otherwise.
fn check_library(source: &ModuleSource) -> Result<()> {
    match source {
        ModuleSource::Http { .. } => bail!(
            "--image: with `--method dynamic-module` nothing fetches {source}: write oci:// of an image that is to be \
             mounted, or the path of the library in the proxy's container"
        ),
        ModuleSource::File { path } if !path.ends_with("/libmixerless.so") => bail!(
            "--image: {path} is no library, which `--method dynamic-module` needs: write the path of a file libmixerless.so"
        ),
        ModuleSource::File { .. } | ModuleSource::Oci { .. } => Ok(()),
    }
}

/// The checksum that proxies verify.
pub fn checksum(settings: &Settings, source: &ModuleSource) -> Result<Option<String>> {
    let given = match &settings.sha256 {
        Some(text) => Some(sha256("--sha256", text)?),
        None => None,
    };
    match (source, given) {
        (ModuleSource::File { .. }, Some(_)) => {
            bail!(
                "--sha256: {source} is a file in the proxy's container, which is not verified: leave it out"
            )
        }
        (
            ModuleSource::Oci {
                digest: Some(digest),
                ..
            },
            Some(given),
        ) if given != *digest => {
            bail!(
                "--sha256 is {given}, but --image is pinned to {digest}: one of them is wrong; for an image, it is the digest \
                 of the manifest and not of the module"
            )
        }
        (ModuleSource::Oci { digest, .. }, None) => Ok(digest.clone()),
        (_, given) => Ok(given),
    }
}
