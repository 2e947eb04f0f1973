//! Paths in the repository. Nothing here creates them.

use std::path::{Path, PathBuf};

/// The repository.
pub fn root() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

/// The module that users, tests and the demo load.
pub fn module() -> PathBuf {
    root().join("target/dist/mixerless.wasm")
}

/// The command line, as cargo builds it.
pub fn mixerless() -> PathBuf {
    root().join("target/debug/mixerless")
}

/// The library that users, tests and the benchmark load into Envoy as a dynamic module.
pub fn native_module() -> PathBuf {
    root().join("target/dist/libmixerless.so")
}

/// Cargo's target directory for the module. Not the host's, because two
/// compilers that share one would wait for each other's lock.
pub fn wasm_target() -> PathBuf {
    root().join("target/wasm")
}

/// The binary of one Envoy version.
pub fn envoy(version: &str) -> PathBuf {
    root().join("target/envoy").join(version).join("envoy")
}

/// Where programs are that cargo installs for this repository alone: `bin/` below it.
pub fn tools() -> PathBuf {
    root().join("target/tools")
}

/// What the mesh's programs are built in, and what they log.
pub fn mesh() -> PathBuf {
    root().join("target/mesh")
}

/// The mesh's programs.
pub fn mesh_bin() -> PathBuf {
    mesh().join("bin")
}

/// `path` as one types it from the repository's root.
pub fn shown(path: &Path) -> String {
    let short = path.strip_prefix(root()).unwrap_or(path);
    short.display().to_string()
}
