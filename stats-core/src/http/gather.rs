//! Gathers the facts of a request: the one place that asks the host what labels and histograms of a
//! request need when it has ended, or is reported while it is open.

use super::direction::Direction;
use super::request::Request;
use crate::gather::clusters::Clusters;
use crate::gather::connections::ConnectionTable;
use crate::gather::peers::PeerFinder;
use crate::host::{Connections, End, HeaderMap, Headers, HttpHost, RequestFacts};
use crate::labels::outcome::{Outcome, Protocol};
use crate::peer::principals::Principals;
use crate::peer::sources::BAGGAGE_HEADER;
use crate::peer::unknown::UnknownReason;
use crate::record::expressions::UserExpressions;
use crate::record::facts::{Facts, Measures};
use crate::record::tables::{PrincipalsId, ServiceId, Tables};

/// The response flags with which the proxy answers in the place of an upstream that it did not
/// reach: UH, UT, UR, UF, UC, UO, NR and NC.
const NO_UPSTREAM_RESPONSE: u64 = 0b1_1111_0110 | 1 << 24;
const NANOSECONDS_PER_MILLISECOND: u64 = 1_000_000;

/// Gathers facts in one direction.
pub struct Gatherer {
    direction: Direction,
    authority_names_services: bool,
    shows_reason: bool,
    exchanges: bool,
    downstream: PeerFinder,
    upstream: PeerFinder,
    connections: ConnectionTable<PrincipalsId>,
}

impl Gatherer {
    /// Gathers in one direction, with a finder of peers for each end. `exchanges` says whether this
    /// filter exchanges metadata itself, `authority_names_services` whether the `:authority` header may
    /// name the service, `shows_reason` whether a label shows why a peer is unknown.
    pub fn new(
        direction: Direction,
        finder: impl Fn(End) -> PeerFinder,
        exchanges: bool,
        authority_names_services: bool,
        shows_reason: bool,
    ) -> Self {
        Self {
            direction,
            authority_names_services,
            shows_reason,
            exchanges,
            downstream: finder(End::Downstream),
            upstream: finder(End::Upstream),
            connections: ConnectionTable::default(),
        }
    }

    /// Some time has passed: what may change is asked for again when it is next needed.
    pub fn tick(&mut self) {
        self.downstream.tick();
        self.upstream.tick();
    }

    /// The facts of a request that has ended; `None` where nothing of it is recorded, or where an access
    /// logger was told of something else than a request.
    #[inline]
    pub fn finished(
        &mut self,
        host: &impl HttpHost,
        tables: &mut Tables,
        clusters: &mut Clusters,
        expressions: &mut UserExpressions,
        request: &Request,
    ) -> Option<Facts> {
        let known = host.finished_request(self.direction.principals());
        if request.only_logged && is_connection(host, &known) {
            return None;
        }
        let evaluated = expressions.evaluate(host, &mut tables.evaluated);
        if expressions.drops_request() && !request.messages.has_begun() {
            return None;
        }
        let protocol = protocol(host);
        let grpc = protocol == Protocol::Grpc;
        let operation = operation(host, tables);
        let service = self
            .service(host, tables, clusters, &known, || {
                let authority = host.header(HeaderMap::Request, ":authority");
                Some(authority.unwrap_or_default())
            })
            .unwrap_or_default();
        let facts = Facts {
            service,
            principals: self.principals(host, tables, &known),
            evaluated,
            operation,
            outcome: Outcome {
                protocol,
                response_code: known.response_code,
                response_flags: known.response_flags,
                grpc_status: if grpc { host.grpc_status() } else { None },
            },
            measures: Measures {
                duration: known.duration.map(milliseconds),
                first_byte: request.first_byte.map(milliseconds),
                request_bytes: known.request_bytes,
                response_bytes: known.response_bytes,
            },
            messages: if grpc { host.grpc_messages() } else { None },
            ..self.peers(host, tables, request, || {
                host.header(HeaderMap::Request, BAGGAGE_HEADER)
            })
        };
        Some(Facts {
            reason: self.reason(&facts, request),
            ..facts
        })
    }

    /// The facts of a gRPC request that is still open; `None` where nothing counts its messages, or its
    /// service is not known before its end. Headers cannot be read then, nor expressions evaluated.
    pub fn open(
        &mut self,
        host: &impl HttpHost,
        tables: &mut Tables,
        clusters: &mut Clusters,
        request: &Request,
    ) -> Option<Facts> {
        let messages = host.grpc_messages()?;
        let known = host.open_request(self.direction.principals());
        Some(Facts {
            service: self.service(host, tables, clusters, &known, || None)?,
            principals: self.principals(host, tables, &known),
            messages: Some(messages),
            ..self.peers(host, tables, request, || None)
        })
    }

    /// The peers of a request, in otherwise empty facts. `baggage` is asked for the value of that header.
    #[inline]
    fn peers<'a>(
        &mut self,
        host: &'a impl HttpHost,
        tables: &mut Tables,
        request: &Request,
        baggage: impl Fn() -> Option<&'a [u8]>,
    ) -> Facts {
        let (peer, upstream) = self.direction.peers(|end| {
            let finder = match end {
                End::Downstream => &mut self.downstream,
                End::Upstream => &mut self.upstream,
            };
            finder.find(host, &mut tables.peers, request.exchanged(end), &baggage)
        });
        Facts {
            peer,
            upstream,
            ..Facts::default()
        }
    }

    /// Why the peer is not known.
    #[inline]
    fn reason(&self, facts: &Facts, request: &Request) -> UnknownReason {
        if facts.peer.is_some() || !self.shows_reason {
            return UnknownReason::None;
        }
        let unreached = facts.outcome.response_flags & NO_UPSTREAM_RESPONSE != 0;
        match self.direction {
            Direction::Outbound if unreached => UnknownReason::NoResponse,
            _ if !self.exchanges => UnknownReason::NoMetadata,
            direction => match request.reason(direction) {
                // The proxy answered before the headers were looked at, or no source is the exchange.
                UnknownReason::None => UnknownReason::NoMetadata,
                reason => reason,
            },
        }
    }

    /// The principals of a request's connection. Those of a downstream connection never change: they
    /// are asked for once. An upstream connection has no id: the host told them with the facts.
    #[inline]
    fn principals(
        &mut self,
        host: &impl Connections,
        tables: &mut Tables,
        known: &RequestFacts<'_>,
    ) -> PrincipalsId {
        if tables.visible().principals == Principals::default() {
            return PrincipalsId::default();
        }
        if self.direction.principals() == End::Upstream {
            return tables.principals(known.upstream);
        }
        if let Some(id) = known.connection
            && let Some(principals) = self.connections.find(id)
        {
            return principals;
        }
        let principals = tables.principals(host.downstream_principals());
        if let Some(id) = known.connection {
            self.connections.remember(id, principals);
        }
        principals
    }

    /// The service of a request; `None` where the authority has to name it, and is not known yet.
    #[inline]
    fn service<'a>(
        &self,
        host: &impl Connections,
        tables: &mut Tables,
        clusters: &mut Clusters,
        known: &RequestFacts<'a>,
        authority: impl Fn() -> Option<&'a [u8]>,
    ) -> Option<ServiceId> {
        if tables.visible().service.is_empty() {
            return Some(ServiceId::default());
        }
        let cluster = clusters.find(host, tables, known.cluster)?;
        if let Some(decided) = cluster.decided
            && cluster.service.decides(known.route)
        {
            return Some(decided);
        }
        let authority = if self.authority_names_services {
            authority()
        } else {
            Some(&b""[..])
        };
        Some(tables.service(cluster.service.service(known.route, authority?)))
    }
}

#[inline]
fn milliseconds(nanoseconds: u64) -> u64 {
    nanoseconds / NANOSECONDS_PER_MILLISECOND
}

/// What the current request's content type says of its protocol.
pub fn protocol(host: &impl Headers) -> Protocol {
    Protocol::of(host.header(HeaderMap::Request, "content-type"))
}

fn operation(host: &impl Headers, tables: &Tables) -> Option<u16> {
    if tables.operations.is_empty() {
        return None;
    }
    let header = |name| host.header(HeaderMap::Request, name).unwrap_or_default();
    tables.operations.find(header(":method"), header(":path"))
}

/// Whether an access logger was told of a connection and not of a request: it may be a TCP proxy's, or
/// a listener's.
#[inline]
pub fn is_connection(host: &impl Headers, known: &RequestFacts<'_>) -> bool {
    known.response_code == 0 && has_no_method(host)
}

#[cold]
fn has_no_method(host: &impl Headers) -> bool {
    host.header(HeaderMap::Request, ":method").is_none()
}
