//! The flags that make a check a gate. Not here: the verdict, see [`CheckReport`](super::CheckReport).

use clap::ValueEnum;
use serde::Serialize;

use super::finding::Severity;

/// The least severity that fails a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum FailOn {
    /// Metrics are missing or wrong
    Error,
    /// Also where labels are less than they could be
    Warning,
}

impl FailOn {
    /// The severity.
    pub fn severity(self) -> Severity {
        match self {
            Self::Error => Severity::Error,
            Self::Warning => Severity::Warning,
        }
    }
}

/// A share in percent.
pub fn percent(text: &str) -> Result<f64, String> {
    match text.trim_end_matches('%').parse::<f64>() {
        Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(percent),
        _ => Err("wants a share from 0 to 100".to_owned()),
    }
}
