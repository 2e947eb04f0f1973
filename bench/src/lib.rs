//! What the benchmarks stand on. What they measure is said in each of them.

pub mod budget;
pub mod engine;
pub mod envoy;
pub mod peers;
pub mod recorded;
pub mod report;
pub mod scenarios;
