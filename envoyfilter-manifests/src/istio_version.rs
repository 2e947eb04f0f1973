//! Istio's version, and what depends on it.

use std::fmt;
use std::str::FromStr;

use anyhow::{Error, Result, bail};

/// A minor version of Istio.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct IstioVersion {
    major: u32,
    minor: u32,
}

impl IstioVersion {
    /// The version without a setting.
    pub const DEFAULT: Self = Self::new(1, 30);
    /// The newest that these manifests were tried with.
    pub const NEWEST: Self = Self::new(1, 31);
    /// The oldest whose agent pulls `oci://`.
    pub const OLDEST: Self = Self::new(1, 12);

    /// The oldest whose agent fetches a module for a network filter.
    pub const FIRST_WITH_NETWORK_MODULES: Self = Self::new(1, 20);

    /// The oldest whose Envoy has the ABI of the native library.
    pub const FIRST_WITH_NATIVE_ABI: Self = Self::new(1, 31);

    const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }

    /// Since 1.18 no label has a rule in the bootstrap; before, the standard ones have.
    pub fn has_standard_stat_tags(self) -> bool {
        self < Self::new(1, 18)
    }

    /// Whether a `WasmPlugin` can be restricted to a direction (its field `match`). Older versions ignore the field,
    /// and apply the resource to every listener.
    pub fn has_traffic_selectors(self) -> bool {
        self >= Self::new(1, 16)
    }

    /// Whether a resource can apply to all waypoints of a mesh, by its `targetRefs`.
    pub fn has_waypoint_policies(self) -> bool {
        self >= Self::new(1, 25)
    }

    /// Whether the agent fetches the module for filters of connections too.
    pub fn has_network_modules(self) -> bool {
        self >= Self::FIRST_WITH_NETWORK_MODULES
    }

    /// Whether there is `TrafficExtension`.
    pub fn has_traffic_extension(self) -> bool {
        self >= Self::new(1, 30)
    }

    /// The version of the `Telemetry` resource.
    pub fn telemetry_api(self) -> &'static str {
        if self < Self::new(1, 22) {
            "telemetry.istio.io/v1alpha1"
        } else {
            "telemetry.istio.io/v1"
        }
    }
}

impl FromStr for IstioVersion {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut parts = text.trim_start_matches('v').split('.').map(str::parse);
        let (Some(Ok(major)), Some(Ok(minor))) = (parts.next(), parts.next()) else {
            bail!("--istio-version: {text} is no version: write MAJOR.MINOR, such as 1.30");
        };
        let version = Self::new(major, minor);
        if version < Self::OLDEST {
            bail!(
                "--istio-version: {version} is too old: its proxies cannot pull the module; the oldest is {}",
                Self::OLDEST
            );
        }
        Ok(version)
    }
}

impl fmt::Display for IstioVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers_and_may_have_a_patch_level() {
        let version = |text: &str| text.parse::<IstioVersion>().unwrap();
        assert!(version("1.100") > version("1.30.2"));
        assert!(version("1.17").has_standard_stat_tags());
        assert!(!version("v1.18.0").has_standard_stat_tags());
    }

    #[test]
    fn a_version_that_is_none_or_too_old_is_refused() {
        for text in ["", "1", "latest", "1.x", "1.9"] {
            let error = text.parse::<IstioVersion>().unwrap_err().to_string();
            assert!(error.starts_with("--istio-version: "), "{error}");
        }
    }
}
