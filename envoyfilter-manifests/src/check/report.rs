//! The result of a check, as text and as JSON.

use std::fmt;

use serde::Serialize;

use super::finding::Finding;

/// The findings at one proxy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProxyReport {
    /// The address of the page.
    pub url: String,
    /// The findings; empty without faults.
    pub findings: Vec<Finding>,
}

/// The findings at each proxy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Reports(pub Vec<ProxyReport>);

impl Reports {
    /// Whether there are no findings at all.
    pub fn all_well(&self) -> bool {
        self.0.iter().all(|report| report.findings.is_empty())
    }
}

impl fmt::Display for Reports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for ProxyReport { url, findings } in &self.0 {
            if findings.is_empty() {
                writeln!(f, "{url}: all is well")?;
                continue;
            }
            writeln!(f, "{url}:")?;
            for finding in findings {
                writeln!(f, "  - {}", finding.problem)?;
                writeln!(f, "    {}", finding.remedy)?;
            }
        }
        Ok(())
    }
}
