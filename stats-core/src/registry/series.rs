//! The series of a family: made where there are none, up to a limit, and removed again.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;

use super::clock::SharedClock;
use super::encoded::{Encoded, LabelRules, pairs};
use super::index::{Index, Indexed};
use super::instrument::Instrument;
use super::lock::{Joint, Lock};
use super::number::{Bits, SharedBits};

/// All series of a family.
#[derive(Debug)]
pub(super) struct Store<M: Instrument> {
    pub settings: FamilySettings<M>,
    index: Index<Series<M>>,
    list: Lock<SeriesList<M>>,
    /// How many series are in the list that count for the limit.
    counted: AtomicUsize,
}

/// What a family was registered with.
#[derive(Debug)]
pub(super) struct FamilySettings<M: Instrument> {
    pub options: M::Options,
    /// The labels' names, see [`prefixes`](super::encoded::prefixes).
    pub prefixes: Box<[Box<str>]>,
    pub limit: Option<Limit>,
    /// The labels of the registry, that all series have besides.
    pub constant: Box<str>,
    pub rules: LabelRules,
    pub clock: Option<SharedClock>,
}

/// How many series a family may have, and where everything goes that is beyond.
#[derive(Clone, Debug)]
pub(super) struct Limit {
    pub series: usize,
    pub overflow: Encoded,
    /// That of the overflow's labels.
    pub hash: u64,
}

/// The series in the order in which they are written, and those that are not in it yet.
#[derive(Debug)]
struct SeriesList<M: Instrument> {
    /// Shared with expositions under way, which need no lock then.
    sorted: Joint<Vec<Joint<Series<M>>>>,
    new: Vec<Joint<Series<M>>>,
}

impl<M: Instrument> SeriesList<M> {
    /// All series, in the order of their labels.
    fn sorted(&mut self) -> &mut Joint<Vec<Joint<Series<M>>>> {
        if !self.new.is_empty() {
            let sorted = Joint::make_mut(&mut self.sorted);
            sorted.append(&mut self.new);
            sorted.sort_by(|a, b| a.labels.key().cmp(b.labels.key()));
        }
        &mut self.sorted
    }
}

/// One series.
#[derive(Debug)]
pub(super) struct Series<M: Instrument> {
    hash: u64,
    pub labels: Encoded,
    pub metric: M,
    pub created: Option<Duration>,
    /// The metric's fingerprint when [`Family::retain`](super::Family::retain) last saw it.
    seen: SharedBits,
    /// Where everything is counted that the limit has no room for.
    is_overflow: bool,
    /// Not 0 once it has been removed.
    is_removed: SharedBits,
}

impl<M: Instrument> Store<M> {
    pub fn new(settings: FamilySettings<M>) -> Self {
        Self {
            settings,
            index: Index::new(),
            list: Lock::new(SeriesList {
                sorted: Joint::default(),
                new: Vec::new(),
            }),
            counted: AtomicUsize::new(0),
        }
    }

    /// How many series count for the limit.
    pub fn len(&self) -> usize {
        self.counted.load(Ordering::Relaxed)
    }

    /// Lets `work` have the metric with these labels, made where there is none.
    #[inline]
    pub fn with<R, E>(
        &self,
        hash: u64,
        is: impl Fn(&Series<M>) -> bool,
        check: impl FnOnce() -> Result<(), E>,
        encode: impl FnOnce() -> Encoded,
        work: impl FnOnce(&M) -> R,
    ) -> Result<R, E> {
        let work = |series: &Joint<Series<M>>| work(&series.metric);
        let work = match self.index.with(hash, is, work) {
            Ok(result) => return Ok(result),
            Err(work) => work,
        };
        check()?;
        if let Some(limit) = self
            .settings
            .limit
            .as_ref()
            .filter(|limit| self.is_full(limit))
        {
            return Ok(self.with_overflow(limit, work));
        }
        Ok(work(&self.create(hash, encode())))
    }

    fn is_full(&self, limit: &Limit) -> bool {
        self.len() >= limit.series
    }

    fn with_overflow<R>(&self, limit: &Limit, work: impl FnOnce(&Joint<Series<M>>) -> R) -> R {
        let is = |series: &Series<M>| series.is_overflow;
        match self.index.with(limit.hash, is, work) {
            Ok(result) => result,
            Err(work) => work(&self.create(limit.hash, limit.overflow.clone())),
        }
    }

    /// Makes the series, unless another thread was faster, or took the last place.
    #[cold]
    fn create(&self, hash: u64, labels: Encoded) -> Joint<Series<M>> {
        let limit = self.settings.limit.as_ref();
        let new = Joint::new(Series {
            hash,
            is_overflow: limit.is_some_and(|limit| limit.overflow.key() == labels.key()),
            labels,
            metric: M::create(&self.settings.options),
            created: self.settings.clock.as_ref().map(SharedClock::now),
            seen: Bits::of(0),
            is_removed: Bits::of(0),
        });
        new.seen.set_bits(!new.metric.fingerprint());
        let created = self.list.with(|list| {
            let is = |series: &Series<M>| series.labels.key() == new.labels.key();
            if !new.is_overflow && limit.is_some_and(|limit| self.is_full(limit)) {
                return Err(self.index.with(hash, is, Joint::clone).ok());
            }
            if !self.index.insert(new.clone()) {
                return Err(self.index.with(hash, is, Joint::clone).ok());
            }
            if !new.is_overflow {
                self.counted.store(self.len() + 1, Ordering::Relaxed);
            }
            list.new.push(new.clone());
            Ok(())
        });
        match (created, limit) {
            (Err(Some(other)), _) => other,
            (Err(None), Some(limit)) => self.create(limit.hash, limit.overflow.clone()),
            (Ok(()), _) | (Err(None), None) => new,
        }
    }

    /// All series, in the order of their labels.
    pub fn sorted(&self) -> Joint<Vec<Joint<Series<M>>>> {
        self.list.with(|list| list.sorted().clone())
    }

    /// Takes these out. Whoever holds a handle still records into it, unseen.
    pub fn remove(&self, removed: &[Joint<Series<M>>]) {
        if removed.is_empty() {
            return;
        }
        for series in removed {
            series.is_removed.set_bits(1);
        }
        self.list.with(|list| {
            let all = list.sorted();
            let left = all.iter().filter(|series| series.is_removed.bits() == 0);
            *all = Joint::new(left.cloned().collect());
            for series in removed {
                self.index.remove(series);
            }
            let counted = all.iter().filter(|series| !series.is_overflow);
            self.counted.store(counted.count(), Ordering::Relaxed);
        });
    }

    pub fn retain(&self, mut keep: impl FnMut(&SeriesRef<M>) -> bool) {
        let all = self.sorted();
        let mut removed = Vec::new();
        for series in all.iter() {
            let fingerprint = series.metric.fingerprint();
            if keep(&SeriesRef(series)) {
                series.seen.set_bits(fingerprint);
            } else {
                removed.push(series.clone());
            }
        }
        drop(all);
        self.remove(&removed);
    }

    pub fn find<R>(
        &self,
        hash: u64,
        is: impl Fn(&Series<M>) -> bool,
        work: impl FnOnce(&Joint<Series<M>>) -> R,
    ) -> Option<R> {
        self.index.with(hash, is, work).ok()
    }
}

impl<M: Instrument> Indexed for Series<M> {
    fn hash(&self) -> u64 {
        self.hash
    }

    fn is_same(&self, other: &Self) -> bool {
        self.labels.key() == other.labels.key()
    }
}

/// A look at one series of a family.
#[derive(Debug)]
pub struct SeriesRef<'a, M: Instrument>(&'a Series<M>);

impl<M: Instrument> SeriesRef<'_, M> {
    /// The names and values of its labels.
    pub fn labels(&self) -> impl Iterator<Item = (String, String)> {
        pairs(&self.0.labels.text)
    }

    /// The metric.
    pub fn metric(&self) -> &M {
        &self.0.metric
    }

    /// Whether its value is another one than when [`Family::retain`](super::Family::retain) last kept it. A series that it sees
    /// for the first time has changed.
    pub fn changed(&self) -> bool {
        self.0.seen.bits() != self.0.metric.fingerprint()
    }

    /// Whether somebody holds a handle to it.
    pub fn is_held(&self) -> bool {
        self.0.metric.is_held()
    }

    /// Whether it is the one that counts what is beyond the limit.
    pub fn is_overflow(&self) -> bool {
        self.0.is_overflow
    }
}
