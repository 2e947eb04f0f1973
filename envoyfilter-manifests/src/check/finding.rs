//! The kinds of fault, their severities, and a finding. Not here: how faults are found, see [`faults`](super::faults).

use clap::ValueEnum;
use serde::Serialize;

/// A kind of fault; its name is stable, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// Nothing serves the page.
    NoStatsListener,
    /// There are no metrics of the module.
    NoMetrics,
    /// The module refused its configuration.
    ConfigRefused,
    /// No request was counted.
    NoRequests,
    /// Labels are in metric names.
    LabelsInNames,
    /// Names have the prefix of Envoy's dynamic modules.
    ModulePrefix,
    /// Two extensions make the same metrics.
    MadeTwice,
    /// Two copies of the module count each request.
    CountedTwice,
    /// The proxy's own workload is unknown.
    UnknownSelf,
    /// Peers that should be known are unknown.
    UnknownPeers,
    /// Peers outside of the mesh are unknown, as is right.
    PeersOutside,
    /// Requests got no answer, so that nobody answered who it is.
    NoAnswer,
    /// The limit of series was reached.
    SeriesOverLimit,
    /// The limit of series is near.
    SeriesNearLimit,
    /// A histogram lacks bounds.
    MissingBuckets,
}

/// How bad a fault is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Nothing to repair: it explains a label.
    Note,
    /// Labels are less than they could be.
    Warning,
    /// Metrics are missing or wrong.
    Error,
}

impl Fault {
    /// Its name, as in JSON and after `--ignore`.
    pub fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// How bad it is.
    pub fn severity(self) -> Severity {
        match self {
            Self::NoStatsListener
            | Self::NoMetrics
            | Self::ConfigRefused
            | Self::LabelsInNames
            | Self::ModulePrefix
            | Self::MadeTwice
            | Self::CountedTwice
            | Self::UnknownSelf
            | Self::SeriesOverLimit => Severity::Error,
            Self::NoRequests
            | Self::UnknownPeers
            | Self::SeriesNearLimit
            | Self::MissingBuckets => Severity::Warning,
            Self::PeersOutside | Self::NoAnswer => Severity::Note,
        }
    }
}

impl Severity {
    /// Its name in messages and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// A fault that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Its kind.
    pub fault: Fault,
    /// How bad it is.
    pub severity: Severity,
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
            severity: fault.severity(),
            problem: problem.into(),
            remedy: remedy.into(),
        }
    }
}
