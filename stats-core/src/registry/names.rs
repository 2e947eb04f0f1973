//! What metrics and labels may be called, what their samples are called then, and how a page spells
//! names that the older format does not have.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write};

/// What a metric is, in the words of a `# TYPE` line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// Only ever grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations by size.
    Histogram,
    /// Always 1; its labels tell something.
    Info,
}

impl Type {
    /// The word that OpenMetrics has for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Info => "info",
        }
    }

    /// The ending that OpenMetrics keeps out of a family's name, and puts onto that of its sample.
    pub(super) const fn suffix(self) -> &'static str {
        match self {
            Self::Counter => "_total",
            Self::Info => "_info",
            Self::Gauge | Self::Histogram => "",
        }
    }
}

/// The name without the ending that its type's samples have.
pub(super) fn base(kind: Type, name: &str) -> &str {
    name.strip_suffix(kind.suffix()).unwrap_or(name)
}

/// All names that this metric takes on a page, in either format: its samples' and the family's.
pub(super) fn claims(kind: Type, name: &str) -> Vec<String> {
    let suffixes: &[&str] = match kind {
        Type::Counter => &["", "_total", "_created"],
        Type::Gauge => &[""],
        Type::Histogram => &["", "_bucket", "_sum", "_count", "_created"],
        Type::Info => &["", "_info"],
    };
    let base = base(kind, name);
    let claims = suffixes.iter().map(|suffix| format!("{base}{suffix}"));
    claims.collect()
}

/// Whether every Prometheus takes this as a metric's name: letters, digits, `_` and `:`, no digit first.
pub fn is_metric_name(name: &str) -> bool {
    is_name(name, true)
}

/// Whether every Prometheus takes this as a label's name: letters, digits and `_`, no digit first. What
/// begins with `__` is Prometheus' own.
pub fn is_label_name(name: &str) -> bool {
    is_name(name, false) && !name.starts_with("__")
}

fn is_name(name: &str, colon: bool) -> bool {
    let letter = |c: u8| c.is_ascii_alphabetic() || c == b'_' || (colon && c == b':');
    let rest = |c: u8| letter(c) || c.is_ascii_digit();
    name.bytes().next().is_some_and(letter) && name.bytes().all(rest)
}

/// Writes a text with a backslash before each backslash, line feeds as `\n`, and, where the text
/// stands in quotes, a backslash before each of those.
///
/// # Errors
/// Where `out` fails.
pub(super) fn escape(text: &str, quotes: bool, out: &mut (impl Write + ?Sized)) -> fmt::Result {
    let special = |byte: u8| byte == b'\\' || byte == b'\n' || (quotes && byte == b'"');
    let mut rest = text;
    while let Some((plain, after)) = rest
        .bytes()
        .position(special)
        .and_then(|at| rest.split_at_checked(at))
    {
        out.write_str(plain)?;
        let mut chars = after.chars();
        match chars.next() {
            Some('\n') => out.write_str("\\n")?,
            Some(other) => {
                out.write_char('\\')?;
                out.write_char(other)?;
            }
            None => {}
        }
        rest = chars.as_str();
    }
    out.write_str(rest)
}

/// A text as it was before [`escape`].
pub(super) fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n') => plain.push('\n'),
                Some(other) => plain.push(other),
                None => {}
            },
            other => plain.push(other),
        }
    }
    plain
}

/// A metric's name of any characters in those of the older format, such that no two names become one:
/// Prometheus' escaping scheme `values`.
pub(super) fn metric_by_values(name: &str) -> String {
    by_values(name, true)
}

/// A label's name, likewise.
pub(super) fn label_by_values(name: &str) -> String {
    by_values(name, false)
}

fn by_values(name: &str, colon: bool) -> String {
    // What looks escaped is escaped too, or it would read back as another name.
    if is_name(name, colon) && !name.starts_with("U__") {
        return name.to_owned();
    }
    let mut escaped = String::from("U__");
    for (at, c) in name.char_indices() {
        match c {
            '_' => escaped.push_str("__"),
            ':' if colon => escaped.push(c),
            c if c.is_ascii_alphabetic() || (at > 0 && c.is_ascii_digit()) => escaped.push(c),
            other => {
                // A string takes whatever is written.
                let _ = write!(escaped, "_{:x}_", u32::from(other));
            }
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_checked_as_prometheus_does() {
        for name in ["a", "_a1", "a:b"] {
            assert!(is_metric_name(name), "{name}");
        }
        for name in ["", "0", "a b", "a.b", "ä"] {
            assert!(!is_metric_name(name), "{name}");
        }
        for name in ["a:b", "__a", ""] {
            assert!(!is_label_name(name), "{name}");
        }
    }

    #[test]
    fn a_counters_family_is_its_name_without_total() {
        assert_eq!(base(Type::Counter, "requests_total"), "requests");
        assert_eq!(base(Type::Gauge, "requests_total"), "requests_total");
        let claims = claims(Type::Counter, "requests_total");
        assert_eq!(claims, ["requests", "requests_total", "requests_created"]);
    }

    #[test]
    fn names_are_escaped_by_values_as_prometheus_does() {
        for (name, escaped) in [
            ("plain_name", "plain_name"),
            ("my.metric", "U__my_2e_metric"),
            ("my_metric.é", "U__my__metric_2e__e9_"),
        ] {
            assert_eq!(metric_by_values(name), escaped);
        }
    }

    proptest! {
        #[test]
        fn an_escaped_text_comes_back(text in "[a\"\\\\\n]{0,12}|\\PC{0,12}", quotes: bool) {
            let mut escaped = String::new();
            escape(&text, quotes, &mut escaped).unwrap();
            prop_assert!(!escaped.contains('\n'));
            prop_assert_eq!(unescape(&escaped), text);
        }

        #[test]
        fn no_two_names_are_escaped_to_one(one in "[ab_.é:U1]{1,6}", other in "[ab_.é:U1]{1,6}") {
            let escaped = [&one, &other].map(|name| label_by_values(name));
            prop_assert!(is_name(&escaped[0], false), "{}", escaped[0]);
            prop_assert_eq!(escaped[0] == escaped[1], one == other);
        }
    }
}
