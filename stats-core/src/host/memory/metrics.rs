//! The series of a [`MemoryHost`](super::MemoryHost), in a [`Registry`] that several hosts may share.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use std::sync::{Arc, Mutex, PoisonError};

use super::Call;
use super::calls::CallLog;
use crate::host::{FamilyId, MetricKind, SeriesId};
use crate::registry::{ENVOY_BOUNDS, Metric, Registry};

/// Families and series of one host.
#[derive(Default)]
pub struct MemoryMetrics {
    /// Where samples go; without one, they are only counted as calls.
    pub registry: Option<Arc<Mutex<Registry>>>,
    /// Whether there is no time for new series.
    pub is_busy: bool,
    /// Whether a call was asked for soon, since label sets wait for their series.
    pub is_called_soon: bool,
    families: Vec<MemoryFamily>,
    series: Vec<Option<Metric>>,
    last: Option<usize>,
}

struct MemoryFamily {
    kind: MetricKind,
    name: String,
    labels: Vec<String>,
    /// The values of its last series: for who wants to see what was defined.
    last_values: Vec<String>,
}

impl MemoryMetrics {
    /// Metrics in a registry.
    pub fn new(registry: Arc<Mutex<Registry>>) -> Self {
        Self {
            registry: Some(registry),
            ..Self::default()
        }
    }

    /// How many series were defined; one that is asked for again counts again.
    pub fn count(&self) -> usize {
        self.series.len()
    }

    /// The labels of the series that was last defined.
    pub fn last_labels(&self) -> Vec<(&str, &str)> {
        let Some(last) = self.last.and_then(|last| self.families.get(last)) else {
            return Vec::new();
        };
        let names = last.labels.iter().map(String::as_str);
        names
            .zip(last.last_values.iter().map(String::as_str))
            .collect()
    }

    pub(super) fn family(&mut self, kind: MetricKind, name: &str, labels: &[&str]) -> FamilyId {
        let is = |family: &MemoryFamily| family.name == name && family.labels == labels;
        let at = self.families.iter().position(is).unwrap_or_else(|| {
            self.families.push(MemoryFamily {
                kind,
                name: name.to_owned(),
                labels: labels.iter().map(|label| (*label).to_owned()).collect(),
                last_values: labels.iter().map(|_| String::new()).collect(),
            });
            self.families.len() - 1
        });
        FamilyId(at as u32)
    }

    pub(super) fn series(&mut self, family: FamilyId, values: &[&str]) -> Option<SeriesId> {
        let at = family.0 as usize;
        let family = self.families.get_mut(at)?;
        for (last, value) in family.last_values.iter_mut().zip(values) {
            last.clear();
            last.push_str(value);
        }
        self.last = Some(at);
        let metric = match &self.registry {
            Some(registry) => {
                let mut registry = registry.lock().unwrap_or_else(PoisonError::into_inner);
                Some(family.register(&mut registry, values)?)
            }
            None => None,
        };
        self.series.push(metric);
        Some(SeriesId(self.series.len() as u32 - 1))
    }

    pub(super) fn record(&self, calls: &CallLog, call: Call, series: SeriesId, value: u64) {
        calls.count(call, String::new);
        if let Some(Some(metric)) = self.series.get(series.0 as usize) {
            metric.record(value);
        }
    }

    pub(super) fn gauge_add(&self, series: SeriesId, by: i64) {
        if let Some(Some(Metric::Gauge(gauge))) = self.series.get(series.0 as usize) {
            gauge.inc_by(by);
        }
    }
}

impl MemoryFamily {
    fn register(&self, registry: &mut Registry, values: &[&str]) -> Option<Metric> {
        let names = self.labels.iter().map(String::as_str);
        let labels: Vec<_> = names.zip(values.iter().copied()).collect();
        let name = &self.name;
        match self.kind {
            MetricKind::Counter => registry
                .counter(name, "", &labels)
                .ok()
                .map(Metric::Counter),
            MetricKind::Gauge => registry.gauge(name, "", &labels).ok().map(Metric::Gauge),
            MetricKind::Histogram => {
                let histogram = registry.histogram(name, "", &labels, &ENVOY_BOUNDS);
                histogram.ok().map(Metric::Histogram)
            }
        }
    }
}
