//! Each page, read by parsers that others have written.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use stats_core::registry::{Counter, Dynamic, Family, Format, Registry};

use crate::SETUP;

#[path = "../../../stats-core/tests/everything/mod.rs"]
mod everything;

/// Label values that look like what stands around them, or that are hard to write.
const HOSTILE: [&str; 14] = [
    "",
    " ",
    "\"",
    "\\",
    "\n",
    "\\n",
    "\\\"",
    "\",b=\"",
    "a=\"b\"",
    "} 1",
    "# EOF",
    "größe",
    "\u{1F600}",
    "\t\r\u{b}",
];

/// Reads the page with the parser that fits its format, and tells all families and samples.
const READ: &str = r#"
import json, sys
from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics
families = (openmetrics if sys.argv[1] == "openmetrics" else parser).text_string_to_metric_families(
    sys.stdin.buffer.read().decode("utf-8"))
json.dump([{
    "name": family.name, "type": family.type, "unit": family.unit, "help": family.documentation,
    "samples": [{
        "name": sample.name, "labels": sample.labels, "value": str(sample.value),
        "exemplar": sample.exemplar and sample.exemplar.labels,
    } for sample in family.samples],
} for family in families], sys.stdout)
"#;

fn fed(command: &mut Command, page: &str) -> Output {
    let child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.unwrap_or_else(|error| panic!("{command:?}: {error}; {SETUP}"));
    child
        .stdin
        .take()
        .unwrap()
        .write_all(page.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

fn read(registry: &Registry, format: Format) -> Vec<Value> {
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/python");
    assert!(
        library.exists(),
        "there is no {}; {SETUP}",
        library.display()
    );
    let page = registry.page(format);
    let which = match format {
        Format::Text | Format::TextUtf8 => "text",
        Format::OpenMetrics | Format::OpenMetricsUtf8 => "openmetrics",
    };
    let mut python = Command::new("python3");
    python.args(["-c", READ, which]).env("PYTHONPATH", library);
    let output = fed(&mut python, &page);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{format:?}: {error}\n{page}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn promtool(page: &str) {
    let output = fed(Command::new("promtool").args(["check", "metrics"]), page);
    let said =
        [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
    assert!(
        output.status.success() && said == ["", ""],
        "{said:?}\n{page}"
    );
}

fn filled() -> Registry {
    let registry = Registry::new().with_created(everything::Noon);
    everything::fill(&registry).unwrap();
    registry
}

#[test]
fn promtool_has_nothing_to_say() {
    let registry = filled();
    promtool(&registry.page(Format::Text));
    // And it would: a counter without its ending, and no help.
    registry.counter("requests", "", &[]).unwrap();
    let page = registry.page(Format::Text);
    let output = fed(Command::new("promtool").args(["check", "metrics"]), &page);
    assert!(!output.status.success());
}

#[test]
fn both_formats_say_the_same() {
    let registry = filled();
    let samples = |families: &[Value]| -> BTreeSet<String> {
        let samples = families
            .iter()
            .flat_map(|family| family["samples"].as_array().unwrap());
        samples
            .filter(|sample| !sample["name"].as_str().unwrap().ends_with("_created"))
            .map(|sample| format!("{}{} {}", sample["name"], sample["labels"], sample["value"]))
            .map(|sample| sample.replace(".0\"", "\""))
            .collect()
    };
    let open_metrics = read(&registry, Format::OpenMetrics);
    let text = read(&registry, Format::Text);
    let (one, other) = (samples(&open_metrics), samples(&text));
    // What can fall has no sum and no count in OpenMetrics.
    let missing: Vec<_> = other.difference(&one).cloned().collect();
    assert_eq!(
        missing,
        ["\"change_count\"{} \"1\"", "\"change_sum\"{} \"-2\""]
    );
    assert!(one.is_subset(&other), "{one:?}\n{other:?}");

    let family = |name: &str| {
        open_metrics
            .iter()
            .find(|family| family["name"] == name)
            .unwrap()
    };
    let cpu = family("cpu_seconds");
    assert_eq!(
        (&cpu["type"], &cpu["unit"], &cpu["help"]),
        (
            &"counter".into(),
            &"seconds".into(),
            &"CPU \"time\".".into()
        )
    );
    assert_eq!(cpu["samples"][0]["exemplar"]["trace_id"], "abc");
    assert_eq!(cpu["samples"][1]["name"], "cpu_seconds_created");
    assert_eq!(family("build")["type"], "info");
    assert_eq!(
        family("request_seconds")["samples"][1]["exemplar"]["trace_id"],
        "abc"
    );
}

#[test]
fn hostile_values_come_back_as_they_were() {
    let registry = Registry::new();
    let family = Family::<Dynamic, Counter>::builder("c_total", "a \"help\"\\ with\nall")
        .register(&registry)
        .unwrap();
    let pairs = HOSTILE.iter().flat_map(|a| HOSTILE.map(|b| (*a, b)));
    for (a, b) in pairs.clone() {
        family.get_or_create(&[("a", a), ("b", b)]).unwrap().inc();
    }
    promtool(&registry.page(Format::Text));
    for format in [Format::Text, Format::OpenMetrics] {
        let families = read(&registry, format);
        assert_eq!(families[0]["help"], "a \"help\"\\ with\nall", "{format:?}");
        let samples = families[0]["samples"].as_array().unwrap();
        let label =
            |sample: &Value, name: &str| sample["labels"][name].as_str().unwrap().to_owned();
        let back: BTreeSet<_> = samples
            .iter()
            .map(|sample| (label(sample, "a"), label(sample, "b")))
            .collect();
        let given: BTreeSet<_> = pairs
            .clone()
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .collect();
        assert_eq!(back, given, "{format:?}");
    }
}

#[test]
fn names_of_any_characters_come_back_as_they_were() {
    let registry = Registry::new().with_utf8_names();
    let labels = [("ein.label", "1"), ("plain", "2")];
    registry
        .gauge("größe.von \"x\"", "Help.", &labels)
        .unwrap()
        .set(1);
    for format in [Format::TextUtf8, Format::OpenMetricsUtf8] {
        let sample = &read(&registry, format)[0]["samples"][0];
        assert_eq!(sample["name"], "größe.von \"x\"", "{format:?}");
        assert_eq!(sample["labels"]["ein.label"], "1", "{format:?}");
    }
    for format in [Format::Text, Format::OpenMetrics] {
        let sample = &read(&registry, format)[0]["samples"][0];
        assert_eq!(
            sample["name"], "U__gr_f6__df_e_2e_von_20__22_x_22_",
            "{format:?}"
        );
        assert_eq!(sample["labels"]["U__ein_2e_label"], "1", "{format:?}");
    }
    promtool(&registry.page(Format::Text));
}
