//! CEL values with their types. A proxy hands over a value's bytes without its type, so a user's
//! expression is wrapped in one that also says the type.

use stats_core::host::Value;

use crate::pairs;

/// The expression that evaluates `expression` to a list of its value and its type's code. Written
/// on lines of its own, so that a comment in it ends.
pub fn typed(expression: &str) -> String {
    format!(
        "[(\n{expression}\n)].map(v, \
         type(v) == string ? [v, 's'] : \
         type(v) == int ? [v, 'i'] : \
         type(v) == bool ? [v, 'b'] : \
         type(v) == uint ? [v, 'u'] : \
         type(v) == double ? [v, 'd'] : \
         type(v) == bytes ? [v, 'y'] : \
         type(v) == type(duration('0s')) ? [v, 'r'] : \
         type(v) == type(timestamp(0)) ? [v, 't'] : \
         type(v) == map ? ['map value', 's'] : \
         type(v) == list ? ['list value', 's'] : \
         type(v) == null_type ? ['null_type value', 's'] : [v, 'm'])[0]"
    )
}

/// What a [`typed`] expression evaluated to; `None` where it is no such thing.
pub fn value(evaluated: &[u8]) -> Option<Value<'_>> {
    let [value, code] = pairs::list(evaluated)?;
    let word = || value.try_into().ok();
    Some(match code {
        b"s" | b"y" | b"m" => Value::Text(value),
        b"b" => Value::Bool(value == [1]),
        b"i" => Value::Int(i64::from_ne_bytes(word()?)),
        b"u" => Value::Uint(u64::from_ne_bytes(word()?)),
        b"d" => Value::Double(f64::from_ne_bytes(word()?)),
        b"r" => Value::Duration(i64::from_ne_bytes(word()?)),
        b"t" => Value::Timestamp(i64::from_ne_bytes(word()?)),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed_pair(value: &[u8], code: &str) -> Vec<u8> {
        pairs::encode::encode([(value, &b""[..]), (code.as_bytes(), b"")])
    }

    #[test]
    fn values_have_the_type_that_the_expression_says() {
        let seven = 7_i64.to_ne_bytes();
        for (bytes, code, expected) in [
            (&b"12345678"[..], "s", Value::Text(b"12345678")),
            (b"\xff", "y", Value::Text(b"\xff")),
            (b"message", "m", Value::Text(b"message")),
            (&[1], "b", Value::Bool(true)),
            (&[0], "b", Value::Bool(false)),
            (&seven, "i", Value::Int(7)),
            (&seven, "u", Value::Uint(7)),
            (&seven, "r", Value::Duration(7)),
            (&seven, "t", Value::Timestamp(7)),
            (&1.5_f64.to_ne_bytes(), "d", Value::Double(1.5)),
        ] {
            assert_eq!(value(&typed_pair(bytes, code)), Some(expected), "{code}");
        }
    }

    #[test]
    fn what_is_no_typed_value_is_none() {
        for bytes in [
            &b"garbage"[..],
            b"",
            &typed_pair(b"1", "i"),
            &typed_pair(b"", "?"),
        ] {
            assert_eq!(value(bytes), None);
        }
    }
}
