//! What is allowed in an installation, but likely not meant.
//! Not here: what is an error, see [`crate::installation`].

use crate::installation::{Installation, Platform};
use crate::istio_version::IstioVersion;
use crate::module_source::ModuleSource;

/// The warnings about an installation, one line each; each names the setting.
pub fn warnings(installation: &Installation) -> Vec<String> {
    let plugin = installation.plugin.warnings().iter();
    let plugin = plugin.map(|warning| format!("--plugin-config: {warning}"));
    [image(installation), istio_version(installation)]
        .into_iter()
        .flatten()
        .chain(plugin)
        .collect()
}

/// An image that can become another one behind its name.
fn image(installation: &Installation) -> Option<String> {
    let source = &installation.source;
    let latest = match source {
        ModuleSource::File { .. } => return None,
        ModuleSource::Oci { reference, digest } => {
            digest.is_none() && reference.ends_with(":latest")
        }
        ModuleSource::Http { .. } => false,
    };
    match &installation.sha256 {
        None => Some(format!(
            "--image: {source} is not pinned: proxies load whatever is there when they start, and not all the same; add --sha256, \
             or @sha256:…, as `mixerless push` prints them"
        )),
        Some(_) if latest => Some(format!(
            "--image: {source} is what the next push replaces, and then no proxy can load it, because its --sha256 is another: \
             give each version a tag of its own"
        )),
        Some(_) => None,
    }
}

fn istio_version(installation: &Installation) -> Option<String> {
    let newest = IstioVersion::NEWEST;
    match installation.platform {
        Platform::Istio { version, .. } if version > newest => Some(format!(
            "--istio-version: {version} is newer than any that is known here, the newest of which is {newest}: resources are \
             written as for that one; compare the result with `istioctl analyze`"
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn of(settings: Value) -> Vec<String> {
        let settings = serde_json::from_value(settings).unwrap();
        warnings(&Installation::new(&settings).unwrap())
    }

    #[test]
    fn what_is_pinned_and_known_gives_no_warning() {
        let digest = "ab".repeat(32);
        for settings in [
            json!({ "image": format!("oci://r.example/m@sha256:{digest}") }),
            json!({ "image": "oci://r.example/m:1", "sha256": digest, "istio-version": "1.31" }),
            json!({ "image": "/opt/m.wasm", "target": "envoy" }),
        ] {
            assert_eq!(of(settings), [""; 0]);
        }
    }

    #[test]
    fn each_warning_names_its_setting() {
        let digest = "ab".repeat(32);
        for (settings, expected) in [
            (
                json!({ "image": "oci://r.example/m:1" }),
                "--image: oci://r.example/m:1 is not pinned",
            ),
            (
                json!({ "image": "https://r.example/m.wasm" }),
                "--image: https://r.example/m.wasm is not pinned",
            ),
            (
                json!({ "image": "oci://r.example/m:latest", "sha256": digest }),
                "--image: oci://r.example/m:latest is what the next push replaces",
            ),
            (
                json!({ "image": "oci://r.example/m:1", "sha256": digest, "istio-version": "1.32" }),
                "--istio-version: 1.32 is newer",
            ),
            (
                json!({ "image": "oci://r.example/m:1", "sha256": digest, "plugin-config": { "colour": 1 } }),
                "--plugin-config: ",
            ),
        ] {
            let [warning] = &of(settings)[..] else {
                panic!("one warning: {expected}");
            };
            assert!(warning.starts_with(expected), "{warning}");
        }
    }
}
