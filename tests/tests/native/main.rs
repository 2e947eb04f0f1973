//! The module as a library of Envoy's dynamic modules: what it has in common with the module for WebAssembly, and
//! what is its own.
//!
//! Needs an Envoy of 1.40 or later (`cargo xtask setup`) and both modules (`cargo xtask build`). What an older Envoy does
//! with the library is in `native_elsewhere`.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "clippy.toml exempts the tests themselves, but not the functions that they share"
)]

mod abi;
mod pair;
mod panics;
mod updates;
