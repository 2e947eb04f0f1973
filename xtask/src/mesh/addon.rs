//! Software that brings its own manifests among its sources: unpacked, and applied with kustomize.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::cluster::TestCluster;
use super::go;
use super::programs::Source;
use super::scratch::SCRATCH;
use crate::process::capture;

/// Copies a folder of a module's sources; in the module cache it has a path that kustomize mistakes for a repository.
pub fn unpack(source: &Source, folder: &str) -> Result<PathBuf> {
    let place = Path::new(SCRATCH).join("addons").join(source.name);
    std::fs::create_dir_all(&place)?;
    let sources = go::sources(source)?.join(folder);
    let mut cp = Command::new("cp");
    cp.args(["--recursive", "--no-preserve=mode"])
        .arg(&sources)
        .arg(&place);
    capture(&mut cp)?;
    Ok(place.join(sources.file_name().unwrap_or_default()))
}

/// Applies a kustomization.
pub fn apply(cluster: &TestCluster, directory: &Path) -> Result<()> {
    let directory = directory.display().to_string();
    let words = [
        "apply",
        "--server-side",
        "--force-conflicts",
        "-k",
        &directory,
    ];
    cluster.api.kubectl(&words).map(drop)
}
