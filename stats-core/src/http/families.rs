//! The families that a plugin may ask its host for, for a host that has to define them before there is a
//! plugin.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use super::in_flight::InFlight;
use super::record_build;
use crate::config::Config;
use crate::host::{Expressions, FamilyId, MetricKind, Metrics, SeriesId};
use crate::labels::Reporter;
use crate::peer::workload::Workload;
use crate::record::expressions::UserExpressions;
use crate::record::plan::Plan;

/// A metric with its label names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedFamily {
    /// Its kind.
    pub kind: MetricKind,
    /// Its name, with the prefix.
    pub name: String,
    /// Its labels, in their order.
    pub labels: Vec<String>,
}

/// All families of a plugin with this configuration, as far as they depend on no condition. What the host
/// cannot compile is logged.
pub fn families(host: &mut dyn Expressions, config: &Config) -> Vec<PlannedFamily> {
    let mut families = Families(Vec::new());
    let metrics = &config.metrics;
    let mut expressions = UserExpressions::default();
    let plan = Plan::compile(host, metrics, &mut expressions);
    expressions.release(host);
    for metric in plan.at_end.iter().chain(&plan.messages) {
        if let Some(labels) = plan.labels(metric, 0) {
            let names: Vec<_> = labels.iter().map(|(name, _)| *name).collect();
            families.family(metric.kind, &metric.full_name, &names);
        }
    }
    for reporter in Reporter::ALL {
        let (prefix, extra) = (&metrics.stat_prefix, &metrics.extra);
        InFlight::new(&mut families, prefix, extra, reporter, &Workload::UNKNOWN);
    }
    record_build(&mut families, metrics, "");
    families.0
}

/// A host that only keeps what it is asked for.
struct Families(Vec<PlannedFamily>);

impl Metrics for Families {
    fn family(&mut self, kind: MetricKind, name: &str, labels: &[&str]) -> Option<FamilyId> {
        let family = PlannedFamily {
            kind,
            name: name.to_owned(),
            labels: labels.iter().map(|label| (*label).to_owned()).collect(),
        };
        if !self.0.contains(&family) {
            self.0.push(family);
        }
        None
    }

    fn series(&mut self, _: FamilyId, _: &[&str]) -> Option<SeriesId> {
        None
    }

    fn add(&mut self, _: SeriesId, _: u64) {}

    fn observe(&mut self, _: SeriesId, _: u64) {}

    fn gauge_set(&mut self, _: SeriesId, _: u64) {}

    fn gauge_add(&mut self, _: SeriesId, _: i64) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::memory::{MemoryHost, MemoryMetrics};

    fn of(configuration: &str) -> Vec<PlannedFamily> {
        let (config, _) = Config::parse(configuration.as_bytes()).expect("valid");
        families(&mut MemoryHost::new(MemoryMetrics::default()), &config)
    }

    fn names(families: &[PlannedFamily]) -> Vec<&str> {
        families.iter().map(|family| &*family.name).collect()
    }

    #[test]
    fn without_a_configuration_they_are_the_standard_metrics() {
        let families = of("");
        let expected = [
            "istio_requests_total",
            "istio_request_duration_milliseconds",
            "istio_request_bytes",
            "istio_response_bytes",
            "istio_request_messages_total",
            "istio_response_messages_total",
            "istio_build",
        ];
        assert_eq!(names(&families), expected);
        let labels: Vec<_> = families.iter().map(|family| family.labels.len()).collect();
        assert_eq!(labels, [25, 25, 25, 25, 20, 20, 2]);
    }

    #[test]
    fn they_are_named_and_labelled_as_configured() {
        let families = of(
            r#"{"stat_prefix": "mine", "allowed_labels": ["reporter"], "extra_metrics": ["requests_in_flight"]}"#,
        );
        assert!(
            families
                .iter()
                .all(|family| family.name.starts_with("mine_"))
        );
        assert_eq!(families[0].labels, ["reporter"]);
        let in_flight = families
            .iter()
            .filter(|family| family.name == "mine_requests_in_flight");
        assert_eq!(in_flight.count(), 2, "of either end");
    }
}
