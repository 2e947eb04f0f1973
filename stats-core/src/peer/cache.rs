//! A bounded cache of decoded peers.

use alloc::vec::Vec;

use super::PeerId;
use crate::bytes::same;
use crate::intern::index::HashIndex;
use crate::intern::seed::Seed;

/// The most bytes of encoded metadata that are decoded; a real workload has some 500. A larger one
/// means an unknown peer.
pub const MAX_METADATA_BYTES: usize = 8 * 1024;

/// A decoded peer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// Its workload's number.
    pub id: PeerId,
    /// Its workload as other filters find it in filter state; empty where it is not published.
    pub published: Vec<u8>,
}

/// Decoded peers, at most so many.
///
/// An id is chosen by whoever sends it, so an entry is only ever served for exactly the value it
/// was decoded from. The entry that makes room is the first one that was not used since the hand
/// last passed it (the CLOCK algorithm), so that a flood of new ids does not displace the peers in
/// use at once.
pub struct PeerCache {
    seed: Seed,
    /// Zero turns the cache off: then each peer is decoded into the one entry.
    capacity: usize,
    /// Where the entry of an id is, by the id's hash: the value decides, so a collision costs no
    /// more than a decode.
    index: HashIndex,
    entries: Vec<CachedPeer>,
    hand: usize,
    /// The position that was found last: often the next one too.
    last: u32,
}

struct CachedPeer {
    id_hash: u64,
    value: Vec<u8>,
    peer: Option<Peer>,
    used: bool,
}

/// Decodes a peer's metadata; `None` where it does not decode, or tells nothing.
pub type Decode<'a> = dyn FnMut(&[u8]) -> Option<Peer> + 'a;

impl PeerCache {
    /// A cache of up to `capacity` peers; zero turns it off.
    pub fn new(seed: Seed, capacity: usize) -> Self {
        Self {
            seed,
            capacity,
            index: HashIndex::default(),
            entries: Vec::new(),
            hand: 0,
            last: 0,
        }
    }

    /// The peer of this id and value, through `decode` where they are new together. A value that
    /// does not decode, or that tells nothing, is remembered as such.
    #[inline]
    pub fn find_or_decode(
        &mut self,
        id: &[u8],
        value: &[u8],
        decode: &mut Decode<'_>,
    ) -> Option<&Peer> {
        let at = if self.is(self.last, value) {
            self.last
        } else {
            match self.position(id, value) {
                Some(at) => at,
                None => return self.decode(id, value, decode),
            }
        };
        self.last = at;
        let entry = self.entries.get_mut(at as usize)?;
        entry.used = true;
        entry.peer.as_ref()
    }

    /// Whether the entry at this position was decoded from this value.
    #[inline]
    fn is(&self, at: u32, value: &[u8]) -> bool {
        let entry = self.entries.get(at as usize);
        self.capacity > 0 && entry.is_some_and(|entry| same(&entry.value, value))
    }

    /// The position of the entry of this id, if it was decoded from this value.
    fn position(&self, id: &[u8], value: &[u8]) -> Option<u32> {
        let at = self.index.find(self.seed.hash(id), |_| true)?;
        self.is(at, value).then_some(at)
    }

    #[cold]
    fn decode(&mut self, id: &[u8], value: &[u8], decode: &mut Decode<'_>) -> Option<&Peer> {
        if value.len() > MAX_METADATA_BYTES {
            return None;
        }
        let id_hash = self.seed.hash(id);
        let entry = CachedPeer {
            id_hash,
            value: value.to_vec(),
            peer: decode(value),
            used: false,
        };
        let at = self.room_for(id_hash);
        let position = u32::try_from(at).ok()?;
        match self.entries.get_mut(at) {
            Some(old) => {
                self.index.remove(old.id_hash, position);
                *old = entry;
            }
            None => self.entries.push(entry),
        }
        self.index.insert(id_hash, position);
        self.entries.get(at)?.peer.as_ref()
    }

    /// The position for a new entry: that of the old one with the same id, a new one, or that of one
    /// that has to go.
    fn room_for(&mut self, id_hash: u64) -> usize {
        if let Some(at) = self.index.find(id_hash, |_| true) {
            return at as usize;
        }
        if self.entries.len() < self.capacity.max(1) {
            return self.entries.len();
        }
        self.next_victim()
    }

    /// Moves the hand to the next entry that was not used, taking the mark off those it passes.
    fn next_victim(&mut self) -> usize {
        loop {
            let at = self.hand;
            self.hand = (at + 1) % self.entries.len().max(1);
            match self.entries.get_mut(at) {
                Some(entry) if entry.used => entry.used = false,
                _ => return at,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::{String, ToString};

    fn cache(capacity: usize) -> PeerCache {
        PeerCache::new(Seed::default(), capacity)
    }

    /// Looks up a peer that publishes its value, counting decodes.
    fn find(cache: &mut PeerCache, id: &str, value: &str, decodes: &mut usize) -> Option<String> {
        let mut decode = |value: &[u8]| {
            *decodes += 1;
            Some(Peer {
                published: value.to_vec(),
                ..Peer::default()
            })
        };
        let peer = cache.find_or_decode(id.as_bytes(), value.as_bytes(), &mut decode);
        peer.map(|peer| String::from_utf8(peer.published.clone()).unwrap())
    }

    #[test]
    fn a_known_id_and_value_are_not_decoded_again() {
        let (mut cache, mut decodes) = (cache(2), 0);
        for _ in 0..3 {
            assert_eq!(
                find(&mut cache, "id", "v", &mut decodes).as_deref(),
                Some("v")
            );
        }
        assert_eq!(decodes, 1);
    }

    #[test]
    fn a_forged_id_gets_what_it_sent_and_not_the_cached_peer() {
        let (mut cache, mut decodes) = (cache(2), 0);
        find(&mut cache, "id", "honest", &mut decodes);
        assert_eq!(
            find(&mut cache, "id", "forged", &mut decodes).as_deref(),
            Some("forged")
        );
        assert_eq!(
            find(&mut cache, "id", "honest", &mut decodes).as_deref(),
            Some("honest")
        );
    }

    #[test]
    fn the_cache_is_bounded_and_keeps_what_is_used() {
        let (mut cache, mut decodes) = (cache(3), 0);
        find(&mut cache, "busy", "b", &mut decodes);
        for n in 0..100 {
            find(&mut cache, &n.to_string(), "v", &mut decodes);
            find(&mut cache, "busy", "b", &mut decodes);
        }
        assert_eq!(decodes, 101, "the busy peer was decoded once");
        assert_eq!(cache.entries.len(), 3);
        assert_eq!(cache.index.len(), 3);
    }

    #[test]
    fn capacity_zero_turns_the_cache_off() {
        let (mut cache, mut decodes) = (cache(0), 0);
        for value in ["v", "v", "w"] {
            assert_eq!(
                find(&mut cache, "id", value, &mut decodes).as_deref(),
                Some(value)
            );
        }
        assert_eq!((decodes, cache.entries.len(), cache.index.len()), (3, 1, 1));
    }

    #[test]
    fn values_that_begin_alike_are_kept_apart() {
        let (mut cache, mut decodes) = (cache(2), 0);
        let alike = "v".repeat(2000);
        for _ in 0..3 {
            for value in [alike.clone() + "1", alike.clone() + "2"] {
                assert_eq!(find(&mut cache, &value, &value, &mut decodes), Some(value));
            }
        }
        assert_eq!(decodes, 2);
    }

    #[test]
    fn a_value_that_does_not_decode_is_remembered_as_such() {
        let (mut cache, mut decodes) = (cache(1), 0);
        for _ in 0..2 {
            let mut decode = |_: &[u8]| {
                decodes += 1;
                None
            };
            assert_eq!(cache.find_or_decode(b"id", b"", &mut decode), None);
        }
        assert_eq!(decodes, 1);
    }

    #[test]
    fn an_oversized_value_is_an_unknown_peer() {
        let (mut cache, mut decodes) = (cache(2), 0);
        let value = "v".repeat(MAX_METADATA_BYTES + 1);
        assert_eq!(find(&mut cache, "id", &value, &mut decodes), None);
        assert_eq!(decodes, 0);
    }
}
