//! The metrics library against the real thing: Prometheus, promtool, and the parsers of Prometheus'
//! own Python client.

#![allow(clippy::panic, clippy::unwrap_used, reason = "all of this is test")]

mod parsers;
mod scraped;

/// What each tool needs that a test talks to.
const SETUP: &str = "`cargo xtask setup` installs what tests need";
