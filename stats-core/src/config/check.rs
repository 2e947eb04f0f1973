//! What is wrong with a configuration whose fields are each fine.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Config, ConfigError, Definition, MAX_CONDITIONS, MetricsConfig};
use crate::labels::{LABELS, metrics};

/// Labels that Kiali or Flagger query: without one of them, they show nothing, and no error.
const QUERIED: [&str; 13] = [
    "reporter",
    "source_workload",
    "source_workload_namespace",
    "source_canonical_service",
    "destination_workload",
    "destination_workload_namespace",
    "destination_service",
    "destination_service_name",
    "destination_service_namespace",
    "destination_canonical_service",
    "request_protocol",
    "response_code",
    "response_flags",
];

impl Config {
    /// Checks what only shows when all fields are there, and drops definitions that cannot be.
    ///
    /// # Errors
    /// Where there are too many conditions.
    pub(super) fn check(&mut self, warnings: &mut Vec<String>) -> Result<(), ConfigError> {
        self.clamp(warnings);
        let metrics = &mut self.metrics;
        let conditions = metrics
            .overrides
            .iter()
            .filter(|entry| !entry.condition.is_empty());
        if conditions.count() > MAX_CONDITIONS {
            return Err(ConfigError {
                path: "$.metrics".to_owned(),
                problem: format!("more than {MAX_CONDITIONS} entries with a match: join some"),
            });
        }
        metrics.drop_definitions(warnings);
        metrics.warn_of_unknown_names(warnings);
        metrics.warn_of_hidden_labels(warnings);
        metrics.warn_of_missing_labels(warnings);
        Ok(())
    }
}

impl MetricsConfig {
    /// Drops definitions of a name that is taken.
    fn drop_definitions(&mut self, warnings: &mut Vec<String>) {
        let mut names = Vec::new();
        self.definitions.retain(|definition| {
            let twice = names.contains(&definition.name);
            names.push(definition.name.clone());
            if twice {
                warnings.push(format!(
                    "configuration at $.definitions: {:?} is defined twice; the first counts",
                    definition.name
                ));
                return false;
            }
            let standard = metrics::is_standard(&definition.name);
            if standard {
                warnings.push(format!(
                    "configuration at $.definitions: {:?} is a standard metric and cannot be \
                     redefined; ignored, change it with an entry in metrics",
                    definition.name
                ));
            }
            !standard
        });
    }

    fn warn_of_unknown_names(&self, warnings: &mut Vec<String>) {
        for entry in &self.overrides {
            let defined = |definition: &Definition| definition.name == entry.name;
            let known = metrics::is_standard(&entry.name) || self.definitions.iter().any(defined);
            if !entry.name.is_empty() && !known {
                warnings.push(format!(
                    "configuration at $.metrics: no metric is called {:?}, the entry changes \
                     nothing; names have no prefix, such as requests_total",
                    entry.name
                ));
            }
        }
    }

    /// A rule of Envoy's finds its label in any text that ends like it.
    fn warn_of_hidden_labels(&self, warnings: &mut Vec<String>) {
        let added = self.overrides.iter().flat_map(|entry| &entry.dimensions);
        for (label, _) in added {
            let hides = |other: &&str| other != label && other.ends_with(label.as_str());
            if let Some(other) = LABELS.into_iter().find(hides) {
                warnings.push(format!(
                    "configuration at $.metrics: the label {label:?} ends like {other:?}, and Envoy's \
                     stats_tags rule for the one finds the other; choose another name"
                ));
            }
        }
    }

    fn warn_of_missing_labels(&self, warnings: &mut Vec<String>) {
        let Some(allowed) = &self.allowed_labels else {
            return;
        };
        let missing: Vec<_> = QUERIED
            .into_iter()
            .filter(|label| !allowed.iter().any(|allowed| allowed == label))
            .collect();
        if !missing.is_empty() {
            warnings.push(format!(
                "configuration at $.allowed_labels: removes {}, which Kiali or Flagger query",
                missing.join(", ")
            ));
        }
    }
}
