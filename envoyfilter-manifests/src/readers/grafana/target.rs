//! Queries, as panels and variables hold them.

use serde_json::{Value, json};

/// The data source that the user chose.
pub fn datasource() -> Value {
    json!({ "type": "prometheus", "uid": "${datasource}" })
}

/// A query of a panel.
pub fn target(query: &str, id: char, mut how: Value) -> Value {
    how["datasource"] = datasource();
    how["expr"] = json!(query);
    how["refId"] = json!(id.to_string());
    how
}
