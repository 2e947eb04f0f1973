//! `cargo xtask test` and `cargo xtask matrix`: which checks run, in which order.
//! Not here: the tests.

use anyhow::Result;
use harness::ModuleHost;
use harness::install::{ENVOY_VARIABLE, MODULE_VARIABLE};

use crate::cargo::cargo;
use crate::envoy::{self, Choice, EnvoyBinary};
use crate::fuzz::{self, FuzzOptions};
use crate::module::{self, Verbosity};
use crate::process::show;
use crate::stages::{self, Stage};
use crate::toolchain::Toolchain;
use crate::{paths, setup, targets};

/// A few seconds of it.
const FUZZ_RUNS: u32 = 50_000;

/// All that a change must pass: everything with the first Envoy, and the
/// end-to-end tests once more with each other one.
pub fn everything(choices: &[Choice], test_args: &[String]) -> Result<()> {
    let envoys = envoy::choose(choices)?;
    let mut stages = vec![
        setup_stage(&envoys),
        Stage::new("format", || show(cargo("fmt").args(["--all", "--check"]))),
        Stage::new("lints", lints),
        Stage::new("core without std", core_without_std),
        Stage::new("module", build_module),
    ];
    for (nth, envoy) in envoys.iter().enumerate() {
        stages.push(if nth == 0 {
            all_tests_stage(envoy, test_args)
        } else {
            end_to_end_stage(envoy, test_args)
        });
    }
    stages.push(Stage::new("fuzz", || {
        fuzz::run(&FuzzOptions::runs(FUZZ_RUNS))
    }));
    stages.push(Stage::new("instructions", count_instructions));
    stages::run(stages)
}

/// The end-to-end tests with every supported Envoy.
pub fn matrix(test_args: &[String]) -> Result<()> {
    let envoys = envoy::choose(&[Choice::All])?;
    let mut stages = vec![setup_stage(&envoys), Stage::new("module", build_module)];
    stages.extend(
        envoys
            .iter()
            .map(|envoy| end_to_end_stage(envoy, test_args)),
    );
    stages::run(stages)
}

/// Mixed traffic for so many minutes, with the first Envoy and this form of the module.
pub fn soak(minutes: u32, host: &str) -> Result<()> {
    let envoys = envoy::choose(&[])?;
    setup::run_for_tests(&envoys)?;
    build_module()?;
    let mut soak = cargo("run");
    soak.args([
        "--release",
        "--package",
        "harness",
        "--example",
        "soak",
        "--",
    ])
    .arg(minutes.to_string())
    .env(MODULE_VARIABLE, paths::module())
    .env(ModuleHost::VARIABLE, host);
    if let Some(envoy) = envoys.first() {
        soak.env(ENVOY_VARIABLE, &envoy.binary);
    }
    show(&mut soak)
}

fn setup_stage(envoys: &[EnvoyBinary]) -> Stage<'_> {
    Stage::new("setup", || setup::run_for_tests(envoys))
}

fn all_tests_stage<'a>(envoy: &'a EnvoyBinary, test_args: &'a [String]) -> Stage<'a> {
    let name = format!("all tests, envoy {}", envoy.version);
    let scope = &["--workspace"];
    Stage::new(name, || cargo_test(scope, envoy, test_args))
}

fn end_to_end_stage<'a>(envoy: &'a EnvoyBinary, test_args: &'a [String]) -> Stage<'a> {
    let name = format!("end to end, envoy {}", envoy.version);
    // The tests of the module, in `tests/`. By name and not as `--package harness`: cargo would
    // choose other features of shared crates for it alone, and compile half of them again.
    let tests = ["end_to_end", "configuration", "native_elsewhere"];
    let mut scope = vec!["--workspace"];
    scope.extend(tests.iter().flat_map(|test| ["--test", test]));
    if envoy.has_native_abi() {
        scope.extend(["--test", "native"]);
    }
    Stage::new(name, move || cargo_test(&scope, envoy, test_args))
}

fn lints() -> Result<()> {
    let scope = ["--workspace", "--all-targets"];
    show(cargo("clippy").args(scope).args(["--", "-D", "warnings"]))
}

fn core_without_std() -> Result<()> {
    targets::check(&Toolchain::ensure_silently()?)
}

fn build_module() -> Result<()> {
    module::build_panicking(Verbosity::Quiet)?;
    let built = module::build_all(&Toolchain::ensure_silently()?, Verbosity::Normal)?;
    built.iter().for_each(module::Module::print);
    Ok(())
}

/// Fails where the core takes more than its budget.
fn count_instructions() -> Result<()> {
    let scope = ["--package", "bench", "--no-default-features"];
    show(cargo("bench").args(scope).args(["--bench", "instructions"]))
}

fn cargo_test(scope: &[&str], envoy: &EnvoyBinary, test_args: &[String]) -> Result<()> {
    let mut cargo = cargo("test");
    cargo
        .args(scope)
        .args(test_args)
        .env(ENVOY_VARIABLE, &envoy.binary)
        .env(MODULE_VARIABLE, paths::module());
    show(&mut cargo)
}
