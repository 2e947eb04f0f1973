//! The numbers by which the proxy knows its metrics, by stat name, for all plugins of a VM: asked for the same
//! metric again, the proxy gives another number, and keeps both for as long as the VM lives.

use std::cell::RefCell;

use hashbrown::HashTable;
use stats_core::intern::seed::Seed;

use crate::abi::{MetricType, ProxyWasm};

/// The most numbers that are kept: of some 16,000 label sets, at 1 MB. Beyond them the proxy is asked again.
const MAX_IDS: usize = 65_536;

/// Numbers by a keyed hash of what they stand for. Two names of one hash among so many are as likely as one
/// in ten thousand million, and cannot be looked for without the key.
struct MetricIds {
    seed: Seed,
    ids: HashTable<([u32; 2], u32)>,
}

thread_local! {
    static IDS: RefCell<Option<MetricIds>> = const { RefCell::new(None) };
}

/// The number of a metric that has been asked for before, or else what `define` gives.
pub fn find_or_define(
    proxy: &mut ProxyWasm,
    kind: MetricType,
    stat_name: &str,
    define: impl FnOnce(&mut ProxyWasm) -> Option<u32>,
) -> Option<u32> {
    IDS.with_borrow_mut(|known| {
        let MetricIds { seed, ids } = known.get_or_insert_with(|| MetricIds {
            seed: Seed::new(proxy.random()),
            ids: HashTable::new(),
        });
        let hash = seed.hash((kind as u8, stat_name));
        let words = [hash as u32, (hash >> 32) as u32];
        if let Some((_, id)) = ids.find(hash, |(known, _)| *known == words) {
            return Some(*id);
        }
        let id = define(proxy)?;
        if ids.len() < MAX_IDS {
            let hash_of = |[low, high]: [u32; 2]| u64::from(high) << 32 | u64::from(low);
            ids.insert_unique(hash, (words, id), |(words, _)| hash_of(*words));
        }
        Some(id)
    })
}
