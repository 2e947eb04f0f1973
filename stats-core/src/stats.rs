//! What becomes of a finished request: attributes become an outcome and facts, facts a label set,
//! the label set a series, and the series' metrics are recorded.
//!
//! Everything that recurs is resolved once and kept as a number, so that the steady state neither
//! allocates nor looks at a label.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;

use hashbrown::HashMap;
use prost::Message;

use crate::attributes::{self, Ended, Ends, Query};
use crate::config::Config;
use crate::dimensions::{self, Facts, Outcome, Principals, Protocol, Reporter};
use crate::exchange::{Peer, PeerCache};
use crate::host::{HeaderMap, Host, LogLevel, MetricKind};
use crate::metrics::HttpMetric;
use crate::proto::{self, Node, Struct};
use crate::series::{HttpMetrics, Interner, Series, SeriesKey};
use crate::service::{Cluster, Service};
use crate::stat_name;
use crate::workload::Workload;

const NANOSECONDS_PER_MILLISECOND: u64 = 1_000_000;

/// The statistics of one plugin.
pub struct Stats {
    reporter: Reporter,
    local: Workload,
    authority_names_services: bool,
    query: Query,
    published_peers: Option<PublishedPeers>,
    clusters: Clusters,
    connections: Connections,
    peers: Interner<Workload>,
    nobody: Option<u32>,
    principals: Interner<Principals<Box<[u8]>>>,
    services: Interner<Service<Box<[u8]>>>,
    series: Series,
}

impl Stats {
    /// Statistics that nothing has been counted in. `peer_state` is the filter state to find the
    /// peer in, where another filter does the exchange.
    pub fn new(
        host: &impl Host,
        config: &Config,
        reporter: Reporter,
        peer_state: Option<&'static str>,
        local: &Workload,
    ) -> Self {
        let mut peers = Interner::new(config.max_series);
        let nobody = Workload::default();
        Self {
            reporter,
            local: local.clone(),
            authority_names_services: !config.disable_host_header_fallback,
            query: Query::compile(host, reporter),
            published_peers: peer_state.map(|name| PublishedPeers {
                name,
                decoded: PeerCache::new(config.max_peer_cache_size),
            }),
            clusters: Clusters::new(config.max_series),
            connections: Connections::default(),
            nobody: peers.number(&nobody, |known| *known == nobody, Workload::default),
            peers,
            principals: Interner::new(config.max_series),
            services: Interner::new(config.max_series),
            series: Series::new(config.max_series),
        }
    }

    /// Counts a request that has ended. `peer` is what the exchange in this filter learned.
    pub fn count(&mut self, host: &impl Host, peer: Option<&Rc<Peer>>) {
        let protocol = Protocol::of(host.header(HeaderMap::Request, "content-type"));
        let ended = self.query.ask(host);
        let outcome = Outcome {
            protocol,
            response_code: ended.response_code,
            response_flags: ended.response_flags,
            grpc_status: match protocol {
                Protocol::Grpc => grpc_status(host),
                Protocol::Http => None,
            },
        };
        let metrics = match self.key(host, peer, &ended, outcome) {
            Some(key) => self.series.find(&key).or_else(|| self.add(host, key)),
            None => None,
        };
        record(host, metrics.unwrap_or_else(|| self.overflow(host)), &ended);
    }

    /// Some time has passed: what may change is looked at again when it is next needed.
    pub fn tick(&mut self) {
        self.clusters.now = self.clusters.now.wrapping_add(1);
    }

    /// Gives back what the host holds.
    pub fn release(&self, host: &impl Host) {
        self.query.forget(host);
    }

    /// The label set's parts as numbers; `None` where one is new and there is no room for it.
    fn key(
        &mut self,
        host: &impl Host,
        peer: Option<&Rc<Peer>>,
        ended: &Ended<'_>,
        outcome: Outcome,
    ) -> Option<SeriesKey> {
        let peer = match &mut self.published_peers {
            None => self.peer(peer),
            Some(published) => {
                let peer = published.find(host);
                self.peer(peer.as_ref())
            }
        };
        Some(SeriesKey {
            peer: peer?,
            principals: self.connection(host, ended.ends)?,
            service: self.service(host, ended)?,
            outcome,
        })
    }

    fn peer(&mut self, peer: Option<&Rc<Peer>>) -> Option<u32> {
        let Some(peer) = peer else {
            return self.nobody;
        };
        if peer.number.get().is_none() {
            let workload = &peer.workload;
            let known = |known: &Workload| known == workload;
            peer.number
                .set(self.peers.number(workload, known, || workload.clone()));
        }
        peer.number.get()
    }

    fn connection(&mut self, host: &impl Host, ends: Ends<'_>) -> Option<u32> {
        let Ends::Connection(id) = ends else {
            return self.principals(ends);
        };
        if let Some(number) = self.connections.find(id) {
            return Some(number);
        }
        let number = self.principals(attributes::downstream_principals(host))?;
        self.connections.remember(id, number);
        Some(number)
    }

    fn principals(&mut self, ends: Ends<'_>) -> Option<u32> {
        let (peer, local) = match ends {
            Ends::Principals { peer, local } => {
                (stat_name::bounded(peer), stat_name::bounded(local))
            }
            Ends::Connection(_) => Default::default(),
        };
        self.principals.number(
            (peer, local),
            |known| *known.peer == *peer && *known.local == *local,
            || Principals {
                peer: peer.into(),
                local: local.into(),
            },
        )
    }

    fn service(&mut self, host: &impl Host, ended: &Ended<'_>) -> Option<u32> {
        let known = self.clusters.find(host, ended.cluster);
        let decided = known.cluster.decides(ended.route);
        if decided && known.service.is_some() {
            return known.service;
        }
        let authority = if self.authority_names_services && !decided {
            host.header(HeaderMap::Request, ":authority")
                .unwrap_or_default()
        } else {
            b""
        };
        let service = known.cluster.service(ended.route, authority);
        let number = self.services.number(
            service,
            |known| known.view() == service,
            || service.to_owned(),
        );
        if decided {
            known.service = number;
        }
        number
    }

    /// A new label set's metrics; `None` where there is no room for it.
    fn add(&mut self, host: &impl Host, key: SeriesKey) -> Option<HttpMetrics> {
        if !self.series.has_room() {
            return None;
        }
        let principals = self.principals.get(key.principals)?;
        let facts = Facts {
            reporter: self.reporter,
            local: &self.local,
            peer: self.peers.get(key.peer)?,
            principals: Principals {
                peer: &principals.peer,
                local: &principals.local,
            },
            service: self.services.get(key.service)?.view(),
            outcome: key.outcome,
        };
        let prefix = facts.stat_name_prefix();
        Some(self.series.add(host, key, prefix))
    }

    fn overflow(&mut self, host: &impl Host) -> HttpMetrics {
        let reporter = self.reporter;
        let prefix = || dimensions::overflow_stat_name_prefix(reporter);
        let (metrics, first) = self.series.overflow(host, prefix);
        if first {
            host.log(
                LogLevel::Warn,
                "max_series is reached: requests with a new label set are counted in the series \
                 whose labels say \"overflow\"; raise max_series, or find the label with too many \
                 values",
            );
        }
        metrics
    }
}

fn record(host: &impl Host, metrics: HttpMetrics, ended: &Ended<'_>) {
    for (metric, id) in HttpMetric::ALL.into_iter().zip(metrics) {
        let value = match metric {
            HttpMetric::RequestsTotal => Some(1),
            HttpMetric::RequestDuration => {
                ended.duration.map(|ns| ns / NANOSECONDS_PER_MILLISECOND)
            }
            HttpMetric::RequestBytes => Some(ended.request_bytes),
            HttpMetric::ResponseBytes => Some(ended.response_bytes),
        };
        if let (Some(id), Some(value)) = (id, value) {
            host.record(id, value);
        }
    }
}

fn grpc_status(host: &impl Host) -> Option<i32> {
    let status = attributes::integer(host.attribute(attributes::GRPC_STATUS)?)?;
    i32::try_from(status).ok()
}

/// Defines and records `istio_build`: which version runs here.
pub fn define_build(host: &impl Host, node: &Node) {
    let version = node
        .metadata
        .as_ref()
        .map_or("", |fields| proto::text(fields, "ISTIO_VERSION"));
    let version = if version.is_empty() {
        dimensions::UNKNOWN
    } else {
        version
    };
    if let Some(build) = host.define(MetricKind::Gauge, &stat_name::build(version)) {
        host.record(build, 1);
    }
}

/// Peers that an exchange filter beside this one publishes as filter state.
struct PublishedPeers {
    name: &'static str,
    decoded: PeerCache,
}

impl PublishedPeers {
    fn find(&mut self, host: &impl Host) -> Option<Rc<Peer>> {
        let value = host.attribute(self.name)?;
        self.decoded.find_or_decode(value, value, |value| {
            let fields = Struct::decode(value).ok()?;
            Some(Workload::from_filter_state(&fields))
        })
    }
}

/// What the clusters' metadata said when it was last looked at.
///
/// The control plane may change it under the same name, so each cluster is looked at again once
/// after every tick.
struct Clusters {
    known: HashMap<Vec<u8>, KnownCluster>,
    limit: usize,
    now: u32,
}

struct KnownCluster {
    looked_at: u32,
    metadata: Box<[u8]>,
    cluster: Cluster,
    /// The number of the service that the cluster alone decides, once it has one.
    service: Option<u32>,
}

impl Clusters {
    fn new(limit: usize) -> Self {
        Self {
            known: HashMap::new(),
            limit,
            now: 0,
        }
    }

    fn find(&mut self, host: &impl Host, name: &[u8]) -> &mut KnownCluster {
        if self.known.len() > self.limit && !self.known.contains_key(name) {
            // Clusters come and go with the control plane; the few in use are back at once.
            self.known.clear();
        }
        let now = self.now;
        let look = || match name {
            b"" => b"",
            _ => host
                .attribute(attributes::CLUSTER_METADATA)
                .unwrap_or_default(),
        };
        let read = |metadata: &[u8]| KnownCluster {
            looked_at: now,
            metadata: metadata.into(),
            cluster: Cluster::read(name, Some(metadata)),
            service: None,
        };
        let known = self.known.entry_ref(name).or_insert_with(|| read(look()));
        if known.looked_at != now {
            let metadata = look();
            if *known.metadata == *metadata {
                known.looked_at = now;
            } else {
                *known = read(metadata);
            }
        }
        known
    }
}

/// The numbers of downstream connections' principals, by connection id: a table in which a newer
/// connection may displace an older one, which then only costs a look-up.
struct Connections {
    slots: Vec<Option<(u64, u32)>>,
}

impl Default for Connections {
    fn default() -> Self {
        Self {
            slots: alloc::vec![None; 1024],
        }
    }
}

impl Connections {
    fn find(&self, id: u64) -> Option<u32> {
        match self.slots.get(self.slot(id)) {
            Some(Some((known, number))) if *known == id => Some(*number),
            _ => None,
        }
    }

    fn remember(&mut self, id: u64, number: u32) {
        let slot = self.slot(id);
        if let Some(slot) = self.slots.get_mut(slot) {
            *slot = Some((id, number));
        }
    }

    fn slot(&self, id: u64) -> usize {
        // Ids are consecutive, so neighbours do not collide.
        id as usize % self.slots.len().max(1)
    }
}
