//! A table: columns of labels, then columns of values, joined by these labels.

use serde_json::{Value, json};
use stats_core::labels::Label;

use super::measure::Measure;
use super::target::target;

/// A column of a table with the values of a label.
pub struct LabelColumn {
    label: Label,
    title: &'static str,
    /// The address that its cells lead to.
    link: Option<String>,
}

/// A column of a table with the values of a query.
pub struct ValueColumn {
    title: &'static str,
    measure: Measure,
    query: String,
}

impl LabelColumn {
    /// A column of labels.
    pub fn new(label: Label, title: &'static str) -> Self {
        Self {
            label,
            title,
            link: None,
        }
    }

    /// The same, each cell of which leads to a dashboard with these variables and the columns that they are set from.
    pub fn to(mut self, uid: &str, variables: &[(&str, &str)]) -> Self {
        let variables: Vec<String> = variables
            .iter()
            .map(|(variable, column)| format!("var-{variable}=${{__data.fields.{column}}}"))
            .collect();
        self.link = Some(format!(
            "/d/{uid}?${{datasource:queryparam}}&${{__url_time_range}}&{}",
            variables.join("&")
        ));
        self
    }
}

impl ValueColumn {
    /// A column of values.
    pub fn new(title: &'static str, measure: Measure, query: String) -> Self {
        Self {
            title,
            measure,
            query,
        }
    }
}

/// What a panel with these columns is, besides its title.
pub fn table(keys: &[LabelColumn], columns: &[ValueColumn]) -> Value {
    let targets: Vec<Value> = columns
        .iter()
        .zip('A'..='Z')
        .map(|(column, id)| {
            target(
                &column.query,
                id,
                json!({ "format": "table", "instant": true, "range": false }),
            )
        })
        .collect();
    // Grafana names a column of values after its query.
    let value_names = ('A'..='Z').map(|id| format!("Value #{id}"));
    let key_names = keys
        .iter()
        .map(|key| (key.label.name().to_owned(), key.title));
    let names: Vec<(String, &str)> = key_names
        .chain(value_names.zip(columns.iter().map(|column| column.title)))
        .collect();
    let renamed: serde_json::Map<String, Value> = names
        .iter()
        .map(|(name, title)| (name.clone(), json!(title)))
        .collect();
    let order: serde_json::Map<String, Value> = names
        .iter()
        .enumerate()
        .map(|(at, (name, _))| (name.clone(), json!(at)))
        .collect();
    let colours = columns.iter().map(|column| {
        let properties = json!([
            { "id": "unit", "value": column.measure.unit() },
            { "id": "thresholds", "value": column.measure.thresholds() },
            { "id": "custom.cellOptions", "value": { "type": "color-text" } },
        ]);
        properties_of(column.title, &properties)
    });
    let links = keys.iter().filter_map(|key| {
        let link = json!({ "title": "Details", "url": key.link.as_ref()? });
        Some(properties_of(
            key.title,
            &json!([{ "id": "links", "value": [link] }]),
        ))
    });
    json!({
        "fieldConfig": { "defaults": {}, "overrides": links.chain(colours).collect::<Vec<_>>() },
        "options": { "showHeader": true, "sortBy": [{ "desc": true, "displayName": columns.first().map(|column| column.title) }] },
        "targets": targets,
        "transformations": [
            { "id": "merge", "options": {} },
            { "id": "organize", "options": { "excludeByName": { "Time": true }, "indexByName": order, "renameByName": renamed } },
        ],
        "type": "table",
    })
}

fn properties_of(column: &str, properties: &Value) -> Value {
    json!({ "matcher": { "id": "byName", "options": column }, "properties": properties })
}
