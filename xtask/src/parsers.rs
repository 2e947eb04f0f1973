//! The parsers of Prometheus' own Python client, which tests hold the metrics library's pages against.
//! Not here: the tests, which find it in `target/tools/python`.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::process::capture;
use crate::wheel::{PIP, pip, python_with_pip};
use crate::{paths, steps};

/// The package, pinned.
const REQUIREMENT: &str = "prometheus_client==0.26.0 \
    --hash=sha256:fa93d06737aa02bacd05794768508bb97d2fbee28cb3bca04eaae92f0ca953d6";

/// Installs the package unless it is there.
pub fn ensure() -> Result<()> {
    let directory = paths::tools().join("python");
    let installed = directory.join("prometheus_client-0.26.0.dist-info");
    if installed.exists() {
        let path = paths::shown(&directory);
        steps::present(&format!("prometheus_client 0.26.0 ({path})"));
        return Ok(());
    }
    PIP.ensure()?;
    steps::bring("prometheus_client 0.26.0", "pip install", || {
        install(&directory)
    })
}

fn install(directory: &PathBuf) -> Result<()> {
    let _ = fs::remove_dir_all(directory);
    fs::create_dir_all(directory)
        .with_context(|| format!("cannot make {}", directory.display()))?;
    let requirements = directory.join("requirements.txt");
    fs::write(&requirements, REQUIREMENT)
        .with_context(|| format!("cannot write {}", requirements.display()))?;
    let mut pip = pip(python_with_pip().context("there is no Python with pip")?);
    pip.args(["install", "--quiet", "--no-deps", "--require-hashes"])
        .arg("--requirement")
        .arg(&requirements)
        .arg("--target")
        .arg(directory);
    capture(&mut pip).context("cannot install prometheus_client")?;
    Ok(())
}
