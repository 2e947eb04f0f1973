//! The module: built for Envoy into `target/dist`.
//! Not here: which compiler does it, see `toolchain`.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::apt::WASM_OPT;
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
    size: usize,
    sha256: String,
}

impl Module {
    /// Prints what was built.
    pub fn print(&self) {
        println!("{}", paths::shown(&paths::module()));
        println!("  size    {} kB", self.size.div_ceil(1000));
        println!("  sha256  {}", self.sha256);
    }
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
    let bytes = fs::read(&module).with_context(|| format!("cannot read {}", module.display()))?;
    Ok(Module {
        size: bytes.len(),
        sha256: format!("{:x}", Sha256::digest(&bytes)),
    })
}
