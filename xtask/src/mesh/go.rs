//! Programs that come as Go modules: built into `target/mesh/bin`, once for each pinned version.
//! Not here: which programs there are, see `programs`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::golang::{self, OLDEST};
use super::programs::{BuildKind, Source};
use crate::paths;
use crate::process::capture;
use crate::steps;

/// Builds the programs of a source unless they are there in this version.
pub fn build(source: &Source) -> Result<()> {
    let name = format!("{} {}", source.name, source.version);
    if is_built(source) {
        steps::present(&name);
        return Ok(());
    }
    for (program, package) in source.programs {
        let how = format!("go build {package}; minutes, once");
        steps::bring(&format!("{program} of {name}"), &how, || {
            build_one(source, program, package).with_context(|| {
                format!(
                    "cannot build {program} from {}@{}; if the Go module proxy is out of reach, set GOPROXY to one that is not",
                    source.module, source.version
                )
            })
        })?;
    }
    fs::write(stamp(source), recipe(source)).context("cannot remember what was built")
}

/// Where the unpacked sources of a module are, which also hold its CRDs and templates.
pub fn sources(source: &Source) -> Result<PathBuf> {
    let wanted = format!("{}@{}", source.module, source.version);
    let mut go = go(&paths::mesh());
    go.args(["mod", "download", "-json", &wanted]);
    let said: Value = serde_json::from_str(&capture(&mut go)?)?;
    match said["Dir"].as_str() {
        Some(directory) => Ok(directory.into()),
        None => bail!("Go does not say where it keeps {wanted}"),
    }
}

fn build_one(source: &Source, program: &str, package: &str) -> Result<()> {
    let directory = match source.kind {
        BuildKind::OwnFolder => sources(source)?,
        BuildKind::Required | BuildKind::Kubernetes => required(source)?,
    };
    let flags = format!("-s -w {}", source.linker_flags);
    let mut go = go(&directory);
    go.args(["build", "-trimpath", "-tags", source.tags])
        .args(["-ldflags", flags.trim(), "-o"])
        .arg(paths::mesh_bin().join(program))
        .arg(package);
    if matches!(source.kind, BuildKind::OwnFolder) {
        // The module cache is read-only; what it needs is in its own go.sum.
        go.env("GOFLAGS", "-buildvcs=false -mod=readonly");
    }
    capture(&mut go).map(drop)
}

/// A module of our own that requires the source in this version, for `go build` to start from.
fn required(source: &Source) -> Result<PathBuf> {
    let directory = paths::mesh().join("src").join(source.name);
    let file = directory.join("go.mod");
    let mut text = format!(
        "module mixerless/{}\n\ngo {}.{}\n\nrequire {} {}\n",
        source.name, OLDEST.0, OLDEST.1, source.module, source.version
    );
    if matches!(source.kind, BuildKind::Kubernetes) {
        text += &staging(&sources(source)?, source.version)?;
    }
    // Go adds to the file, so that it is kept; a file for another version is replaced.
    let same = fs::read_to_string(&file).is_ok_and(|old| old.contains(&requirement(source)));
    if !same {
        fs::create_dir_all(&directory)?;
        let _ = fs::remove_file(directory.join("go.sum"));
        fs::write(&file, text)?;
    }
    Ok(directory)
}

fn requirement(source: &Source) -> String {
    format!("{} {}", source.module, source.version)
}

/// The `replace` lines for the parts of Kubernetes that its repository has as folders; they are published as modules too.
fn staging(kubernetes: &Path, version: &str) -> Result<String> {
    let own = fs::read_to_string(kubernetes.join("go.mod"))?;
    let parts = own.lines().filter_map(|line| {
        let (name, folder) = line.trim().split_once(" => ")?;
        folder.starts_with("./staging/").then_some(name)
    });
    let version = version.replacen("v1.", "v0.", 1);
    let lines: Vec<String> = parts
        .map(|name| format!("replace {name} => {name} {version}\n"))
        .collect();
    Ok(lines.concat())
}

fn go(directory: &Path) -> Command {
    let mut go = Command::new("nice");
    go.args(["-n", "10"])
        .arg(golang::program())
        .current_dir(directory)
        .env("CGO_ENABLED", "0")
        .env("GOFLAGS", "-buildvcs=false -mod=mod")
        .env("GOTOOLCHAIN", "local");
    go
}

fn is_built(source: &Source) -> bool {
    let programs = source.programs.iter();
    fs::read_to_string(stamp(source)).is_ok_and(|built| built == recipe(source))
        && programs
            .map(|(program, _)| paths::mesh_bin().join(program))
            .all(|program| program.is_file())
}

fn stamp(source: &Source) -> PathBuf {
    paths::mesh_bin().join(format!(".{}", source.name))
}

/// All that a build depends on.
fn recipe(source: &Source) -> String {
    format!("{source:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_kubernetes_are_replaced_by_their_published_versions() {
        let folder = tempfile::tempdir().unwrap();
        let text = "replace (\n\tk8s.io/api => ./staging/src/k8s.io/api\n\tother => v1\n)\n";
        fs::write(folder.path().join("go.mod"), text).unwrap();
        let replaced = staging(folder.path(), "v1.34.4").unwrap();
        assert_eq!(replaced, "replace k8s.io/api => k8s.io/api v0.34.4\n");
    }
}
