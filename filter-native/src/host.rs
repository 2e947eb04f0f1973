//! The core's host traits on an Envoy: what each of its questions is in the words of the ABI.
//!
//! Envoy has no CEL for modules, and the peers of Istio's native exchange have no form that a module can
//! read.

use std::time::Instant;

use stats_core::host::{
    ClusterFacts, Connections, End, Expressions, FamilyId, HeaderMap, Headers, ListenerDirection,
    MessageCounts, MetricKind, Metrics, PeerState, ProxyClock, RequestFacts, Requests, SeriesId,
};
use stats_core::peer::principals::Principals;
use stats_core::peer::workload::FilterStateValues;

use crate::abi::stream::{Attribute, HeaderType, MetadataSource, Stream};
use crate::cel::NoCel;
use crate::series::SeriesTable;
use crate::services;

/// Counts of gRPC messages so far: what Envoy's gRPC stats filter publishes.
const GRPC_MESSAGES: &str = "envoy.filters.http.grpc_stats";
/// Under which filter's name Istio's control plane writes metadata.
const ISTIO: &str = "istio";

/// An Envoy as the host of one plugin, for one request.
pub struct EnvoyHost<'a> {
    /// The request.
    pub stream: Stream,
    /// The plugin's series on this worker.
    pub series: &'a mut SeriesTable,
}

impl Headers for EnvoyHost<'_> {
    #[inline]
    fn header(&self, map: HeaderMap, name: &str) -> Option<&[u8]> {
        self.stream.header(header_type(map), name)
    }

    fn set_header(&mut self, map: HeaderMap, name: &str, value: &[u8]) {
        self.stream.set_header(header_type(map), name, Some(value));
    }

    fn remove_header(&mut self, map: HeaderMap, name: &str) {
        self.stream.set_header(header_type(map), name, None);
    }
}

impl Requests for EnvoyHost<'_> {
    #[inline]
    fn finished_request(&self, principals: End) -> RequestFacts<'_> {
        let stream = &self.stream;
        let number = |attribute| stream.number(attribute).unwrap_or_default();
        RequestFacts {
            response_code: u32::try_from(number(Attribute::ResponseCode)).unwrap_or_default(),
            response_flags: number(Attribute::ResponseFlags),
            duration: stream.duration(),
            request_bytes: number(Attribute::RequestTotalSize),
            response_bytes: number(Attribute::ResponseTotalSize),
            ..self.open_request(principals)
        }
    }

    #[inline]
    fn open_request(&self, principals: End) -> RequestFacts<'_> {
        let stream = &self.stream;
        RequestFacts {
            cluster: text(stream, Attribute::ClusterName),
            route: text(stream, Attribute::RouteName),
            // Its id stands for its principals, which are wanted of one end.
            connection: match principals {
                End::Downstream => stream.number(Attribute::ConnectionId),
                End::Upstream => None,
            },
            upstream: match principals {
                End::Upstream => Principals {
                    peer: text(stream, Attribute::UpstreamPeerSan),
                    local: text(stream, Attribute::UpstreamLocalSan),
                },
                End::Downstream => Principals::default(),
            },
            ..RequestFacts::default()
        }
    }

    fn grpc_status(&self) -> Option<i32> {
        let status = self.stream.number(Attribute::ResponseGrpcStatus)?;
        i32::try_from(status.cast_signed()).ok()
    }

    fn grpc_messages(&self) -> Option<MessageCounts> {
        MessageCounts::parse(self.stream.filter_state(GRPC_MESSAGES)?)
    }
}

impl Connections for EnvoyHost<'_> {
    fn listener_direction(&self) -> ListenerDirection {
        match self.stream.number(Attribute::ListenerDirection) {
            Some(1) => ListenerDirection::Inbound,
            Some(2) => ListenerDirection::Outbound,
            _ => ListenerDirection::Unspecified,
        }
    }

    fn cluster_name(&self) -> &[u8] {
        text(&self.stream, Attribute::ClusterName)
    }

    fn cluster(&self) -> ClusterFacts {
        let is_true = |key| {
            self.stream
                .metadata_is_true(MetadataSource::Cluster, ISTIO, key)
        };
        ClusterFacts {
            service: services::of_cluster(self.cluster_name()),
            disables_exchange: is_true("disable_mx"),
            external: is_true("external"),
        }
    }

    fn downstream_principals(&self) -> Principals<&[u8]> {
        Principals {
            peer: text(&self.stream, Attribute::DownstreamPeerSan),
            local: text(&self.stream, Attribute::DownstreamLocalSan),
        }
    }
}

impl PeerState for EnvoyHost<'_> {
    fn published_peer(&self, end: End) -> Option<&[u8]> {
        let key = published(end);
        // That of a native exchange costs no copy; one in WebAssembly leaves an object of its own kind.
        let bytes = self.stream.filter_state_bytes(key);
        bytes.or_else(|| self.stream.filter_state(key))
    }

    fn native_peer(&self, _end: End) -> Option<FilterStateValues<'_>> {
        None
    }

    fn endpoint_workload(&self) -> Option<&[u8]> {
        self.stream
            .metadata_text(MetadataSource::Host, ISTIO, "workload")
    }

    fn declare_peers(&mut self) {}

    fn publish_peer(&mut self, end: End, peer: &[u8]) {
        self.stream.set_filter_state(published(end), peer);
    }
}

impl Metrics for EnvoyHost<'_> {
    fn family(&mut self, kind: MetricKind, name: &str, labels: &[&str]) -> Option<FamilyId> {
        Some(self.series.family(kind, name, labels))
    }

    fn series(&mut self, family: FamilyId, values: &[&str]) -> Option<SeriesId> {
        Some(self.series.series(family, values))
    }

    fn admit(&mut self, family: FamilyId, values: &[&str], limit: usize) -> bool {
        self.series.admit(family, values, limit)
    }

    #[inline]
    fn add(&mut self, counter: SeriesId, by: u64) {
        self.series.add(counter, by);
    }

    #[inline]
    fn observe(&mut self, histogram: SeriesId, value: u64) {
        self.series.observe(histogram, value);
    }

    fn gauge_set(&mut self, gauge: SeriesId, value: u64) {
        self.series.gauge_set(gauge, value);
    }

    fn gauge_add(&mut self, gauge: SeriesId, by: i64) {
        self.series.gauge_add(gauge, by);
    }
}

impl Expressions for EnvoyHost<'_> {
    fn refusal(&self) -> &'static str {
        NoCel.refusal()
    }
}

impl ProxyClock for EnvoyHost<'_> {
    fn now(&self) -> u64 {
        thread_local! {
            static START: Instant = Instant::now();
        }
        let elapsed = START.with(Instant::elapsed).as_nanos();
        u64::try_from(elapsed).unwrap_or(u64::MAX)
    }
}

/// An attribute that is a text; empty where it is absent.
#[inline]
fn text(stream: &Stream, attribute: Attribute) -> &[u8] {
    stream.text(attribute).unwrap_or_default()
}

const fn header_type(map: HeaderMap) -> HeaderType {
    match map {
        HeaderMap::Request => HeaderType::Request,
        HeaderMap::Response => HeaderType::Response,
    }
}

/// The filter state that the module for WebAssembly uses too, so that either finds the other's.
const fn published(end: End) -> &'static str {
    match end {
        End::Downstream => "wasm.downstream_peer",
        End::Upstream => "wasm.upstream_peer",
    }
}
