//! The series of a family: made where there are none, up to a limit, and removed again.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;

use super::clock::SharedClock;
use super::encoded::{Encoded, LabelRules, pairs};
use super::index::Index;
use super::instrument::Instrument;
use super::lock::{Joint, Lock};
use super::number::{Bits, SharedBits};

/// All series of a family.
#[derive(Debug)]
pub(super) struct Store<M: Instrument> {
    pub settings: FamilySettings<M>,
    index: Index<Series<M>>,
    list: Lock<SeriesList<M>>,
}

/// The series in the order in which they are written. A new one comes in when the next page is
/// written: whoever makes it does not wait for the list. Shared with expositions under way, which need
/// no lock then.
type SeriesList<M> = Joint<Vec<Joint<Listed<M>>>>;

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

/// One series, as the index finds it.
#[derive(Debug)]
struct Series<M> {
    metric: M,
    created: Option<Duration>,
    /// Whether it is in the list too.
    is_listed: AtomicBool,
}

/// One series, as it is written.
#[derive(Debug)]
pub(super) struct Listed<M> {
    hash: u64,
    pub labels: Encoded,
    pub metric: M,
    pub created: Option<Duration>,
    /// The metric's fingerprint when [`Family::retain`](super::Family::retain) last saw it.
    seen: SharedBits,
    /// Where everything is counted that the limit has no room for.
    is_overflow: bool,
    /// Not 0 once it is to be removed.
    is_removed: SharedBits,
}

impl Limit {
    fn is_overflow(&self, labels: &Encoded) -> bool {
        labels.key() == self.overflow.key()
    }
}

impl<M: Instrument> Store<M> {
    pub fn new(settings: FamilySettings<M>) -> Self {
        Self {
            settings,
            index: Index::new(),
            list: Lock::new(Joint::default()),
        }
    }

    /// How many series count for the limit.
    pub fn len(&self) -> usize {
        let limit = self.settings.limit.as_ref();
        let has_overflow = limit.is_some_and(|limit| {
            let is = |labels: &Encoded| limit.is_overflow(labels);
            self.index.with(limit.hash, is, |_| ()).is_ok()
        });
        self.index.len().saturating_sub(usize::from(has_overflow))
    }

    /// Lets `work` have the metric with these labels, made where there is none.
    #[inline]
    pub fn with<R, E>(
        &self,
        hash: u64,
        is: impl Fn(&Encoded) -> bool,
        check: impl FnOnce() -> Result<(), E>,
        encode: impl FnOnce() -> Encoded,
        work: impl FnOnce(&M) -> R,
    ) -> Result<R, E> {
        let work = |series: &Series<M>| work(&series.metric);
        let work = match self.index.with(hash, is, work) {
            Ok(result) => return Ok(result),
            Err(work) => work,
        };
        check()?;
        Ok(match &self.settings.limit {
            None => self.create(hash, encode(), work),
            Some(limit) if self.is_full(limit) => self.with_overflow(limit, work),
            Some(limit) => self.create_within(limit, hash, &encode(), work),
        })
    }

    /// Makes the series, unless another thread was faster.
    #[cold]
    fn create<R>(&self, hash: u64, labels: Encoded, work: impl FnOnce(&Series<M>) -> R) -> R {
        self.index.insert(hash, labels, self.series(), work)
    }

    /// Makes the series, unless another thread was faster, or took the last place.
    #[cold]
    fn create_within<R>(
        &self,
        limit: &Limit,
        hash: u64,
        labels: &Encoded,
        work: impl FnOnce(&Series<M>) -> R,
    ) -> R {
        if limit.is_overflow(labels) {
            return self.with_overflow(limit, work);
        }
        let new = self.series();
        let is = |other: &Encoded| other.key() == labels.key();
        // One at a time: the last place goes to one, and who wants the same labels finds that series.
        self.list.with(|_| {
            if !self.is_full(limit) {
                self.index.insert(hash, labels.clone(), new, |_| ());
            }
        });
        match self.index.with(hash, is, work) {
            Ok(result) => result,
            Err(work) => self.with_overflow(limit, work),
        }
    }

    fn series(&self) -> Series<M> {
        Series {
            metric: M::create(&self.settings.options),
            created: self.settings.clock.as_ref().map(SharedClock::now),
            is_listed: AtomicBool::new(false),
        }
    }

    fn is_full(&self, limit: &Limit) -> bool {
        self.len() >= limit.series
    }

    fn with_overflow<R>(&self, limit: &Limit, work: impl FnOnce(&Series<M>) -> R) -> R {
        let is = |labels: &Encoded| limit.is_overflow(labels);
        match self.index.with(limit.hash, is, work) {
            Ok(result) => result,
            Err(work) => self.create(limit.hash, limit.overflow.clone(), work),
        }
    }

    /// All series, in the order of their labels.
    pub fn sorted(&self) -> SeriesList<M> {
        self.list.with(|list| {
            self.complete(list);
            list.clone()
        })
    }

    /// Puts the new series into the list.
    fn complete(&self, list: &mut SeriesList<M>) {
        if list.len() == self.index.len() {
            return;
        }
        let limit = self.settings.limit.as_ref();
        let mut new = Vec::new();
        self.index.each(|hash, labels, series| {
            if series.is_listed.load(Ordering::Relaxed) {
                return;
            }
            series.is_listed.store(true, Ordering::Relaxed);
            new.push(Listed {
                hash,
                labels: labels.clone(),
                metric: series.metric.clone(),
                created: series.created,
                seen: Bits::of(!series.metric.fingerprint()),
                is_overflow: limit.is_some_and(|limit| limit.is_overflow(labels)),
                is_removed: Bits::of(0),
            });
        });
        // Sorted before they get their places in memory, so that a page goes through it in order.
        new.sort_unstable_by(|a, b| a.labels.key().cmp(b.labels.key()));
        let all = Joint::make_mut(list);
        all.extend(new.into_iter().map(Joint::new));
        all.sort_by(|a, b| a.labels.key().cmp(b.labels.key()));
    }

    /// Takes one out. `false` where there is none.
    pub fn remove(&self, hash: u64, is: impl Fn(&Encoded) -> bool) -> bool {
        let all = self.sorted();
        let is = |series: &&Joint<Listed<M>>| series.hash == hash && is(&series.labels);
        let found = all.iter().find(is);
        self.take_out(found.as_slice());
        found.is_some()
    }

    pub fn retain(&self, mut keep: impl FnMut(&SeriesRef<M>) -> bool) {
        let all = self.sorted();
        let mut removed = Vec::new();
        for series in all.iter() {
            let fingerprint = series.metric.fingerprint();
            if keep(&SeriesRef(series)) {
                series.seen.set_bits(fingerprint);
            } else {
                removed.push(series);
            }
        }
        self.take_out(&removed);
    }

    /// Takes these out. Whoever holds a handle still records into it, unseen.
    fn take_out(&self, removed: &[&Joint<Listed<M>>]) {
        if removed.is_empty() {
            return;
        }
        self.list.with(|list| {
            for series in removed {
                // Not one that was made again meanwhile.
                let is = |labels: &Encoded| labels.is_same(&series.labels);
                self.index.remove(series.hash, is);
                series.is_removed.set_bits(1);
            }
            let left = list.iter().filter(|series| series.is_removed.bits() == 0);
            *list = Joint::new(left.cloned().collect());
        });
    }

    pub fn get(&self, hash: u64, is: impl Fn(&Encoded) -> bool) -> Option<M> {
        let handle = |series: &Series<M>| series.metric.clone();
        self.index.with(hash, is, handle).ok()
    }
}

/// A look at one series of a family.
#[derive(Debug)]
pub struct SeriesRef<'a, M: Instrument>(&'a Listed<M>);

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
