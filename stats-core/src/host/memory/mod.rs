//! A host in memory: it is told what to answer, counts what it is asked, and keeps its series in a
//! [`Registry`](crate::registry::Registry). For tests and benchmarks; and a new host has to implement
//! just what is implemented here.

mod calls;
mod facts;
mod headers;
mod metrics;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::Cell;

pub use calls::{Call, CallCounts, CallLog};
use facts::borrowed;
pub use facts::{MemoryChunks, MemoryFacts};
pub use headers::HeaderList;
pub use metrics::MemoryMetrics;

use super::{
    Chunks, ClusterFacts, ConnectionFacts, Connections, End, ExchangeBytes, ExpressionId,
    Expressions, FamilyId, HeaderMap, Headers, ListenerDirection, MessageCounts, MetricKind,
    Metrics, PeerState, ProxyClock, RequestFacts, Requests, SeriesId, TcpConnections, Value,
};
use crate::peer::principals::Principals;
use crate::peer::workload::{FilterStateValues, Workload};

/// A proxy with one request or connection in it, which may happen as often as wanted.
pub struct MemoryHost {
    /// The request's headers.
    pub request: HeaderList,
    /// The response's headers.
    pub response: HeaderList,
    /// The headers that were set, by [`HeaderMap`]; those above stay, for the next request.
    pub written: [HeaderList; 2],
    /// What is known of the request.
    pub facts: MemoryFacts,
    /// The principals of the downstream connection.
    pub downstream: Principals<Vec<u8>>,
    /// The direction of the listener.
    pub direction: ListenerDirection,
    /// What the cluster's metadata says.
    pub cluster: ClusterFacts,
    /// Peers that other filters know.
    pub peers: MemoryPeers,
    /// Its expressions.
    pub expressions: MemoryExpressions,
    /// Its series.
    pub metrics: MemoryMetrics,
    /// The time, in nanoseconds.
    pub time: Cell<u64>,
    /// The calls that it was asked.
    pub calls: CallLog,
}

/// The expressions of a [`MemoryHost`].
#[derive(Clone, Debug, Default)]
pub struct MemoryExpressions {
    /// What expressions evaluate to, by their text; one that is not here fails.
    pub values: Vec<(&'static str, Value<'static>)>,
    /// The expressions that were compiled, released ones as `None`. A text with `((` does not parse.
    pub compiled: Vec<Option<String>>,
}

impl MemoryExpressions {
    /// How many expressions are compiled and not released.
    pub fn held(&self) -> usize {
        self.compiled.iter().flatten().count()
    }
}

/// Peers that a [`MemoryHost`] knows, by [`End`].
#[derive(Clone, Debug, Default)]
pub struct MemoryPeers {
    /// What an exchange filter of this module published.
    pub published: [Option<Vec<u8>>; 2],
    /// What an exchange filter of this module told of its bytes.
    pub exchanged: ExchangeBytes,
    /// The bytes in which a peer may introduce itself.
    pub chunks: MemoryChunks,
    /// What a native exchange filter left.
    pub native: [Option<Vec<Vec<u8>>>; 2],
    /// The workload in the endpoint's metadata.
    pub endpoint: Option<Vec<u8>>,
    /// How often [`PeerState::declare_peers`] was called.
    pub declared: usize,
}

impl MemoryHost {
    /// A host in which nothing is known, with these metrics.
    pub fn new(metrics: MemoryMetrics) -> Self {
        Self {
            request: HeaderList::default(),
            response: HeaderList::default(),
            written: Default::default(),
            facts: MemoryFacts::default(),
            downstream: Principals::default(),
            direction: ListenerDirection::Unspecified,
            cluster: ClusterFacts::default(),
            peers: MemoryPeers::default(),
            expressions: MemoryExpressions::default(),
            metrics,
            time: Cell::new(0),
            calls: CallLog::default(),
        }
    }

    fn map(&self, map: HeaderMap) -> &HeaderList {
        match map {
            HeaderMap::Request => &self.request,
            HeaderMap::Response => &self.response,
        }
    }

    fn count(&self, call: Call) {
        self.calls.count(call, String::new);
    }
}

/// Headers that are set are kept apart, and those that are removed stay: the next request has the same.
impl Headers for MemoryHost {
    fn header(&self, map: HeaderMap, name: &str) -> Option<&[u8]> {
        self.calls.count(Call::Header, || format!("{map:?} {name}"));
        self.map(map).get(name)
    }

    fn headers<const N: usize>(&self, map: HeaderMap, names: [&str; N]) -> [Option<&[u8]>; N] {
        self.calls
            .count(Call::Headers, || format!("{map:?} {}", names.join(" ")));
        names.map(|name| self.map(map).get(name))
    }

    fn set_header(&mut self, map: HeaderMap, name: &str, value: &[u8]) {
        self.calls
            .count(Call::SetHeader, || format!("{map:?} {name}"));
        self.written[map as usize].set(name, value);
    }

    fn remove_header(&mut self, map: HeaderMap, name: &str) {
        self.calls
            .count(Call::RemoveHeader, || format!("{map:?} {name}"));
    }
}

impl Requests for MemoryHost {
    fn finished_request(&self, principals: End) -> RequestFacts<'_> {
        self.count(Call::FinishedRequest);
        let facts = &self.facts;
        let open = self.facts.open(principals);
        RequestFacts {
            response_code: facts.response_code,
            response_flags: facts.response_flags,
            duration: facts.duration,
            request_bytes: facts.request_bytes,
            response_bytes: facts.response_bytes,
            ..open
        }
    }

    fn open_request(&self, principals: End) -> RequestFacts<'_> {
        self.count(Call::OpenRequest);
        self.facts.open(principals)
    }

    fn grpc_status(&self) -> Option<i32> {
        self.count(Call::GrpcStatus);
        self.facts.grpc_status
    }

    fn grpc_messages(&self) -> Option<MessageCounts> {
        self.count(Call::GrpcMessages);
        self.facts.grpc_messages
    }
}

impl TcpConnections for MemoryHost {
    fn ended_connection(&self, principals: End) -> ConnectionFacts<'_> {
        self.count(Call::EndedConnection);
        ConnectionFacts {
            response_flags: self.facts.response_flags,
            ..self.facts.connection(principals)
        }
    }

    fn open_connection(&self, principals: End) -> ConnectionFacts<'_> {
        self.count(Call::OpenConnection);
        self.facts.connection(principals)
    }
}

impl Chunks for MemoryHost {
    fn chunk(&self, from: End, most: usize) -> &[u8] {
        self.count(Call::Chunk);
        let chunk = &self.peers.chunks.last[from as usize];
        chunk.get(..most).unwrap_or(chunk)
    }

    fn edit_chunk(&mut self, from: End, drain: usize, front: &[u8]) {
        self.count(Call::EditChunk);
        let chunk = &mut self.peers.chunks.last[from as usize];
        chunk.splice(..drain, front.iter().copied());
    }

    fn pass_chunk(&mut self) {
        self.count(Call::PassChunk);
        self.peers.chunks.passed += 1;
    }

    fn publish_exchanged(&mut self, bytes: ExchangeBytes) {
        self.count(Call::PublishExchanged);
        self.peers.exchanged = bytes;
    }

    fn exchanged(&self) -> ExchangeBytes {
        self.count(Call::Exchanged);
        self.peers.exchanged
    }
}

impl Connections for MemoryHost {
    fn listener_direction(&self) -> ListenerDirection {
        self.count(Call::ListenerDirection);
        self.direction
    }

    fn cluster_name(&self) -> &[u8] {
        self.count(Call::ClusterName);
        self.facts.cluster.as_bytes()
    }

    fn cluster(&self) -> ClusterFacts {
        self.count(Call::Cluster);
        self.cluster.clone()
    }

    fn downstream_principals(&self) -> Principals<&[u8]> {
        self.count(Call::DownstreamPrincipals);
        borrowed(&self.downstream)
    }
}

impl PeerState for MemoryHost {
    fn published_peer(&self, end: End) -> Option<&[u8]> {
        self.count(Call::PublishedPeer);
        self.peers.published[end as usize].as_deref()
    }

    fn native_peer(&self, end: End) -> Option<FilterStateValues<'_>> {
        self.count(Call::NativePeer);
        let values = self.peers.native[end as usize].as_ref()?;
        let mut values = values.iter().map(Vec::as_slice);
        Some(Workload::FILTER_STATE.map(|_| values.next().unwrap_or_default()))
    }

    fn endpoint_workload(&self) -> Option<&[u8]> {
        self.count(Call::EndpointWorkload);
        self.peers.endpoint.as_deref()
    }

    fn declare_peers(&mut self) {
        self.count(Call::DeclarePeers);
        self.peers.declared += 1;
    }

    fn publish_peer(&mut self, end: End, peer: &[u8]) {
        self.calls.count(Call::PublishPeer, || format!("{end:?}"));
        let published = &mut self.peers.published[end as usize];
        let published = published.get_or_insert_default();
        published.clear();
        published.extend_from_slice(peer);
    }
}

impl Metrics for MemoryHost {
    fn family(&mut self, kind: MetricKind, name: &str, labels: &[&str]) -> Option<FamilyId> {
        self.count(Call::Family);
        Some(self.metrics.family(kind, name, labels))
    }

    fn series(&mut self, family: FamilyId, values: &[&str]) -> Option<SeriesId> {
        self.count(Call::Series);
        self.metrics.series(family, values)
    }

    fn has_time(&mut self, _percent: u8) -> bool {
        !self.metrics.is_busy
    }

    fn make_soon(&mut self) {
        self.metrics.is_called_soon = true;
    }

    fn add(&mut self, counter: SeriesId, by: u64) {
        self.metrics.record(&self.calls, Call::Add, counter, by);
    }

    fn observe(&mut self, histogram: SeriesId, value: u64) {
        self.metrics
            .record(&self.calls, Call::Observe, histogram, value);
    }

    fn gauge_set(&mut self, gauge: SeriesId, value: u64) {
        self.metrics
            .record(&self.calls, Call::GaugeSet, gauge, value);
    }

    fn gauge_add(&mut self, gauge: SeriesId, by: i64) {
        self.calls.count(Call::GaugeAdd, || format!("{by}"));
        self.metrics.gauge_add(gauge, by);
    }
}

impl Expressions for MemoryHost {
    fn compile(&mut self, expression: &str) -> Option<ExpressionId> {
        self.count(Call::Compile);
        if expression.contains("((") {
            return None;
        }
        let compiled = &mut self.expressions.compiled;
        compiled.push(Some(expression.into()));
        Some(ExpressionId(compiled.len() as u32 - 1))
    }

    fn evaluate(&self, expression: ExpressionId) -> Option<Value<'_>> {
        self.count(Call::Evaluate);
        let MemoryExpressions { values, compiled } = &self.expressions;
        let text = compiled.get(expression.0 as usize)?.as_deref()?;
        let found = values.iter().find(|(known, _)| *known == text);
        found.map(|(_, value)| *value)
    }

    fn release(&mut self, expression: ExpressionId) {
        self.count(Call::Release);
        if let Some(slot) = self.expressions.compiled.get_mut(expression.0 as usize) {
            *slot = None;
        }
    }
}

impl ProxyClock for MemoryHost {
    fn now(&self) -> u64 {
        self.count(Call::Now);
        self.time.get()
    }
}
