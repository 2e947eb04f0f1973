//! From label sets to the series that count them.
//!
//! Labels are text, and 25 of them; a request finds its series by a small key of numbers instead. Keys
//! that show the same values share their series: which they are is decided by the text of all labels when a
//! key is new. Everything here is bounded by the limit on label sets; what exceeds it has a few sets more,
//! by [`OverflowKey`].

use alloc::vec::Vec;
use core::iter;

use super::facts::SeriesKey;
use super::overflow::{OVERFLOW_SETS, OverflowKey};
use crate::host::SeriesId;
use crate::intern::index::HashIndex;
use crate::intern::seed::Seed;

/// The number of a label set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetId(u32);

impl SetId {
    /// The label sets of which no metric is recorded.
    pub const DROPPED: Self = Self(u32::MAX);
}

/// Stands for the series of a metric that is not recorded.
const NO_SERIES: u32 = u32::MAX;
/// Stands for the first series of a label set that waits for all of them.
const PENDING: u32 = u32::MAX - 1;

/// Label sets with the same metrics.
pub struct LabelSets {
    seed: Seed,
    /// How many metrics each label set has.
    width: usize,
    limit: usize,
    /// Whether the host takes no more label sets than those that it has.
    closed: bool,
    /// Keys by hash.
    index: HashIndex,
    keys: Vec<(SeriesKey, SetId)>,
    /// Label sets by the hash of their values, as positions of the key that was first.
    by_values: HashIndex,
    /// What exceeds the limit: few enough to look through.
    overflow: Vec<(OverflowKey, SetId)>,
    /// The series of label set `n` begin at `n * width`.
    series: Vec<u32>,
    /// The position of the key that was found last: often the next one too.
    last: u32,
}

impl LabelSets {
    /// Room for `limit` label sets of `width` metrics each, and for what exceeds it.
    pub fn new(seed: Seed, limit: usize, width: usize) -> Self {
        Self {
            seed,
            width,
            limit,
            closed: false,
            index: HashIndex::default(),
            keys: Vec::new(),
            by_values: HashIndex::default(),
            series: Vec::new(),
            overflow: Vec::new(),
            last: 0,
        }
    }

    /// The label set of a key that was seen before.
    #[inline]
    pub fn find(&mut self, key: &SeriesKey) -> Option<SetId> {
        if let Some((known, set)) = self.keys.get(self.last as usize)
            && known == key
        {
            return Some(*set);
        }
        let keys = &self.keys;
        let is = |at: u32| keys.get(at as usize).is_some_and(|(known, _)| known == key);
        self.last = self.index.find(self.seed.hash(key), is)?;
        self.keys.get(self.last as usize).map(|(_, set)| *set)
    }

    /// The label set whose values have the hash `values_hash`, if `is_same` says of its first key that it
    /// really has the same values.
    pub fn find_by_values(
        &self,
        values_hash: u64,
        is_same: impl Fn(&SeriesKey) -> bool,
    ) -> Option<SetId> {
        let key = |at: u32| self.keys.get(at as usize);
        let at = self.by_values.find(values_hash, |at| {
            key(at).is_some_and(|(known, _)| is_same(known))
        })?;
        key(at).map(|(_, set)| *set)
    }

    /// Whether one more label set fits.
    pub fn has_room(&self) -> bool {
        self.count() < self.limit
    }

    /// The most label sets.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Remembers that the host takes no more label sets than those that it has, of this worker or of
    /// others.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// Whether a key that is new may come to a label set of its own, or can be remembered.
    pub fn may_learn(&self) -> bool {
        (self.has_room() && !self.closed) || self.has_room_for_key()
    }

    /// Adds a new label set: its first key, the hash of its values, its series. It must fit.
    pub fn add(
        &mut self,
        key: SeriesKey,
        values_hash: u64,
        series: impl Iterator<Item = Option<SeriesId>>,
    ) -> SetId {
        let set = self.add_series(series);
        self.by_values.insert(values_hash, self.keys.len() as u32);
        self.insert(key, set);
        set
    }

    /// The same for one whose series are not there yet.
    pub fn add_pending(&mut self, key: SeriesKey, values_hash: u64) -> SetId {
        let set = self.add(key, values_hash, iter::empty());
        if let Some(first) = self.slots(set).first_mut() {
            *first = PENDING;
        }
        set
    }

    /// Whether a label set waits for its series.
    #[inline]
    pub fn is_pending(&self, set: SetId) -> bool {
        let start = (set.0 as usize).saturating_mul(self.width);
        self.series.get(start) == Some(&PENDING)
    }

    /// The series of a label set that waited for them are there.
    pub fn settle(&mut self, set: SetId, series: impl Iterator<Item = Option<SeriesId>>) {
        for (slot, series) in self.slots(set).iter_mut().zip(series) {
            *slot = raw(series);
        }
    }

    fn slots(&mut self, set: SetId) -> &mut [u32] {
        let start = (set.0 as usize).saturating_mul(self.width);
        let end = start.saturating_add(self.width);
        self.series.get_mut(start..end).unwrap_or_default()
    }

    /// Whether one more key fits beside those that were the first of their label set. There may be as
    /// many again: some show the same values as another, others exceed the limit.
    fn has_room_for_key(&self) -> bool {
        self.keys.len() - self.count() < self.limit
    }

    /// Remembers the label set of a key, as long as it fits.
    pub fn remember(&mut self, key: SeriesKey, set: SetId) {
        if self.has_room_for_key() {
            self.insert(key, set);
        }
    }

    fn insert(&mut self, key: SeriesKey, set: SetId) {
        self.last = self.keys.len() as u32;
        self.index.insert(self.seed.hash(key), self.last);
        self.keys.push((key, set));
    }

    /// The label set of what exceeds the limit and has this key.
    pub fn find_overflow(&self, key: OverflowKey) -> Option<SetId> {
        let found = self.overflow.iter().find(|(known, _)| *known == key)?;
        Some(found.1)
    }

    /// Whether one more set of what exceeds the limit fits that tells outcomes apart.
    pub fn has_room_for_overflow(&self) -> bool {
        self.overflow.len() < OVERFLOW_SETS
    }

    /// Adds a label set of what exceeds the limit.
    pub fn add_overflow(
        &mut self,
        key: OverflowKey,
        series: impl Iterator<Item = Option<SeriesId>>,
    ) -> SetId {
        let set = self.add_series(series);
        self.overflow.push((key, set));
        set
    }

    fn add_series(&mut self, series: impl Iterator<Item = Option<SeriesId>>) -> SetId {
        let number = self.count() + self.overflow.len();
        self.series.extend(series.map(raw));
        self.series.resize((number + 1) * self.width, NO_SERIES);
        SetId(number as u32)
    }

    /// The series of a label set, in the order of the metrics; `None` for one that is not recorded, or not
    /// there yet.
    #[inline]
    pub fn series(&self, set: SetId) -> impl Iterator<Item = Option<SeriesId>> {
        let start = (set.0 as usize).saturating_mul(self.width);
        let end = start.saturating_add(self.width);
        let series = self.series.get(start..end).unwrap_or_default();
        series
            .iter()
            .map(|&id| (id < PENDING).then_some(SeriesId(id)))
    }

    fn count(&self) -> usize {
        self.by_values.len()
    }
}

fn raw(series: Option<SeriesId>) -> u32 {
    series.map_or(NO_SERIES, |series| series.0)
}
