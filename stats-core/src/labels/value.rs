//! The text of a label's value. Values are chosen by clients and peers (`:authority`, workload names,
//! SPIFFE ids), so that they are bounded here, and made harmless where a [stat name](super::stat_name)
//! carries them. All hosts show the same text, also those that have real labels.

use alloc::borrow::Cow;
use alloc::string::String;

use crate::bytes::{bounded, bounded_text};

/// What stands between a label's name and its value in a stat name.
pub const VALUE_SEPARATOR: &str = "=.=";
/// What stands behind a label's value in a stat name.
pub const LABEL_SEPARATOR: &str = ";.;";

/// The text of a value: one that can neither end its label early nor look like another label in a
/// stat name.
///
/// Invalid UTF-8 becomes U+FFFD and control characters `_`. A separator loses its first character to
/// `_`, also where only the value's end and the separator behind it would form one. The same value
/// always gives the same text, and neutral text stays as it is.
pub fn neutral(value: &[u8]) -> Cow<'_, str> {
    let value = bounded(value);
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b';' | b'=');
    if value.iter().all(is_plain)
        && let Ok(text) = core::str::from_utf8(value)
    {
        return Cow::Borrowed(text);
    }
    let text = String::from_utf8_lossy(value);
    // U+FFFD may have made it longer.
    let text = bounded_text(&text);
    let mut neutral = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        let rest = text.get(at..).unwrap_or_default();
        let forges = match c {
            ';' => rest.starts_with(LABEL_SEPARATOR) || rest == ";.",
            '=' => rest.starts_with(VALUE_SEPARATOR),
            _ => c.is_control(),
        };
        neutral.push(if forges { '_' } else { c });
    }
    Cow::Owned(neutral)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::MAX_VALUE_BYTES as MAX_BYTES;

    #[test]
    fn ordinary_values_stay_as_they_are() {
        for value in [
            "podinfo",
            "spiffe://cluster.local/ns/test/sa/default",
            "a;b=c",
            "größe",
            "",
        ] {
            assert_eq!(neutral(value.as_bytes()), value);
        }
    }

    #[test]
    fn separators_control_characters_and_invalid_utf8_are_replaced() {
        assert_eq!(neutral(b"a;.;b"), "a_.;b");
        assert_eq!(neutral(b"reporter=.=source"), "reporter_.=source");
        assert_eq!(neutral(b"ends in;."), "ends in_.");
        assert_eq!(neutral(b"line\nbreak\0"), "line_break_");
        assert_eq!(neutral(b"\xff\xfe"), "\u{fffd}\u{fffd}");
    }

    #[test]
    fn a_long_value_is_cut() {
        assert_eq!(neutral(&[b'a'; 4000]).len(), MAX_BYTES);
        let replaced = neutral(&[0xff; 4000]);
        assert!(replaced.len() <= MAX_BYTES);
        assert_eq!(neutral(replaced.as_bytes()), replaced);
        // Where the cut leaves half a separator at the end, the one that follows must not complete it.
        let cut = [&[b'a'; MAX_BYTES - 2][..], b";.;"].concat();
        assert!(neutral(&cut).ends_with("a_."));
    }
}
