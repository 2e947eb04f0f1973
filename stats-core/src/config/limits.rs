//! What is more than a proxy can bear is less than was configured, and a warning says so.
//!
//! Envoy ends a VM whose memory grows beyond some gigabyte, and with it the requests in flight. What a
//! client can fill is bounded here, by the largest contents that there may be.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::mem;

use super::{Config, PeerConfig};
use crate::bytes::{MAX_VALUE_BYTES, bounded_text};
use crate::peer::cache::MAX_METADATA_BYTES;

/// The most bytes of a configuration.
pub const MAX_BYTES: usize = 1024 * 1024;
/// The most entries of a list, and labels of the user's own in all.
const MAX_ENTRIES: usize = 1_000;
/// The most lines that one configuration writes to the log.
const MAX_WARNINGS: usize = 8;

/// What the label sets of one direction may take, and what the peers of one source may.
const MAX_TABLE_BYTES: usize = 128 * 1024 * 1024;
/// The most that a label set takes beside the user's own labels: its peer, its principals, its service,
/// all as long as can be.
const MAX_SET_BYTES: usize = 8 * 1024;
/// The most that a peer in a cache takes: its metadata as it came, and as other filters find it.
const MAX_PEER_BYTES: usize = 2 * MAX_METADATA_BYTES;

impl Config {
    /// Takes off what is more than a proxy can bear.
    pub(super) fn clamp(&mut self, warnings: &mut Vec<String>) {
        let metrics = &mut self.metrics;
        cut(&mut metrics.definitions, "definitions", warnings);
        cut(&mut metrics.overrides, "metrics", warnings);
        let mut room = MAX_ENTRIES;
        let mut too_many = 0;
        for entry in &mut metrics.overrides {
            too_many += entry.dimensions.len().saturating_sub(room);
            entry.dimensions.truncate(room);
            room -= entry.dimensions.len();
        }
        if too_many > 0 {
            warnings.push(format!(
                "configuration at $.metrics: more than {MAX_ENTRIES} dimensions; the last {too_many} \
                 are ignored"
            ));
        }
        let added = MAX_ENTRIES - room;
        let of_a_set = MAX_SET_BYTES + MAX_VALUE_BYTES * added;
        clamp(
            &mut metrics.max_series,
            MAX_TABLE_BYTES / of_a_set,
            "max_series",
            warnings,
        );
        if metrics.max_series == 0 {
            warnings.push(format!(
                "configuration at $.max_series: with 0 every request is counted as overflow; the \
                 default is {}",
                super::MetricsConfig::default().max_series
            ));
        }
        let PeerConfig {
            max_cache_size,
            additional_labels,
            sources,
            tcp_exchange_clusters,
            ..
        } = &mut self.peers;
        cut(additional_labels, "additional_labels", warnings);
        cut(sources, "peer_sources", warnings);
        cut(tcp_exchange_clusters, "tcp_exchange_clusters", warnings);
        let most = MAX_TABLE_BYTES / MAX_PEER_BYTES;
        clamp(max_cache_size, most, "max_peer_cache_size", warnings);
    }
}

fn clamp(number: &mut usize, most: usize, field: &str, warnings: &mut Vec<String>) {
    if *number > most {
        let wanted = mem::replace(number, most);
        warnings.push(format!(
            "configuration at $.{field}: {wanted} is more than the memory of a worker bears; it is {most}"
        ));
    }
}

fn cut<T>(list: &mut Vec<T>, field: &str, warnings: &mut Vec<String>) {
    if let Some(too_many) = list.len().checked_sub(MAX_ENTRIES)
        && too_many > 0
    {
        list.truncate(MAX_ENTRIES);
        warnings.push(format!(
            "configuration at $.{field}: more than {MAX_ENTRIES} entries; the last {too_many} are \
             ignored"
        ));
    }
}

/// Leaves the first of many warnings and how many more there are, and of each its beginning.
pub fn bound(warnings: &mut Vec<String>) {
    for warning in &mut *warnings {
        warning.truncate(bounded_text(warning).len());
    }
    let more = warnings.len().saturating_sub(MAX_WARNINGS);
    if more > 0 {
        warnings.truncate(MAX_WARNINGS);
        warnings.push(format!("configuration: {more} more warnings"));
    }
}
