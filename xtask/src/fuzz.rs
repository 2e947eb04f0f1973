//! `cargo xtask fuzz`: random metrics, whose pages another parser must be able to read, and random bytes for
//! all that reads what others write. The targets are those of cargo-fuzz; built here without it and without
//! a sanitizer, so that the stable compiler does.
//! Not here: what is tried, see `fuzz/fuzz_targets`.

use std::env::consts::ARCH;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};

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
const TARGETS: [(&str, &str); 10] = [
    ("exposition", "std"),
    ("exposition", ""),
    ("exchange", "proxy"),
    ("peer_header", "proxy"),
    ("workload_struct", "proxy"),
    ("baggage", "proxy"),
    ("metadata", "proxy"),
    ("configuration", "proxy"),
    ("stat_name", "proxy"),
    ("cel", "proxy"),
];

/// What to try, and for how long.
#[derive(clap::Args)]
pub struct FuzzOptions {
    /// The target; without it, all of them
    target: Option<String>,
    /// How many inputs of each
    #[arg(long, default_value_t = 1_000_000)]
    runs: u32,
    /// For how long each, instead of so many inputs
    #[arg(long, conflicts_with = "runs")]
    minutes: Option<u32>,
}

impl FuzzOptions {
    /// So many inputs of each target.
    pub const fn runs(runs: u32) -> Self {
        Self {
            target: None,
            runs,
            minutes: None,
        }
    }

    fn limit(&self) -> String {
        match self.minutes {
            Some(minutes) => format!("-max_total_time={}", u64::from(minutes) * 60),
            None => format!("-runs={}", self.runs),
        }
    }
}

/// Tries inputs of each target, from the same start each time. What fails is left in `target/fuzz`.
pub fn run(options: &FuzzOptions) -> Result<()> {
    CXX.ensure()?;
    let wanted = |name: &str| {
        options
            .target
            .as_deref()
            .is_none_or(|wanted| wanted == name)
    };
    let chosen: Vec<_> = TARGETS.iter().filter(|(name, _)| wanted(name)).collect();
    if chosen.is_empty() {
        bail!("no such target; they are in fuzz/fuzz_targets");
    }
    for (name, features) in chosen {
        run_target(name, features, &options.limit())?;
    }
    Ok(())
}

fn run_target(name: &str, features: &str, limit: &str) -> Result<()> {
    let target = paths::root().join("target/fuzz");
    // What is found goes to the first directory; the other one has what to begin with, if anything.
    let found = target.join("corpus").join(name);
    if found.exists() {
        fs::remove_dir_all(&found).with_context(|| format!("cannot remove {}", found.display()))?;
    }
    fs::create_dir_all(&found).with_context(|| format!("cannot make {}", found.display()))?;
    let seeds = paths::root().join("fuzz/corpus").join(name);
    let mut fuzz = cargo("run");
    fuzz.args(["--release", "--locked"])
        .args(["--manifest-path", "fuzz/Cargo.toml"])
        .args(["--no-default-features", "--features", features])
        // A target of its own, so that build scripts are built without these flags.
        .args(["--target", &format!("{ARCH}-unknown-linux-gnu")])
        .arg("--target-dir")
        .arg(&target)
        .env("CARGO_ENCODED_RUSTFLAGS", COVERAGE.join("\x1f"))
        .args(["--bin", name, "--"])
        .arg(found)
        .args(seeds.exists().then_some(seeds))
        .args([limit, "-seed=1", "-max_len=4096"])
        .args(["-verbosity=0", "-print_final_stats=1"])
        .arg(format!("-artifact_prefix={}/", target.display()));
    show(&mut fuzz)
}
