//! Whatever a peer puts into the headers of the exchange: it is a workload with bounded values or none, the
//! same each time, and the next proxy reads it as this one did.
//!
//! `cargo xtask fuzz peer_header` runs it for a while; `cargo fuzz run peer_header` as long as one likes.

#![no_main]

mod workload;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use libfuzzer_sys::fuzz_target;
use prost::Message;
use stats_core::host::LocalProxy;
use stats_core::host::memory::{MemoryHost, MemoryMetrics};
use stats_core::http::exchange::{Exchange, ID_HEADER, METADATA_HEADER};
use stats_core::intern::seed::Seed;
use stats_core::labels::Reporter;
use stats_core::labels::operation::Operations;
use stats_core::labels::visible::Visible;
use stats_core::peer::cache::PeerCache;
use stats_core::peer::unknown::UnknownReason;
use stats_core::peer::wire::Struct;
use stats_core::peer::workload::Workload;
use stats_core::record::tables::Tables;

// The first byte says whether the header comes as it is or is the encoding of what comes: whole base64 is
// seldom found.
fuzz_target!(|input: &[u8]| {
    let Some((form, rest)) = input.split_first() else {
        return;
    };
    let header = match form % 3 {
        0 => rest.to_vec(),
        1 => STANDARD.encode(rest).into_bytes(),
        _ => STANDARD_NO_PAD.encode(rest).into_bytes(),
    };
    let Some(peer) = received(&header) else {
        return;
    };
    workload::assert_bounded(&peer);
    let sent_on = STANDARD.encode(peer.to_exchange(&owner(&peer)));
    assert_eq!(received(sent_on.as_bytes()), Some(peer));
});

/// The peer that a proxy reads from a header, as it publishes it for other filters.
fn received(header: &[u8]) -> Option<Workload> {
    let mut host = MemoryHost::new(MemoryMetrics::default());
    host.request.set(ID_HEADER, "sidecar~peer");
    host.request.set(METADATA_HEADER, header);
    let seed = Seed::default();
    let mut exchange = Exchange::new(&LocalProxy::default(), &[], PeerCache::new(seed, 2), true);
    let mut tables =
        Tables::new(seed, 2, Reporter::Destination, Visible::default(), Operations::default());
    let result = exchange.receive_request(&mut host, &mut tables.peers);
    assert!(result.has_id && result.has_metadata);
    assert_eq!(result.peer.is_some(), result.reason == UnknownReason::None);
    let again = exchange.receive_request(&mut host, &mut tables.peers);
    assert_eq!(again.peer, result.peer);
    let [published, _] = &host.peers.published;
    assert_eq!(result.peer.is_some(), published.is_some());
    let published = Struct::decode(published.as_deref()?).expect("what was published decodes");
    Some(Workload::from_filter_state(&published))
}

/// The URL of an owner of the workload's kind.
fn owner(workload: &Workload) -> String {
    format!("kubernetes://apis/apps/v1/namespaces/shop/{}s/owner", workload.kind)
}
