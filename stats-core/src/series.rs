//! From a label set to the metrics that count it.
//!
//! Labels are text, and 25 of them; a request finds its series by a small key of numbers instead.
//! Texts that recur together (a peer's, a service's, a connection's) are interned once, and the key
//! holds their numbers. Everything here is bounded by the one limit on series.

use alloc::string::String;
use alloc::vec::Vec;
use core::hash::{BuildHasher, Hash};

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};

use crate::dimensions::Outcome;
use crate::host::{MetricId, Metrics};
use crate::metrics::{HttpMetric, PREFIX};

/// Which label set a request has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SeriesKey {
    /// The peer's workload, interned.
    pub peer: u32,
    /// The connection's principals, interned.
    pub principals: u32,
    /// The service, interned.
    pub service: u32,
    /// How the request ended.
    pub outcome: Outcome,
}

/// The metrics of one label set.
pub type HttpMetrics = [Option<MetricId>; HttpMetric::ALL.len()];

/// The series of the HTTP metrics.
pub struct Series {
    limit: usize,
    known: HashMap<SeriesKey, HttpMetrics>,
    overflow: Option<HttpMetrics>,
}

impl Series {
    /// A table of at most `limit` label sets; what exceeds it is counted in one more.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            known: HashMap::new(),
            overflow: None,
        }
    }

    /// The metrics of a label set that was seen before.
    pub fn find(&self, key: &SeriesKey) -> Option<HttpMetrics> {
        self.known.get(key).copied()
    }

    /// Whether one more label set fits.
    pub fn has_room(&self) -> bool {
        self.known.len() < self.limit
    }

    /// Defines the metrics of a new label set, given as a
    /// [stat name's prefix](crate::dimensions::Facts::stat_name_prefix).
    pub fn add(&mut self, host: &impl Metrics, key: SeriesKey, prefix: String) -> HttpMetrics {
        let metrics = define(host, prefix);
        self.known.insert(key, metrics);
        metrics
    }

    /// The metrics that count what does not fit, defined on first use. `first` says whether this is
    /// that use.
    pub fn overflow(
        &mut self,
        host: &impl Metrics,
        prefix: impl FnOnce() -> String,
    ) -> (HttpMetrics, bool) {
        match self.overflow {
            Some(metrics) => (metrics, false),
            None => (*self.overflow.insert(define(host, prefix())), true),
        }
    }
}

fn define(host: &impl Metrics, mut name: String) -> HttpMetrics {
    let prefix = name.len();
    HttpMetric::ALL.map(|metric| {
        name.truncate(prefix);
        name.push_str(PREFIX);
        name.push_str(metric.name());
        host.define(metric.kind(), &name)
    })
}

/// Numbers for contents: the same content has the same number for as long as the interner lives.
pub struct Interner<T> {
    hasher: DefaultHashBuilder,
    numbers: HashTable<(u64, u32)>,
    contents: Vec<T>,
    limit: usize,
}

impl<T> Interner<T> {
    /// An interner of at most `limit` contents.
    pub fn new(limit: usize) -> Self {
        Self {
            hasher: DefaultHashBuilder::default(),
            numbers: HashTable::new(),
            contents: Vec::new(),
            limit,
        }
    }

    /// The number of a content, which is hashed by `content` and compared by `is`. A new one is
    /// kept as `make` gives it; `None` where there is no room for it.
    pub fn number(
        &mut self,
        content: impl Hash,
        is: impl Fn(&T) -> bool,
        make: impl FnOnce() -> T,
    ) -> Option<u32> {
        let hash = self.hasher.hash_one(content);
        let found = self
            .numbers
            .find(hash, |&(_, number)| self.get(number).is_some_and(&is));
        if let Some(&(_, number)) = found {
            return Some(number);
        }
        if self.contents.len() >= self.limit {
            return None;
        }
        let number = u32::try_from(self.contents.len()).ok()?;
        self.contents.push(make());
        self.numbers
            .insert_unique(hash, (hash, number), |&(hash, _)| hash);
        Some(number)
    }

    /// The content of a number.
    pub fn get(&self, number: u32) -> Option<&T> {
        self.contents.get(number as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

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
