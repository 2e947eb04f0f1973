//! What can be registered, and what it is then.

use alloc::borrow::ToOwned;
use alloc::string::ToString;

use super::*;

#[test]
fn labels_in_any_order_are_the_same_series() {
    let registry = Registry::new();
    registry
        .counter("c", "", &[("a", "1"), ("b", "2")])
        .unwrap()
        .inc();
    let same = registry
        .counter("c", "", &[("b", "2"), ("a", "1")])
        .unwrap();
    assert_eq!(same.get(), 1);
}

#[test]
fn names_labels_kinds_and_bounds_are_checked() {
    use RegistryError as E;
    let registry = Registry::new();
    registry.counter("taken", "", &[]).unwrap();
    registry.histogram("h", "", &[], &[1.0]).unwrap();
    let name = |text: &str| text.to_owned();
    let cases = [
        (
            registry.counter("0", "", &[]).err(),
            E::MetricName(name("0")),
        ),
        (registry.counter("", "", &[]).err(), E::MetricName(name(""))),
        (
            registry.counter("c", "", &[("a b", "")]).err(),
            E::LabelName(name("a b")),
        ),
        (
            registry.counter("c", "", &[("__a", "")]).err(),
            E::LabelName(name("__a")),
        ),
        (
            registry.counter("c", "", &[("a", "1"), ("a", "2")]).err(),
            E::DuplicateLabel(name("a")),
        ),
        (
            registry.gauge("taken", "", &[]).err(),
            E::Conflict(name("taken")),
        ),
        (
            registry.histogram("h", "", &[], &[2.0]).err(),
            E::Conflict(name("h")),
        ),
        (
            registry.histogram("h", "", &[("le", "")], &[1.0]).err(),
            E::LabelName(name("le")),
        ),
        (
            registry.histogram("i", "", &[], &[2.0, 1.0]).err(),
            E::Bounds(name("i")),
        ),
        (
            registry.histogram("i", "", &[], &[f64::NAN]).err(),
            E::Bounds(name("i")),
        ),
    ];
    for (error, expected) in cases {
        assert_eq!(error, Some(expected));
    }
}

#[test]
fn a_gauge_goes_up_and_down() {
    let gauge = Registry::new().gauge("g", "", &[]).unwrap();
    gauge.set(5);
    gauge.inc_by(-7);
    assert_eq!(gauge.get(), -2);
}

#[test]
fn sample_names_of_a_histogram_belong_to_no_other_metric() {
    let histogram =
        |registry: &Registry, name: &str| registry.histogram(name, "", &[], &[1.0]).map(drop);
    let counter = |registry: &Registry, name: &str| registry.counter(name, "", &[]).map(drop);
    for name in ["x_bucket", "x_count", "x_sum"] {
        let registry = Registry::new();
        histogram(&registry, "x").unwrap();
        refuses(counter(&registry, name), &["\"x\"", name]);
        refuses(histogram(&registry, name), &["\"x\"", name]);

        let registry = Registry::new();
        counter(&registry, name).unwrap();
        refuses(histogram(&registry, "x"), &["\"x\"", name]);
        // Not a sample of anything yet, so that any kind but a histogram may have it.
        counter(&registry, "x").unwrap();
    }
}

#[test]
fn a_metric_has_one_help() {
    let registry = Registry::new();
    registry.counter("x", "One.", &[("a", "1")]).unwrap();
    registry.counter("x", "One.", &[("a", "2")]).unwrap();
    let other = registry.counter("x", "Two.", &[("a", "2")]);
    refuses(other, &["\"x\"", "\"One.\"", "\"Two.\""]);
    refuses(registry.counter("x", "", &[]), &["\"One.\"", "\"\""]);
}

/// The error names all of these.
#[track_caller]
fn refuses<T>(result: Result<T, RegistryError>, named: &[&str]) {
    let error = result.err().expect("it is refused").to_string();
    for name in named {
        assert!(error.contains(name), "{error} does not name {name}");
    }
}
