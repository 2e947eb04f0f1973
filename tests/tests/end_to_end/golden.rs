//! Whole pages, kept under `golden/` for a reviewer to read.

use std::{env, fs};

use harness::Page;
use harness::golden::{file, readable};

/// Asserts that the page's `istio_*` part is the golden file's; `MIXERLESS_BLESS=1` rewrites the file instead.
pub fn assert_golden(name: &str, page: &Page) {
    let file = file(name);
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
