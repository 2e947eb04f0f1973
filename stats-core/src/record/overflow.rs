//! What is told apart of the requests that exceed the limit on label sets: what a proxy sees few
//! different values of, so that an error stays an error whoever used the label sets up.

use super::facts::SeriesKey;
use super::tables::Tables;
use crate::labels::outcome::Outcome;
use crate::labels::response_flags;
use crate::labels::table::Origin;
use crate::peer::unknown::UnknownReason;

/// The most overflow sets of a group of metrics that tell outcomes apart. Beyond them there is one
/// more for each combination of conditions, and in it only what never changes is true.
pub const OVERFLOW_SETS: usize = 100;

/// The parts of a label set that an overflow series shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OverflowKey {
    /// Which conditions hold, a bit each: they decide which metrics and labels there are.
    pub conditions: u64,
    /// `None` for what exceeds [`OVERFLOW_SETS`].
    pub told: Option<Told>,
}

/// What is told of a request that exceeds the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Told {
    /// Whether both ends of the connection have a principal.
    pub mutual_tls: bool,
    /// The operation.
    pub operation: Option<u16>,
    /// Why the peer is not known.
    pub reason: UnknownReason,
    /// How the request ended, as far as [`Told::knows`] it.
    pub outcome: Outcome,
}

/// What stands for all codes, flags and statuses that are not told.
const OTHER_CODE: u32 = u32::MAX;
const OTHER_FLAGS: u64 = u64::MAX;
const OTHER_STATUS: i32 = i32::MAX;

impl OverflowKey {
    /// What is told of the label set of a key.
    pub fn new(key: &SeriesKey, tables: &Tables) -> Self {
        let evaluated = tables.evaluated.get_part(key.evaluated);
        let principals = tables.principals.get_part(key.principals);
        Self {
            conditions: evaluated.map_or(0, |evaluated| evaluated.conditions),
            told: Some(Told {
                mutual_tls: principals
                    .is_some_and(|both| !both.peer.is_empty() && !both.local.is_empty()),
                operation: key.operation,
                reason: key.reason,
                outcome: known(key.outcome),
            }),
        }
    }

    /// The same conditions, and nothing told.
    pub fn last(self) -> Self {
        Self { told: None, ..self }
    }
}

impl Told {
    /// Whether a label of this origin says what it is, and not only that it is beyond the limit.
    pub fn knows(&self, origin: Origin) -> bool {
        match origin {
            Origin::ResponseCode => self.outcome.response_code != OTHER_CODE,
            Origin::ResponseFlags => self.outcome.response_flags != OTHER_FLAGS,
            Origin::GrpcStatus => self.outcome.grpc_status != Some(OTHER_STATUS),
            origin => origin.is_bounded(),
        }
    }
}

/// An outcome of which only standard codes, known flags and known statuses are told: an upstream may
/// answer with any number.
fn known(outcome: Outcome) -> Outcome {
    let Outcome {
        protocol,
        response_code,
        response_flags,
        grpc_status,
    } = outcome;
    let flags_are_known = response_flags >> response_flags::CODES.len() == 0;
    Outcome {
        protocol,
        response_code: match response_code {
            0 | 100..=599 => response_code,
            _ => OTHER_CODE,
        },
        // Two at once do occur, such as URX,UF; more are not worth a series.
        response_flags: if flags_are_known && response_flags.count_ones() <= 2 {
            response_flags
        } else {
            OTHER_FLAGS
        },
        grpc_status: match grpc_status {
            None | Some(0..=16) => grpc_status,
            Some(_) => Some(OTHER_STATUS),
        },
    }
}
