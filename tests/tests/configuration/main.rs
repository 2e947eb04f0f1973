//! Every field of the module's configuration, in real Envoys: the effect of each on clients, applications and
//! Prometheus, the effect of a wrong one, and changes at run time.
//!
//! Needs an Envoy (`cargo xtask setup`) and the module (`cargo xtask build`).

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "clippy.toml exempts the tests themselves, but not the functions that they share"
)]

mod absurd;
mod allow_list;
mod both_directions;
mod change;
mod clusters;
mod definitions;
#[path = "../end_to_end/expected.rs"]
#[allow(dead_code, reason = "the other test binary uses the rest")]
mod expected;
mod fixture;
mod flood;
mod labels;
mod limits;
mod matches;
mod messages;
mod operations;
#[path = "../end_to_end/peer.rs"]
#[allow(dead_code, reason = "the other test binary uses the rest")]
mod peer;
mod prefix;
mod published;
mod reason;
mod sources;
mod spelling;
mod started;
mod streams;
mod waypoint;
mod wrong;
mod zeroes;
