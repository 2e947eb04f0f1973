//! The licences of the crates of others, for people: each crate's, and each text once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::dependencies::{LinkedCrate, LinkedCrates};
use super::sbom::expression;

/// How the names of files with a licence begin.
const FILES: [&str; 5] = ["license", "licence", "copying", "notice", "unlicense"];

const HEAD: &str = "# Third-party software

The files of this archive contain the crates below. Besides them, the command line contains the GNU C library
(LGPL-2.1-or-later, linked statically; the sources of mixerless, from which it can be linked anew, are Apache-2.0) and all
files contain parts of Rust's standard library (MIT OR Apache-2.0).

";

/// The list and the texts, as Markdown.
pub fn third_party(crates: &LinkedCrates) -> Result<String> {
    let mut page = HEAD.to_owned();
    let mut texts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (_, linked) in crates.of_others() {
        let name = format!("{} {}", linked.package.name, linked.package.version);
        let licence = licence(linked).with_context(|| format!("{name} states no licence"))?;
        let own = texts_of(linked)?;
        let note = if own.is_empty() {
            ", without a text in its package"
        } else {
            ""
        };
        writeln!(page, "- {name}: {licence}{note}")?;
        for text in own {
            texts.entry(text).or_default().insert(name.clone());
        }
    }
    for (text, names) in &texts {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        write!(
            page,
            "\n## {}\n\n````text\n{text}\n````\n",
            names.join(", ")
        )?;
    }
    Ok(page)
}

fn licence(linked: &LinkedCrate) -> Option<String> {
    let package = &linked.package;
    let in_file = || Some(format!("see {}", package.license_file.as_ref()?));
    package.license.as_deref().map(expression).or_else(in_file)
}

fn texts_of(linked: &LinkedCrate) -> Result<BTreeSet<String>> {
    let manifest = linked.package.manifest_path.as_std_path();
    let directory = manifest.parent().unwrap_or(Path::new("."));
    let mut texts = BTreeSet::new();
    for entry in directory.read_dir()? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = name.to_lowercase();
        if path.is_file() && FILES.iter().any(|start| name.starts_with(start)) {
            let text = fs::read(&path)?;
            texts.insert(String::from_utf8_lossy(&text).trim().to_owned());
        }
    }
    Ok(texts)
}
