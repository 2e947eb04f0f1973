//! `cargo xtask packages`: the Helm chart and the kustomization, rendered by Helm and Kustomize.
//! Not here: the tests, which are those of `packages` in envoyfilter-manifests.

use std::env;
use std::fs;

use anyhow::Result;

use crate::cargo::cargo;
use crate::mesh::{go, golang, programs};
use crate::paths;
use crate::process::show;

/// Builds both programs, once, and runs the tests that need them.
pub fn run() -> Result<()> {
    golang::ensure()?;
    fs::create_dir_all(paths::mesh_bin())?;
    [programs::HELM, programs::KUSTOMIZE]
        .iter()
        .try_for_each(go::build)?;
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths(std::iter::once(paths::mesh_bin()).chain(env::split_paths(&path)))?;
    let mut tests = cargo("test");
    tests
        .args(["--package", "envoyfilter-manifests", "--test", "mesh"])
        .args(["packages::", "--", "--include-ignored"])
        .env("PATH", path);
    show(&mut tests)
}
