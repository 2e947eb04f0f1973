//! From hashes to places in a list: what all look-up tables here stand on. The contents are the
//! list's; this does not know them, so that it is compiled once for all kinds of them.

use hashbrown::HashTable;

/// Places by hash. Different contents may have the same hash.
#[derive(Default)]
pub struct Places(HashTable<(u64, u32)>);

impl Places {
    /// The place of a content with this hash, of those that `is` accepts.
    pub fn find(&self, hash: u64, is: impl Fn(u32) -> bool) -> Option<u32> {
        let found = self.0.find(hash, |&(of, at)| of == hash && is(at))?;
        Some(found.1)
    }

    /// Adds a place.
    pub fn insert(&mut self, hash: u64, at: u32) {
        self.0.insert_unique(hash, (hash, at), |&(hash, _)| hash);
    }

    /// How many places there are.
    #[cfg(test)]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Takes a place away.
    pub fn remove(&mut self, hash: u64, at: u32) {
        if let Ok(entry) = self.0.find_entry(hash, |&known| known == (hash, at)) {
            entry.remove();
        }
    }
}
