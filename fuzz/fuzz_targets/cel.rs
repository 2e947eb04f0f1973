//! Whatever bytes Envoy hands over for a CEL expression: a value with its type or none, whose text is bounded
//! and says the value.
//!
//! `cargo xtask fuzz cel` runs it for a while; `cargo fuzz run cel` as long as one likes.

#![no_main]

#[path = "../../filter/src/pairs.rs"]
#[allow(dead_code, reason = "maps are not looked at")]
mod pairs;
#[path = "../../filter/src/values.rs"]
#[allow(dead_code, reason = "nothing is compiled")]
mod values;

use libfuzzer_sys::fuzz_target;
use stats_core::bytes::MAX_VALUE_BYTES;
use stats_core::host::{ExpressionId, Expressions, Value};
use stats_core::intern::Interner;
use stats_core::intern::seed::Seed;
use stats_core::record::expressions::UserExpressions;

/// A host in which each expression evaluates to this.
struct Evaluated<'a>(Option<Value<'a>>);

impl Expressions for Evaluated<'_> {
    fn compile(&mut self, _expression: &str) -> Option<ExpressionId> {
        Some(ExpressionId(0))
    }

    fn evaluate(&self, _expression: ExpressionId) -> Option<Value<'_>> {
        self.0
    }
}

// The first byte says whether the bytes come as they are, or are a value whose type is the second byte's.
fuzz_target!(|input: &[u8]| {
    let value = match input {
        [form, code, value @ ..] if form % 2 == 1 => {
            assert_text(values::value(&list(&[value, &[*code]])));
            return;
        }
        [_, rest @ ..] => values::value(rest),
        [] => return,
    };
    assert_text(value);
});

/// A list as Envoy hands it over: a count, the two sizes of each element, each element with its ends.
fn list(elements: &[&[u8]]) -> Vec<u8> {
    let size = |size: usize| u32::try_from(size).expect("a short list").to_ne_bytes();
    let mut bytes = size(elements.len()).to_vec();
    for element in elements {
        bytes.extend([size(element.len()), size(0)].concat());
    }
    for element in elements {
        bytes.extend([element, &b"\0\0"[..]].concat());
    }
    bytes
}

/// Fails unless a label and a metric show the value as it is.
fn assert_text(value: Option<Value<'_>>) {
    let mut host = Evaluated(value);
    let mut expressions = UserExpressions::default();
    expressions.compile_label(&mut host, "label", 0);
    expressions.compile_number(&mut host, "number");
    let mut evaluated = Interner::new(Seed::default(), 1);
    let id = expressions.evaluate(&host, &mut evaluated);
    let text = evaluated.get(id).expect("there is room").value(0);
    assert!(text.len() <= MAX_VALUE_BYTES);
    let parsed = || str::from_utf8(text).expect("ASCII");
    let number = match value {
        None => 0,
        Some(Value::Text(bytes)) => {
            assert!(bytes.starts_with(text));
            assert_eq!(text.len(), bytes.len().min(MAX_VALUE_BYTES));
            str::from_utf8(text).ok().and_then(|text| text.parse().ok()).unwrap_or_default()
        }
        Some(Value::Bool(value)) => {
            assert_eq!(parsed().parse(), Ok(value));
            0
        }
        Some(Value::Int(value)) => {
            assert_eq!(parsed().parse(), Ok(value));
            u64::try_from(value).unwrap_or_default()
        }
        Some(Value::Uint(value)) => {
            assert_eq!(parsed().parse(), Ok(value));
            value
        }
        Some(Value::Double(value)) => {
            let shown: f64 = parsed().parse().expect("a number");
            let is_near = (shown - value).abs() <= value.abs() * 1e-5;
            assert!(is_near || shown == value || value.is_nan(), "{shown} of {value}");
            shown.to_string().parse().unwrap_or_default()
        }
        Some(Value::Duration(0)) => 0,
        Some(Value::Duration(value)) => {
            assert_eq!(parsed().starts_with('-'), value < 0);
            assert!(parsed().ends_with(['s', 'm', 'h']), "{}", parsed());
            0
        }
        Some(Value::Timestamp(_)) => {
            assert!(parsed().ends_with("+00:00"), "{}", parsed());
            0
        }
    };
    if !matches!(value, Some(Value::Double(_))) {
        assert_eq!(expressions.number(1), Some(number));
    }
}
