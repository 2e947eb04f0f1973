//! From hashes to positions in a list: what the look-up tables stand on. The contents are the list's;
//! the index does not know them, so that it is compiled once for all kinds of contents.

use hashbrown::HashTable;

/// Positions by hash. Different contents may have the same hash.
///
/// Half of a hash is kept: that tells apart as many contents as a table holds, and an entry takes half
/// as much memory.
#[derive(Default)]
pub struct HashIndex(HashTable<(u32, u32)>);

impl HashIndex {
    /// The position of a content with this hash, of those that `is` accepts.
    pub fn find(&self, hash: u64, mut is: impl FnMut(u32) -> bool) -> Option<u32> {
        let half = hash as u32;
        let found = self
            .0
            .find(spread(half), |&(of, at)| of == half && is(at))?;
        Some(found.1)
    }

    /// Adds a position.
    pub fn insert(&mut self, hash: u64, at: u32) {
        let half = hash as u32;
        self.0
            .insert_unique(spread(half), (half, at), |&(half, _)| spread(half));
    }

    /// How many positions there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes a position away.
    pub fn remove(&mut self, hash: u64, at: u32) {
        let half = hash as u32;
        let found = self
            .0
            .find_entry(spread(half), |&known| known == (half, at));
        if let Ok(entry) = found {
            entry.remove();
        }
    }
}

/// A table takes the bucket from the lower bits and a tag from the upper ones.
fn spread(half: u32) -> u64 {
    u64::from(half) << 32 | u64::from(half)
}
