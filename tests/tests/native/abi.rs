//! The declarations by hand, beside what the tested Envoy has.

use std::collections::BTreeSet;
use std::path::Path;

use harness::install::{self, NATIVE_MODULE};

const CALLBACK: &str = "envoy_dynamic_module_callback_";

#[test]
fn the_tested_envoy_exports_all_functions_that_the_library_calls() {
    let library = format!("lib{NATIVE_MODULE}.so");
    let library = install::native_module_directory().unwrap().join(library);
    let called = names(&library);
    assert!(called.len() > 20, "{called:?}");
    let exported = names(&install::envoy().unwrap());

    let missing: Vec<&String> = called.difference(&exported).collect();

    assert!(
        missing.is_empty(),
        "the ABI has changed: look these up in Envoy's abi.h, and mend filter-native/src/abi/callbacks.rs: {missing:?}"
    );
}

/// All names of such functions in a file, where names of symbols are texts between two NULs.
fn names(file: &Path) -> BTreeSet<String> {
    let bytes = std::fs::read(file).unwrap();
    let texts = bytes.split(|&byte| byte == 0);
    let texts = texts.filter_map(|text| str::from_utf8(text).ok());
    let names = texts.flat_map(|text| text.match_indices(CALLBACK).map(move |(at, _)| &text[at..]));
    names.map(str::to_owned).collect()
}
