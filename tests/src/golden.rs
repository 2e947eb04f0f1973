//! Pages as they are kept under `golden/`, for a reviewer to read and for others to compare with.

use std::path::{Path, PathBuf};

use crate::Page;
use crate::page::Sample;

/// The file of that name.
pub fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("golden")
        .join(name)
}

/// The page's `istio_*` part.
///
/// Buckets and sums depend on time and on Envoy's own headers: both read `~` but for the bucket that holds all.
pub fn readable(page: &Page) -> String {
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
