//! What a [`MemoryHost`](super::MemoryHost) knows of a request or connection.

use alloc::string::String;
use alloc::vec::Vec;

use super::super::{ConnectionFacts, End, MessageCounts, RequestFacts};
use crate::peer::principals::Principals;

/// What a [`MemoryHost`](super::MemoryHost) knows of a request or connection.
#[derive(Clone, Debug, Default)]
pub struct MemoryFacts {
    /// The response's status.
    pub response_code: u32,
    /// Envoy's response flags.
    pub response_flags: u64,
    /// The duration in nanoseconds.
    pub duration: Option<u64>,
    /// Bytes of the request, headers included; or those from the client.
    pub request_bytes: u64,
    /// Bytes of the response, headers included; or those to the client.
    pub response_bytes: u64,
    /// Whether a connection has reached the upstream.
    pub reached_upstream: bool,
    /// The cluster's name.
    pub cluster: String,
    /// The route's name.
    pub route: String,
    /// The downstream connection.
    pub connection: Option<u64>,
    /// The principals of the upstream connection.
    pub upstream: Principals<Vec<u8>>,
    /// The gRPC status.
    pub grpc_status: Option<i32>,
    /// The gRPC messages so far.
    pub grpc_messages: Option<MessageCounts>,
}

/// The bytes of a connection in a [`MemoryHost`](super::MemoryHost).
#[derive(Clone, Debug, Default)]
pub struct MemoryChunks {
    /// The chunks that have come last, by [`End`].
    pub last: [Vec<u8>; 2],
    /// How often bytes that were kept were let pass.
    pub passed: usize,
}

impl MemoryFacts {
    pub(super) fn connection(&self, principals: End) -> ConnectionFacts<'_> {
        let open = self.open(principals);
        ConnectionFacts {
            received_bytes: self.request_bytes,
            sent_bytes: self.response_bytes,
            cluster: open.cluster,
            route: open.route,
            reached_upstream: self.reached_upstream,
            upstream: open.upstream,
            response_flags: 0,
        }
    }

    pub(super) fn open(&self, principals: End) -> RequestFacts<'_> {
        RequestFacts {
            cluster: self.cluster.as_bytes(),
            route: self.route.as_bytes(),
            connection: self.connection,
            upstream: match principals {
                End::Upstream => borrowed(&self.upstream),
                End::Downstream => Principals::default(),
            },
            ..RequestFacts::default()
        }
    }
}

/// A view of owned principals.
pub(super) fn borrowed(principals: &Principals<Vec<u8>>) -> Principals<&[u8]> {
    Principals {
        peer: &principals.peer,
        local: &principals.local,
    }
}
