//! The source of the module for proxies: an OCI image, a web server, or a file in their own file system.

use std::fmt;

use anyhow::{Result, bail, ensure};

/// The source of the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModuleSource {
    /// An OCI image.
    Oci {
        /// `REGISTRY/REPOSITORY:TAG`, or with `@sha256:…`; without scheme.
        reference: String,
        /// The digest of the image's manifest, if the reference has it.
        digest: Option<String>,
    },
    /// A `.wasm` file on a web server.
    Http {
        /// Its URL.
        url: String,
    },
    /// A `.wasm` file in the proxy's own file system.
    File {
        /// Its absolute path.
        path: String,
    },
}

impl ModuleSource {
    /// Parses `oci://…`, `https://…`, `file:///…` or an absolute path.
    ///
    /// # Errors
    /// When it is none of these, or an image without a tag.
    pub fn parse(text: &str) -> Result<Self> {
        if let Some(reference) = text.strip_prefix("oci://") {
            return parse_image(reference);
        }
        if text.starts_with("https://") || text.starts_with("http://") {
            return Ok(Self::Http {
                url: text.to_owned(),
            });
        }
        let path = text.strip_prefix("file://").unwrap_or(text);
        ensure!(
            path.starts_with('/'),
            "--image: {text} is no address of a module: write oci://REGISTRY/REPOSITORY:TAG, https://HOST/FILE.wasm, or \
             the absolute path of a file in the proxy's container"
        );
        Ok(Self::File {
            path: path.to_owned(),
        })
    }

    /// The address with its scheme, in Istio's form.
    pub fn url(&self) -> String {
        match self {
            Self::Oci { reference, .. } => format!("oci://{reference}"),
            Self::Http { url } => url.clone(),
            Self::File { path } => format!("file://{path}"),
        }
    }
}

impl fmt::Display for ModuleSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url())
    }
}

fn parse_image(reference: &str) -> Result<ModuleSource> {
    let (name, digest) = match reference.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (reference, None),
    };
    let Some((registry, repository)) = name.split_once('/') else {
        bail!("--image: oci://{reference} names no registry: write oci://REGISTRY/REPOSITORY:TAG");
    };
    ensure!(
        !registry.is_empty() && !repository.is_empty(),
        "--image: oci://{reference} is not complete: write oci://REGISTRY/REPOSITORY:TAG"
    );
    ensure!(
        digest.is_some() || repository.contains(':'),
        "--image: oci://{reference} has no tag: add :TAG, or @sha256:DIGEST as `mixerless push` prints it"
    );
    if let Err(error) = reference.parse::<oci_client::Reference>() {
        bail!("--image: oci://{reference} is not a valid image reference ({error})");
    }
    let digest = match digest {
        None => None,
        Some(digest) => Some(sha256("--image", digest.trim_start_matches("sha256:"))?),
    };
    Ok(ModuleSource::Oci {
        reference: reference.to_owned(),
        digest,
    })
}

/// Checks a sha256 in hexadecimal.
///
/// # Errors
/// When it is not one; the error names the flag.
pub fn sha256(flag: &str, text: &str) -> Result<String> {
    let hexadecimal = |c: char| matches!(c, '0'..='9' | 'a'..='f');
    ensure!(
        text.len() == 64 && text.chars().all(hexadecimal),
        "{flag}: {text} is no sha256: it has 64 digits, 0-9 and a-f; `mixerless push` prints it"
    );
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_each_kind_are_read() {
        for address in [
            "oci://registry.example/mesh/mixerless:1.0",
            "oci://localhost:5000/mixerless:1.0",
            "https://files.example/mixerless.wasm",
            "file:///etc/istio/extensions/mixerless.wasm",
        ] {
            assert_eq!(ModuleSource::parse(address).unwrap().url(), address);
        }
        let path = ModuleSource::parse("/etc/mixerless.wasm").unwrap();
        assert_eq!(path.url(), "file:///etc/mixerless.wasm");
    }

    #[test]
    fn a_pinned_image_yields_its_digest() {
        let digest = "0123456789abcdef".repeat(4);
        let image = ModuleSource::parse(&format!("oci://r.example/m@sha256:{digest}")).unwrap();
        assert!(matches!(image, ModuleSource::Oci { digest: Some(found), .. } if found == digest));
    }

    #[test]
    fn what_is_wrong_is_said_with_the_flag_and_the_cure() {
        for (address, expected) in [
            ("oci://localhost:5000/mixerless", "has no tag"),
            ("oci://mixerless:1.0", "names no registry"),
            ("oci://r.example/m@sha256:12", "not a valid image reference"),
            ("oci://r.example/M:1", "not a valid image reference"),
            ("mixerless.wasm", "is no address of a module"),
        ] {
            let error = ModuleSource::parse(address).unwrap_err().to_string();
            assert!(error.starts_with("--image: "), "{error}");
            assert!(error.contains(expected), "{error}");
        }
    }
}
