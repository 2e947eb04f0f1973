//! What the visible labels depend on. Which that is for a label is in [`table`](super::table).

use super::outcome::Outcome;
use super::service::ServiceFields;
use crate::peer::fields::Fields;
use crate::peer::principals::{Detail, Principals};

/// What the visible labels depend on. Nothing else of a request may tell label sets apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Visible {
    /// Fields of the peer's workload.
    pub peer: Fields,
    /// Fields of the workload behind a waypoint.
    pub upstream: Fields,
    /// How much of each end's principal.
    pub principals: Principals<Detail>,
    /// Fields of the service.
    pub service: ServiceFields,
    /// Which fields of the outcome.
    pub outcome: OutcomeFields,
}

/// Parts of an [`Outcome`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "a set")]
pub struct OutcomeFields {
    /// The protocol.
    pub protocol: bool,
    /// The response code.
    pub response_code: bool,
    /// The response flags.
    pub response_flags: bool,
    /// The gRPC status.
    pub grpc_status: bool,
}

impl OutcomeFields {
    /// The visible fields of an outcome; the others are those of an open request.
    #[inline]
    pub fn of(self, outcome: Outcome) -> Outcome {
        let open = Outcome::default();
        Outcome {
            protocol: if self.protocol {
                outcome.protocol
            } else {
                open.protocol
            },
            response_code: if self.response_code {
                outcome.response_code
            } else {
                open.response_code
            },
            response_flags: if self.response_flags {
                outcome.response_flags
            } else {
                open.response_flags
            },
            grpc_status: if self.grpc_status {
                outcome.grpc_status
            } else {
                open.grpc_status
            },
        }
    }
}
