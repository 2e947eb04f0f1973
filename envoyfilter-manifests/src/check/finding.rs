//! What kinds of fault there are, and one that was found. Not here: how it is found.

use serde::Serialize;

/// A kind of fault; its name is what programs go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// Nothing serves the page.
    NoStatsListener,
    /// The module makes no metrics.
    NoMetrics,
    /// Labels stand in metric names.
    LabelsInNames,
    /// Two make the same metrics.
    MadeTwice,
    /// The proxy does not know itself.
    UnknownSelf,
    /// Peers are not known.
    UnknownPeers,
    /// The limit of series was reached.
    SeriesOverLimit,
    /// The limit of series is near.
    SeriesNearLimit,
    /// A histogram lacks bounds.
    MissingBuckets,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::NoStatsListener,
        Self::NoMetrics,
        Self::LabelsInNames,
        Self::MadeTwice,
        Self::UnknownSelf,
        Self::UnknownPeers,
        Self::SeriesOverLimit,
        Self::SeriesNearLimit,
        Self::MissingBuckets,
    ];
}

/// A fault that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which.
    pub fault: Fault,
    /// What is wrong, and why it likely is.
    pub problem: String,
    /// What to do.
    pub remedy: String,
}

impl Finding {
    /// A finding.
    pub fn new(fault: Fault, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            fault,
            problem: problem.into(),
            remedy: remedy.into(),
        }
    }
}
