//! Numbers for contents that recur: a peer's workload, a service, a connection's principals. The same
//! content has the same number for as long as the interner lives. What stands below the tables is here
//! too: hashing with a [`Seed`], and an index by hash.

pub mod index;
pub mod seed;

use alloc::vec::Vec;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::marker::PhantomData;

use index::HashIndex;
use seed::Seed;

/// The number of a content of kind `T`. The default is the number of the default content, of which
/// nothing is known.
pub struct Id<T>(u32, PhantomData<fn() -> T>);

impl<T> Id<T> {
    /// Stands for all contents for which the interner had no room.
    pub const NO_ROOM: Self = Self(u32::MAX, PhantomData);

    fn new(at: u32) -> Self {
        Self(at, PhantomData)
    }
}

impl<T> Clone for Id<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Id<T> {}

impl<T> Default for Id<T> {
    fn default() -> Self {
        Self::new(0)
    }
}

impl<T> PartialEq for Id<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T> Eq for Id<T> {}

impl<T> Hash for Id<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl<T> fmt::Debug for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Id({})", self.0)
    }
}

/// Contents by number, at most so many.
pub struct Interner<T> {
    seed: Seed,
    index: HashIndex,
    contents: Vec<T>,
    limit: usize,
    /// The position that was found last: often the next one too.
    last: u32,
}

/// Room for [parts](Interner::part), beyond the limit.
const PARTS: usize = 256;

impl<T: Default + Hash> Interner<T> {
    /// An interner with the default content, and room for `limit` more.
    pub fn new(seed: Seed, limit: usize) -> Self {
        let mut interner = Self {
            seed,
            index: HashIndex::default(),
            contents: Vec::new(),
            limit: limit.saturating_add(1),
            last: 0,
        };
        let content = T::default();
        let hash = seed.hash(&content);
        interner.add(hash, content);
        interner
    }

    /// The number of a content. `content` hashes as `T` does, `is` compares it with one that is
    /// there, and `make` makes a new one; [`Id::NO_ROOM`] where there is no room for it.
    #[inline]
    pub fn id(
        &mut self,
        content: impl Hash,
        is: impl Fn(&T) -> bool,
        make: impl FnOnce() -> T,
    ) -> Id<T> {
        if self.at(self.last).is_some_and(&is) {
            return Id::new(self.last);
        }
        let hash = self.seed.hash(content);
        let contents = &self.contents;
        let is = |at: u32| contents.get(at as usize).is_some_and(&is);
        match self.index.find(hash, is) {
            Some(at) => {
                self.last = at;
                Id::new(at)
            }
            None => self.add_new(hash, make),
        }
    }

    /// The content of a number; `None` for [`Id::NO_ROOM`] and for a [part](Self::part).
    #[inline]
    pub fn get(&self, id: Id<T>) -> Option<&T> {
        self.at(id.0).filter(|_| (id.0 as usize) < self.limit)
    }

    /// The number of what is kept of a content for which there is no room: less than the whole, so that
    /// there are few of them. [`Id::NO_ROOM`] where there are too many all the same.
    #[cold]
    pub fn part(&mut self, part: T) -> Id<T>
    where
        T: PartialEq,
    {
        let hash = self.seed.hash(&part);
        let contents = &self.contents;
        let is = |at: u32| contents.get(at as usize) == Some(&part);
        match self.index.find(hash, is) {
            Some(at) => Id::new(at),
            None if contents.len() >= self.limit.saturating_add(PARTS) => Id::NO_ROOM,
            None => self.add(hash, part),
        }
    }

    /// The content of a number, or the part that is kept of it.
    pub fn get_part(&self, id: Id<T>) -> Option<&T> {
        self.at(id.0)
    }

    #[inline]
    fn at(&self, at: u32) -> Option<&T> {
        self.contents.get(at as usize)
    }

    #[cold]
    fn add_new(&mut self, hash: u64, make: impl FnOnce() -> T) -> Id<T> {
        if self.contents.len() >= self.limit {
            return Id::NO_ROOM;
        }
        self.add(hash, make())
    }

    fn add(&mut self, hash: u64, content: T) -> Id<T> {
        let at = self.contents.len() as u32;
        self.contents.push(content);
        self.index.insert(hash, at);
        Id::new(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::borrow::ToOwned;
    use alloc::collections::BTreeSet;
    use alloc::string::{String, ToString};
    use core::cell::Cell;

    fn interner(limit: usize) -> Interner<String> {
        Interner::new(Seed::new([7; 16]), limit)
    }

    fn id(interner: &mut Interner<String>, text: &str) -> Id<String> {
        interner.id(text, |known| known == text, || text.to_owned())
    }

    #[test]
    fn the_same_content_keeps_its_number() {
        let mut interner = interner(1000);
        let ids: Vec<_> = (0..1000)
            .map(|n| id(&mut interner, &n.to_string()))
            .collect();
        for (n, first) in ids.into_iter().enumerate() {
            assert_eq!(id(&mut interner, &n.to_string()), first);
            assert_eq!(interner.get(first), Some(&n.to_string()));
        }
    }

    #[test]
    fn the_default_content_has_the_default_number() {
        let mut interner = interner(0);
        assert_eq!(id(&mut interner, ""), Id::default());
        assert_eq!(interner.get(Id::default()), Some(&String::new()));
    }

    #[test]
    fn a_full_interner_takes_nothing_new_and_keeps_the_old() {
        let mut interner = interner(1);
        let a = id(&mut interner, "a");
        assert_eq!(id(&mut interner, "b"), Id::NO_ROOM);
        assert_eq!(id(&mut interner, "a"), a);
        assert_eq!(interner.get(Id::NO_ROOM), None);
    }

    #[test]
    fn of_what_finds_no_room_a_part_is_kept_and_parts_are_bounded() {
        let mut interner = interner(1);
        let a = id(&mut interner, "a");
        assert_eq!(id(&mut interner, "long"), Id::NO_ROOM);
        let part = interner.part("l".to_owned());
        assert_eq!(interner.part("l".to_owned()), part);
        assert_eq!(interner.get(part), None, "it is not the whole");
        assert_eq!(interner.get_part(part), Some(&"l".to_owned()));
        assert_eq!(interner.get_part(a), interner.get(a));
        let parts: BTreeSet<_> = (0..2 * PARTS)
            .map(|n| interner.part(n.to_string()).0)
            .collect();
        assert_eq!(parts.len(), PARTS, "and NO_ROOM is one of them");
        assert!(parts.contains(&Id::<String>::NO_ROOM.0));
    }

    const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

    /// A hash of words without a key: rotated, mixed in, multiplied.
    fn unkeyed(name: &str) -> u64 {
        let (words, _) = name.as_bytes().as_chunks::<8>();
        words.iter().fold(0, |state: u64, word| {
            (state.rotate_left(23) ^ u64::from_le_bytes(*word)).wrapping_mul(MULTIPLIER)
        })
    }

    /// Names that collide under [`unkeyed`]: whatever the first word does to the state, the second one
    /// undoes. Those that are text are found by trying.
    fn forged_names(count: usize) -> Vec<String> {
        let forge = |number: u64| {
            let first = (number & 0x7f7f_7f7f) | 0x7761_7274_0000_0000;
            let state = first.wrapping_mul(MULTIPLIER);
            let second = state.rotate_left(23) ^ 0x4242_4242_4242_4242;
            let name = [first.to_le_bytes(), second.to_le_bytes(), *b"-podinfo"].concat();
            String::from_utf8(name).ok()
        };
        let mut names = BTreeSet::new();
        for number in 0.. {
            names.extend(forge(number));
            if names.len() == count {
                break;
            }
        }
        names.into_iter().collect()
    }

    #[test]
    fn forged_names_do_not_slow_a_look_up_down() {
        const NAMES: usize = 500;
        let names = forged_names(NAMES);
        assert!(names.iter().all(|name| unkeyed(name) == unkeyed(&names[0])));
        let mut interner = interner(NAMES);
        for name in &names {
            id(&mut interner, name);
        }
        let compared = Cell::new(0);
        for name in &names {
            let is = |known: &String| {
                compared.set(compared.get() + 1);
                known == name
            };
            interner.id(name, is, || unreachable!("{name} is there"));
        }
        // Once with the last one found, once with itself.
        assert!(
            compared.get() <= 2 * NAMES,
            "{} comparisons",
            compared.get()
        );
    }
}
