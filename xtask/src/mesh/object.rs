//! Reading objects of the API server, which are plain JSON here.

use serde_json::Value;

/// The text at a pointer of an object; empty where there is none.
pub fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// The list at a pointer of an object; empty where there is none.
pub fn list<'a>(object: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    object
        .pointer(pointer)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

/// A field as the downward API names it: `metadata.name`, `metadata.labels['app']`.
pub fn field(object: &Value, path: &str) -> String {
    let pointer = match path.split_once("['") {
        Some((map, key)) => {
            let key = key.trim_end_matches("']").replace('~', "~0");
            format!("/{}/{}", map.replace('.', "/"), key.replace('/', "~1"))
        }
        None => format!("/{}", path.replace('.', "/")),
    };
    text(object, &pointer).to_owned()
}
