//! What the benchmarks stand on. What they measure is said in each of them.

/// The attributes and expressions of the module, as the module spells them.
#[cfg(feature = "hosts")]
#[allow(dead_code, reason = "a benchmark needs some of them")]
#[path = "../../filter/src/attributes.rs"]
pub mod attributes;
pub mod budget;
pub mod dynamic;
#[cfg(feature = "hosts")]
#[path = "../../filter/src/pairs/encode.rs"]
mod encode;
#[cfg(feature = "hosts")]
pub mod engine;
#[cfg(feature = "hosts")]
pub mod envoy;
pub mod peers;
pub mod recorded;
#[cfg(feature = "hosts")]
pub mod report;
pub mod scenarios;
