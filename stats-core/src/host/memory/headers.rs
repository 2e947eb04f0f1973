//! The headers of a [`MemoryHost`](super::MemoryHost).

use alloc::string::String;
use alloc::vec::Vec;

/// Headers by name.
#[derive(Clone, Debug, Default)]
pub struct HeaderList(Vec<(String, Vec<u8>)>);

impl HeaderList {
    /// The value of a header.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| &**value)
    }

    /// Sets a header, instead of any with this name, in its memory.
    pub fn set(&mut self, name: &str, value: impl AsRef<[u8]>) {
        let at = self.0.iter().position(|(known, _)| known == name);
        let at = at.unwrap_or_else(|| {
            self.0.push((name.into(), Vec::new()));
            self.0.len() - 1
        });
        let known = &mut self.0[at].1;
        known.clear();
        known.extend_from_slice(value.as_ref());
    }

    /// Removes a header.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(known, _)| known != name);
    }

    /// All headers, in the order in which they were first set.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &[u8])> + Clone {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// Removes all headers.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}
