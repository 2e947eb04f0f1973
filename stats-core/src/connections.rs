//! What is known of downstream connections, by their ids. What does not change while a connection
//! lasts is asked for once.

use alloc::vec::Vec;

/// More than a worker usually has open; a power of two, so that a place is found by a mask.
const PLACES: usize = 1024;

/// A table in which a newer connection may displace an older one, which then only costs a look-up.
pub struct Connections<T> {
    places: Vec<Option<(u64, T)>>,
}

impl<T: Copy> Default for Connections<T> {
    fn default() -> Self {
        Self {
            places: alloc::vec![None; PLACES],
        }
    }
}

impl<T: Copy> Connections<T> {
    /// What is known of the connection with this id.
    pub fn find(&self, id: u64) -> Option<T> {
        match self.places.get(place(id)) {
            Some(Some((known, what))) if *known == id => Some(*what),
            _ => None,
        }
    }

    /// Remembers something of a connection.
    pub fn remember(&mut self, id: u64, what: T) {
        if let Some(place) = self.places.get_mut(place(id)) {
            *place = Some((id, what));
        }
    }
}

/// Ids are consecutive, so neighbours do not collide.
fn place(id: u64) -> usize {
    id as usize % PLACES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_connection_displaces_one_at_its_place_and_no_other() {
        let mut connections = Connections::default();
        connections.remember(1, 'a');
        connections.remember(2, 'b');
        connections.remember(1 + PLACES as u64, 'c');
        let known = [1, 2, 1 + PLACES as u64].map(|id| connections.find(id));
        assert_eq!(known, [None, Some('b'), Some('c')]);
    }
}
