//! The cluster that holds the metrics. It routes nothing: of what Envoy lets a module configure, only
//! a cluster can hand out series of its metrics, to be recorded without a look at their labels.
//!
//! A configuration of that cluster defines all metrics that its filters ask for, so it needs the same
//! configuration as they. An update of the cluster is a new configuration with series of its own, and the
//! old ones are gone with the old one.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use stats_core::config::{Config, ConfigError};
use stats_core::host::MetricKind;
use stats_core::http::families::{PlannedFamily, families};

use crate::abi::metrics::{MetricScope, SeriesHandle};
use crate::cel::NoCel;
use crate::proxy;

/// The metrics of one configuration of the cluster.
pub struct MetricStore {
    /// Unlike that of any other store.
    pub id: u64,
    /// What Envoy holds.
    pub scope: MetricScope,
    /// Each with its number in the scope.
    defined: Vec<(PlannedFamily, usize)>,
    /// The hashes of the label sets that it has, whichever worker or filter made them.
    label_sets: Mutex<HashSet<u64>>,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

impl MetricStore {
    /// Defines what filters with the configuration need. That may be a list of configurations, where
    /// filters differ.
    ///
    /// # Errors
    /// Where the configuration cannot be used; see [`Config::parse`].
    pub fn define(scope: MetricScope, configuration: &[u8]) -> Result<Self, ConfigError> {
        let mut wanted = Vec::new();
        for configuration in separate(configuration) {
            let (config, _) = Config::parse(&configuration)?;
            wanted.extend(families(&mut NoCel, &config));
        }
        let mut defined: Vec<(PlannedFamily, usize)> = Vec::new();
        for family in wanted {
            if defined.iter().any(|(known, _)| *known == family) {
                continue;
            }
            match scope.define(family.kind, &family.name, &family.labels) {
                Some(number) => defined.push((family, number)),
                None => log::error!("Envoy refuses to define the metric {}", family.name),
            }
        }
        Ok(Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            scope,
            defined,
            label_sets: Mutex::default(),
        })
    }

    /// The number of a metric with these labels.
    pub fn metric(&self, family: &PlannedFamily) -> Option<usize> {
        let found = self.defined.iter().find(|(known, _)| known == family)?;
        Some(found.1)
    }

    /// Whether the label set of these values is one of at most `limit`: it was counted before, or is now.
    /// The lock is for new label sets alone.
    pub fn admit(&self, family: &PlannedFamily, values: &[&str], limit: usize) -> bool {
        let hash = proxy::this().local.seed.hash((&family.name, values));
        let mut label_sets = self
            .label_sets
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        label_sets.contains(&hash) || (label_sets.len() < limit && label_sets.insert(hash))
    }

    /// A series of a metric.
    pub fn series(
        &self,
        kind: MetricKind,
        metric: usize,
        values: &[Box<str>],
    ) -> Option<SeriesHandle> {
        self.scope.resolve(kind, metric, values)
    }
}

/// The elements of a list of configurations; one that is no list alone.
fn separate(configuration: &[u8]) -> Vec<Vec<u8>> {
    match serde_json::from_slice(configuration) {
        Ok(serde_json::Value::Array(list)) => {
            let texts = list.iter().map(|element| element.to_string().into_bytes());
            texts.collect()
        }
        _ => vec![configuration.to_vec()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_several_configurations_and_all_else_is_one() {
        assert_eq!(separate(b""), [b""]);
        assert_eq!(separate(b"{"), [b"{"]);
        assert_eq!(separate(b"{\"a\": 1}"), [b"{\"a\": 1}"]);
        assert_eq!(separate(b"[{\"a\": 1}, {}]"), [&b"{\"a\":1}"[..], b"{}"]);
    }
}
