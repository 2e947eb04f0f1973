//! The labels of Istio's standard metrics, and for each reporter where a label's value comes from:
//! the table of the metrics' contract, as one `match`.

use alloc::borrow::Cow;
use alloc::string::ToString;

use crate::response_flags;
use crate::service::Service;
use crate::workload::Workload;

/// The value of a label that is not known.
pub const UNKNOWN: &str = "unknown";
/// The value of a canonical revision that is not known.
pub const LATEST: &str = "latest";
/// The value of every label but `reporter` on the series that counts what a full table cannot tell
/// apart any more.
pub const OVERFLOW: &str = "overflow";

macro_rules! labels {
    ($($variant:ident $name:literal)*) => {
        /// A label of the standard metrics.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Label {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
        }

        impl Label {
            /// All labels, in the order in which a stat name carries them.
            pub const ALL: [Self; 25] = [$(Self::$variant,)*];

            /// The label's name on the wire.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }

        /// The names of [`Label::ALL`].
        pub const LABELS: [&str; 25] = [$($name,)*];
    };
}

labels! {
    Reporter "reporter"
    SourceWorkload "source_workload"
    SourceWorkloadNamespace "source_workload_namespace"
    SourcePrincipal "source_principal"
    SourceApp "source_app"
    SourceVersion "source_version"
    SourceCanonicalService "source_canonical_service"
    SourceCanonicalRevision "source_canonical_revision"
    SourceCluster "source_cluster"
    DestinationWorkload "destination_workload"
    DestinationWorkloadNamespace "destination_workload_namespace"
    DestinationPrincipal "destination_principal"
    DestinationApp "destination_app"
    DestinationVersion "destination_version"
    DestinationService "destination_service"
    DestinationServiceName "destination_service_name"
    DestinationServiceNamespace "destination_service_namespace"
    DestinationCanonicalService "destination_canonical_service"
    DestinationCanonicalRevision "destination_canonical_revision"
    DestinationCluster "destination_cluster"
    RequestProtocol "request_protocol"
    ResponseFlags "response_flags"
    ConnectionSecurityPolicy "connection_security_policy"
    ResponseCode "response_code"
    GrpcResponseStatus "grpc_response_status"
}

/// Which side of a request reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reporter {
    /// The proxy beside the caller, or a gateway.
    Source,
    /// The proxy beside the called.
    Destination,
    /// A proxy before a set of workloads.
    Waypoint,
}

impl Reporter {
    /// The value of the `reporter` label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Destination => "destination",
            Self::Waypoint => "waypoint",
        }
    }
}

/// What a request spoke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// HTTP of any version.
    Http,
    /// gRPC, by its content type.
    Grpc,
}

impl Protocol {
    /// gRPC if the content type says so, as Envoy decides: exactly `application/grpc`, or that and
    /// a suffix such as `+proto`.
    pub fn of(content_type: Option<&[u8]>) -> Self {
        match content_type.and_then(|value| value.strip_prefix(b"application/grpc")) {
            Some([] | [b'+', ..]) => Self::Grpc,
            _ => Self::Http,
        }
    }

    /// The value of the `request_protocol` label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Grpc => "grpc",
        }
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Outcome {
    /// What it spoke.
    pub protocol: Protocol,
    /// The response's status, zero where there was no response.
    pub response_code: u32,
    /// Envoy's response flags, a bit each.
    pub response_flags: u64,
    /// The gRPC status; only gRPC has one, and not always.
    pub grpc_status: Option<i32>,
}

/// The SPIFFE ids of a connection's two ends, from their certificates; empty where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Principals<T> {
    /// The other end.
    pub peer: T,
    /// This end.
    pub local: T,
}

/// All that the labels of one request are made of.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Who reports.
    pub reporter: Reporter,
    /// This proxy's workload.
    pub local: &'a Workload,
    /// The workload at the other end; all empty where it is unknown.
    pub peer: &'a Workload,
    /// The workload that a waypoint sent the request to; all empty elsewhere.
    pub upstream: &'a Workload,
    /// The ends of the connection: upstream's for `source`, else
    /// downstream's.
    pub principals: Principals<&'a [u8]>,
    /// The service that was asked for.
    pub service: Service<&'a [u8]>,
    /// How it ended.
    pub outcome: Outcome,
}

impl<'a> Facts<'a> {
    /// The value of a label.
    pub fn value(&self, label: Label) -> Cow<'a, [u8]> {
        use Label as L;
        use Reporter::{Destination, Source, Waypoint};
        let Self {
            local,
            peer,
            upstream,
            principals,
            service,
            outcome,
            ..
        } = self;
        let (source, destination) = match self.reporter {
            Destination => (peer, local),
            Source => (local, peer),
            Waypoint => (peer, upstream),
        };
        match label {
            L::Reporter => text(self.reporter.name()),

            L::SourceWorkload => known(&source.name),
            L::SourceApp => known(&source.app),
            L::SourceVersion => known(&source.version),
            L::SourceCanonicalService => known(&source.canonical_service),
            L::SourceCanonicalRevision => or(source.canonical_revision.as_bytes(), LATEST),
            L::SourceCluster => known(&source.cluster),
            L::SourceWorkloadNamespace => match self.reporter {
                Destination | Waypoint => or(self.peer_namespace(), UNKNOWN),
                Source => known(&local.namespace),
            },
            L::SourcePrincipal => match self.reporter {
                Destination | Waypoint => or(principals.peer, UNKNOWN),
                Source => or(principals.local, UNKNOWN),
            },

            L::DestinationWorkload => known(&destination.name),
            L::DestinationApp => known(&destination.app),
            L::DestinationVersion => known(&destination.version),
            L::DestinationCanonicalService => known(&destination.canonical_service),
            L::DestinationCanonicalRevision => {
                let revision = destination.canonical_revision.as_bytes();
                match self.reporter {
                    Destination | Source => or(revision, LATEST),
                    Waypoint => or(revision, UNKNOWN),
                }
            }
            L::DestinationCluster => known(&destination.cluster),
            L::DestinationWorkloadNamespace => match self.reporter {
                Destination => known(&local.namespace),
                Source => or(self.peer_namespace(), UNKNOWN),
                Waypoint => known(&upstream.namespace),
            },
            L::DestinationPrincipal => match self.reporter {
                Destination => or(principals.local, UNKNOWN),
                Source => or(self.upstream_principal(), UNKNOWN),
                Waypoint => known(&upstream.identity),
            },

            L::DestinationService => match self.reporter {
                Destination => or(first(service.host, &local.canonical_service), UNKNOWN),
                Source | Waypoint => or(service.host, UNKNOWN),
            },
            L::DestinationServiceName => match self.reporter {
                Destination => or(first(service.name, &local.canonical_service), UNKNOWN),
                Source | Waypoint => or(service.name, UNKNOWN),
            },
            L::DestinationServiceNamespace => match self.reporter {
                Destination => known(&local.namespace),
                Source if service.namespace.is_empty() => or(self.peer_namespace(), UNKNOWN),
                Source | Waypoint => or(service.namespace, UNKNOWN),
            },

            L::RequestProtocol => text(outcome.protocol.name()),
            L::ResponseFlags => bytes(response_flags::text(outcome.response_flags)),
            L::ConnectionSecurityPolicy => text(match self.reporter {
                Source => UNKNOWN,
                Destination | Waypoint
                    if principals.peer.is_empty() || principals.local.is_empty() =>
                {
                    "none"
                }
                Destination | Waypoint => "mutual_tls",
            }),
            L::ResponseCode => bytes(outcome.response_code.to_string().into()),
            L::GrpcResponseStatus => match outcome.grpc_status {
                Some(status) => bytes(status.to_string().into()),
                None => text(""),
            },
        }
    }

    /// The upstream's principal; without a certificate, what the peer says of itself.
    fn upstream_principal(&self) -> &'a [u8] {
        first(self.principals.peer, &self.peer.identity)
    }

    /// The peer's namespace: that of its SPIFFE id, which a certificate vouches for, before the one
    /// that the peer states.
    fn peer_namespace(&self) -> &'a [u8] {
        let principal = match self.reporter {
            Reporter::Destination | Reporter::Waypoint => self.principals.peer,
            Reporter::Source => self.upstream_principal(),
        };
        first(spiffe_namespace(principal), &self.peer.namespace)
    }
}

/// `NS` in `spiffe://DOMAIN/ns/NS/sa/ACCOUNT`, or nothing.
fn spiffe_namespace(principal: &[u8]) -> &[u8] {
    let mut segments = principal
        .split(|&b| b == b'/')
        .skip_while(|segment| *segment != b"ns");
    match (segments.next(), segments.next(), segments.next()) {
        (Some(_), Some(namespace), Some(_)) => namespace,
        _ => b"",
    }
}

fn first<'a>(value: &'a [u8], fallback: &'a str) -> &'a [u8] {
    if value.is_empty() {
        fallback.as_bytes()
    } else {
        value
    }
}

fn known(value: &str) -> Cow<'_, [u8]> {
    or(value.as_bytes(), UNKNOWN)
}

fn or<'a>(value: &'a [u8], fallback: &'static str) -> Cow<'a, [u8]> {
    Cow::Borrowed(first(value, fallback))
}

fn text(value: &'static str) -> Cow<'static, [u8]> {
    Cow::Borrowed(value.as_bytes())
}

fn bytes(value: Cow<'static, str>) -> Cow<'static, [u8]> {
    match value {
        Cow::Borrowed(value) => Cow::Borrowed(value.as_bytes()),
        Cow::Owned(value) => Cow::Owned(value.into_bytes()),
    }
}

#[cfg(test)]
mod tests;
