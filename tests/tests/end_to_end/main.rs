//! The module in real Envoys, seen by clients, applications and Prometheus.
//!
//! Needs an Envoy (`cargo xtask setup`) and the module (`cargo xtask build`).

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "clippy.toml exempts the tests themselves, but not the functions that they share"
)]

mod access_logger;
mod accounting;
mod demo_pair;
mod exchange;
mod expected;
mod golden;
mod hostile;
mod load;
mod peer;
mod roles;
