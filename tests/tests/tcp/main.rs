//! TCP connections through real Envoys, seen by clients, servers and Prometheus.
//!
//! Needs an Envoy (`cargo xtask setup`) and the module (`cargo xtask build`).

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "clippy.toml exempts the tests themselves, but not the functions that they share"
)]

mod access_logger;
mod counters;
mod databases;
#[path = "../end_to_end/expected.rs"]
#[allow(dead_code, reason = "the other test binary uses the rest")]
mod expected;
mod fixture;
mod labels;
mod lifetime;
mod one_vm;
mod peers;
mod roles;
