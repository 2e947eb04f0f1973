//! The result of a check: what was found where, and the verdict; as text and as JSON.

use std::fmt;
use std::process::ExitCode;

use serde::Serialize;

use super::finding::{Fault, Finding, Severity};
use super::gate::FailOn;

/// The findings at one proxy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProxyReport {
    /// The address of the page, or the instance in Prometheus.
    pub proxy: String,
    /// The findings; empty without faults.
    pub findings: Vec<Finding>,
}

/// The findings at each proxy, and what follows from them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckReport {
    /// What follows.
    pub verdict: Verdict,
    /// The least severity that fails.
    pub fail_on: FailOn,
    /// The proxies.
    pub proxies: Vec<ProxyReport>,
}

/// What follows from the findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// No finding is as severe as that.
    Pass,
    /// A finding is.
    Fail,
    /// A proxy was not checked, because it cannot be reached.
    NotChecked,
}

impl CheckReport {
    /// The verdict on proxies; without the faults that are to be ignored.
    pub fn of(mut proxies: Vec<ProxyReport>, fail_on: FailOn, ignore: &[Fault]) -> Self {
        for proxy in &mut proxies {
            proxy
                .findings
                .retain(|finding| !ignore.contains(&finding.fault));
            // The worst first.
            proxy
                .findings
                .sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        }
        let mut verdict = Verdict::Pass;
        for finding in proxies.iter().flat_map(|proxy| &proxy.findings) {
            if finding.fault == Fault::NoStatsListener {
                verdict = Verdict::NotChecked;
                break;
            }
            if finding.severity >= fail_on.severity() {
                verdict = Verdict::Fail;
            }
        }
        Self {
            verdict,
            fail_on,
            proxies,
        }
    }
}

impl Verdict {
    /// The exit status of the command: 0, 1, 2.
    pub fn exit_code(self) -> ExitCode {
        match self {
            Self::Pass => ExitCode::SUCCESS,
            Self::Fail => ExitCode::FAILURE,
            Self::NotChecked => ExitCode::from(2),
        }
    }
}

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for ProxyReport { proxy, findings } in &self.proxies {
            let is_note = |finding: &Finding| finding.severity == Severity::Note;
            if findings.iter().all(is_note) {
                writeln!(f, "{proxy}: all is well")?;
            } else {
                writeln!(f, "{proxy}:")?;
            }
            for finding in findings {
                let Finding {
                    fault,
                    severity,
                    problem,
                    remedy,
                } = finding;
                let (severity, fault) = (severity.name(), fault.name());
                writeln!(f, "  {severity} {fault}: {problem}\n    {remedy}")?;
            }
        }
        Ok(())
    }
}
