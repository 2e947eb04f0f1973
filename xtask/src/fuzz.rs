//! `cargo xtask fuzz`: random metrics, whose pages another parser must be able to read, and random bytes
//! through the TCP exchange. The targets are those of cargo-fuzz; built here without it and without a
//! sanitizer, so that the stable compiler does.
//! Not here: what is tried, see `fuzz/fuzz_targets`.

use std::env::consts::ARCH;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use crate::apt::Tool;
use crate::cargo::cargo;
use crate::paths;
use crate::process::{show, succeeds};

/// Compiles libFuzzer.
const CXX: Tool = Tool {
    name: "a C++ compiler",
    packages: &["g++"],
    present: || succeeds(Command::new("c++").arg("--version")),
};

/// What lets libFuzzer see which code ran.
const COVERAGE: [&str; 7] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cdebug-assertions",
    "-Ccodegen-units=1",
];

/// The targets, each with features of the core: pages with families that threads can share, and with
/// those of a target without std.
const TARGETS: [(&str, &str); 3] = [
    ("exposition", "std"),
    ("exposition", ""),
    ("exchange", "proxy"),
];

/// Tries so many inputs of each target, from the same start each time. What fails is left in
/// `target/fuzz`.
pub fn run(runs: u32) -> Result<()> {
    CXX.ensure()?;
    let target = paths::root().join("target/fuzz");
    for (name, features) in TARGETS {
        // What is found goes to the first directory; the other one has what to begin with, if anything.
        let found = target.join("corpus").join(name);
        if found.exists() {
            fs::remove_dir_all(&found)
                .with_context(|| format!("cannot remove {}", found.display()))?;
        }
        fs::create_dir_all(&found).with_context(|| format!("cannot make {}", found.display()))?;
        let seeds = paths::root().join("fuzz/corpus").join(name);
        let mut fuzz = cargo("run");
        fuzz.args([
            "--release",
            "--locked",
            "--manifest-path",
            "fuzz/Cargo.toml",
        ])
        .args(["--no-default-features", "--features", features])
        // A target of its own, so that build scripts are built without these flags.
        .args(["--target", &format!("{ARCH}-unknown-linux-gnu")])
        .arg("--target-dir")
        .arg(&target)
        .env("CARGO_ENCODED_RUSTFLAGS", COVERAGE.join("\x1f"))
        .args(["--bin", name, "--"])
        .arg(found)
        .args(seeds.exists().then_some(seeds))
        .args([&format!("-runs={runs}"), "-seed=1", "-max_len=4096"])
        .args(["-verbosity=0", "-print_final_stats=1"])
        .arg(format!("-artifact_prefix={}/", target.display()));
        show(&mut fuzz)?;
    }
    Ok(())
}
