//! The CEL expressions of the module's configuration: those that Envoy would not parse, and names in them that it does not have.
//! Not here: their values, which only a proxy knows.

use anyhow::{Result, bail};
use cel::common::ast::{EntryExpr, Expr, IdedExpr};
use cel::parser::Parser;
use serde_json::{Map, Value};

use crate::attributes::{is_known, nearest};

/// Checks all expressions of a configuration that the module accepts otherwise.
///
/// Returns a warning for each unknown attribute.
///
/// # Errors
/// On the first expression that does not parse, with its field and the position in it.
pub fn check(fields: &Map<String, Value>) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    for (path, text) in expressions(fields) {
        for name in unknown(&parse(&path, text)?) {
            let nearest = nearest(&name).map_or(String::new(), |nearest| {
                format!("; the nearest is {nearest}")
            });
            warnings.push(format!(
                "configuration at {path}: {name} is no attribute of Envoy, so that it never has a value{nearest}"
            ));
        }
    }
    Ok(warnings)
}

/// Each expression with the path of its field.
fn expressions(fields: &Map<String, Value>) -> Vec<(String, &str)> {
    let mut found = Vec::new();
    for (at, definition) in elements(fields, "definitions") {
        found.extend(text(
            format!("$.definitions[{at}].value"),
            definition.get("value"),
        ));
    }
    for (at, metric) in elements(fields, "metrics") {
        let path = format!("$.metrics[{at}]");
        let dimensions = metric.get("dimensions").and_then(Value::as_object);
        for (label, expression) in dimensions.into_iter().flatten() {
            found.extend(text(format!("{path}.dimensions.{label}"), Some(expression)));
        }
        found.extend(text(format!("{path}.match"), metric.get("match")));
    }
    found
}

fn elements<'a>(
    fields: &'a Map<String, Value>,
    list: &str,
) -> impl Iterator<Item = (usize, &'a Value)> {
    let list = fields.get(list).and_then(Value::as_array);
    list.into_iter().flatten().enumerate()
}

/// Nothing for a field that is not there, or empty, which means the same.
fn text(path: String, field: Option<&Value>) -> Option<(String, &str)> {
    let text = field?.as_str().filter(|text| !text.is_empty())?;
    Some((path, text))
}

fn parse(path: &str, text: &str) -> Result<IdedExpr> {
    let errors = match Parser::new().parse(text) {
        Ok(expression) => return Ok(expression),
        Err(errors) => errors.errors,
    };
    let Some(first) = errors.first() else {
        bail!("configuration at {path}: {text:?} is no CEL expression");
    };
    let (line, column) = first.pos;
    let line = if text.contains('\n') {
        format!("line {line}, ")
    } else {
        String::new()
    };
    // Without the list of all that may stand there.
    let problem = first.msg.trim_start_matches("Syntax error: ");
    let problem = problem.split(" expecting {").next().unwrap_or(problem);
    bail!(
        "configuration at {path}: {text:?} is no CEL expression, {line}column {column}: {problem}"
    )
}

/// The names in an expression that are no attributes, as far as they are written out.
fn unknown(expression: &IdedExpr) -> Vec<String> {
    let mut names = Vec::new();
    collect(&expression.expr, &mut Vec::new(), &mut names);
    names.dedup();
    names
}

/// `bound` are the variables of the comprehensions around an expression.
fn collect<'a>(expression: &'a Expr, bound: &mut Vec<&'a str>, names: &mut Vec<String>) {
    let mut each = |all: &[&'a IdedExpr], bound: &mut Vec<&'a str>| {
        for one in all {
            collect(&one.expr, bound, names);
        }
    };
    match expression {
        Expr::Unspecified | Expr::Literal(_) => {}
        Expr::Ident(name) => judge(name, None, bound, names),
        Expr::Select(select) => match &select.operand.expr {
            Expr::Ident(name) => judge(name, Some(&select.field), bound, names),
            other => collect(other, bound, names),
        },
        Expr::Call(call) => {
            each(
                &call.target.iter().map(AsRef::as_ref).collect::<Vec<_>>(),
                bound,
            );
            each(&call.args.iter().collect::<Vec<_>>(), bound);
        }
        Expr::List(list) => each(&list.elements.iter().collect::<Vec<_>>(), bound),
        Expr::Map(map) => entries(&map.entries, bound, names),
        Expr::Struct(fields) => entries(&fields.entries, bound, names),
        Expr::Comprehension(comprehension) => {
            each(
                &[&comprehension.iter_range, &comprehension.accu_init],
                bound,
            );
            let outside = bound.len();
            bound.extend([&*comprehension.iter_var, &*comprehension.accu_var]);
            bound.extend(comprehension.iter_var2.as_deref());
            each(
                &[
                    &comprehension.loop_cond,
                    &comprehension.loop_step,
                    &comprehension.result,
                ],
                bound,
            );
            bound.truncate(outside);
        }
    }
}

fn entries<'a>(
    entries: &'a [cel::common::ast::IdedEntryExpr],
    bound: &mut Vec<&'a str>,
    names: &mut Vec<String>,
) {
    for entry in entries {
        match &entry.expr {
            EntryExpr::StructField(field) => collect(&field.value.expr, bound, names),
            EntryExpr::MapEntry(entry) => {
                collect(&entry.key.expr, bound, names);
                collect(&entry.value.expr, bound, names);
            }
        }
    }
}

fn judge(name: &str, part: Option<&str>, bound: &[&str], names: &mut Vec<String>) {
    if bound.contains(&name) || is_known(name, part) {
        return;
    }
    names.push(match part {
        Some(part) => format!("{name}.{part}"),
        None => name.to_owned(),
    });
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn checked(config: &Value) -> Result<Vec<String>> {
        check(config.as_object().unwrap())
    }

    fn of(expression: &str) -> Result<Vec<String>> {
        checked(&json!({ "metrics": [{ "match": expression }] }))
    }

    #[test]
    fn what_envoy_has_gives_no_warning() {
        for expression in [
            "",
            "request.host",
            "'constant'",
            "response.code >= 500 && 'x-a' in request.headers && has(request.referer)",
            r#"filter_state["wasm.downstream_peer"].workload"#,
            "request.url_path.startsWith('/a') ? 'a' : string(response.code)",
            "['a', 'b'].exists(x, x == request.method)",
            "{'a': response.size}['a'] + size(request.path)",
            "type(response.code) == int",
            "xds.cluster_metadata.filter_metadata['istio']",
        ] {
            assert_eq!(of(expression).unwrap(), [""; 0], "{expression}");
        }
    }

    #[test]
    fn an_unknown_attribute_is_a_warning_with_the_nearest() {
        let warnings = checked(&json!({
            "definitions": [{ "name": "a", "value": "request.siz" }],
            "metrics": [{}, { "dimensions": { "host": "request.hots" }, "match": "['a'].all(x, x == y)" }],
        }));
        let warnings = warnings.unwrap();
        let expected = [
            (
                "$.definitions[0].value: request.siz is",
                "the nearest is request.size",
            ),
            (
                "$.metrics[1].dimensions.host: request.hots is",
                "the nearest is request.host",
            ),
            ("$.metrics[1].match: y is", "never has a value"),
        ];
        assert_eq!(warnings.len(), expected.len(), "{warnings:?}");
        for (warning, (beginning, end)) in warnings.iter().zip(expected) {
            let beginning = format!("configuration at {beginning}");
            assert!(
                warning.starts_with(&beginning) && warning.ends_with(end),
                "{warning}"
            );
        }
    }

    #[test]
    fn what_does_not_parse_is_an_error_with_field_and_position() {
        for (expression, position) in [
            ("response.code >= ", "column 18: mismatched input '<EOF>'"),
            ("request.host ==== 'a'", "column 16: "),
            ("'open", "column 1: "),
            ("a +\n b b", "line 2, column 4: "),
        ] {
            let error = of(expression).unwrap_err().to_string();
            let beginning = format!(
                "configuration at $.metrics[0].match: {expression:?} is no CEL expression, {position}"
            );
            assert!(error.starts_with(&beginning), "{error}");
        }
    }
}
