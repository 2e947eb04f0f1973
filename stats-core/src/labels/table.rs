//! The table of the metrics' contract: for each label and reporter the origin of the value.
//!
//! [`origin`] is the table. What a value depends on ([`Origin::depends_on`]) and what it is
//! ([`Origin::value`]) are both read off the origin, so that they cannot drift apart.

use alloc::borrow::Cow;
use alloc::string::ToString;

use super::outcome::Outcome;
use super::response_flags;
use super::service::Service;
use super::visible::Visible;
use super::{Label, Reporter, UNKNOWN};
use crate::peer::fields::Field;
use crate::peer::principals::{Detail, Principals, spiffe_namespace};
use crate::peer::workload::{LATEST, Workload};

/// All that the standard labels of one request are made of.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// Who reports.
    pub reporter: Reporter,
    /// This proxy's workload.
    pub local: &'a Workload,
    /// The workload at the other end; [`Workload::UNKNOWN`] where it is not known.
    pub peer: &'a Workload,
    /// The workload that a waypoint sent the request to; unknown for other reporters.
    pub upstream: &'a Workload,
    /// The principals of the connection: upstream's for [`Reporter::Source`], else downstream's.
    pub principals: Principals<&'a [u8]>,
    /// The service that was asked for.
    pub service: Service<&'a [u8]>,
    /// How the request ended.
    pub outcome: Outcome,
}

/// A workload that takes part in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party {
    /// This proxy's own.
    Local,
    /// The one at the other end.
    Peer,
    /// The one behind a waypoint.
    Upstream,
}

/// Where a label's value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The same for all requests of a reporter.
    Constant(&'static str),
    /// A field of a workload; the text where it is empty.
    Workload(Party, Field, &'static str),
    /// The peer's namespace: the one in its SPIFFE id, which a certificate vouches for, before the
    /// one that the peer states.
    PeerNamespace(Vouched),
    /// The SPIFFE id of the other end.
    PeerPrincipal(Vouched),
    /// The SPIFFE id of this end.
    LocalPrincipal,
    /// The service's host, else the local canonical service where that may stand in.
    ServiceHost(Fallback),
    /// The service's name, likewise.
    ServiceName(Fallback),
    /// The service's namespace, else the peer's where that may stand in.
    ServiceNamespace(Fallback),
    /// Whether both ends have a SPIFFE id.
    SecurityPolicy,
    /// The protocol.
    Protocol,
    /// The response flags.
    ResponseFlags,
    /// The response code.
    ResponseCode,
    /// The gRPC status.
    GrpcStatus,
}

/// What vouches for the peer's SPIFFE id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vouched {
    /// Its certificate only.
    ByCertificate,
    /// Its certificate; without one, what the peer says of itself.
    ByCertificateOrPeer,
}

/// What stands in where a service is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// Nothing.
    Unknown,
    /// For the host and the name the local canonical service, for the namespace the peer's.
    Workload,
}

/// The table: where the value of a label comes from for a reporter.
pub const fn origin(label: Label, reporter: Reporter) -> Origin {
    use Field as F;
    use Label as L;
    use Origin as O;
    use Reporter::{Destination, Source, Waypoint};
    let (source, destination) = match reporter {
        Destination => (Party::Peer, Party::Local),
        Source => (Party::Local, Party::Peer),
        Waypoint => (Party::Peer, Party::Upstream),
    };
    let vouched = match reporter {
        Source => Vouched::ByCertificateOrPeer,
        Destination | Waypoint => Vouched::ByCertificate,
    };
    let service = match reporter {
        Destination => Fallback::Workload,
        Source | Waypoint => Fallback::Unknown,
    };
    match label {
        L::Reporter => O::Constant(reporter.name()),

        L::SourceWorkload => O::Workload(source, F::Name, UNKNOWN),
        L::SourceApp => O::Workload(source, F::App, UNKNOWN),
        L::SourceVersion => O::Workload(source, F::Version, UNKNOWN),
        L::SourceCanonicalService => O::Workload(source, F::CanonicalService, UNKNOWN),
        L::SourceCanonicalRevision => O::Workload(source, F::CanonicalRevision, LATEST),
        L::SourceCluster => O::Workload(source, F::Cluster, UNKNOWN),
        L::SourceWorkloadNamespace => match reporter {
            Destination | Waypoint => O::PeerNamespace(vouched),
            Source => O::Workload(Party::Local, F::Namespace, UNKNOWN),
        },
        L::SourcePrincipal => match reporter {
            Destination | Waypoint => O::PeerPrincipal(vouched),
            Source => O::LocalPrincipal,
        },

        L::DestinationWorkload => O::Workload(destination, F::Name, UNKNOWN),
        L::DestinationApp => O::Workload(destination, F::App, UNKNOWN),
        L::DestinationVersion => O::Workload(destination, F::Version, UNKNOWN),
        L::DestinationCanonicalService => O::Workload(destination, F::CanonicalService, UNKNOWN),
        L::DestinationCanonicalRevision => match reporter {
            Destination | Source => O::Workload(destination, F::CanonicalRevision, LATEST),
            Waypoint => O::Workload(destination, F::CanonicalRevision, UNKNOWN),
        },
        L::DestinationCluster => O::Workload(destination, F::Cluster, UNKNOWN),
        L::DestinationWorkloadNamespace => match reporter {
            Destination => O::Workload(Party::Local, F::Namespace, UNKNOWN),
            Source => O::PeerNamespace(vouched),
            Waypoint => O::Workload(Party::Upstream, F::Namespace, UNKNOWN),
        },
        L::DestinationPrincipal => match reporter {
            Destination => O::LocalPrincipal,
            Source => O::PeerPrincipal(vouched),
            Waypoint => O::Workload(Party::Upstream, F::Identity, UNKNOWN),
        },

        L::DestinationService => O::ServiceHost(service),
        L::DestinationServiceName => O::ServiceName(service),
        L::DestinationServiceNamespace => match reporter {
            Destination => O::Workload(Party::Local, F::Namespace, UNKNOWN),
            Source => O::ServiceNamespace(Fallback::Workload),
            Waypoint => O::ServiceNamespace(Fallback::Unknown),
        },

        L::RequestProtocol => O::Protocol,
        L::ResponseFlags => O::ResponseFlags,
        L::ConnectionSecurityPolicy => match reporter {
            Destination | Waypoint => O::SecurityPolicy,
            Source => O::Constant(UNKNOWN),
        },
        L::ResponseCode => O::ResponseCode,
        L::GrpcResponseStatus => O::GrpcStatus,
    }
}

impl Origin {
    /// Whether a proxy sees few different values, whatever clients, peers and upstreams send: these
    /// stay true on the overflow series. Which certificate of its own a proxy shows is up to the
    /// client where it has many, so the local principal is not among them.
    pub const fn is_bounded(self) -> bool {
        match self {
            Self::Constant(_)
            | Self::Workload(Party::Local, ..)
            | Self::SecurityPolicy
            | Self::Protocol
            | Self::ResponseFlags
            | Self::ResponseCode
            | Self::GrpcStatus => true,
            Self::Workload(Party::Peer | Party::Upstream, ..)
            | Self::PeerNamespace(_)
            | Self::PeerPrincipal(_)
            | Self::LocalPrincipal
            | Self::ServiceHost(_)
            | Self::ServiceName(_)
            | Self::ServiceNamespace(_) => false,
        }
    }

    /// Adds what the value depends on.
    pub fn depends_on(self, visible: &mut Visible) {
        let principals = &mut visible.principals;
        match self {
            Self::Constant(_) | Self::Workload(Party::Local, ..) => {}
            Self::Workload(Party::Peer, field, _) => visible.peer.insert(field),
            Self::Workload(Party::Upstream, field, _) => visible.upstream.insert(field),
            Self::PeerNamespace(vouched) => {
                principals.peer.raise(Detail::Namespace);
                visible.peer.insert(Field::Namespace);
                if vouched == Vouched::ByCertificateOrPeer {
                    visible.peer.insert(Field::Identity);
                }
            }
            Self::PeerPrincipal(vouched) => {
                principals.peer.raise(Detail::Whole);
                if vouched == Vouched::ByCertificateOrPeer {
                    visible.peer.insert(Field::Identity);
                }
            }
            Self::LocalPrincipal => principals.local.raise(Detail::Whole),
            Self::ServiceHost(_) => visible.service.host = true,
            Self::ServiceName(_) => visible.service.name = true,
            Self::ServiceNamespace(fallback) => {
                visible.service.namespace = true;
                if fallback == Fallback::Workload {
                    Self::PeerNamespace(Vouched::ByCertificateOrPeer).depends_on(visible);
                }
            }
            Self::SecurityPolicy => {
                principals.peer.raise(Detail::Presence);
                principals.local.raise(Detail::Presence);
            }
            Self::Protocol => visible.outcome.protocol = true,
            Self::ResponseFlags => visible.outcome.response_flags = true,
            Self::ResponseCode => visible.outcome.response_code = true,
            Self::GrpcStatus => visible.outcome.grpc_status = true,
        }
    }

    /// The value, before it is made [neutral](super::value::neutral).
    pub fn value<'a>(self, inputs: &Inputs<'a>) -> Cow<'a, [u8]> {
        let Inputs {
            local,
            peer,
            upstream,
            principals,
            service,
            outcome,
            ..
        } = *inputs;
        match self {
            Self::Constant(text) => Cow::Borrowed(text.as_bytes()),
            Self::Workload(party, field, fallback) => {
                let workload = match party {
                    Party::Local => local,
                    Party::Peer => peer,
                    Party::Upstream => upstream,
                };
                or(workload.get(field).as_bytes(), fallback)
            }
            Self::PeerNamespace(vouched) => or(peer_namespace(inputs, vouched), UNKNOWN),
            Self::PeerPrincipal(vouched) => or(peer_principal(inputs, vouched), UNKNOWN),
            Self::LocalPrincipal => or(principals.local, UNKNOWN),
            Self::ServiceHost(fallback) => or(service_or(inputs, service.host, fallback), UNKNOWN),
            Self::ServiceName(fallback) => or(service_or(inputs, service.name, fallback), UNKNOWN),
            Self::ServiceNamespace(fallback) => match fallback {
                Fallback::Workload if service.namespace.is_empty() => or(
                    peer_namespace(inputs, Vouched::ByCertificateOrPeer),
                    UNKNOWN,
                ),
                _ => or(service.namespace, UNKNOWN),
            },
            Self::SecurityPolicy => {
                let mutual = !principals.peer.is_empty() && !principals.local.is_empty();
                let policy = if mutual { "mutual_tls" } else { "none" };
                Cow::Borrowed(policy.as_bytes())
            }
            Self::Protocol => Cow::Borrowed(outcome.protocol.name().as_bytes()),
            Self::ResponseFlags => bytes(response_flags::text(outcome.response_flags)),
            Self::ResponseCode => bytes(outcome.response_code.to_string().into()),
            Self::GrpcStatus => match outcome.grpc_status {
                Some(status) => bytes(status.to_string().into()),
                None => Cow::Borrowed(b""),
            },
        }
    }
}

/// The value of a label.
pub fn value<'a>(label: Label, inputs: &Inputs<'a>) -> Cow<'a, [u8]> {
    origin(label, inputs.reporter).value(inputs)
}

fn peer_principal<'a>(inputs: &Inputs<'a>, vouched: Vouched) -> &'a [u8] {
    match vouched {
        Vouched::ByCertificate => inputs.principals.peer,
        Vouched::ByCertificateOrPeer => first(inputs.principals.peer, &inputs.peer.identity),
    }
}

fn peer_namespace<'a>(inputs: &Inputs<'a>, vouched: Vouched) -> &'a [u8] {
    let namespace = spiffe_namespace(peer_principal(inputs, vouched));
    first(namespace, &inputs.peer.namespace)
}

fn service_or<'a>(inputs: &Inputs<'a>, value: &'a [u8], fallback: Fallback) -> &'a [u8] {
    match fallback {
        Fallback::Unknown => value,
        Fallback::Workload => first(value, &inputs.local.canonical_service),
    }
}

fn first<'a>(value: &'a [u8], fallback: &'a str) -> &'a [u8] {
    if value.is_empty() {
        fallback.as_bytes()
    } else {
        value
    }
}

fn or<'a>(value: &'a [u8], fallback: &'static str) -> Cow<'a, [u8]> {
    Cow::Borrowed(first(value, fallback))
}

fn bytes(value: Cow<'static, str>) -> Cow<'static, [u8]> {
    match value {
        Cow::Borrowed(value) => Cow::Borrowed(value.as_bytes()),
        Cow::Owned(value) => Cow::Owned(value.into_bytes()),
    }
}
