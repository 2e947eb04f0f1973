//! What was found, for people and for programs.

use std::fmt;

use serde::Serialize;

use super::finding::Finding;

/// What was found at one proxy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProxyReport {
    /// Where.
    pub url: String,
    /// What; nothing if all is well.
    pub findings: Vec<Finding>,
}

/// What was found at each proxy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Reports(pub Vec<ProxyReport>);

impl Reports {
    /// Whether nothing was found anywhere.
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
