//! Istio's standard metrics, decided without a proxy: who the peer of a request is, which labels
//! the request carries, which series it feeds.
//!
//! No std, no unsafe code: what the core needs of the proxy around it, it asks only through the traits
//! in [`host`]. `filter/` implements them on proxy-wasm; another proxy can
//! implement them on itself, and let a [`registry`] hold the series.
//!
//! # Read in this order
//!
//! A request goes from the top of this table to the bottom. Each folder has a page of its own that
//! says what lives in it.
//!
//! | folder | decides |
//! |---|---|
//! | [`host`] | what is asked of a proxy, one trait per capability |
//! | [`config`] | what can be configured |
//! | [`http`] | what happens in each callback of a request; the exchange of metadata |
//! | [`tcp`] | what is reported of a connection, and when |
//! | [`gather`] | what the host is asked, and how seldom |
//! | [`peer`] | who the peer is |
//! | [`labels`] | the 25 labels, and where each comes from; how it is all spelled |
//! | [`record`] | how facts find their series without looking at a label, and what is recorded |
//! | [`intern`], [`bytes`] | numbers for what recurs; hashing and comparing |
//! | [`registry`] | counters, gauges, histograms: a metrics library of its own |
//!
//! Data goes one way: gather → facts → key → series → record.
//!
//! # A metrics library of its own
//!
//! ```
//! use stats_core::registry::{Registry, RegistryError};
//!
//! # fn main() -> Result<(), RegistryError> {
//! let registry = Registry::new();
//! let labels = [("code", "200"), ("path", "/a\"b")];
//! let requests = registry.counter("requests_total", "Requests served.", &labels)?;
//! let seconds = registry.histogram("duration_seconds", "How long they took.", &[], &[0.5, 1.0])?;
//!
//! requests.inc();
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
#![cfg_attr(
    not(feature = "proxy"),
    allow(
        rustdoc::broken_intra_doc_links,
        reason = "the table of modules is that of the whole crate"
    )
)]

extern crate alloc;
#[cfg(any(test, feature = "memory-host", feature = "std"))]
extern crate std;

#[cfg(feature = "proxy")]
pub mod bytes;
#[cfg(feature = "proxy")]
pub mod config;
#[cfg(feature = "proxy")]
pub mod gather;
#[cfg(feature = "proxy")]
pub mod host;
#[cfg(feature = "proxy")]
pub mod http;
#[cfg(feature = "proxy")]
pub mod intern;
#[cfg(feature = "proxy")]
pub mod labels;
#[cfg(feature = "proxy")]
pub mod peer;
#[cfg(feature = "proxy")]
pub mod record;
pub mod registry;
#[cfg(feature = "proxy")]
pub mod tcp;
