//! What is remembered of open requests, by the number that the host gave each. What it is, is in
//! [`plugin`](crate::plugin).

use alloc::vec::Vec;
use core::mem;

/// States of open requests.
///
/// A request looks for its state in each callback. A number's place is the one that its product with
/// [`MULTIPLIER`] begins with, or the next that is free: numbers are consecutive, and this sets them
/// apart as evenly as can be. Were they neighbours, many that are open for long would be one long row,
/// in which each new request that came upon it would have to search.
pub struct Streams<T> {
    /// A power of two of them, at least half of them free; none at first.
    places: Vec<Option<(u32, T)>>,
    open: usize,
}

/// The fewest places, once there are any.
const FEWEST: usize = 64;
/// Of the fractional part of the golden ratio.
const MULTIPLIER: u32 = 0x9e37_79b9;

impl<T> Streams<T> {
    /// No open request.
    pub const fn new() -> Self {
        Self {
            places: Vec::new(),
            open: 0,
        }
    }

    /// A request begins, of a number that no open one has.
    #[inline]
    pub fn insert(&mut self, number: u32, state: T) {
        if self.places.len() <= self.open * 2 {
            self.grow();
        }
        self.open += 1;
        self.put(number, state);
    }

    /// The state of an open request.
    #[inline]
    pub fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        let at = self.find(number)?;
        Some(&mut self.places.get_mut(at)?.as_mut()?.1)
    }

    /// A request has ended.
    #[inline]
    pub fn end(&mut self, number: u32) {
        if let Some(at) = self.find(number)
            && let Some(place) = self.places.get_mut(at)
        {
            *place = None;
            self.open -= 1;
            self.close_up(at);
        }
    }

    /// Forgets all requests but those that `keep` says to keep.
    pub fn retain(&mut self, mut keep: impl FnMut(u32, &mut T) -> bool) {
        let open = self.places.iter_mut().flatten();
        let ended: Vec<u32> = open
            .filter_map(|(number, state)| (!keep(*number, state)).then_some(*number))
            .collect();
        for number in ended {
            self.end(number);
        }
    }

    #[inline]
    fn find(&self, number: u32) -> Option<usize> {
        let mut at = self.home(number);
        loop {
            match self.places.get(at)? {
                Some((found, _)) if *found == number => return Some(at),
                Some(_) => at = self.next(at),
                None => return None,
            }
        }
    }

    fn put(&mut self, number: u32, state: T) {
        let mut at = self.home(number);
        while let Some(Some(_)) = self.places.get(at) {
            at = self.next(at);
        }
        if let Some(place) = self.places.get_mut(at) {
            *place = Some((number, state));
        }
    }

    /// Moves into a place that has become free what could not have it: a search ends at a free place.
    #[inline]
    fn close_up(&mut self, mut free: usize) {
        let mut at = self.next(free);
        while let Some(Some((number, _))) = self.places.get(at) {
            let distance = |from: usize| at.wrapping_sub(from) & self.mask();
            if distance(self.home(*number)) >= distance(free) {
                self.places.swap(free, at);
                free = at;
            }
            at = self.next(at);
        }
    }

    #[cold]
    fn grow(&mut self) {
        let places = (self.places.len() * 2).max(FEWEST);
        let places = (0..places).map(|_| None).collect();
        for (number, state) in mem::replace(&mut self.places, places).into_iter().flatten() {
            self.put(number, state);
        }
    }

    #[inline]
    fn mask(&self) -> usize {
        self.places.len().wrapping_sub(1)
    }

    /// The place that a number has if nobody else has it.
    #[inline]
    fn home(&self, number: u32) -> usize {
        // So many bits tell one of so many places.
        let bits = self.places.len().trailing_zeros();
        number
            .wrapping_mul(MULTIPLIER)
            .unbounded_shr(u32::BITS.wrapping_sub(bits)) as usize
    }

    #[inline]
    fn next(&self, at: usize) -> usize {
        (at + 1) & self.mask()
    }
}

impl<T> Default for Streams<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;
    use proptest::prelude::*;

    /// What a proxy may do.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        Begin(u32),
        End(u32),
        EndEach(u32),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        // Some from the very end.
        let number = prop_oneof![0_u32..200, u32::MAX - 3..=u32::MAX];
        let step = (number, 0..20).prop_map(|(number, kind)| match kind {
            0 => Step::EndEach(number % 5 + 2),
            1..8 => Step::End(number),
            _ => Step::Begin(number),
        });
        prop::collection::vec(step, 0..300)
    }

    proptest! {
        #[test]
        fn it_is_a_map(steps in steps()) {
            let (mut streams, mut map) = (Streams::new(), BTreeMap::new());
            for (state, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Begin(number) if map.contains_key(&number) => {}
                    Step::Begin(number) => {
                        streams.insert(number, state);
                        map.insert(number, state);
                    }
                    Step::End(number) => {
                        streams.end(number);
                        map.remove(&number);
                    }
                    Step::EndEach(n) => {
                        let keep = |number: u32, _: &mut usize| !number.is_multiple_of(n);
                        let mut seen = Vec::new();
                        streams.retain(|number, state| {
                            seen.push(number);
                            keep(number, state)
                        });
                        seen.sort_unstable();
                        prop_assert!(seen.iter().eq(map.keys()), "each once");
                        map.retain(|number, state| keep(*number, state));
                    }
                }
                for number in (0..256).chain(u32::MAX - 3..=u32::MAX) {
                    prop_assert_eq!(streams.get_mut(number), map.get_mut(&number));
                }
            }
        }
    }

    #[test]
    fn what_is_open_for_long_is_in_nobodys_way() {
        const LONG: u32 = 1_000;
        let mut streams = Streams::new();
        for number in 0..LONG {
            streams.insert(number, "long");
        }
        let places = streams.places.len();
        for number in LONG..50 * LONG {
            streams.insert(number, "short");
            let at = streams.find(number).expect("it is there");
            let distance = at.wrapping_sub(streams.home(number)) & streams.mask();
            assert!(distance < 8, "{number} is {distance} places from home");
            streams.end(number);
        }
        assert_eq!(
            streams.places.len(),
            places,
            "for as many as are open at once"
        );
        assert_eq!(streams.get_mut(0), Some(&mut "long"));
    }
}
