//! Why a metric is refused.

use alloc::string::String;
use core::fmt;

/// Why a metric cannot be registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistryError {
    /// Not a metric's name: letters, digits, `_` and `:`, no digit first.
    MetricName(String),
    /// Not a label's name (letters, digits and `_`, no digit first), or one that Prometheus keeps
    /// for itself: `le` on a histogram, and what begins with `__`.
    LabelName(String),
    /// The label is there twice.
    DuplicateLabel(String),
    /// The metric is registered with another kind, other buckets or another unit.
    Conflict(String),
    /// The metric is registered already.
    Duplicate(String),
    /// The metric's name does not end in its unit.
    Unit {
        /// The metric.
        name: String,
        /// Its unit.
        unit: String,
    },
    /// An exemplar's names and values are more than 128 characters.
    Exemplar(String),
    /// The metric is registered with another help.
    Help {
        /// The metric.
        name: String,
        /// The help that it is registered with.
        registered: String,
        /// The help that was given now.
        given: String,
    },
    /// Both metrics would have samples of one name: a histogram `x` has `x_bucket`, `x_sum` and
    /// `x_count`.
    SampleName {
        /// The metric that was to be registered.
        name: String,
        /// The metric that is registered.
        registered: String,
        /// The name that samples of both would have.
        sample: String,
    },
    /// A histogram's bounds must be ascending numbers; `+Inf` is added by itself.
    Bounds(String),
}

impl fmt::Display for RegistryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MetricName(name) => {
                write!(
                    f,
                    "{name:?} is no metric name: use letters, digits, _ and :, no digit first"
                )
            }
            Self::LabelName(name) => write!(
                f,
                "{name:?} is no label name: use letters, digits and _, no digit first, neither le on \
                 a histogram nor __ at the beginning"
            ),
            Self::DuplicateLabel(name) => write!(f, "the label {name:?} is given twice"),
            Self::Conflict(name) => {
                write!(
                    f,
                    "{name:?} is registered already, with another kind, other buckets or another unit"
                )
            }
            Self::Duplicate(name) => write!(f, "{name:?} is registered already"),
            Self::Unit { name, unit } => write!(
                f,
                "{name:?} must end in its unit {unit:?}, after a _ and before any _total"
            ),
            Self::Exemplar(labels) => write!(
                f,
                "the exemplar {labels} is too long: names and values may have 128 characters in all"
            ),
            Self::Help {
                name,
                registered,
                given,
            } => write!(
                f,
                "{name:?} is registered already, with the help {registered:?}, not {given:?}"
            ),
            Self::SampleName {
                name,
                registered,
                sample,
            } => write!(
                f,
                "{name:?} cannot be registered beside {registered:?}: both would have samples named {sample:?}"
            ),
            Self::Bounds(name) => {
                write!(
                    f,
                    "the bounds of {name:?} must be finite numbers in ascending order"
                )
            }
        }
    }
}

impl core::error::Error for RegistryError {}
