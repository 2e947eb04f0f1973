//! What a proxy knows of a request or connection: headers, typed facts, peers.

use crate::labels::service::NamedService;
use crate::peer::principals::Principals;
use crate::peer::workload::FilterStateValues;

/// Which of a request's header maps is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderMap {
    /// The request's headers.
    Request,
    /// The response's headers.
    Response,
}

/// Which of the connections of a request is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The one from the client.
    Downstream,
    /// The one to the server.
    Upstream,
}

/// Reads and writes the headers of the current request.
pub trait Headers {
    /// The value of the header, or `None` where there is none. Bytes: a peer chooses them.
    fn header(&self, map: HeaderMap, name: &str) -> Option<&[u8]>;

    /// The values of several headers that are likely to be there. A host to which each value is
    /// costly may have a cheaper way than one by one.
    fn headers<const N: usize>(&self, map: HeaderMap, names: [&str; N]) -> [Option<&[u8]>; N]
    where
        Self: Sized,
    {
        names.map(|name| self.header(map, name))
    }

    /// Sets the header, in place of any with this name.
    fn set_header(&mut self, map: HeaderMap, name: &str, value: &[u8]);

    /// Removes the header. Removing one that is not there is no error.
    fn remove_header(&mut self, map: HeaderMap, name: &str);
}

/// What the proxy knows of a request. What is absent is zero or empty.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestFacts<'a> {
    /// The response's status.
    pub response_code: u32,
    /// Envoy's response flags, a bit each.
    pub response_flags: u64,
    /// The whole duration in nanoseconds; `None` where the request never completed.
    pub duration: Option<u64>,
    /// Bytes of the request, headers included.
    pub request_bytes: u64,
    /// Bytes of the response, headers included.
    pub response_bytes: u64,
    /// The name of the cluster.
    pub cluster: &'a [u8],
    /// The name of the route.
    pub route: &'a [u8],
    /// The id of the downstream connection, unique while it lasts.
    pub connection: Option<u64>,
    /// The principals of the upstream connection, where they were asked for.
    pub upstream: Principals<&'a [u8]>,
}

/// Tells of the current request.
///
/// All facts come in one call, so that the host decides how to gather them at the least cost.
pub trait Requests {
    /// The facts of a request that has ended. `principals` names the connection whose principals are
    /// needed: for [`End::Downstream`] they are asked of
    /// [`Connections::downstream_principals`] once per connection and not here.
    fn finished_request(&self, principals: End) -> RequestFacts<'_>;

    /// The facts of a request that is still open: status and sizes are unset.
    fn open_request(&self, principals: End) -> RequestFacts<'_>;

    /// The gRPC status of a request that has ended.
    fn grpc_status(&self) -> Option<i32>;

    /// The gRPC messages so far, where something counts them.
    fn grpc_messages(&self) -> Option<MessageCounts>;
}

/// What the proxy knows of a TCP connection. What is absent is zero or empty.
#[derive(Clone, Copy, Debug, Default)]
pub struct ConnectionFacts<'a> {
    /// Envoy's response flags, a bit each.
    pub response_flags: u64,
    /// Bytes from the client so far, with those that an exchange takes out.
    pub received_bytes: u64,
    /// Bytes to the client so far, with those that an exchange puts in.
    pub sent_bytes: u64,
    /// The name of the cluster.
    pub cluster: &'a [u8],
    /// The name of the route.
    pub route: &'a [u8],
    /// Whether the connection to the upstream is established. Not asked for once it has ended.
    pub reached_upstream: bool,
    /// The principals of the upstream connection, where they were asked for.
    pub upstream: Principals<&'a [u8]>,
}

/// Tells of the current TCP connection.
///
/// All facts come in one call, so that the host decides how to gather them at the least cost.
pub trait TcpConnections {
    /// The facts of a connection that has ended. `principals` is as for
    /// [`Requests::finished_request`].
    fn ended_connection(&self, principals: End) -> ConnectionFacts<'_>;

    /// The facts of a connection that is still open: response flags are unset.
    fn open_connection(&self, principals: End) -> ConnectionFacts<'_>;
}

/// Messages of a gRPC request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessageCounts {
    /// From the client.
    pub request: u64,
    /// To the client.
    pub response: u64,
}

impl MessageCounts {
    /// Parses `REQUEST,RESPONSE`, as Envoy's gRPC stats filter leaves it in filter state.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (request, response) = core::str::from_utf8(text).ok()?.split_once(',')?;
        Some(Self {
            request: request.parse().ok()?,
            response: response.parse().ok()?,
        })
    }
}

/// The direction of a listener, as Envoy's configuration states it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenerDirection {
    /// Towards the local workload.
    Inbound,
    /// Away from it.
    Outbound,
    /// Not stated, as for gateways.
    Unspecified,
}

/// What a cluster's metadata says, under `istio`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterFacts {
    /// The first of its `services`.
    pub service: Option<NamedService>,
    /// Whether no metadata is sent to peers behind it (`disable_mx`).
    pub disables_exchange: bool,
    /// Whether it is outside of the mesh (`external`).
    pub external: bool,
}

/// Tells of the connection, and the listener and cluster, of the current request.
pub trait Connections {
    /// The direction of its listener.
    fn listener_direction(&self) -> ListenerDirection;

    /// The name of its cluster; empty where it has none.
    fn cluster_name(&self) -> &[u8];

    /// What its cluster's metadata says; asked for once per cluster and tick.
    fn cluster(&self) -> ClusterFacts;

    /// The principals of its downstream connection.
    fn downstream_principals(&self) -> Principals<&[u8]>;
}

/// Knows peers that other filters found, and passes on those that the exchange decodes.
pub trait PeerState {
    /// The peer that an exchange filter of this module published with [`Self::publish_peer`].
    fn published_peer(&self, end: End) -> Option<&[u8]>;

    /// The peer that a native exchange filter left, the values of
    /// [`Workload::FILTER_STATE`](crate::peer::workload::Workload::FILTER_STATE).
    fn native_peer(&self, end: End) -> Option<FilterStateValues<'_>>;

    /// The workload in the upstream endpoint's metadata: `workload` under `istio`.
    fn endpoint_workload(&self) -> Option<&[u8]>;

    /// Prepares [`Self::publish_peer`], for a plugin that will call it.
    fn declare_peers(&mut self);

    /// Publishes the peer of the current request for other filters: a serialized
    /// `google.protobuf.Struct`.
    fn publish_peer(&mut self, end: End, peer: &[u8]);
}
