//! The module's own configuration, as far as manifests depend on it: the labels that it can emit, the prefix of its metrics.
//! `stats_core::config` defines its meaning and checks it here too.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Map, Value};
use stats_core::config::{Config, DirectionSetting};
use stats_core::labels::LABELS;
use stats_core::labels::operation;
use stats_core::peer::unknown::UnknownReason;

use crate::expressions;

/// A configuration that the module accepts.
#[derive(Clone, Debug, PartialEq)]
pub struct PluginConfig {
    /// As it was written, and as it is passed on.
    fields: Map<String, Value>,
    /// As the module parses it.
    config: Config,
    warnings: Vec<String>,
}

impl PluginConfig {
    /// Uses a configuration, or reads the file that the setting names.
    ///
    /// # Errors
    /// When there is no such file, or the module would refuse what is in it.
    pub fn from_setting(setting: &Value) -> Result<Self> {
        match setting {
            Value::String(file) => Self::read(Path::new(file)),
            Value::Object(fields) => Self::new(fields.clone()),
            _ => bail!("--plugin-config: needs an object, or the name of a file"),
        }
    }

    /// Reads a JSON or YAML file.
    ///
    /// # Errors
    /// As [`Self::from_setting`].
    pub fn read(file: &Path) -> Result<Self> {
        let name = file.display();
        let text = fs::read_to_string(file)
            .with_context(|| format!("--plugin-config: cannot read {name}"))?;
        let fields: Value = yaml_serde::from_str(&text)
            .with_context(|| format!("--plugin-config: {name} is neither JSON nor YAML"))?;
        match fields {
            Value::Null => Self::new(Map::new()),
            Value::Object(fields) => Self::new(fields),
            _ => bail!("--plugin-config: {name} must hold an object such as {{}}"),
        }
    }

    /// Checks a configuration.
    ///
    /// # Errors
    /// When the module would refuse it, or an expression in it is none.
    pub fn new(fields: Map<String, Value>) -> Result<Self> {
        let json = serde_json::to_vec(&fields)?;
        let (config, mut warnings) =
            Config::parse(&json).map_err(|error| anyhow!("--plugin-config: {error}"))?;
        warnings.extend(expressions::check(&fields).context("--plugin-config")?);
        Ok(Self {
            fields,
            config,
            warnings,
        })
    }

    /// The same configuration with one more field, unless it sets that field itself in one of the two spellings.
    ///
    /// # Errors
    /// When the module would refuse the field.
    pub fn with_default(&self, snake_case: &str, camel_case: &str, value: Value) -> Result<Self> {
        let mut fields = self.fields.clone();
        if !fields.contains_key(camel_case) {
            fields.entry(snake_case).or_insert(value);
        }
        Self::new(fields)
    }

    /// The same for the proxies of one direction, unless it has a direction of its own.
    ///
    /// # Errors
    /// As [`Self::with_default`].
    pub fn in_direction(&self, direction: DirectionSetting) -> Result<Self> {
        self.with_default("direction", "direction", Value::from(direction.name()))
    }

    /// Every label that it can emit: the standard ones, then its own by name.
    ///
    /// Standard labels are listed also where the configuration removes them: an unused rule costs nothing, and a label
    /// without a rule stays in the metric's name.
    pub fn labels(&self) -> Vec<String> {
        let mut labels: Vec<String> = LABELS.iter().map(|&label| label.to_owned()).collect();
        labels.extend(self.custom_labels());
        labels
    }

    /// The labels that it adds to the standard ones, by name.
    pub fn custom_labels(&self) -> BTreeSet<String> {
        let config = &self.config;
        let mut labels: BTreeSet<String> = config
            .metrics
            .overrides
            .iter()
            .flat_map(|metric| metric.dimensions.iter().map(|(label, _)| label.clone()))
            .collect();
        if !config.metrics.operations.is_empty() {
            labels.insert(operation::LABEL.to_owned());
        }
        if config.metrics.peer_unknown_reason {
            labels.insert(UnknownReason::LABEL.to_owned());
        }
        labels.retain(|label| !LABELS.contains(&label.as_str()));
        labels
    }

    /// The prefix of its metrics' names: `istio_`.
    pub fn prefix(&self) -> String {
        format!("{}_", self.config.metrics.stat_prefix)
    }

    /// The limit of label sets with series of their own.
    pub fn max_series(&self) -> usize {
        self.config.metrics.max_series
    }

    /// The warnings of the module, and of its expressions, one line each.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// As a JSON object.
    pub fn to_value(&self) -> Value {
        Value::Object(self.fields.clone())
    }

    /// As text, because the proxy's configuration has it as a string.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(&self.fields).unwrap_or_default()
    }
}

impl Default for PluginConfig {
    fn default() -> Self {
        Self {
            fields: Map::new(),
            config: Config::default(),
            warnings: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn plugin(config: &Value) -> Result<PluginConfig> {
        PluginConfig::from_setting(config)
    }

    #[test]
    fn without_a_configuration_the_labels_are_the_standard_ones() {
        assert_eq!(PluginConfig::default().labels(), LABELS);
        assert_eq!(PluginConfig::default().prefix(), "istio_");
    }

    #[test]
    fn dimensions_and_extras_add_labels_after_the_standard_ones() {
        let config = json!({
            "metrics": [
                { "name": "requests_total", "dimensions": { "path": "request.path", "reporter": "'x'" } },
                { "dimensions": { "host": "request.host" } },
            ],
            "peerUnknownReason": true,
        });
        let labels = plugin(&config).unwrap().labels();
        assert_eq!(
            labels[LABELS.len()..],
            ["host", "path", "peer_unknown_reason"]
        );
    }

    #[test]
    fn a_direction_that_the_user_wrote_wins() {
        let inbound = |config: &PluginConfig| {
            let config = config.in_direction(DirectionSetting::Inbound).unwrap();
            config.to_value()
        };
        assert_eq!(
            inbound(&PluginConfig::default()),
            json!({ "direction": "inbound" })
        );
        let auto = plugin(&json!({ "direction": "auto" })).unwrap();
        assert_eq!(inbound(&auto), json!({ "direction": "auto" }));
    }

    #[test]
    fn what_the_module_would_refuse_is_refused_here() {
        let error = plugin(&json!({ "max_series": -1 }))
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("--plugin-config: configuration at $.max_series: found -1"),
            "{error}"
        );
    }

    #[test]
    fn a_default_gives_way_in_both_spellings() {
        for field in ["stat_prefix", "statPrefix"] {
            let given = plugin(&json!({ field: "mesh" })).unwrap();
            let given = given.with_default("stat_prefix", "statPrefix", json!("other"));
            assert_eq!(given.unwrap().prefix(), "mesh_");
        }
        let empty =
            PluginConfig::default().with_default("stat_prefix", "statPrefix", json!("other"));
        assert_eq!(empty.unwrap().prefix(), "other_");
    }
}
