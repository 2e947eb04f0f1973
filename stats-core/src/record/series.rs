//! From a label set to the metrics that count it.
//!
//! Labels are text, and 25 of them; a request finds its series by a small key of numbers instead.
//! Texts that recur together (a peer's, a service's, a connection's) are interned once, and the key
//! holds their numbers. Everything here is bounded by the one limit on series.

use alloc::vec::Vec;
use core::hash::{BuildHasher, Hash};

use crate::bytes::Hashing;
use crate::dimensions::Outcome;
use crate::exchange::UnknownReason;
use crate::host::MetricId;
use crate::places::Places;

/// Which label set a request has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SeriesKey {
    /// The peer's workload, interned.
    pub peer: u32,
    /// A waypoint's other peer, interned.
    pub upstream: u32,
    /// The connection's principals, interned.
    pub principals: u32,
    /// The service, interned.
    pub service: u32,
    /// What the user's expressions say, interned; zero where there are none.
    pub custom: u32,
    /// The operation's number.
    pub operation: Option<u32>,
    /// Why the peer is not known.
    pub reason: UnknownReason,
    /// How the request ended.
    pub outcome: Outcome,
}

/// From label sets to the metrics that count them. A label set's metrics have one number.
pub struct Series {
    /// How many metrics each label set has.
    width: usize,
    known: Interner<SeriesKey>,
    /// The metrics of label set `n` begin at `n * width`; `None` for one that is dropped.
    metrics: Vec<Option<MetricId>>,
    overflow: Vec<Option<MetricId>>,
}

/// The number of what exceeds the limit.
const OVERFLOW: u32 = u32::MAX;

impl Series {
    /// A table of at most `limit` label sets of `width` metrics each; what exceeds it is counted in
    /// one more.
    pub fn new(limit: usize, width: usize) -> Self {
        Self {
            width,
            known: Interner::new(limit),
            metrics: Vec::new(),
            overflow: Vec::new(),
        }
    }

    /// The number of a label set that was seen before.
    #[inline]
    pub fn find(&mut self, key: &SeriesKey) -> Option<u32> {
        self.known.find(key, |known| known == key)
    }

    /// Whether one more label set fits.
    pub fn has_room(&self) -> bool {
        self.known.has_room()
    }

    /// Adds a new label set with its metrics; `None` where it does not fit.
    pub fn add(&mut self, key: SeriesKey, metrics: Vec<Option<MetricId>>) -> Option<u32> {
        let number = self.known.add(&key, || key)?;
        self.metrics.extend(metrics);
        self.metrics
            .resize((number as usize + 1) * self.width, None);
        Some(number)
    }

    /// The number of what does not fit, once it is there.
    pub fn overflow(&self) -> Option<u32> {
        (!self.overflow.is_empty()).then_some(OVERFLOW)
    }

    /// Adds the metrics of what does not fit.
    pub fn add_overflow(&mut self, metrics: Vec<Option<MetricId>>) -> u32 {
        self.overflow = metrics;
        OVERFLOW
    }

    /// The metrics of a label set.
    #[inline]
    pub fn metrics(&self, number: u32) -> &[Option<MetricId>] {
        if number == OVERFLOW {
            return &self.overflow;
        }
        let start = number as usize * self.width;
        self.metrics
            .get(start..start + self.width)
            .unwrap_or_default()
    }
}

/// Numbers for contents: the same content has the same number for as long as the interner lives.
pub struct Interner<T> {
    places: Places,
    contents: Vec<T>,
    limit: usize,
    /// The number that was found last: often the next one too.
    last: u32,
}

impl<T> Interner<T> {
    /// An interner of at most `limit` contents.
    pub fn new(limit: usize) -> Self {
        Self {
            places: Places::default(),
            contents: Vec::new(),
            limit,
            last: 0,
        }
    }

    /// The number of a content, which is hashed by `content` and compared by `is`. A new one is
    /// kept as `make` gives it; `None` where there is no room for it.
    pub fn number(
        &mut self,
        content: impl Hash + Copy,
        is: impl Fn(&T) -> bool,
        make: impl FnOnce() -> T,
    ) -> Option<u32> {
        self.find(content, is).or_else(|| self.add(content, make))
    }

    /// The number of a content that is there.
    pub fn find(&mut self, content: impl Hash, is: impl Fn(&T) -> bool) -> Option<u32> {
        let is = |number| self.get(number).is_some_and(&is);
        if !is(self.last) {
            self.last = self.places.find(hash(content), is)?;
        }
        Some(self.last)
    }

    /// Adds a content that is not there.
    pub fn add(&mut self, content: impl Hash, make: impl FnOnce() -> T) -> Option<u32> {
        if !self.has_room() {
            return None;
        }
        let number = u32::try_from(self.contents.len()).ok()?;
        self.contents.push(make());
        self.places.insert(hash(content), number);
        Some(number)
    }

    /// Whether one more content fits.
    pub fn has_room(&self) -> bool {
        self.contents.len() < self.limit
    }

    /// The content of a number.
    pub fn get(&self, number: u32) -> Option<&T> {
        self.contents.get(number as usize)
    }
}

#[inline]
fn hash(content: impl Hash) -> u64 {
    Hashing::default().hash_one(content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::{String, ToString};

    fn number(interner: &mut Interner<String>, text: &str) -> Option<u32> {
        interner.number(text, |known| known == text, || text.to_string())
    }

    #[test]
    fn the_same_content_keeps_its_number() {
        let mut interner = Interner::new(1000);
        let numbers: Vec<_> = (0..1000)
            .map(|n| number(&mut interner, &n.to_string()))
            .collect();
        for (n, first) in numbers.into_iter().enumerate() {
            assert!(first.is_some());
            assert_eq!(number(&mut interner, &n.to_string()), first);
            assert_eq!(interner.get(first.unwrap()), Some(&n.to_string()));
        }
    }

    #[test]
    fn a_full_interner_takes_nothing_new_and_keeps_the_old() {
        let mut interner = Interner::new(1);
        assert_eq!(number(&mut interner, "a"), Some(0));
        assert_eq!(number(&mut interner, "b"), None);
        assert_eq!(number(&mut interner, "a"), Some(0));
    }
}
