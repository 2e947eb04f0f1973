//! `gungraun-runner`, which runs the benchmarks under valgrind and evaluates its counts.
//! Not here: where the benchmarks look for it, which is in `.cargo/config.toml`.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use crate::cargo::cargo;
use crate::process::capture;
use crate::{paths, steps};

const RUNNER: &str = "gungraun-runner";

/// Installs the runner unless it is there in the version that the benchmarks are locked to: it refuses
/// all others.
pub fn ensure() -> Result<()> {
    let lock = paths::root().join("Cargo.lock");
    let lock =
        fs::read_to_string(&lock).with_context(|| format!("cannot read {}", lock.display()))?;
    let version = locked_version(&lock).context("Cargo.lock has no gungraun-runner")?;
    let runner = paths::tools().join("bin").join(RUNNER);
    let thing = format!("{RUNNER} {version}");
    if capture(Command::new(&runner).arg("--version")).is_ok_and(|said| said.trim() == thing) {
        let path = paths::shown(&runner);
        steps::present(&format!("{thing} ({path})"));
        return Ok(());
    }
    let mut install = cargo("install");
    // Unoptimized, because it is compiled once for a run or two in which it waits for valgrind.
    install
        .args([
            RUNNER,
            "--version",
            version,
            "--locked",
            "--debug",
            "--root",
        ])
        .arg(paths::tools())
        .env("CARGO_PROFILE_DEV_DEBUG", "0");
    steps::bring(&thing, "cargo install", || capture(&mut install))?;
    Ok(())
}

fn locked_version(lock: &str) -> Option<&str> {
    let (_, package) = lock.split_once("name = \"gungraun-runner\"\nversion = \"")?;
    package.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_that_of_the_runner() {
        let lock = "name = \"gungraun\"\nversion = \"1.0.0\"\n\n[[package]]\n\
                    name = \"gungraun-runner\"\nversion = \"1.2.3\"\nsource = \"x\"\n";
        assert_eq!(locked_version(lock), Some("1.2.3"));
        assert_eq!(locked_version(""), None);
    }
}
