//! `stats-core` on targets that are not this machine, with and without each feature, its documentation,
//! and its examples for them. Not here: which compiler does it, see `toolchain`.

use std::fs;

use anyhow::{Context, Result, ensure};

use crate::cargo::cargo;
use crate::paths;
use crate::process::{capture, show};
use crate::toolchain::{EMBEDDED, SMALLEST, Toolchain, WASM, WASM_NO_STD};

/// What is checked where there is no std. `proxy` needs compare-and-swap, which [`SMALLEST`] has not.
const WITHOUT_STD: [(&str, &str); 5] = [
    (WASM_NO_STD, ""),
    (WASM_NO_STD, "proxy"),
    (EMBEDDED, ""),
    (EMBEDDED, "proxy"),
    (SMALLEST, ""),
];

/// What is checked on this machine.
const WITH_STD: [&str; 4] = ["", "std", "proxy", "std,proxy"];

/// Checks the library everywhere, and builds the example that runs in a WebAssembly engine.
/// `check`, not `build`: the types tell, and it spares compiling `core`.
pub fn check(toolchain: &Toolchain) -> Result<()> {
    for features in WITH_STD {
        let scope = ["--package", "stats-core", "--features", features];
        show(cargo("check").args(scope))?;
    }
    document()?;
    for (target, features) in WITHOUT_STD {
        let mut cargo = toolchain.cargo("check", target, "core,alloc");
        show(cargo.args(["--package", "stats-core", "--features", features]))?;
    }
    for target in [EMBEDDED, SMALLEST] {
        let mut cargo = toolchain.cargo("check", target, "core,alloc");
        show(cargo.args(["--package", "stats-core", "--example", "no_std"]))?;
    }
    run_example()?;
    build_wasm_example(toolchain)
}

/// A link that leads nowhere is an error: with what `default` has, and with all features.
fn document() -> Result<()> {
    for features in ["--features=", "--all-features"] {
        let scope = ["--package", "stats-core", "--no-deps", features];
        show(cargo("doc").args(scope).env("RUSTDOCFLAGS", "-D warnings"))?;
    }
    Ok(())
}

/// The program without std, on this machine.
fn run_example() -> Result<()> {
    let mut example = cargo("run");
    let page =
        capture(example.args(["--quiet", "--package", "stats-core", "--example", "no_std"]))?;
    ensure!(
        page.contains("\npresses_total{number=\"1\",press=\"short\"} 2\n"),
        "the example without std counts wrongly:\n{page}"
    );
    Ok(())
}

/// Into `target/dist`, where the test looks that runs it.
fn build_wasm_example(toolchain: &Toolchain) -> Result<()> {
    let mut cargo = toolchain.cargo("build", WASM, "std");
    show(cargo.args(["--package", "stats-core", "--example", "wasm_module"]))?;
    let built = paths::wasm_target()
        .join(WASM)
        .join("release/examples/wasm_module.wasm");
    let example = paths::module().with_file_name("metrics-example.wasm");
    if let Some(directory) = example.parent() {
        fs::create_dir_all(directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
    }
    fs::copy(&built, &example).with_context(|| format!("cannot write {}", example.display()))?;
    Ok(())
}
