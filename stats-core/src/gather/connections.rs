//! What is known of downstream connections, by their ids: what does not change while a connection
//! lasts is asked for once.

use alloc::vec::Vec;

/// More than a worker usually has open; a power of two, so that a slot is found by a mask.
const SLOTS: usize = 1024;

/// A table in which a newer connection may displace an older one, which then only costs a look-up.
pub struct ConnectionTable<T> {
    slots: Vec<Option<(u64, T)>>,
}

impl<T> Default for ConnectionTable<T> {
    /// A table that takes no memory before something is remembered.
    fn default() -> Self {
        Self { slots: Vec::new() }
    }
}

impl<T: Copy> ConnectionTable<T> {
    /// What is known of the connection with this id.
    #[inline]
    pub fn find(&self, id: u64) -> Option<T> {
        match self.slots.get(slot(id)) {
            Some(Some((known, what))) if *known == id => Some(*what),
            _ => None,
        }
    }

    /// Remembers something of a connection.
    pub fn remember(&mut self, id: u64, what: T) {
        if self.slots.is_empty() {
            self.slots.resize_with(SLOTS, || None);
        }
        if let Some(slot) = self.slots.get_mut(slot(id)) {
            *slot = Some((id, what));
        }
    }
}

/// Ids count up, so connections that were opened one after the other do not collide.
fn slot(id: u64) -> usize {
    id as usize % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_connection_displaces_one_in_its_slot_and_no_other() {
        let mut connections = ConnectionTable::default();
        connections.remember(1, 'a');
        connections.remember(2, 'b');
        connections.remember(1 + SLOTS as u64, 'c');
        let known = [1, 2, 1 + SLOTS as u64].map(|id| connections.find(id));
        assert_eq!(known, [None, Some('b'), Some('c')]);
    }
}
