//! Whatever comes where a workload's Struct is expected, from a peer or from filter state: it decodes to
//! bounded values, and what is written of them is read back.
//!
//! `cargo xtask fuzz workload_struct` runs it for a while; `cargo fuzz run workload_struct` as long as one
//! likes.

#![no_main]

mod workload;

use libfuzzer_sys::fuzz_target;
use prost::Message;
use stats_core::peer::sources::{from_joined, from_published, join_filter_state};
use stats_core::peer::wire::Struct;
use stats_core::peer::workload::Workload;

fuzz_target!(|input: &[u8]| {
    let Ok(fields) = Struct::decode(input) else {
        assert_eq!(from_published(input), None);
        return;
    };
    let additional = ["team".to_owned()];
    let peer = Workload::from_struct(&fields, &additional);
    workload::assert_bounded(&peer);
    assert!(peer.labels.len() <= additional.len());
    // The URL of an owner does not travel further, so neither does the kind.
    let sent = Struct::decode(&peer.to_exchange("")[..]).expect("what was encoded decodes");
    assert_eq!(Workload::from_struct(&sent, &additional), Workload { kind: "", ..peer });

    let published = from_published(input).expect("a Struct is a workload");
    workload::assert_bounded(&published);
    assert_eq!(from_published(&published.to_filter_state()).as_ref(), Some(&published));

    // As Istio's native filter leaves it, a text for each key, in which a NUL is dropped.
    let mut joined = Vec::new();
    join_filter_state(Workload::FILTER_STATE.map(|key| fields.text(key).as_bytes()), &mut joined);
    if let Some(native) = from_joined(&joined) {
        workload::assert_bounded(&native);
        if !input.contains(&0) {
            let cut = native.name.chars().zip(published.name.chars());
            assert!(cut.take(100).all(|(native, published)| native == published));
        }
    }
});
