//! What the benchmarks stand on. What they measure is said in each of them.

/// The attributes and expressions of the module, as the module spells them.
#[allow(dead_code, reason = "a benchmark needs some of them")]
#[path = "../../filter/src/attributes.rs"]
pub mod attributes;
pub mod budget;
#[path = "../../filter/src/pairs/encode.rs"]
mod encode;
pub mod engine;
pub mod envoy;
pub mod peers;
pub mod recorded;
pub mod report;
pub mod scenarios;
