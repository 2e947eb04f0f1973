//! Where Envoy and the module are.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// The Envoy releases that the module is tested on, newest first.
pub const ENVOY_VERSIONS: [&str; 5] = ["1.40.0", "1.39.3", "1.38.2", "1.37.0", "1.36.4"];

/// The environment variable that names an Envoy binary to use instead of an installed one.
pub const ENVOY_VARIABLE: &str = "MIXERLESS_ENVOY";

/// The environment variable that names a module to load instead of the one in the workspace.
pub const MODULE_VARIABLE: &str = "MIXERLESS_MODULE";

/// The Envoy binary: [`ENVOY_VARIABLE`], else the newest release that `cargo xtask setup` installed.
///
/// # Errors
/// When there is no such file.
pub fn envoy() -> Result<PathBuf> {
    let installed = format!("target/envoy/{}/envoy", ENVOY_VERSIONS[0]);
    existing(ENVOY_VARIABLE, &installed, "cargo xtask setup")
}

/// The compiled module: [`MODULE_VARIABLE`], else the one that `cargo xtask build` made.
///
/// # Errors
/// When there is no such file.
pub fn module() -> Result<PathBuf> {
    existing(
        MODULE_VARIABLE,
        "target/dist/mixerless.wasm",
        "cargo xtask build",
    )
}

/// The directory of the library for Envoy's dynamic modules, which `cargo xtask build` made.
///
/// # Errors
/// When there is no such library.
pub fn native_module_directory() -> Result<PathBuf> {
    let library = format!("target/dist/lib{NATIVE_MODULE}.so");
    let library = existing(NATIVE_VARIABLE, &library, "cargo xtask build")?;
    Ok(library.parent().map(Path::to_path_buf).unwrap_or_default())
}

/// The directory of a library that panics in the hook that `MIXERLESS_PANIC` names, for a test.
///
/// # Errors
/// When there is no such library.
pub fn panicking_module_directory() -> Result<PathBuf> {
    let library = format!("target/dist/panicking/lib{NATIVE_MODULE}.so");
    let library = existing(PANICKING_VARIABLE, &library, "cargo xtask test")?;
    Ok(library.parent().map(Path::to_path_buf).unwrap_or_default())
}

/// The environment variable that names such a library instead of the one in the workspace.
pub const PANICKING_VARIABLE: &str = "MIXERLESS_PANICKING_MODULE";

/// The name by which a configuration loads that library.
pub const NATIVE_MODULE: &str = "mixerless";

/// The environment variable that names a library to load instead of the one in the workspace.
pub const NATIVE_VARIABLE: &str = "MIXERLESS_NATIVE_MODULE";

fn existing(variable: &str, in_workspace: &str, command: &str) -> Result<PathBuf> {
    let path = match env::var_os(variable) {
        Some(path) => PathBuf::from(path),
        None => workspace().join(in_workspace),
    };
    if !path.is_file() {
        bail!(
            "{} is missing: run `{command}`, or set {variable}",
            path.display()
        );
    }
    // Envoy runs in another directory, where a relative path would name another file.
    Ok(path.canonicalize()?)
}

fn workspace() -> &'static Path {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests)
}
