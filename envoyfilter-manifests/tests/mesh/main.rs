//! What `mixerless` generates, pushes and finds, tested with a real Envoy, registry and Prometheus.
//!
//! The programs that these tests need come with `cargo xtask setup`; a test without its program fails with that instruction.
//! Those of `packages` need Helm and Kustomize, and come with `cargo xtask packages`; those of `installed` come with
//! `cargo xtask dist --check`.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "clippy.toml exempts the tests themselves, but not the functions that they share"
)]

mod bare_envoy;
mod check;
mod dashboards;
mod docs;
mod dynamic_module;
mod gate;
mod golden;
mod installed;
mod packages;
mod patches;
mod prometheus;
mod push;
mod schemas;
mod support;
mod tcp_dashboards;
mod tcp_patches;
mod view;
