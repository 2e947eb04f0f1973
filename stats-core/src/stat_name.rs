//! Labels inside a stat name. The proxy-wasm ABI has metrics without labels, so a name carries
//! them (`reporter=.=source;.;…;.;istio_requests_total`), and the proxy's `stats_tags` rules take
//! them out again. What a value must not contain is decided here; which labels there are is not.

use alloc::string::String;
use alloc::vec::Vec;

/// Between a label's name and its value.
pub const VALUE_SEPARATOR: &str = "=.=";
/// After a label's value.
pub const LABEL_SEPARATOR: &str = ";.;";
/// The most bytes of a value that a name carries; a client chooses `:authority`, so something has
/// to bound it. SPIFFE ids and host names in use are far shorter.
pub const MAX_VALUE_BYTES: usize = 512;

/// Appends one label to a stat name, its value neutralised.
pub fn push_label(stat_name: &mut String, label: &str, value: &[u8]) {
    stat_name.push_str(label);
    stat_name.push_str(VALUE_SEPARATOR);
    push_neutral(stat_name, value);
    stat_name.push_str(LABEL_SEPARATOR);
}

/// The bytes of a value that a name can carry: at most [`MAX_VALUE_BYTES`].
pub fn bounded(value: &[u8]) -> &[u8] {
    value.get(..MAX_VALUE_BYTES).unwrap_or(value)
}

/// The `stats_tags` rule that takes a label out of a stat name, as Istio's `extraStatTags` has it.
pub fn tag_regex(label: &str) -> String {
    alloc::format!("({label}=\\.=(.*?);\\.;)")
}

/// The stat name of the gauge `build`, which has a form of its own.
pub fn build(version: &str, prefix: &str) -> String {
    let mut name = String::from("component.proxy.tag.");
    let version = version.as_bytes().iter().map(|&b| match b {
        b';' => b'_',
        other => other,
    });
    push_neutral(&mut name, &version.collect::<Vec<u8>>());
    name.push_str(";.");
    name.push_str(prefix);
    name.push_str("_build");
    name
}

/// The `stats_tags` rules for the labels of [`build`].
pub const BUILD_TAG_REGEXES: [(&str, &str); 2] = [
    ("component", r"(component\.(.*?)\.)"),
    ("tag", r"(tag\.(.*?);\.)"),
];

/// Splits a stat name into its labels, in order, and the metric: what `stats_tags` does in Envoy,
/// for a host that keeps labels itself. `None` where the name does not have that form.
pub fn parse(stat_name: &str) -> Option<(Vec<(&str, &str)>, &str)> {
    if let Some(version) = stat_name.strip_prefix("component.proxy.tag.") {
        let (version, metric) = version.split_once(";.")?;
        return Some((
            alloc::vec![("component", "proxy"), ("tag", version)],
            metric,
        ));
    }
    let mut labels = Vec::new();
    let mut rest = stat_name;
    while let Some((label, after)) = rest.split_once(LABEL_SEPARATOR) {
        labels.push(label.split_once(VALUE_SEPARATOR)?);
        rest = after;
    }
    Some((labels, rest))
}

/// Appends a value that can neither end its label early nor look like another one.
///
/// Invalid UTF-8 becomes U+FFFD and control characters `_`. A separator loses its first character
/// to `_`, also where only the value's end and the separator that follows it would form one. The
/// same value always gives the same text, and neutral text stays as it is.
fn push_neutral(stat_name: &mut String, value: &[u8]) {
    let value = bounded(value);
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b';' | b'=');
    if value.iter().all(is_plain)
        && let Ok(text) = core::str::from_utf8(value)
    {
        stat_name.push_str(text);
        return;
    }
    let text = String::from_utf8_lossy(value);
    // Replacing may have made it longer.
    let text = text
        .get(..text.floor_char_boundary(MAX_VALUE_BYTES))
        .unwrap_or_default();
    for (at, c) in text.char_indices() {
        let rest = text.get(at..).unwrap_or_default();
        let forges = match c {
            ';' => rest.starts_with(LABEL_SEPARATOR) || rest == ";.",
            '=' => rest.starts_with(VALUE_SEPARATOR),
            _ => c.is_control(),
        };
        stat_name.push(if forges { '_' } else { c });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec;
    use proptest::prelude::*;

    fn neutral(value: &[u8]) -> String {
        let mut text = String::new();
        push_neutral(&mut text, value);
        text
    }

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
        assert_eq!(neutral(&[b'a'; 4000]).len(), MAX_VALUE_BYTES);
        let replaced = neutral(&[0xff; 4000]);
        assert!(replaced.len() <= MAX_VALUE_BYTES);
        assert_eq!(neutral(replaced.as_bytes()), replaced);
        // Where the cut leaves half a separator at the end, the one that follows must not complete it.
        let cut = [&[b'a'; MAX_VALUE_BYTES - 2][..], b";.;"].concat();
        assert!(neutral(&cut).ends_with("a_."));
    }

    #[test]
    fn the_build_name_keeps_its_form_whatever_the_version() {
        assert_eq!(
            build("1.24.0", "istio"),
            "component.proxy.tag.1.24.0;.istio_build"
        );
        assert_eq!(
            build("1;.2", "istio"),
            "component.proxy.tag.1_.2;.istio_build"
        );
        assert_eq!(
            parse(&build("1.24.0", "istio")),
            Some((
                vec![("component", "proxy"), ("tag", "1.24.0")],
                "istio_build"
            ))
        );
    }

    proptest! {
        #[test]
        fn no_value_can_forge_or_break_a_label(
            values in prop::collection::vec(
                prop_oneof![
                    prop::collection::vec(any::<u8>(), 0..40),
                    "[;.=a\u{0}]{0,12}".prop_map(String::into_bytes),
                ],
                1..5,
            )
        ) {
            let mut name = String::new();
            for value in &values {
                push_label(&mut name, "tag", value);
            }
            name.push_str("istio_x");
            let (labels, metric) = parse(&name).expect("a well-formed name");
            prop_assert_eq!(metric, "istio_x");
            prop_assert_eq!(labels.len(), values.len());
            for ((label, text), value) in labels.iter().zip(&values) {
                prop_assert_eq!(*label, "tag");
                prop_assert_eq!(text.to_string(), neutral(value));
                // Stable: what is neutral stays as it is.
                prop_assert_eq!(neutral(text.as_bytes()), text.to_string());
            }
        }
    }
}
