//! Istio's standard metrics, decided without a proxy: who the peer of a request is, which labels
//! the request carries, which series it feeds.
//!
//! No std, no unsafe code, no call into a host: what the core needs of the proxy around it, it
//! declares as traits in [`host`]. `filter/` implements them on proxy-wasm; another proxy can
//! implement them on itself, and let a [`registry`] hold the series.
//!
//! # Read in this order
//!
//! | module | decides |
//! |---|---|
//! | [`plugin`], [`streams`] | what happens in each callback of a request, and what is kept between |
//! | [`exchange`], [`workload`] | how peers introduce themselves, and what a workload is |
//! | [`discovery`], [`sources`] | where else a peer may come from, and in which order |
//! | [`attributes`] | what is asked of the host once a request has ended |
//! | [`service`], [`clusters`] | which service was asked for |
//! | [`dimensions`] | the 25 labels, and where each comes from |
//! | [`stats`], [`series`] | how a request finds its series without looking at a label |
//! | [`plan`], [`cel`] | what a configuration changes: labels, conditions, metrics of one's own |
//! | [`started`], [`operation`] | what Istio does not have |
//! | [`stat_name`], [`response_flags`], [`metrics`] | how it is all spelled |
//! | [`config`] | what can be configured |
//!
//! # A metrics library of its own
//!
//! ```
//! use stats_core::registry::{Registry, RegistryError};
//!
//! # fn main() -> Result<(), RegistryError> {
//! let mut registry = Registry::new();
//! let labels = [("code", "200"), ("path", "/a\"b")];
//! let requests = registry.counter("requests_total", "Requests served.", &labels)?;
//! let seconds = registry.histogram("duration_seconds", "How long they took.", &[], &[0.5, 1.0])?;
//!
//! requests.increment();
//! seconds.observe(0.25);
//! seconds.observe(4.0);
//!
//! assert_eq!(
//!     registry.exposition(),
//!     r#"# HELP duration_seconds How long they took.
//! ## TYPE duration_seconds histogram
//! duration_seconds_bucket{le="0.5"} 1
//! duration_seconds_bucket{le="1"} 1
//! duration_seconds_bucket{le="+Inf"} 2
//! duration_seconds_sum 4.25
//! duration_seconds_count 2
//! ## HELP requests_total Requests served.
//! ## TYPE requests_total counter
//! requests_total{code="200",path="/a\"b"} 1
//! "#
//! );
//! # Ok(())
//! # }
//! ```

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod attributes;
pub mod bytes;
pub mod cel;
pub mod clusters;
pub mod config;
pub mod connections;
pub mod dimensions;
pub mod direction;
pub mod discovery;
pub mod exchange;
pub mod host;
mod json;
pub mod metrics;
pub mod operation;
pub mod pairs;
pub mod places;
pub mod plan;
pub mod plugin;
pub mod proto;
pub mod registry;
pub mod response_flags;
pub mod series;
pub mod service;
pub mod sources;
pub mod started;
pub mod stat_name;
pub mod stats;
pub mod streams;
pub mod workload;
