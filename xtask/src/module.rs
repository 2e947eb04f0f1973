//! The module: built for Envoy into `target/dist`, as WebAssembly and as a library.
//! Not here: which compiler does it, see `toolchain`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::apt::WASM_OPT;
use crate::cargo::cargo;
use crate::paths;
use crate::process::{capture, show};
use crate::toolchain::{Toolchain, WASM};

/// The WebAssembly features that the compiler uses, which `wasm-opt` needs as flags.
const FEATURES: [&str; 6] = [
    "--enable-bulk-memory",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
];

/// How much a build prints.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Verbosity {
    /// The output of cargo.
    Normal,
    /// Errors only.
    Quiet,
}

/// A built module.
pub struct Module {
    path: PathBuf,
    size: usize,
    sha256: String,
}

impl Module {
    /// Prints what was built.
    pub fn print(&self) {
        println!("{}", paths::shown(&self.path));
        println!("  size    {} kB", self.size.div_ceil(1000));
        println!("  sha256  {}", self.sha256);
    }

    fn read(path: PathBuf) -> Result<Self> {
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Self {
            path,
            size: bytes.len(),
            sha256: format!("{:x}", Sha256::digest(&bytes)),
        })
    }
}

/// Builds both forms of the module.
pub fn build_all(toolchain: &Toolchain, verbosity: Verbosity) -> Result<[Module; 2]> {
    Ok([build(toolchain, verbosity)?, build_native(verbosity)?])
}

/// Builds the library for this machine's Envoy into `target/dist/libmixerless.so`.
pub fn build_native(verbosity: Verbosity) -> Result<Module> {
    build_library(verbosity, &[], paths::native_module())
}

/// The same for a test: a library that panics where it is told to.
pub fn build_panicking(verbosity: Verbosity) -> Result<Module> {
    let library = paths::native_module();
    let features = ["--features", "panic-on-purpose"];
    let name = library.file_name().unwrap_or_default();
    let library = library.with_file_name("panicking").join(name);
    build_library(verbosity, &features, library)
}

fn build_library(verbosity: Verbosity, features: &[&str], library: PathBuf) -> Result<Module> {
    let mut cargo = cargo("build");
    cargo.args(["--package", "filter-native", "--profile", "native"]);
    cargo.args(features);
    if verbosity == Verbosity::Quiet {
        cargo.arg("--quiet");
    }
    show(&mut cargo)?;
    let built = paths::root().join("target/native/libmixerless_native.so");
    let part = library.with_extension("part");
    fs::create_dir_all(library.with_file_name(""))
        .and_then(|()| fs::copy(&built, &part))
        .and_then(|_| fs::rename(&part, &library))
        .with_context(|| format!("cannot write {}", library.display()))?;
    Module::read(library)
}

/// Builds the module into `target/dist/mixerless.wasm`.
pub fn build(toolchain: &Toolchain, verbosity: Verbosity) -> Result<Module> {
    WASM_OPT.ensure()?;
    let mut cargo = toolchain.cargo("build", WASM, "std");
    cargo.args(["--package", "filter"]);
    if verbosity == Verbosity::Quiet {
        cargo.arg("--quiet");
    }
    show(&mut cargo)?;
    publish()
}

/// Puts what cargo built where users and tests look, made smaller. By renaming,
/// so that no process loads half a module.
fn publish() -> Result<Module> {
    let built = paths::wasm_target()
        .join(WASM)
        .join("release/mixerless.wasm");
    let module = paths::module();
    let part = module.with_extension("part");
    if let Some(directory) = module.parent() {
        fs::create_dir_all(directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
    }
    let mut wasm_opt = Command::new("wasm-opt");
    wasm_opt.arg("-Os").args(FEATURES);
    capture(wasm_opt.arg(&built).arg("-o").arg(&part))?;
    fs::rename(&part, &module).with_context(|| format!("cannot write {}", module.display()))?;
    Module::read(module)
}
