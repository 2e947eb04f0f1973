//! Parts of a proxy's own configuration: filter, tag rules, bootstrap.

mod bootstrap;
mod filter;
mod library;
mod stats_tags;

pub use bootstrap::{ADMIN_CLUSTER, bootstrap, node, stats_listener};
pub use filter::{Code, HTTP_TYPE, NETWORK_TYPE, inbound_filter, wasm};
pub use library::{
    DIRECTORY, LIBRARY_TYPE, library, library_path, metrics_cluster, without_module_prefix,
};
pub use stats_tags::stats_config;

/// The port on which a sidecar serves `/stats/prometheus`.
pub const STATS_PORT: u16 = 15090;
