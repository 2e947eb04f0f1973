//! What becomes of a finished request: attributes become an outcome and facts, facts a label set,
//! the label set a series, and the series' metrics are recorded.
//!
//! Everything that recurs is resolved once and kept as a number, so that the steady state neither
//! allocates nor looks at a label.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;

use crate::attributes::{self, Ended, Ends, Query};
use crate::bytes::same;
use crate::clusters::Clusters;
use crate::config::Config;
use crate::connections::Connections;
use crate::dimensions::{self, Facts, Outcome, Principals, Protocol, Reporter};
use crate::discovery::{self, Discovery};
use crate::exchange::{Peer, UnknownReason};
use crate::host::{HeaderMap, Headers, Host, LogLevel, MetricId, MetricKind};
use crate::metrics::{HttpMetric, MessageMetric};
use crate::operation::Operations;
use crate::plan::{Custom, Extras, Parts, Plan, PlannedMetric, PlannedValue};
use crate::proto::Node;
use crate::series::{Interner, Series, SeriesKey};
use crate::service::Service;
use crate::stat_name;
use crate::workload::Workload;

/// The response flags with which the proxy answers in the place of an upstream that it did not
/// reach: UH, UT, UR, UF, UC, UO, NR and NC.
const NO_UPSTREAM_RESPONSE: u64 = 0b1_1111_0110 | 1 << 24;
const NANOSECONDS_PER_MILLISECOND: u64 = 1_000_000;

/// The statistics of one plugin.
pub struct Stats {
    reporter: Reporter,
    local: Workload,
    authority_names_services: bool,
    zero_initialize: bool,
    operations: Operations,
    reasons: bool,
    query: Query,
    plan: Plan,
    parts: Parts,
    downstream: Discovery,
    upstream: Discovery,
    /// The numbers of downstream connections' principals.
    connections: Connections<u32>,
    peers: Interner<Workload>,
    nobody: Option<u32>,
    /// The number of nothing said by expressions of the user's, as where there are none.
    nothing_custom: Option<u32>,
    /// The number of the service of which nothing is known.
    nothing_asked: Option<u32>,
    principals: Interner<Principals<Box<[u8]>>>,
    services: Interner<Service<Box<[u8]>>>,
    customs: Interner<Custom<Box<[u8]>>>,
    series: Series,
    messages: Series,
    values: Vec<u8>,
    numbers: Vec<u64>,
}

/// What a request's earlier callbacks learned of it.
#[derive(Clone, Copy, Debug)]
pub struct Learned<'a> {
    /// The peer downstream, from an exchange in this filter.
    pub downstream: Option<&'a Rc<Peer>>,
    /// The peer upstream, from an exchange in this filter.
    pub upstream: Option<&'a Rc<Peer>>,
    /// Why the peer that matters here is not known.
    pub reason: UnknownReason,
    /// The time to the response's headers, in nanoseconds.
    pub first_byte: Option<u64>,
}

/// What has been reported of a gRPC request's messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Messages {
    reported: MessageCounts,
    /// What the user's expressions said when the request began: while it is open, there is nobody
    /// to ask.
    custom: Option<u32>,
}

impl Messages {
    /// The same for other statistics than those that it came from.
    #[must_use]
    pub fn elsewhere(self) -> Self {
        Self {
            custom: None,
            ..self
        }
    }
}

/// Messages of a gRPC request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct MessageCounts {
    request: u64,
    response: u64,
}

impl Stats {
    /// Statistics that nothing has been counted in. `exchanged` says whether this filter exchanges
    /// metadata itself.
    pub fn new(
        host: &dyn Host,
        config: &Config,
        reporter: Reporter,
        exchanged: bool,
        local: &Workload,
    ) -> Self {
        let plan = Plan::compile(host, config);
        // One more than label sets: of each kind there is one of which nothing is known.
        let parts = config.max_series.saturating_add(1);
        let mut peers = Interner::new(parts);
        let known = |known: &Workload| *known == Workload::UNKNOWN;
        let nobody = peers.number(&Workload::UNKNOWN, known, || Workload::UNKNOWN);
        let mut services = Interner::new(parts);
        let nothing: Service<&[u8]> = Service::default();
        let known = |known: &Service<Box<[u8]>>| known.view() == nothing;
        let nothing_asked = services.number(nothing, known, || nothing.to_owned());
        let mut customs = Interner::new(parts);
        let nothing_said: Custom<Box<[u8]>> = Custom::default();
        Self {
            reporter,
            local: local.clone(),
            authority_names_services: !config.disable_host_header_fallback,
            zero_initialize: config.zero_initialize,
            operations: config.request_operations.clone(),
            reasons: config.peer_unknown_reason,
            query: Query::compile(host, reporter),
            downstream: Discovery::new(config, discovery::DOWNSTREAM, exchanged),
            upstream: Discovery::new(config, discovery::UPSTREAM, exchanged),
            connections: Connections::default(),
            nobody,
            peers,
            principals: Interner::new(parts),
            services,
            nothing_asked,
            nothing_custom: customs.number(&nothing_said, |_| false, Custom::default),
            customs,
            series: Series::new(config.max_series, plan.at_end.len()),
            messages: Series::new(config.max_series, plan.messages.len()),
            parts: plan.parts(),
            plan,
            values: Vec::new(),
            numbers: Vec::new(),
        }
    }

    /// Asks the host about the current request, which has ended.
    pub fn ask<'a>(&mut self, host: &'a impl Host) -> Ended<'a> {
        self.query.ask(host)
    }

    /// Counts a request that has ended.
    pub fn count(
        &mut self,
        host: &impl Host,
        clusters: &mut Clusters,
        ended: &Ended<'_>,
        learned: Learned<'_>,
        messages: Messages,
    ) {
        let protocol = content_protocol(host);
        if protocol == Protocol::Grpc {
            self.report_messages(host, clusters, learned, messages, Some(ended));
        }
        let outcome = Outcome {
            protocol,
            response_code: if self.parts.response_code {
                ended.response_code
            } else {
                0
            },
            response_flags: if self.parts.response_flags {
                ended.response_flags
            } else {
                0
            },
            grpc_status: match protocol {
                Protocol::Grpc => grpc_status(host),
                Protocol::Http => None,
            },
        };
        let custom = self.custom(host);
        let key = custom.and_then(|custom| {
            Some(SeriesKey {
                custom,
                operation: self.operation(host),
                ..self.key(host, clusters, learned, ended, outcome)?
            })
        });
        let number = key.and_then(|key| self.series.find(&key).or_else(|| self.add(host, key)));
        let number = number.unwrap_or_else(|| self.overflow(host));
        for (metric, id) in self.plan.at_end.iter().zip(self.series.metrics(number)) {
            let value = match metric.value {
                PlannedValue::Http(http) => http_value(http, ended),
                PlannedValue::FirstByte => learned.first_byte.map(milliseconds),
                PlannedValue::Number(at) => self.numbers.get(at).copied(),
                PlannedValue::Messages(_) => None,
            };
            if let (Some(id), Some(value)) = (id, value) {
                host.record(*id, value);
            }
        }
    }

    /// A request begins. Labels of the user's own on its messages, if it is of gRPC, are those of
    /// this moment.
    pub fn begin(&mut self, host: &dyn Host) -> Messages {
        let asks = self.plan.is_custom() && content_protocol(host) == Protocol::Grpc;
        Messages {
            reported: MessageCounts::default(),
            custom: asks.then(|| self.custom(host)).flatten(),
        }
    }

    /// Counts the messages of a gRPC request since the last time, if all about it is known or it has
    /// ended. Returns what has been reported now.
    pub fn report_messages(
        &mut self,
        host: &impl Host,
        clusters: &mut Clusters,
        learned: Learned<'_>,
        messages: Messages,
        ended: Option<&Ended<'_>>,
    ) -> Messages {
        let now = host
            .attribute(attributes::GRPC_MESSAGES)
            .and_then(MessageCounts::read);
        let Some(now) = now else {
            return messages;
        };
        let Messages { reported, custom } = messages;
        let new = MessageCounts {
            request: now.request.saturating_sub(reported.request),
            response: now.response.saturating_sub(reported.response),
        };
        if new == MessageCounts::default() {
            return messages;
        }
        // Only what is known while the request is open; the status never is.
        let outcome = Outcome {
            protocol: Protocol::Grpc,
            response_code: 0,
            response_flags: 0,
            grpc_status: None,
        };
        let open = ended.map_or_else(|| self.query.ask_while_open(host), |ended| *ended);
        let ended = ended.is_some();
        let key = self.key(host, clusters, learned, &open, outcome);
        let waits = self.plan.is_custom() && custom.is_none();
        if !ended && (waits || !key.is_some_and(|key| self.knows_peers(&key))) {
            return messages;
        }
        // At the end more is known, but a request stays in the series that it began in.
        let first = reported == MessageCounts::default();
        let custom = match custom {
            Some(_) if !(ended && first) => custom,
            _ => self.custom(host),
        };
        let key = key.and_then(|key| {
            Some(SeriesKey {
                reason: UnknownReason::None,
                custom: custom?,
                ..key
            })
        });
        let number = key.and_then(|key| {
            let known = self.messages.find(&key);
            known.or_else(|| self.add_messages(host, key))
        });
        let number = number.unwrap_or_else(|| self.messages_overflow(host));
        self.record_messages(host, number, new);
        Messages {
            reported: now,
            custom,
        }
    }

    /// Some time has passed: what may change is looked at again when it is next needed.
    pub fn tick(&mut self) {
        self.downstream.tick();
        self.upstream.tick();
    }

    /// Gives back what the host holds.
    pub fn release(&self, host: &dyn Host) {
        self.query.forget(host);
        self.plan.release(host);
    }

    /// What the user's expressions say of the current request, as a number; `None` where it is new
    /// and there is no room for it.
    fn custom(&mut self, host: &dyn Host) -> Option<u32> {
        if !self.plan.is_custom() {
            return self.nothing_custom;
        }
        let conditions = self
            .plan
            .evaluate(host, &mut self.values, &mut self.numbers);
        let values = &*self.values;
        self.customs.number(
            (conditions, values),
            |known| known.conditions == conditions && *known.values == *values,
            || Custom {
                conditions,
                values: values.into(),
            },
        )
    }

    /// Whether the peers in a label set are known, as far as labels show them.
    fn knows_peers(&self, key: &SeriesKey) -> bool {
        let known = |peer| !self.parts.peers || Some(peer) != self.nobody;
        known(key.peer) && (self.reporter != Reporter::Waypoint || known(key.upstream))
    }

    fn operation(&self, host: &dyn Host) -> Option<u32> {
        if self.operations.is_empty() {
            return None;
        }
        let header = |name| host.header(HeaderMap::Request, name).unwrap_or_default();
        self.operations.find(header(":method"), header(":path"))
    }

    /// The label set's parts as numbers; `None` where one is new and there is no room for it.
    fn key(
        &mut self,
        host: &impl Host,
        clusters: &mut Clusters,
        learned: Learned<'_>,
        ended: &Ended<'_>,
        outcome: Outcome,
    ) -> Option<SeriesKey> {
        let (peer, upstream) = match self.reporter {
            Reporter::Destination => (self.downstream.find(host, learned.downstream), None),
            Reporter::Source => (self.upstream.find(host, learned.upstream), None),
            Reporter::Waypoint => (
                self.downstream.find(host, learned.downstream),
                self.upstream.find(host, learned.upstream),
            ),
        };
        Some(SeriesKey {
            reason: match (&peer, self.reasons) {
                (None, true)
                    if self.reporter == Reporter::Source
                        && ended.response_flags & NO_UPSTREAM_RESPONSE != 0 =>
                {
                    UnknownReason::NoResponse
                }
                (None, true) => learned.reason,
                _ => UnknownReason::None,
            },
            peer: self.peer(peer.as_ref().filter(|_| self.parts.peers))?,
            upstream: self.peer(upstream.as_ref().filter(|_| self.parts.peers))?,
            principals: if self.parts.principals {
                self.ends(host, ended)?
            } else {
                self.principals(Ends::default())?
            },
            service: if self.parts.service {
                self.service(host, clusters, ended)?
            } else {
                self.nothing_asked?
            },
            custom: 0,
            operation: None,
            outcome,
        })
    }

    #[inline]
    fn peer(&mut self, peer: Option<&Rc<Peer>>) -> Option<u32> {
        let Some(peer) = peer else {
            return self.nobody;
        };
        if peer.number.get().is_none() {
            let shown = peer.workload.shown();
            let known = |known: &Workload| *known == shown;
            peer.number
                .set(self.peers.number(&shown, known, || shown.clone()));
        }
        peer.number.get()
    }

    fn ends(&mut self, host: &impl Host, ended: &Ended<'_>) -> Option<u32> {
        if ended.ends != Ends::Downstream {
            return self.principals(ended.ends);
        }
        let known = ended.connection.and_then(|id| self.connections.find(id));
        if known.is_some() {
            return known;
        }
        let number = self.principals(attributes::downstream_principals(host))?;
        if let Some(id) = ended.connection {
            self.connections.remember(id, number);
        }
        Some(number)
    }

    fn principals(&mut self, ends: Ends<'_>) -> Option<u32> {
        let (peer, local) = match ends {
            Ends::Principals { peer, local } => {
                (stat_name::bounded(peer), stat_name::bounded(local))
            }
            Ends::Downstream => Default::default(),
        };
        self.principals.number(
            (peer, local),
            |known| same(&known.peer, peer) && same(&known.local, local),
            || Principals {
                peer: peer.into(),
                local: local.into(),
            },
        )
    }

    fn service(
        &mut self,
        host: &impl Host,
        clusters: &mut Clusters,
        ended: &Ended<'_>,
    ) -> Option<u32> {
        let known = clusters.find(host, ended.cluster);
        let decided = known.cluster.decides(ended.route);
        if decided && known.service.is_some() {
            return known.service;
        }
        let authority = if self.authority_names_services && !decided {
            // While a request is open, its headers cannot be read: that waits for the end.
            if ended.is_open {
                return None;
            }
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

    /// Adds a new label set; `None` where there is no room for it.
    #[cold]
    fn add(&mut self, host: &dyn Host, key: SeriesKey) -> Option<u32> {
        if !self.series.has_room() {
            return None;
        }
        let metrics = self.define(host, &self.plan.at_end, &key)?;
        let number = self.series.add(key, metrics)?;
        if self.zero_initialize && self.knows_peers(&key) {
            self.add_zeroes(host, key);
        }
        Some(number)
    }

    /// The success and the error series beside a new one, so that a query for them finds a zero and
    /// not nothing.
    #[cold]
    fn add_zeroes(&mut self, host: &dyn Host, key: SeriesKey) {
        let grpc = key.outcome.protocol == Protocol::Grpc;
        for (response_code, status) in [(200, 0), (500, 13)] {
            let outcome = Outcome {
                response_code,
                response_flags: 0,
                grpc_status: grpc.then_some(status),
                ..key.outcome
            };
            let key = SeriesKey { outcome, ..key };
            if self.series.find(&key).is_some() || !self.series.has_room() {
                continue;
            }
            if let Some(metrics) = self.define(host, &self.plan.at_end, &key) {
                if let Some(Some(requests)) = metrics.first() {
                    host.record(*requests, 0);
                }
                self.series.add(key, metrics);
            }
        }
    }

    #[cold]
    fn add_messages(&mut self, host: &dyn Host, key: SeriesKey) -> Option<u32> {
        if !self.messages.has_room() {
            return None;
        }
        let metrics = self.define(host, &self.plan.messages, &key)?;
        self.messages.add(key, metrics)
    }

    #[cold]
    fn define(
        &self,
        host: &dyn Host,
        planned: &[PlannedMetric],
        key: &SeriesKey,
    ) -> Option<Vec<Option<MetricId>>> {
        let principals = self.principals.get(key.principals)?;
        let facts = Facts {
            reporter: self.reporter,
            local: &self.local,
            peer: self.peers.get(key.peer)?,
            upstream: self.peers.get(key.upstream)?,
            principals: Principals {
                peer: &principals.peer,
                local: &principals.local,
            },
            service: self.services.get(key.service)?.view(),
            outcome: key.outcome,
        };
        let extras = Extras {
            custom: self.customs.get(key.custom)?,
            operation: key
                .operation
                .and_then(|number| self.operations.text(number)),
            reason: key.reason,
        };
        let define = |metric: &PlannedMetric| {
            host.define(metric.kind, &self.plan.stat_name(metric, &facts, extras)?)
        };
        Some(planned.iter().map(define).collect())
    }

    #[cold]
    fn overflow(&mut self, host: &dyn Host) -> u32 {
        if let Some(number) = self.series.overflow() {
            return number;
        }
        let metrics = self.define_overflow(host, &self.plan.at_end);
        self.series.add_overflow(metrics)
    }

    #[cold]
    fn messages_overflow(&mut self, host: &dyn Host) -> u32 {
        if let Some(number) = self.messages.overflow() {
            return number;
        }
        let metrics = self.define_overflow(host, &self.plan.messages);
        self.messages.add_overflow(metrics)
    }

    fn define_overflow(&self, host: &dyn Host, planned: &[PlannedMetric]) -> Vec<Option<MetricId>> {
        let first = self.series.overflow().is_none() && self.messages.overflow().is_none();
        if first {
            Self::warn_of_overflow(host);
        }
        let define = |metric: &PlannedMetric| {
            let name = self.plan.overflow_stat_name(metric, self.reporter.name())?;
            host.define(metric.kind, &name)
        };
        planned.iter().map(define).collect()
    }

    fn warn_of_overflow(host: &dyn Host) {
        host.log(
            LogLevel::Warn,
            "mixerless: max_series is reached: requests with a new label set are counted in the series whose \
             labels say \"overflow\"; raise max_series, or find the label with too many values",
        );
    }

    fn record_messages(&self, host: &dyn Host, number: u32, new: MessageCounts) {
        for (metric, id) in self.plan.messages.iter().zip(self.messages.metrics(number)) {
            let value = match metric.value {
                PlannedValue::Messages(MessageMetric::RequestMessagesTotal) => new.request,
                PlannedValue::Messages(MessageMetric::ResponseMessagesTotal) => new.response,
                _ => 0,
            };
            if let (Some(id), 1..) = (id, value) {
                host.record(*id, value);
            }
        }
    }
}

#[inline]
fn http_value(metric: HttpMetric, ended: &Ended<'_>) -> Option<u64> {
    match metric {
        HttpMetric::RequestsTotal => Some(1),
        HttpMetric::RequestDuration => ended.duration.map(milliseconds),
        HttpMetric::RequestBytes => Some(ended.request_bytes),
        HttpMetric::ResponseBytes => Some(ended.response_bytes),
    }
}

#[inline]
fn milliseconds(nanoseconds: u64) -> u64 {
    nanoseconds / NANOSECONDS_PER_MILLISECOND
}

/// What the current request's content type says that it speaks.
fn content_protocol(host: &(impl Headers + ?Sized)) -> Protocol {
    Protocol::of(host.header(HeaderMap::Request, "content-type"))
}

fn grpc_status(host: &dyn Host) -> Option<i32> {
    let status = attributes::integer(host.attribute(attributes::GRPC_STATUS)?)?;
    i32::try_from(status).ok()
}

impl MessageCounts {
    /// Reads `REQUEST,RESPONSE`, as Envoy's gRPC stats filter writes it.
    fn read(text: &[u8]) -> Option<Self> {
        let (request, response) = core::str::from_utf8(text).ok()?.split_once(',')?;
        Some(Self {
            request: request.parse().ok()?,
            response: response.parse().ok()?,
        })
    }
}

/// Defines and records the gauge `build`: which version runs here.
pub fn define_build(host: &dyn Host, node: &Node, config: &Config) {
    let version = node
        .metadata
        .as_ref()
        .map_or("", |fields| fields.text("ISTIO_VERSION"));
    let version = if version.is_empty() {
        dimensions::UNKNOWN
    } else {
        version
    };
    let name = stat_name::build(version, &config.stat_prefix);
    if let Some(build) = host.define(MetricKind::Gauge, &name) {
        host.record(build, 1);
    }
}
