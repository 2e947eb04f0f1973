//! The core's host traits on a proxy: what each of its questions is in the words of the ABI.

use stats_core::host::{
    Chunks, ClusterFacts, ConnectionFacts, Connections, End, ExchangeBytes, ExpressionId,
    Expressions, FamilyId, HeaderMap, Headers, ListenerDirection, MessageCounts, MetricKind,
    Metrics, PeerState, ProxyClock, RequestFacts, Requests, SeriesId, TcpConnections, Value, envoy,
};
use stats_core::http::EARLY_TICK;
use stats_core::labels::stat_name;
use stats_core::peer::principals::Principals;
use stats_core::peer::workload::{FilterStateValues, Workload};

use crate::abi::{BufferType, MapType, MetricType, ProxyWasm};
use crate::admission;
use crate::attributes as name;
use crate::budget;
use crate::facts::connections::{self, ConnectionQuery};
use crate::facts::{self, Attributes, FactQueries};
use crate::{metric_ids, pairs, values};

/// What the proxy holds for one plugin, and what is kept to make use of it.
#[derive(Default)]
pub struct PluginState {
    /// Whether ticks come early.
    pub ticks_early: bool,
    queries: FactQueries,
    connections: ConnectionQuery,
    families: Vec<StatFamily>,
}

/// A metric and its labels: a stat name without values.
struct StatFamily {
    kind: MetricType,
    name: String,
    labels: Vec<String>,
}

impl PluginState {
    /// Gives back what the proxy holds.
    pub fn release(&self, proxy: &ProxyWasm) {
        self.queries.release(proxy);
        self.connections.release(proxy);
    }

    /// The stat name of a series, and its kind.
    fn stat_name(&self, family: FamilyId, values: &[&str]) -> Option<(MetricType, String)> {
        let family = self.families.get(family.0 as usize)?;
        let labels = family.labels.iter().map(String::as_str);
        let labels = labels.zip(values.iter().copied());
        Some((family.kind, stat_name::with_labels(&family.name, labels)))
    }
}

/// A proxy as the host of one plugin.
pub struct Host<'a> {
    /// The proxy.
    pub proxy: ProxyWasm,
    /// What is kept for the plugin.
    pub state: &'a mut PluginState,
    /// Whether the current context is a TCP connection's, and no request's.
    pub is_tcp: bool,
}

impl<'a> Host<'a> {
    /// A proxy of which the current context is a request's, or the plugin's own.
    pub const fn new(proxy: ProxyWasm, state: &'a mut PluginState) -> Self {
        Self {
            proxy,
            state,
            is_tcp: false,
        }
    }
}

impl Headers for Host<'_> {
    #[inline]
    fn header(&self, map: HeaderMap, name: &str) -> Option<&[u8]> {
        self.proxy.header(map_type(map), name)
    }

    /// For each value handed over the proxy enters the module for memory, and that costs more than to
    /// hand over all headers at once.
    #[inline]
    fn headers<const N: usize>(&self, map: HeaderMap, names: [&str; N]) -> [Option<&[u8]>; N] {
        let mut values = [None; N];
        let all = self.proxy.headers(map_type(map)).unwrap_or_default();
        for (key, value) in pairs::entries(all) {
            for (name, found) in names.iter().zip(&mut values) {
                if key.len() == name.len() && found.is_none() && key == name.as_bytes() {
                    *found = Some(value);
                }
            }
        }
        values
    }

    fn set_header(&mut self, map: HeaderMap, name: &str, value: &[u8]) {
        self.proxy.set_header(map_type(map), name, value);
    }

    fn remove_header(&mut self, map: HeaderMap, name: &str) {
        self.proxy.remove_header(map_type(map), name);
    }
}

impl Requests for Host<'_> {
    #[inline]
    fn finished_request(&self, principals: End) -> RequestFacts<'_> {
        self.state.queries.finished(&self.proxy, principals)
    }

    fn open_request(&self, principals: End) -> RequestFacts<'_> {
        facts::open(&self.proxy, principals)
    }

    fn grpc_status(&self) -> Option<i32> {
        let status = facts::number(&self.proxy, name::GRPC_STATUS)?;
        i32::try_from(status).ok()
    }

    fn grpc_messages(&self) -> Option<MessageCounts> {
        MessageCounts::parse(self.proxy.attribute(name::GRPC_MESSAGES)?)
    }
}

impl TcpConnections for Host<'_> {
    fn ended_connection(&self, principals: End) -> ConnectionFacts<'_> {
        self.state.connections.ended(&self.proxy, principals)
    }

    fn open_connection(&self, principals: End) -> ConnectionFacts<'_> {
        connections::open(&self.proxy, principals)
    }
}

impl Chunks for Host<'_> {
    fn chunk(&self, from: End, most: usize) -> &[u8] {
        self.proxy.buffer(data(from), most).unwrap_or_default()
    }

    fn edit_chunk(&mut self, from: End, drain: usize, front: &[u8]) {
        self.proxy.edit_buffer(data(from), drain, front);
    }

    fn pass_chunk(&mut self) {
        self.proxy.continue_downstream();
    }

    fn publish_exchanged(&mut self, bytes: ExchangeBytes) {
        let bytes = bytes.to_bytes();
        self.proxy.set_property(name::TCP_EXCHANGE_BYTES, &bytes);
    }

    fn exchanged(&self) -> ExchangeBytes {
        let bytes = self.proxy.attribute(name::TCP_EXCHANGE_BYTES);
        bytes
            .and_then(ExchangeBytes::from_bytes)
            .unwrap_or_default()
    }
}

impl Connections for Host<'_> {
    fn listener_direction(&self) -> ListenerDirection {
        match facts::number(&self.proxy, name::LISTENER_DIRECTION) {
            Some(1) => ListenerDirection::Inbound,
            Some(2) => ListenerDirection::Outbound,
            _ => ListenerDirection::Unspecified,
        }
    }

    fn cluster_name(&self) -> &[u8] {
        facts::text(&self.proxy, name::CLUSTER_NAME)
    }

    fn cluster(&self) -> ClusterFacts {
        envoy::cluster(facts::text(&self.proxy, name::CLUSTER_METADATA))
    }

    fn downstream_principals(&self) -> Principals<&[u8]> {
        facts::downstream_principals(&self.proxy)
    }
}

impl PeerState for Host<'_> {
    fn published_peer(&self, end: End) -> Option<&[u8]> {
        self.proxy.attribute(published(end))
    }

    /// The native filter's object arrives as pairs, in the order of the proxy's map. That for TCP is an
    /// upstream filter, and leaves its object there.
    fn native_peer(&self, end: End) -> Option<FilterStateValues<'_>> {
        let map = self.proxy.attribute(match end {
            End::Downstream => name::NATIVE_DOWNSTREAM_PEER,
            End::Upstream if self.is_tcp => name::NATIVE_UPSTREAM_CONNECTION_PEER,
            End::Upstream => name::NATIVE_UPSTREAM_PEER,
        })?;
        Some(Workload::FILTER_STATE.map(|field| {
            let mut entries = pairs::entries(map);
            let found = entries.find(|(key, _)| *key == field.as_bytes());
            found.map_or(&b""[..], |(_, value)| value)
        }))
    }

    fn endpoint_workload(&self) -> Option<&[u8]> {
        self.proxy.attribute(name::ENDPOINT_WORKLOAD)
    }

    fn declare_peers(&mut self) {
        for end in [End::Downstream, End::Upstream] {
            let arguments = declare_struct_arguments(published(end));
            self.proxy.call("declare_property", &arguments);
        }
    }

    fn publish_peer(&mut self, end: End, peer: &[u8]) {
        self.proxy.set_property(published(end), peer);
    }
}

impl Metrics for Host<'_> {
    fn family(&mut self, kind: MetricKind, name: &str, labels: &[&str]) -> Option<FamilyId> {
        let families = &mut self.state.families;
        let is = |family: &StatFamily| family.name == name && family.labels == labels;
        let at = families.iter().position(is).unwrap_or_else(|| {
            families.push(StatFamily {
                kind: match kind {
                    MetricKind::Counter => MetricType::Counter,
                    MetricKind::Gauge => MetricType::Gauge,
                    MetricKind::Histogram => MetricType::Histogram,
                },
                name: name.to_owned(),
                labels: labels.iter().map(|label| (*label).to_owned()).collect(),
            });
            families.len() - 1
        });
        Some(FamilyId(at as u32))
    }

    fn series(&mut self, family: FamilyId, values: &[&str]) -> Option<SeriesId> {
        let (kind, stat_name) = self.state.stat_name(family, values)?;
        let metric = metric_ids::find_or_define(&mut self.proxy, kind, &stat_name, |proxy| {
            let began_at = proxy.now();
            let metric = proxy.define_metric(kind, &stat_name);
            let took = proxy.now().saturating_sub(began_at);
            budget::change(|budget| budget.spend(took));
            metric
        });
        metric.map(SeriesId)
    }

    fn has_time(&mut self, percent: u8) -> bool {
        let now = self.proxy.now();
        budget::change(|budget| budget.has_time(now, percent))
    }

    fn make_soon(&mut self) {
        self.state.ticks_early = true;
        self.proxy.set_tick_period(EARLY_TICK);
    }

    fn admit(&mut self, family: FamilyId, values: &[&str], limit: usize) -> bool {
        let Some((_, stat_name)) = self.state.stat_name(family, values) else {
            return false;
        };
        admission::admit(&self.proxy, &stat_name, limit)
    }

    #[inline]
    fn add(&mut self, counter: SeriesId, by: u64) {
        self.proxy.record_metric(counter.0, by);
    }

    #[inline]
    fn observe(&mut self, histogram: SeriesId, value: u64) {
        self.proxy.record_metric(histogram.0, value);
    }

    fn gauge_set(&mut self, gauge: SeriesId, value: u64) {
        self.proxy.record_metric(gauge.0, value);
    }

    fn gauge_add(&mut self, gauge: SeriesId, by: i64) {
        self.proxy.increment_metric(gauge.0, by);
    }
}

impl Expressions for Host<'_> {
    /// Parses the expression alone first: wrapped, two halves of something else might.
    fn compile(&mut self, expression: &str) -> Option<ExpressionId> {
        let alone = self.proxy.create(expression)?;
        self.proxy.delete(alone);
        self.proxy
            .create(&values::typed(expression))
            .map(ExpressionId)
    }

    fn evaluate(&self, expression: ExpressionId) -> Option<Value<'_>> {
        values::value(self.proxy.evaluate(expression.0)?)
    }

    fn release(&mut self, expression: ExpressionId) {
        self.proxy.delete(expression.0);
    }
}

impl ProxyClock for Host<'_> {
    fn now(&self) -> u64 {
        self.proxy.now()
    }
}

fn map_type(map: HeaderMap) -> MapType {
    match map {
        HeaderMap::Request => MapType::RequestHeaders,
        HeaderMap::Response => MapType::ResponseHeaders,
    }
}

fn data(from: End) -> BufferType {
    match from {
        End::Downstream => BufferType::DownstreamData,
        End::Upstream => BufferType::UpstreamData,
    }
}

fn published(end: End) -> &'static str {
    match end {
        End::Downstream => name::DOWNSTREAM_PEER,
        End::Upstream => name::UPSTREAM_PEER,
    }
}

/// Envoy's `DeclarePropertyArguments`: `name` (1), `type` (3) and `schema` (4); all else stays the
/// default. Encoded by hand: three fields do not need a protobuf library.
fn declare_struct_arguments(name: &str) -> Vec<u8> {
    const SCHEMA: &str = "type.googleapis.com/google.protobuf.Struct";
    const TEXT: u8 = 2;
    const PROTOBUF: u8 = 3;
    let mut arguments = vec![3 << 3, PROTOBUF];
    for (field, text) in [(1 << 3, name), (4 << 3, SCHEMA)] {
        arguments.push(field | TEXT);
        arguments.push(text.len() as u8);
        arguments.extend(text.as_bytes());
    }
    arguments
}
