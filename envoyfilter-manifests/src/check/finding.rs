//! The kinds of fault, and a finding. Not here: how faults are found, see [`faults`](super::faults).

use serde::Serialize;

/// A kind of fault; its name is stable, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// Nothing serves the page.
    NoStatsListener,
    /// There are no metrics of the module.
    NoMetrics,
    /// Labels are in metric names.
    LabelsInNames,
    /// Two extensions make the same metrics.
    MadeTwice,
    /// The proxy's own workload is unknown.
    UnknownSelf,
    /// Peers are unknown.
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
    /// Its kind.
    pub fault: Fault,
    /// The fault and its probable cause.
    pub problem: String,
    /// The remedy.
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
