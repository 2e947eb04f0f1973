//! Whatever values labels have: Envoy's `stats_tags` rules take each label out of the stat name with the value
//! that it was given, and no other label.
//!
//! `cargo xtask fuzz stat_name` runs it for a while; `cargo fuzz run stat_name` as long as one likes.

#![no_main]

use std::sync::LazyLock;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use regex::bytes::{Regex, RegexBuilder};
use stats_core::bytes::MAX_VALUE_BYTES;
use stats_core::labels::LABELS;
use stats_core::labels::stat_name::{BUILD_TAG_REGEXES, parse, tag_regex, with_labels};
use stats_core::labels::value::neutral;

/// Some of the labels, and their values.
#[derive(Arbitrary, Debug)]
struct Name<'a> {
    first: u8,
    values: Vec<&'a [u8]>,
}

/// What Envoy has in front of the name of a module's metric.
const NAMESPACE: &str = "wasmcustom.";

/// The rules, by label.
static RULES: LazyLock<Vec<(&str, Regex)>> = LazyLock::new(|| {
    let labels = LABELS.map(|label| (label, tag_regex(label)));
    let build = BUILD_TAG_REGEXES.map(|(label, regex)| (label, regex.to_owned()));
    let compiled = |regex: &str| {
        // As Envoy has it: bytes, of which a dot is any but those that a neutral value does not have.
        let mut regex = RegexBuilder::new(regex);
        regex.unicode(false).build().expect("a rule")
    };
    let all = labels.into_iter().chain(build);
    all.map(|(label, regex)| (label, compiled(&regex))).collect()
});

fuzz_target!(|name: Name<'_>| {
    let first = usize::from(name.first) % LABELS.len();
    let labels = LABELS[first..].iter().zip(&name.values);
    let labels: Vec<(&str, String)> =
        labels.map(|(label, value)| (*label, neutral(value).into_owned())).collect();
    for ((_, text), value) in labels.iter().zip(&name.values) {
        assert!(text.len() <= MAX_VALUE_BYTES);
        assert!(!text.chars().any(char::is_control));
        assert_eq!(neutral(text.as_bytes()), **text, "stable");
        assert!(neutral(value) == **text);
    }
    let views = labels.iter().map(|(label, text)| (*label, &**text));
    let stat_name = with_labels("istio_requests_total", views.clone());
    let expected: Vec<(&str, &str)> = views.collect();
    assert_eq!(parse(&stat_name), Some((expected.clone(), "istio_requests_total")));

    let stat_name = format!("{NAMESPACE}{stat_name}");
    let (tags, rest) = cut(stat_name.as_bytes());
    let tags: Vec<(&str, &str)> = tags
        .iter()
        .map(|(label, value)| (*label, str::from_utf8(value).expect("whole characters")))
        .collect();
    assert_eq!(tags, expected, "{stat_name}");
    assert_eq!(rest, [NAMESPACE.as_bytes(), b"istio_requests_total"].concat());
});

/// The labels that the rules take out of a name, in their order, and what is left of it. Each rule looks at
/// the whole name, and what its first group has found is left out in the end.
fn cut(name: &[u8]) -> (Vec<(&'static str, &[u8])>, Vec<u8>) {
    let mut tags = Vec::new();
    let mut removed = vec![false; name.len()];
    for (label, rule) in &*RULES {
        let Some(found) = rule.captures(name) else {
            continue;
        };
        let (whole, value) = (&found[1], found.get(2).map_or(&b""[..], |group| group.as_bytes()));
        let start = found.get(1).map_or(0, |group| group.start());
        removed[start..start + whole.len()].fill(true);
        tags.push((*label, value));
    }
    let rest = name.iter().zip(removed).filter(|(_, removed)| !removed);
    (tags, rest.map(|(byte, _)| *byte).collect())
}
