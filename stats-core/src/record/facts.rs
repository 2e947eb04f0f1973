//! The facts of one request: what gathering found out, in numbers. They are small and hold no borrow
//! of the host, so that nothing behind this point can ask it anything more.

use super::tables::{EvaluatedId, PrincipalsId, ServiceId};
use crate::host::MessageCounts;
use crate::labels::outcome::Outcome;
use crate::labels::visible::Visible;
use crate::peer::PeerId;
use crate::peer::unknown::UnknownReason;

/// What is known of a request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts {
    /// The peer; `None` where it is not known.
    pub peer: Option<PeerId>,
    /// The peer behind a waypoint.
    pub upstream: Option<PeerId>,
    /// The principals of the connection.
    pub principals: PrincipalsId,
    /// The service that was asked for.
    pub service: ServiceId,
    /// What the user's expressions evaluated to.
    pub evaluated: EvaluatedId,
    /// The number of the operation's template.
    pub operation: Option<u16>,
    /// Why the peer is not known.
    pub reason: UnknownReason,
    /// How the request ended.
    pub outcome: Outcome,
    /// What histograms observe.
    pub measures: Measures,
    /// Its gRPC messages so far.
    pub messages: Option<MessageCounts>,
}

/// What histograms observe of a request. `None` where there is nothing to observe.
#[derive(Clone, Copy, Debug, Default)]
pub struct Measures {
    /// The whole duration, in milliseconds.
    pub duration: Option<u64>,
    /// The time to the response's headers, in milliseconds.
    pub first_byte: Option<u64>,
    /// Bytes of the request, headers included.
    pub request_bytes: u64,
    /// Bytes of the response, headers included.
    pub response_bytes: u64,
}

/// A label set as numbers. Two requests with the same key have the same labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SeriesKey {
    /// The peer.
    pub peer: PeerId,
    /// The peer behind a waypoint.
    pub upstream: PeerId,
    /// The principals.
    pub principals: PrincipalsId,
    /// The service.
    pub service: ServiceId,
    /// What the user's expressions evaluated to.
    pub evaluated: EvaluatedId,
    /// The operation.
    pub operation: Option<u16>,
    /// Why the peer is not known.
    pub reason: UnknownReason,
    /// How the request ended.
    pub outcome: Outcome,
}

impl SeriesKey {
    /// The key of a request, of whose outcome labels show what is `visible`. What they show of the
    /// rest was decided when it got its numbers.
    #[inline]
    pub fn new(facts: &Facts, visible: &Visible) -> Self {
        Self {
            peer: facts.peer.unwrap_or_default(),
            upstream: facts.upstream.unwrap_or_default(),
            principals: facts.principals,
            service: facts.service,
            evaluated: facts.evaluated,
            operation: facts.operation,
            reason: facts.reason,
            outcome: visible.outcome.of(facts.outcome),
        }
    }
}
