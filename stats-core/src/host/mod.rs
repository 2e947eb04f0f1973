//! What is asked of the proxy around the core, one trait per capability. A host implements these
//! traits; nothing else in this crate touches a proxy.
//!
//! | trait | asked for | by |
//! |---|---|---|
//! | [`Connections`] | listener direction, cluster, certificates | HTTP and TCP |
//! | [`PeerState`] | peers that other filters know, and telling them ours | HTTP and TCP |
//! | [`Metrics`] | families, series, and recording | HTTP and TCP |
//! | [`Expressions`] | CEL; optional | HTTP and TCP |
//! | [`ProxyClock`] | the time | HTTP |
//! | [`Headers`], [`Requests`] | a request's headers and what else the proxy knows of it | HTTP |
//! | [`TcpConnections`] | what the proxy knows of a connection | TCP |
//! | [`Chunks`] | a connection's first bytes | TCP |
//!
//! What reads takes `&self`, and what is handed out lives as long as that borrow; what changes
//! something takes `&mut self`, so that no value is looked at after it may have moved. Logging goes
//! through the [`log`] facade: a host installs a logger.
//!
//! [`memory`] is a whole host in a few hundred lines, and a place to begin a new one from.

mod chunks;
pub mod envoy;
mod expressions;
mod facts;
mod metrics;

#[cfg(any(test, feature = "memory-host"))]
pub mod memory;

use alloc::string::String;
use alloc::vec::Vec;

pub use chunks::{Chunks, ExchangeBytes};
pub use expressions::{ExpressionId, Expressions, Value};
pub use facts::{
    ClusterFacts, ConnectionFacts, Connections, End, HeaderMap, Headers, ListenerDirection,
    MessageCounts, PeerState, RequestFacts, Requests, TcpConnections,
};
pub use metrics::{FamilyId, MetricKind, Metrics, SeriesId};

use crate::bytes::bounded_text;
use crate::intern::seed::Seed;
use crate::peer::workload::Workload;

/// Knows the time.
pub trait ProxyClock {
    /// Nanoseconds since some fixed point; best of a clock that never goes back.
    fn now(&self) -> u64;
}

/// A host of HTTP telemetry.
///
/// Code that every request runs is generic over it, and compiled with the host. Code that runs once
/// per plugin, series or peer takes a `&mut dyn` of one capability, and is compiled once and small: a
/// proxy compiles all of a module before it starts.
pub trait HttpHost:
    Headers + Requests + Connections + PeerState + Metrics + Expressions + ProxyClock
{
}

impl<T: Headers + Requests + Connections + PeerState + Metrics + Expressions + ProxyClock> HttpHost
    for T
{
}

/// A host of TCP telemetry. What comes once per connection and report need not be compiled with the
/// host: it takes a `&mut dyn`.
pub trait TcpHost:
    TcpConnections + Chunks + Connections + PeerState + Metrics + Expressions
{
}

impl<T: TcpConnections + Chunks + Connections + PeerState + Metrics + Expressions> TcpHost for T {}

/// This proxy, as a host describes it when a plugin is configured.
#[derive(Clone, Debug, Default)]
pub struct LocalProxy {
    /// The id of the proxy's node: the value of the exchange's id header.
    pub id: String,
    /// Its workload, from the node's metadata and locality.
    pub workload: Workload,
    /// All labels of the workload: the configuration chooses which travel with it.
    pub labels: Vec<(String, String)>,
    /// The URL of the workload's owner, from the node's metadata.
    pub owner: String,
    /// The version that `istio_build` shows; empty where it is not known.
    pub version: String,
    /// The key of all hashes: 16 bytes from a source of randomness.
    pub seed: Seed,
}

impl LocalProxy {
    /// Lets the workload keep those of its labels that have these names.
    pub fn keep_labels(&mut self, names: &[String]) {
        let find = |name: &String| {
            let mut labels = self.labels.iter();
            labels.find(|(known, text)| known == name && !text.is_empty())
        };
        let kept = names.iter().filter_map(find);
        self.workload.labels = kept
            .map(|(name, text)| (name.clone(), bounded_text(text).into()))
            .collect();
    }
}
