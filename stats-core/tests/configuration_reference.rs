//! `docs/configuration.md` says what the code does: every field has its chapter, and every example
//! is a configuration.

use stats_core::config::{Config, FIELDS};

const REFERENCE: &str = include_str!("../../docs/configuration.md");

fn chapters() -> impl Iterator<Item = (&'static str, &'static str)> {
    let chapters = REFERENCE.split("\n### `").skip(1);
    chapters.filter_map(|chapter| chapter.split_once('`'))
}

#[test]
fn every_field_has_its_chapter_in_order() {
    let names: Vec<_> = chapters().map(|(name, _)| name).collect();
    assert_eq!(names, FIELDS);
}

#[test]
fn the_code_knows_every_field_that_is_listed() {
    for field in FIELDS {
        // No field is a list of lists, so this is wrong for each: the error proves that it is read.
        let error = Config::parse(format!(r#"{{"{field}": [[]]}}"#).as_bytes()).err();
        let path = error.expect(field).path;
        assert!(path.starts_with(&format!("$.{field}")), "{path}");
    }
}

#[test]
fn every_chapter_has_an_example_of_its_field_that_is_accepted() {
    for (name, text) in chapters() {
        let example = text.split("```json\n").nth(1).expect(name);
        let example = example.split("```").next().expect(name);
        assert!(
            example.contains(&format!("\"{name}\"")),
            "{name}: {example}"
        );
        let (config, warnings) = Config::parse(example.as_bytes()).expect(name);
        assert!(
            config != Config::default(),
            "{name}: the example changes nothing"
        );
        // The labels that the example removes are queried; the chapter says so.
        assert_eq!(
            warnings.len(),
            usize::from(name == "allowed_labels"),
            "{name}: {warnings:?}"
        );
    }
}

#[test]
fn what_the_reference_lists_by_name_is_what_there_is() {
    use stats_core::config::DirectionSetting;
    use stats_core::labels::metrics::ExtraMetric;
    use stats_core::peer::sources::PeerSource;
    use stats_core::peer::unknown::UnknownReason;
    let table = |chapter: &str| -> Vec<&str> {
        let (_, text) = chapters()
            .find(|(name, _)| *name == chapter)
            .expect("a chapter");
        let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
        rows.filter_map(|row| row.split('`').next()).collect()
    };
    assert_eq!(table("peer_sources"), PeerSource::ALL.map(PeerSource::name));
    assert_eq!(
        table("extra_metrics"),
        ExtraMetric::ALL.map(ExtraMetric::name)
    );
    assert_eq!(
        table("direction"),
        DirectionSetting::ALL.map(DirectionSetting::name)
    );
    assert_eq!(
        table("peer_unknown_reason"),
        UnknownReason::ALL.map(UnknownReason::name)
    );
}
