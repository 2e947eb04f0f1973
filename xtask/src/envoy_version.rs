//! Which version an Envoy binary is.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::process::capture;

/// The version that the binary prints.
pub fn version_of(binary: &Path) -> Result<String> {
    let said = capture(Command::new(binary).arg("--version"))?;
    match version_in(&said) {
        Some(version) => Ok(version.to_owned()),
        None => bail!("it does not answer `--version` as Envoy does"),
    }
}

/// The version in `envoy  version: COMMIT/1.40.0/Clean/RELEASE/BoringSSL`.
fn version_in(said: &str) -> Option<&str> {
    let (_, build) = said.split_once("version: ")?;
    build.split('/').nth(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_not_mistaken_for_a_part_of_the_path() {
        let said = "/opt/1.2/envoy  version: 0a1b2c/1.40.0/Clean/RELEASE/BoringSSL";
        assert_eq!(version_in(said), Some("1.40.0"));
        assert_eq!(version_in("true (GNU coreutils) 9.1"), None);
    }
}
