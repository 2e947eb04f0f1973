//! Who is at the other end: what a workload is, how it is encoded for other proxies and filters, from
//! which sources a peer may come, and why one may stay unknown.
//!
//! In which order the sources are asked is in [`gather::peers`](crate::gather::peers). The headers that carry a workload from proxy to proxy belong to HTTP and are in
//! [`http::exchange`](crate::http::exchange).

pub mod cache;
pub mod fields;
pub mod principals;
pub mod sources;
pub mod unknown;
pub mod wire;
pub mod workload;

/// The number of a peer's workload, as far as labels show it. Workloads with the same visible fields
/// have the same number.
pub type PeerId = crate::intern::Id<workload::Workload>;
