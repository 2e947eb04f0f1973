//! A registry with the module in it, and the `mixerless` command.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use serde_json::Value;

use super::api::agent;
use super::daemon::Daemon;
use super::network::NODE;
use super::object::{list, text};
use super::scratch::SCRATCH;
use crate::paths;
use crate::process::capture;

const PORT: u16 = 5000;

/// A registry that has the module.
pub struct ModuleRegistry {
    _daemon: Daemon,
    /// What `push` printed: settings for `manifests`.
    settings: PathBuf,
}

impl ModuleRegistry {
    /// Starts one and pushes the module.
    pub fn start() -> Result<Self> {
        let place = Path::new(SCRATCH).join("registry");
        fs::create_dir_all(&place)?;
        let configuration = place.join("config.yml");
        let images = place.join("images");
        fs::write(
            &configuration,
            format!(
                "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: {NODE}:{PORT}\n",
                images.display()
            ),
        )?;
        let mut daemon = Daemon::start(
            "docker-registry",
            Command::new("docker-registry")
                .arg("serve")
                .arg(&configuration),
        )?;
        let agent = agent(Duration::from_secs(1));
        let url = format!("http://{NODE}:{PORT}/v2/");
        daemon.wait_until(Duration::from_secs(30), || agent.get(&url).call().is_ok())?;
        let settings = place.join("mixerless.yaml");
        let image = format!("{NODE}:{PORT}/mesh/mixerless:1.0");
        let module = paths::module().display().to_string();
        let printed = mixerless(&["push", "--plain-http", &image, &module])?;
        fs::write(&settings, printed)?;
        Ok(Self {
            _daemon: daemon,
            settings,
        })
    }

    /// Writes manifests as one would by hand, with more flags; returns the directory.
    pub fn manifests(&self, name: &str, flags: &[&str]) -> Result<PathBuf> {
        let out = Path::new(SCRATCH).join("manifests").join(name);
        let settings = self.settings.display().to_string();
        let directory = out.display().to_string();
        let words = ["manifests", "--settings", &settings, "--out", &directory];
        mixerless(&[&words, flags].concat())?;
        Ok(out)
    }
}

/// Runs `mixerless` and returns what it printed.
pub fn mixerless(words: &[&str]) -> Result<String> {
    capture(Command::new(paths::mixerless()).args(words))
}

/// The faults that `mixerless check` finds at proxies.
pub fn check(proxies: impl Iterator<Item = Ipv4Addr>) -> Result<Vec<String>> {
    let mut command = Command::new(paths::mixerless());
    command
        .args(["check", "--output", "json"])
        .args(proxies.map(|address| address.to_string()));
    // The exit status is 1 when there are findings, which is no error here.
    let report: Value = serde_json::from_slice(&command.output()?.stdout)?;
    let findings = list(&report, "/proxies").flat_map(|report| list(report, "/findings"));
    Ok(findings
        .map(|finding| text(finding, "/fault").to_owned())
        .collect())
}
