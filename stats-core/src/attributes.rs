//! What a finished request's labels need of the host, asked for in as few calls as can be.
//!
//! An attribute that is absent fails the whole evaluation of an expression, so the expressions hold
//! what a finished request nearly always has. Where one fails, the attributes are read one by one,
//! which costs more and tells what there is.

use crate::dimensions::Reporter;
use crate::host::{Attributes, Expression};
use crate::pairs;

/// The node message; resolves at configuration time.
pub const NODE: &str = "xds\0node";
/// 1 inbound, 2 outbound, 0 unspecified.
pub const LISTENER_DIRECTION: &str = "xds\0listener_direction";
/// The metadata of the request's cluster, a message.
pub const CLUSTER_METADATA: &str = "xds\0cluster_metadata";
/// The gRPC status. Envoy derives one from the response code where there is none.
pub const GRPC_STATUS: &str = "response\0grpc_status";

/// The cluster of the request.
pub const CLUSTER_NAME: &str = "xds\0cluster_name";
/// The metadata of the upstream host, a message.
pub const UPSTREAM_HOST_METADATA: &str = "xds\0upstream_host_metadata";
/// Counts of gRPC messages so far, `REQUEST,RESPONSE`: what Envoy's gRPC stats filter publishes.
pub const GRPC_MESSAGES: &str = "filter_state\0envoy.filters.http.grpc_stats";

const RESPONSE_CODE: &str = "response\0code";
const RESPONSE_FLAGS: &str = "response\0flags";
const DURATION: &str = "request\0duration";
const REQUEST_SIZE: &str = "request\0total_size";
const RESPONSE_SIZE: &str = "response\0total_size";
const ROUTE_NAME: &str = "xds\0route_name";
const CONNECTION_ID: &str = "connection\0id";
const DOWNSTREAM_PEER: &str = "connection\0uri_san_peer_certificate";
const DOWNSTREAM_LOCAL: &str = "connection\0uri_san_local_certificate";
const UPSTREAM_PEER: &str = "upstream\0uri_san_peer_certificate";
const UPSTREAM_LOCAL: &str = "upstream\0uri_san_local_certificate";

macro_rules! expression {
    ($($more:literal),*) => {
        concat!(
            "[response.code, response.flags, request.duration, request.total_size, ",
            "response.total_size, xds.cluster_name, xds.route_name, connection.id",
            $(", ", $more,)* "]"
        )
    };
}

/// What is asked about an inbound request.
pub const INBOUND: &str = expression!();
/// What is asked about an outbound request whose upstream has had no TLS so far.
pub const OUTBOUND_PLAIN: &str = expression!("has(upstream.tls_version)");

/// How many attributes all expressions have in common.
const COMMON: usize = 8;

/// A request that has ended, as the host tells it. What is absent is zero or empty.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ended<'a> {
    /// The response's status.
    pub response_code: u32,
    /// Envoy's response flags.
    pub response_flags: u64,
    /// The whole duration in nanoseconds; `None` where it never completed.
    pub duration: Option<u64>,
    /// Bytes received, headers included.
    pub request_bytes: u64,
    /// Bytes sent, headers included.
    pub response_bytes: u64,
    /// The cluster.
    pub cluster: &'a [u8],
    /// The route.
    pub route: &'a [u8],
    /// The downstream connection's id.
    pub connection: Option<u64>,
    /// The connection's principals, as far as they are known from here.
    pub ends: Ends<'a>,
    /// Whether it has in truth not ended yet.
    pub is_open: bool,
}

/// The two ends of the connection that a request's principals are taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends<'a> {
    /// Those of the downstream connection: [`downstream_principals`] asks once.
    Downstream,
    /// These; empty where there is no certificate or no SPIFFE id in it.
    Principals {
        /// The other end.
        peer: &'a [u8],
        /// This end.
        local: &'a [u8],
    },
}

impl Default for Ends<'_> {
    fn default() -> Self {
        Self::Principals {
            peer: b"",
            local: b"",
        }
    }
}

/// The compiled expressions of a reporter.
pub enum Query {
    /// Certificates of the downstream connection never change: its id stands for them.
    Inbound(Option<Expression>),
    /// The upstream connection has no id, so its certificates are asked for with every request, if
    /// the last upstream had any.
    Outbound {
        /// With the upstream's certificates.
        mtls: Option<Expression>,
        /// With the question whether the upstream has TLS.
        plain: Option<Expression>,
        /// Which of the two the last request was answered by.
        last_was_mtls: bool,
    },
}

impl Query {
    /// Compiles what a reporter needs.
    pub fn compile(host: &dyn Attributes, reporter: Reporter) -> Self {
        match reporter {
            Reporter::Destination | Reporter::Waypoint => Self::Inbound(host.compile(INBOUND)),
            Reporter::Source => Self::Outbound {
                mtls: host.compile(expression!(
                    "upstream.uri_san_peer_certificate",
                    "upstream.uri_san_local_certificate"
                )),
                plain: host.compile(OUTBOUND_PLAIN),
                last_was_mtls: false,
            },
        }
    }

    /// Releases the expressions.
    pub fn forget(&self, host: &dyn Attributes) {
        let expressions = match self {
            Self::Inbound(expression) => [*expression, None],
            Self::Outbound { mtls, plain, .. } => [*mtls, *plain],
        };
        for expression in expressions.into_iter().flatten() {
            host.forget(expression);
        }
    }

    /// Asks the host about the request that has ended.
    pub fn ask<'a>(&mut self, host: &'a impl Attributes) -> Ended<'a> {
        let ended = match self {
            Self::Inbound(expression) => inbound(host, *expression),
            Self::Outbound {
                mtls,
                plain,
                last_was_mtls,
            } => {
                let with_certificates = last_was_mtls.then(|| outbound_mtls(host, *mtls)).flatten();
                match with_certificates {
                    Some(ended) => Some(ended),
                    None => outbound_plain(host, *plain).map(|(ended, tls)| {
                        let ended = if tls {
                            with_upstream_principals(host, ended)
                        } else {
                            ended
                        };
                        *last_was_mtls = matches!(
                            ended.ends,
                            Ends::Principals {
                                peer: [_, ..],
                                local: [_, ..]
                            }
                        );
                        ended
                    }),
                }
            }
        };
        ended.unwrap_or_else(|| self.one_by_one(host))
    }

    /// What there is of a request that the expressions fail on: no route, no response, no upstream.
    fn one_by_one<'a>(&self, host: &'a dyn Attributes) -> Ended<'a> {
        let number = |path| host.attribute(path).and_then(integer);
        Ended {
            response_code: number(RESPONSE_CODE).map(code).unwrap_or_default(),
            response_flags: number(RESPONSE_FLAGS).unwrap_or_default().cast_unsigned(),
            duration: number(DURATION).map(size),
            request_bytes: number(REQUEST_SIZE).map(size).unwrap_or_default(),
            response_bytes: number(RESPONSE_SIZE).map(size).unwrap_or_default(),
            is_open: false,
            ..self.ask_while_open(host)
        }
    }

    /// Asks the host about a request that is still open: how it ends is not told.
    pub fn ask_while_open<'a>(&self, host: &'a dyn Attributes) -> Ended<'a> {
        let open = Ended {
            cluster: cluster_name(host),
            route: host.attribute(ROUTE_NAME).unwrap_or_default(),
            connection: host
                .attribute(CONNECTION_ID)
                .and_then(integer)
                .map(i64::cast_unsigned),
            is_open: true,
            ..Ended::default()
        };
        match self {
            Self::Inbound(_) => Ended {
                ends: Ends::Downstream,
                ..open
            },
            Self::Outbound { .. } => with_upstream_principals(host, open),
        }
    }
}

/// The name of the current request's cluster; empty where it has none.
pub fn cluster_name(host: &dyn Attributes) -> &[u8] {
    host.attribute(CLUSTER_NAME).unwrap_or_default()
}

/// The principals of the downstream connection.
pub fn downstream_principals(host: &dyn Attributes) -> Ends<'_> {
    Ends::Principals {
        peer: host.attribute(DOWNSTREAM_PEER).unwrap_or_default(),
        local: host.attribute(DOWNSTREAM_LOCAL).unwrap_or_default(),
    }
}

/// An integer, a duration in nanoseconds or a point in time, as the host serializes it.
#[inline]
pub fn integer(bytes: &[u8]) -> Option<i64> {
    Some(i64::from_ne_bytes(bytes.try_into().ok()?))
}

fn inbound(host: &impl Attributes, expression: Option<Expression>) -> Option<Ended<'_>> {
    Some(Ended {
        ends: Ends::Downstream,
        ..ended(pairs::list(host.evaluate(expression?)?)?)?
    })
}

fn outbound_mtls(host: &impl Attributes, expression: Option<Expression>) -> Option<Ended<'_>> {
    let [common @ .., peer, local] = pairs::list::<{ COMMON + 2 }>(host.evaluate(expression?)?)?;
    Some(Ended {
        ends: Ends::Principals { peer, local },
        ..ended(common)?
    })
}

/// Also says whether the upstream has TLS.
fn outbound_plain(
    host: &impl Attributes,
    expression: Option<Expression>,
) -> Option<(Ended<'_>, bool)> {
    let [common @ .., tls] = pairs::list::<{ COMMON + 1 }>(host.evaluate(expression?)?)?;
    Some((ended(common)?, tls == [1]))
}

fn with_upstream_principals<'a>(host: &'a dyn Attributes, ended: Ended<'a>) -> Ended<'a> {
    Ended {
        ends: Ends::Principals {
            peer: host.attribute(UPSTREAM_PEER).unwrap_or_default(),
            local: host.attribute(UPSTREAM_LOCAL).unwrap_or_default(),
        },
        ..ended
    }
}

#[inline]
fn ended(common: [&[u8]; COMMON]) -> Option<Ended<'_>> {
    let [
        response_code,
        flags,
        duration,
        request_size,
        response_size,
        cluster,
        route,
        connection,
    ] = common;
    Some(Ended {
        response_code: code(integer(response_code)?),
        response_flags: integer(flags)?.cast_unsigned(),
        duration: Some(size(integer(duration)?)),
        request_bytes: size(integer(request_size)?),
        response_bytes: size(integer(response_size)?),
        cluster,
        route,
        connection: Some(integer(connection)?.cast_unsigned()),
        ends: Ends::default(),
        is_open: false,
    })
}

#[inline]
fn code(value: i64) -> u32 {
    u32::try_from(value).unwrap_or_default()
}

/// A size or a duration: never negative, whatever the clock did.
#[inline]
fn size(value: i64) -> u64 {
    u64::try_from(value).unwrap_or_default()
}
