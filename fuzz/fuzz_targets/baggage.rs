//! Whatever a client sends as `baggage`: it names a bounded workload or none, and members that say nothing of
//! a workload change nothing.
//!
//! `cargo xtask fuzz baggage` runs it for a while; `cargo fuzz run baggage` as long as one likes.

#![no_main]

mod workload;

use libfuzzer_sys::fuzz_target;
use stats_core::peer::sources::from_baggage;

fuzz_target!(|input: &[u8]| {
    let named = from_baggage(input);
    if let Some(named) = &named {
        workload::assert_bounded(named);
        assert!(named.labels.is_empty() && named.identity.is_empty());
        assert_eq!(named.canonical_service.is_empty(), named.app.is_empty());
        assert_eq!(named.canonical_revision.is_empty(), named.version.is_empty());
    }
    for (before, behind) in [("user=1;p=2,", ""), ("", ",k8s.node.name=n"), (",", ",=")] {
        let more = [before.as_bytes(), input, behind.as_bytes()].concat();
        assert_eq!(from_baggage(&more), named);
    }
});
