//! The names of [Envoy's attributes] that the module asks for, and the expressions that ask for
//! several at once. Only names are here; which are asked for when is in `facts`.
//!
//! A path's segments are separated by NUL. Without the `xds.` prefix `node`, `listener_direction` and
//! others do not resolve any more.
//!
//! [Envoy's attributes]: https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/advanced/attributes

/// The node message; resolves at configuration time.
pub const NODE: &str = "xds\0node";
/// 1 inbound, 2 outbound, 0 unspecified.
pub const LISTENER_DIRECTION: &str = "xds\0listener_direction";
/// The cluster of the request.
pub const CLUSTER_NAME: &str = "xds\0cluster_name";
/// The metadata of the request's cluster, a message.
pub const CLUSTER_METADATA: &str = "xds\0cluster_metadata";
/// The workload in the metadata of the upstream host, as Istio's control plane writes it.
pub const ENDPOINT_WORKLOAD: &str = "xds\0upstream_host_metadata\0filter_metadata\0istio\0workload";
/// The gRPC status. Envoy derives one from the response code where there is none.
pub const GRPC_STATUS: &str = "response\0grpc_status";
/// Counts of gRPC messages so far, `REQUEST,RESPONSE`: what Envoy's gRPC stats filter publishes.
pub const GRPC_MESSAGES: &str = "filter_state\0envoy.filters.http.grpc_stats";
/// The peer that Istio's native exchange leaves, of the downstream connection.
pub const NATIVE_DOWNSTREAM_PEER: &str = "filter_state\0downstream_peer";
/// The same of the upstream connection.
pub const NATIVE_UPSTREAM_PEER: &str = "filter_state\0upstream_peer";
/// The filter state `wasm.downstream_peer`, by the name under which a module declares and finds it.
pub const DOWNSTREAM_PEER: &str = "downstream_peer";
/// The filter state `wasm.upstream_peer`.
pub const UPSTREAM_PEER: &str = "upstream_peer";

/// The filter state `wasm.tcp_exchange_bytes`: which bytes of a connection are not its application's.
pub const TCP_EXCHANGE_BYTES: &str = "tcp_exchange_bytes";

/// The response's status.
pub const RESPONSE_CODE: &str = "response\0code";
/// The response flags.
pub const RESPONSE_FLAGS: &str = "response\0flags";
/// The duration, in nanoseconds.
pub const DURATION: &str = "request\0duration";
/// Bytes of the request, headers included.
pub const REQUEST_SIZE: &str = "request\0total_size";
/// Bytes of the response, headers included.
pub const RESPONSE_SIZE: &str = "response\0total_size";
/// The name of the route.
pub const ROUTE_NAME: &str = "xds\0route_name";
/// The id of the downstream connection.
pub const CONNECTION_ID: &str = "connection\0id";
/// The SPIFFE id of the client, of the downstream connection.
pub const DOWNSTREAM_PEER_SAN: &str = "connection\0uri_san_peer_certificate";
/// The own SPIFFE id of the downstream connection.
pub const DOWNSTREAM_LOCAL_SAN: &str = "connection\0uri_san_local_certificate";
/// The SPIFFE id of the server, of the upstream connection.
pub const UPSTREAM_PEER_SAN: &str = "upstream\0uri_san_peer_certificate";
/// The own SPIFFE id of the upstream connection.
pub const UPSTREAM_LOCAL_SAN: &str = "upstream\0uri_san_local_certificate";

macro_rules! expression {
    ($($more:literal),*) => {
        concat!(
            "[response.code, response.flags, request.duration, request.total_size, ",
            "response.total_size, xds.cluster_name, xds.route_name, connection.id",
            $(", ", $more,)* "]"
        )
    };
}

/// The peer that Istio's native exchange leaves of the upstream connection of a TCP connection.
pub const NATIVE_UPSTREAM_CONNECTION_PEER: &str = "upstream_filter_state\0upstream_peer";
/// Where the upstream connection begins; absent before it is established.
pub const UPSTREAM_LOCAL_ADDRESS: &str = "upstream\0local_address";
/// What is asked about a TCP connection that has ended. Its sizes are those of the data alone.
pub const CONNECTION: &str = "[response.flags, request.total_size, response.total_size, \
    xds.cluster_name, xds.route_name]";

/// How many elements all lists begin with.
pub const COMMON: usize = 8;
/// What is asked about an inbound request.
pub const INBOUND: &str = expression!();
/// What is asked about an outbound request whose upstream has had no TLS so far.
pub const OUTBOUND_PLAIN: &str = expression!("has(upstream.tls_version)");
/// What is asked about an outbound request whose upstream had certificates.
pub const OUTBOUND_MTLS: &str = expression!(
    "upstream.uri_san_peer_certificate",
    "upstream.uri_san_local_certificate"
);
