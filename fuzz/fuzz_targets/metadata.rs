//! Whatever comes where a control plane describes a node, a cluster or an endpoint.
//!
//! `cargo xtask fuzz metadata` runs it for a while; `cargo fuzz run metadata` as long as one likes.

#![no_main]

mod workload;

use libfuzzer_sys::fuzz_target;
use stats_core::host::{ClusterFacts, envoy};
use stats_core::peer::sources::from_endpoint;

fuzz_target!(|input: &[u8]| {
    let mut proxy = envoy::local_proxy(input, [0; 16]);
    workload::assert_bounded(&proxy.workload);
    let names: Vec<String> = proxy.labels.iter().map(|(name, _)| name.clone()).collect();
    proxy.keep_labels(&names);
    workload::assert_bounded(&proxy.workload);

    let facts = envoy::cluster(input);
    if input.is_empty() {
        assert_eq!(facts, ClusterFacts::default());
    }

    let parts = input.split(|byte| *byte == b';').count();
    let endpoint = from_endpoint(input);
    assert_eq!(endpoint.is_some(), parts >= 5 && str::from_utf8(input).is_ok());
    if let Some(endpoint) = endpoint {
        workload::assert_bounded(&endpoint);
        assert_eq!(from_endpoint(&[input, b";more"].concat()), Some(endpoint));
    }
});
