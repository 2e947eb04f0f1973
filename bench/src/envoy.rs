//! What a filter costs in a real Envoy, seen through the noise of a shared machine: ten copies of it
//! in the chain of a listener, all listeners in one Envoy, short bursts of requests in shuffled
//! turns, and the CPU time of the whole process.
//!
//! What is compared is in [`variant`]; how it is measured in [`testbed`]; the questions are in modules
//! of their own: [`cost`], [`scaling`], [`new_series`], [`memory`], [`start`], [`latency`], [`flood`],
//! [`tcp`]. What is made of the figures is in [`report`](crate::report).

pub mod cost;
pub mod flood;
pub mod latency;
pub mod load;
pub mod memory;
pub mod new_series;
pub mod probe;
pub mod scaling;
pub mod start;
pub mod steady;
pub mod tcp;
pub mod testbed;
pub mod variant;
