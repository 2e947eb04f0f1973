//! The rules that take labels out of stat names: a label without a rule stays in the metric's name.

use serde_json::{Value, json};
use stats_core::labels::stat_name::{BUILD_TAG_REGEXES, tag_regex};

use crate::plugin_config::PluginConfig;

/// The bootstrap's `stats_config`: one rule for each label that the configuration can emit, and those of the build gauge.
pub fn stats_config(plugin: &PluginConfig) -> Value {
    let labels = plugin.labels();
    let rules = labels
        .iter()
        .map(|label| json!({ "tag_name": label, "regex": tag_regex(label) }));
    let build = BUILD_TAG_REGEXES
        .iter()
        .map(|(label, regex)| json!({ "tag_name": label, "regex": regex }));
    json!({ "stats_tags": rules.chain(build).collect::<Vec<_>>() })
}
