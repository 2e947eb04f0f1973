//! Whole pages, kept under `golden/` for a reviewer to read.

use std::path::Path;
use std::{env, fs};

use harness::Page;
use harness::page::Sample;

/// Asserts that the page's `istio_*` part is the golden file's; `MIXERLESS_BLESS=1` rewrites the file instead.
///
/// Buckets and sums depend on time and on Envoy's own headers: both are written as `~`, except for the `+Inf` bucket.
pub fn assert_golden(name: &str, page: &Page) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("golden")
        .join(name);
    let page = readable(page);
    if env::var_os("MIXERLESS_BLESS").is_some() {
        fs::write(&file, page).unwrap();
        return;
    }
    let golden = fs::read_to_string(&file).unwrap_or_default();
    for (index, (page, golden)) in page.lines().zip(golden.lines()).enumerate() {
        assert_eq!(
            page,
            golden,
            "line {} of {name} (MIXERLESS_BLESS=1 accepts)",
            index + 1
        );
    }
    assert_eq!(
        page.lines().count(),
        golden.lines().count(),
        "lines of {name} (MIXERLESS_BLESS=1 accepts)"
    );
}

fn readable(page: &Page) -> String {
    let mut lines = Vec::new();
    for (name, family) in page
        .families
        .iter()
        .filter(|(name, _)| name.starts_with("istio_"))
    {
        lines.push(format!("# TYPE {name} {}\n", family.kind));
        lines.extend(family.samples.iter().map(line));
    }
    lines.concat()
}

fn line(sample: &Sample) -> String {
    let labels: Vec<String> = sample
        .labels
        .iter()
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    let varies =
        sample.name.ends_with("_sum") || sample.label("le").is_some_and(|bound| bound != "+Inf");
    let value = if varies {
        "~".to_owned()
    } else {
        sample.value.to_string()
    };
    format!("{}{{{}}} {value}\n", sample.name, labels.join(","))
}
