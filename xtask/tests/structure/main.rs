//! The shape of the workspace's sources, checked on their syntax trees.
//!
//! Checked is the code that is built into something: `src` of every crate, without what is `#[cfg(test)]`. Not checked are
//! the directories `tests` and `benches`: a test is read one function at a time, and nothing imports it.
//!
//! **Circles.** A module is a file; what is declared inside a file belongs to it. A module uses another one when a path in
//! it leads there: `use crate::…`, `super::…`, a plain path, also inside a macro call, and also through a re-export, which
//! counts as a use of the module that re-exports *and* of the one that defines. A module may use its own parents and
//! children freely, in both directions: `super::X` in a child of the module that declares it is how Rust is written.
//! Among the children of one parent, each stands for itself and everything below it. They must not use each other in a
//! circle: if anything in or below `a` uses anything in or below `b`, then nothing in or below `b` may lead back to `a`.
//!
//! **Sizes.** At most 350 lines in a file, 60 in a function from `fn` to its closing brace, 12 fields in a struct.
//!
//! **Names.** One type per name in the whole workspace.
//!
//! Each check has a list of exceptions with their reasons. An exception that is not needed any more fails too.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "clippy.toml exempts the tests themselves, but not the functions that they share"
)]

mod circles;
mod names;
mod sizes;
mod source;

use std::collections::BTreeSet;
use std::path::Path;

use source::Crate;

/// The crates of the workspace.
const CRATES: [&str; 7] = [
    "stats-core",
    "filter",
    "filter-native",
    "envoyfilter-manifests",
    "bench",
    "tests",
    "xtask",
];

/// Crates that are not yet held to circles and sizes, nor to names that they have among themselves.
const NOT_YET: [&str; 0] = [];

/// What is allowed all the same: the finding up to its first colon, and why.
type Exceptions = &'static [(&'static str, &'static str)];

const LONG_FILES: Exceptions = &[];
const LONG_FUNCTIONS: Exceptions = &[(
    "stats-core/src/labels/table.rs origin",
    "the table of the metrics' contract, a line for each label and reporter, to be read beside it",
)];
const LARGE_STRUCTS: Exceptions = &[(
    "envoyfilter-manifests/src/settings.rs Settings",
    "one field for each flag of a command; a part that is flattened in could not refuse unknown names in a file",
)];
const SHARED_NAMES: Exceptions = &[];

fn workspace() -> Vec<Crate> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    CRATES
        .iter()
        .flat_map(|name| source::load(root, name))
        .collect()
}

fn checked() -> Vec<Crate> {
    let mut crates = workspace();
    crates.retain(|one| !NOT_YET.iter().any(|name| one.is_in(name)));
    crates
}

/// Fails with all findings that are not excepted, and with all exceptions that except nothing.
#[track_caller]
fn assert_none(findings: &[String], exceptions: Exceptions) {
    let subject = |finding: &str| finding.split(": ").next().unwrap_or_default().to_owned();
    let found: BTreeSet<String> = findings.iter().map(|finding| subject(finding)).collect();
    let excepted = |name: &str| exceptions.iter().any(|(exception, _)| *exception == name);
    let mut problems: Vec<String> = findings
        .iter()
        .filter(|finding| !excepted(&subject(finding)))
        .cloned()
        .collect();
    let unused = exceptions
        .iter()
        .filter(|(exception, _)| !found.contains(*exception));
    problems
        .extend(unused.map(|(exception, _)| format!("{exception}: the exception is not needed")));
    assert!(problems.is_empty(), "\n  {}\n", problems.join("\n  "));
}

#[test]
fn the_modules_of_a_crate_do_not_use_each_other_in_circles() {
    let findings: Vec<String> = checked().iter().flat_map(circles::find).collect();
    assert_none(&findings, &[]);
}

#[test]
fn every_source_file_belongs_to_a_module() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let orphans: Vec<String> = CRATES
        .iter()
        .flat_map(|name| source::orphans(root, name))
        .collect();
    assert_none(&orphans, &[]);
}

#[test]
fn no_file_is_too_long_to_be_read_at_once() {
    let findings: Vec<String> = checked().iter().flat_map(sizes::long_files).collect();
    assert_none(&findings, LONG_FILES);
}

#[test]
fn no_function_is_longer_than_a_screen() {
    let findings: Vec<String> = checked().iter().flat_map(sizes::long_functions).collect();
    assert_none(&findings, LONG_FUNCTIONS);
}

#[test]
fn no_struct_holds_more_than_it_should() {
    let findings: Vec<String> = checked().iter().flat_map(sizes::large_structs).collect();
    assert_none(&findings, LARGE_STRUCTS);
}

#[test]
fn each_type_of_the_workspace_has_a_name_of_its_own() {
    let findings = names::shared(&workspace(), &NOT_YET);
    assert_none(&findings, SHARED_NAMES);
}

#[test]
#[should_panic(expected = "src/a.rs: 400 lines")]
fn a_finding_without_an_exception_fails() {
    assert_none(&["src/a.rs: 400 lines".to_owned()], &[("src/b.rs", "data")]);
}

#[test]
#[should_panic(expected = "src/b.rs: the exception is not needed")]
fn an_exception_without_a_finding_fails() {
    let findings = ["src/a.rs: 400 lines".to_owned()];
    assert_none(&findings, &[("src/a.rs", "data"), ("src/b.rs", "data")]);
}

#[test]
fn every_member_of_the_workspace_is_checked() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let (_, members) = manifest.split_once("members = [").unwrap();
    let (members, _) = members.split_once(']').unwrap();
    let members: Vec<&str> = members
        .split(',')
        .map(|member| member.trim().trim_matches('"'))
        .filter(|member| !member.is_empty())
        .collect();
    assert_eq!(members, CRATES);
}
