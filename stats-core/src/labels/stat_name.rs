//! Labels inside a stat name, for hosts whose metrics have no labels. A name carries them
//! (`reporter=.=source;.;…;.;istio_requests_total`), and the proxy's `stats_tags` rules take them out
//! again. What a value may contain is decided in [`value`](super::value); which labels there are is not
//! decided here.

use alloc::string::String;
use alloc::vec::Vec;

use super::value::{LABEL_SEPARATOR, VALUE_SEPARATOR, neutral};

/// The stat name of a metric with these labels and [neutral] values, in this order. What has the labels
/// of the gauge `build`, with its first value, has its form too: see [`build`].
pub fn with_labels<'a>(
    metric: &str,
    labels: impl Iterator<Item = (&'a str, &'a str)> + Clone,
) -> String {
    let mut first = labels.clone();
    if let [Some(("component", "proxy")), Some(("tag", version)), None] =
        [(); 3].map(|()| first.next())
    {
        return build(version, metric);
    }
    let mut name = String::with_capacity(1024);
    for (label, value) in labels {
        push_label(&mut name, label, value);
    }
    name.push_str(metric);
    name
}

/// Appends one label to a stat name. The value is a [neutral] one.
pub fn push_label(stat_name: &mut String, label: &str, value: &str) {
    for part in [label, VALUE_SEPARATOR, value, LABEL_SEPARATOR] {
        stat_name.push_str(part);
    }
}

/// The `stats_tags` rule that takes a label out of a stat name, as Istio's `extraStatTags` has it.
pub fn tag_regex(label: &str) -> String {
    alloc::format!("({label}=\\.=(.*?);\\.;)")
}

/// The stat name of the gauge `build`, which has a form of its own: `metric` with the labels
/// `component="proxy"` and `tag`, the version.
pub fn build(version: &str, metric: &str) -> String {
    let version = version.replace(';', "_");
    let mut name = String::from("component.proxy.tag.");
    for part in [&*neutral(version.as_bytes()), ";.", metric] {
        name.push_str(part);
    }
    name
}

/// The `stats_tags` rules for the labels of [`build`]. Each begins where the name does: one that is found
/// anywhere, as Istio has it, takes its label out of a value that a client chose as well.
pub const BUILD_TAG_REGEXES: [(&str, &str); 2] = [
    ("component", r"^wasmcustom\.(component\.(.*?)\.)tag\."),
    ("tag", r"^wasmcustom\.component\.proxy\.(tag\.(.*?);\.)"),
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

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;
    use regex::bytes::{Regex, RegexBuilder};
    use std::sync::LazyLock;

    use crate::labels::LABELS;

    #[test]
    fn the_build_name_keeps_its_form_whatever_the_version() {
        assert_eq!(
            build("1.24.0", "istio_build"),
            "component.proxy.tag.1.24.0;.istio_build"
        );
        assert_eq!(
            build("1;.2", "istio_build"),
            "component.proxy.tag.1_.2;.istio_build"
        );
        assert_eq!(
            parse(&build("1.24.0", "istio_build")),
            Some((
                vec![("component", "proxy"), ("tag", "1.24.0")],
                "istio_build"
            ))
        );
    }

    #[test]
    fn labels_are_glued_in_front_of_the_metric() {
        let labels = [("reporter", "source"), ("component", "proxy")];
        let name = with_labels("istio_x", labels.into_iter());
        assert_eq!(name, "reporter=.=source;.;component=.=proxy;.;istio_x");
        assert_eq!(parse(&name), Some((labels.to_vec(), "istio_x")));
        assert_eq!(with_labels("istio_x", [].into_iter()), "istio_x");
    }

    #[test]
    fn only_the_labels_of_build_have_its_form() {
        let glued = |labels: &[(&str, &str)]| with_labels("istio_x", labels.iter().copied());
        let build = [("component", "proxy"), ("tag", "1.30")];
        assert_eq!(glued(&build), "component.proxy.tag.1.30;.istio_x");
        for labels in [
            &build[..1],
            &[("component", "cart"), ("tag", "1.30")],
            &[build[0], build[1], ("more", "")],
            &[build[1], build[0]],
        ] {
            assert_eq!(parse(&glued(labels)), Some((labels.to_vec(), "istio_x")));
        }
    }

    /// A label and its value.
    type Pair = (String, String);

    /// Envoy's rules, by label.
    static RULES: LazyLock<Vec<(&str, Regex)>> = LazyLock::new(|| {
        let build = BUILD_TAG_REGEXES.map(|(label, regex)| (label, String::from(regex)));
        let rules = LABELS.map(|label| (label, tag_regex(label)));
        let rules = rules.into_iter().chain(build).map(|(label, regex)| {
            let mut regex = RegexBuilder::new(&regex);
            (label, regex.unicode(false).build().unwrap())
        });
        rules.collect()
    });

    /// The labels that Envoy's rules take out of a stat name, and what they leave of it. Each rule looks at
    /// the whole name, and takes out what its first group finds.
    fn cut_by_rules(stat_name: &str) -> (Vec<Pair>, String) {
        let name = ["wasmcustom.", stat_name].concat().into_bytes();
        let mut labels = Vec::new();
        let mut left: Vec<Option<u8>> = name.iter().copied().map(Some).collect();
        for (label, rule) in &*RULES {
            if let Some(found) = rule.captures(&name) {
                left[found.get(1).unwrap().range()].fill(None);
                let value = String::from_utf8(found[2].to_vec()).unwrap();
                labels.push(((*label).into(), value));
            }
        }
        let left = left.into_iter().flatten().collect();
        (labels, String::from_utf8(left).unwrap())
    }

    #[test]
    fn envoys_rules_take_out_the_labels_of_build() {
        let (labels, left) = cut_by_rules(&build("1.30", "istio_build"));
        let expected = [("component", "proxy"), ("tag", "1.30")];
        assert_eq!(labels, expected.map(|(a, b)| (a.into(), b.into())));
        assert_eq!(left, "wasmcustom.istio_build");
    }

    proptest! {
        /// With pieces of names, of which a value could make one that a rule finds.
        #[test]
        fn no_value_makes_a_label_by_envoys_own_rules(
            values in prop::collection::vec(
                prop::collection::vec(
                    prop_oneof![
                        Just(b";.;".to_vec()),
                        Just(b"=.=".to_vec()),
                        Just(b"reporter".to_vec()),
                        Just(b"response_code=.=200;.".to_vec()),
                        Just(b"wasmcustom.component.proxy.tag.1;.".to_vec()),
                        prop::collection::vec(any::<u8>(), 0..4),
                    ],
                    0..6,
                ),
                LABELS.len(),
            )
        ) {
            let values = values.iter().map(|pieces| pieces.concat());
            let values: Vec<String> = values.map(|value| neutral(&value).into_owned()).collect();
            let labels = LABELS.into_iter().zip(values.iter().map(String::as_str));
            let stat_name = with_labels("istio_requests_total", labels.clone());
            let (cut, left) = cut_by_rules(&stat_name);
            let given = labels.map(|(label, value)| (label.into(), value.into()));
            prop_assert_eq!(cut, given.collect::<Vec<Pair>>());
            prop_assert_eq!(left, "wasmcustom.istio_requests_total");
        }

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
                push_label(&mut name, "tag", &neutral(value));
            }
            name.push_str("istio_x");
            let (labels, metric) = parse(&name).expect("a well-formed name");
            prop_assert_eq!(metric, "istio_x");
            prop_assert_eq!(labels.len(), values.len());
            for ((label, text), value) in labels.iter().zip(&values) {
                prop_assert_eq!(*label, "tag");
                prop_assert_eq!(*text, neutral(value));
                // Stable: what is neutral stays as it is.
                prop_assert_eq!(neutral(text.as_bytes()), *text);
            }
        }
    }
}
