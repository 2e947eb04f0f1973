//! `cargo xtask setup`: the one list of what building and testing need.
//! Not here: how each thing is found or installed.

use anyhow::Result;

use crate::apt::{TESTED_WITH, Tool, VALGRIND, WASM_OPT};
use crate::envoy::EnvoyBinary;
use crate::toolchain::Toolchain;
use crate::{gungraun, parsers};

/// Finds or installs what building and running need; prints each thing once.
pub fn run(envoys: &[EnvoyBinary]) -> Result<()> {
    Toolchain::ensure()?;
    WASM_OPT.ensure()?;
    envoys.iter().try_for_each(EnvoyBinary::ensure)
}

/// The same, and what only tests and benchmarks need.
pub fn run_for_tests(envoys: &[EnvoyBinary]) -> Result<()> {
    run(envoys)?;
    TESTED_WITH.iter().try_for_each(Tool::ensure)?;
    parsers::ensure()?;
    VALGRIND.ensure()?;
    gungraun::ensure()
}
