//! Families: all series of one name, found by their labels and made where there are none. How many
//! there may be, and which go again.
//!
//! Not here: how series are found, which is in `index`.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::any::Any;
use core::convert::Infallible;
use core::fmt;
use core::marker::PhantomData;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;

use hashbrown::DefaultHashBuilder;

use super::builder::Builder;
use super::error::RegistryError;
use super::exposition::{Collect, FamilyWriter};
use super::index::Index;
use super::instrument::Instrument;
use super::labels::{
    Dynamic, Encoded, LabelRules, LabelSet, check_names, has_values, hash_labels, hash_values,
    pairs,
};
use super::lock::{Joint, Lock};
use super::number::{Bits, SharedBits};
use super::registry::SharedClock;

/// All series of one name, by labels of the type `L`: a struct declared with
/// [`label_set!`](crate::label_set), or [`Dynamic`]. Cheap to clone; all clones are the same family.
///
/// With the feature `std` it is shared between threads by `&self`, and looking up series that exist
/// takes no lock. Without, it stays on its thread; the handles that it gives out go to others.
///
/// | call | cost |
/// |---|---|
/// | [`with`](Self::with), series exists | a hash, a look-up, comparing the values |
/// | `get_or_create`, series exists | the same, and two atomic operations for the handle |
/// | either, series is new | a lock of the family, three to four allocations |
pub struct Family<L, M: Instrument> {
    inner: Joint<Inner<M>>,
    labels: PhantomData<fn() -> L>,
}

impl<L, M: Instrument> Clone for Family<L, M> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            labels: PhantomData,
        }
    }
}

impl<L, M: Instrument> fmt::Debug for Family<L, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[derive(Debug)]
struct Inner<M: Instrument> {
    settings: Settings<M>,
    hasher: DefaultHashBuilder,
    index: Index<M>,
    list: Lock<List<M>>,
    /// How many series are in the list that count for the limit.
    counted: AtomicUsize,
}

/// What a family was registered with.
#[derive(Debug)]
pub(super) struct Settings<M: Instrument> {
    pub options: M::Options,
    /// How long the labels' names are, see [`widths`](super::labels::widths).
    pub widths: Box<[usize]>,
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

/// The series in the order in which they are written.
#[derive(Debug)]
struct List<M> {
    /// Shared with expositions under way, which need no lock then.
    series: Joint<Vec<Joint<Series<M>>>>,
    is_sorted: bool,
}

/// One series.
#[derive(Debug)]
pub(super) struct Series<M> {
    pub hash: u64,
    pub labels: Encoded,
    metric: M,
    created: Option<Duration>,
    /// The metric's fingerprint when [`Family::retain`] last saw it.
    seen: SharedBits,
    /// Where everything is counted that the limit has no room for.
    is_overflow: bool,
    /// Not 0 once it has been removed.
    is_removed: SharedBits,
}

impl<M: Instrument> Inner<M> {
    /// Lets `work` have the metric with these labels, made where there is none.
    #[inline]
    fn with<R, E>(
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
        self.counted.load(Ordering::Relaxed) >= limit.series
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
            if let Ok(other) = self.index.with(hash, is, Joint::clone) {
                return Some(other);
            }
            if !new.is_overflow {
                if limit.is_some_and(|limit| self.is_full(limit)) {
                    return None;
                }
                let counted = self.counted.load(Ordering::Relaxed);
                self.counted.store(counted + 1, Ordering::Relaxed);
            }
            Joint::make_mut(&mut list.series).push(new.clone());
            list.is_sorted = false;
            self.index.insert(new.clone());
            Some(new.clone())
        });
        match (created, limit) {
            (Some(series), _) => series,
            (None, Some(limit)) => self.create(limit.hash, limit.overflow.clone()),
            (None, None) => new,
        }
    }

    /// All series, in the order of their labels.
    fn sorted(&self) -> Joint<Vec<Joint<Series<M>>>> {
        self.list.with(|list| {
            if !list.is_sorted {
                let series = Joint::make_mut(&mut list.series);
                series.sort_by(|a, b| a.labels.key().cmp(b.labels.key()));
                list.is_sorted = true;
            }
            list.series.clone()
        })
    }

    /// Takes these out. Whoever holds a handle still records into it, unseen.
    fn remove(&self, removed: &[Joint<Series<M>>]) {
        if removed.is_empty() {
            return;
        }
        for series in removed {
            series.is_removed.set_bits(1);
        }
        self.list.with(|list| {
            let left = list
                .series
                .iter()
                .filter(|series| series.is_removed.bits() == 0);
            list.series = Joint::new(left.cloned().collect());
            for series in removed {
                self.index.remove(series);
            }
            let counted = list.series.iter().filter(|series| !series.is_overflow);
            self.counted.store(counted.count(), Ordering::Relaxed);
        });
    }

    fn find<R>(
        &self,
        hash: u64,
        is: impl Fn(&Series<M>) -> bool,
        work: impl FnOnce(&Joint<Series<M>>) -> R,
    ) -> Option<R> {
        self.index.with(hash, is, work).ok()
    }
}

impl<L, M: Instrument> Family<L, M> {
    /// Begins a family of this name and help text.
    pub fn builder<'a>(name: &'a str, help: &'a str) -> Builder<'a, L, M> {
        Builder::new(name, help)
    }

    pub(super) fn new(settings: Settings<M>, hasher: DefaultHashBuilder) -> Self {
        Self {
            inner: Joint::new(Inner {
                settings,
                hasher,
                index: Index::new(),
                list: Lock::new(List {
                    series: Joint::default(),
                    is_sorted: true,
                }),
                counted: AtomicUsize::new(0),
            }),
            labels: PhantomData,
        }
    }

    /// How many series there are, the overflow's not counted.
    pub fn len(&self) -> usize {
        self.inner.counted.load(Ordering::Relaxed)
    }

    /// Whether there is no series, unless it is the overflow's.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Removes each series for which `keep` says no, and makes room for as many under the limit.
    ///
    /// [`SeriesRef::changed`] tells the idle ones: called every ten minutes, say, this removes what
    /// nobody recorded into for so long, and nobody holds a handle to.
    ///
    /// ```
    /// # use stats_core::registry::{Counter, Dynamic, Family, Registry};
    /// # let sessions = Family::<Dynamic, Counter>::builder("sessions_total", "Sessions.")
    /// #     .register(&Registry::new())?;
    /// sessions.retain(|series| series.changed() || series.is_held());
    /// # Ok::<(), stats_core::registry::RegistryError>(())
    /// ```
    ///
    /// What another thread records into a series while it is removed may be lost.
    pub fn retain(&self, mut keep: impl FnMut(&SeriesRef<M>) -> bool) {
        let all = self.inner.list.with(|list| list.series.clone());
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
        self.inner.remove(&removed);
    }

    /// Removes all series.
    pub fn clear(&self) {
        self.retain(|_| false);
    }
}

/// With labels that are a type of their own.
impl<L: LabelSet + 'static, M: Instrument> Family<L, M> {
    /// A handle to the series with these labels, which is made where there is none. Beyond the limit, a
    /// handle to the overflow series.
    #[inline]
    pub fn get_or_create<Q: LabelSet<Family = L>>(&self, labels: &Q) -> M {
        self.with(labels, M::clone)
    }

    /// Lets `work` have the series with these labels, which is made where there is none. Beyond the
    /// limit, the overflow series. Cheaper than a handle that is used once.
    #[inline]
    pub fn with<Q: LabelSet<Family = L>, R>(&self, labels: &Q, work: impl FnOnce(&M) -> R) -> R {
        let inner = &*self.inner;
        let hash = hash_values(&inner.hasher, labels);
        let widths = &inner.settings.widths;
        let is = |series: &Series<M>| has_values(labels, widths, &series.labels.text);
        let check = || Ok::<(), Infallible>(());
        let Ok(result) = inner.with(hash, is, check, || Encoded::typed(labels), work);
        result
    }

    /// A handle to the series with these labels, if there is one.
    pub fn get<Q: LabelSet<Family = L>>(&self, labels: &Q) -> Option<M> {
        self.find(labels, |series| series.metric.clone())
    }

    /// Removes the series with these labels. `false` where there is none.
    pub fn remove<Q: LabelSet<Family = L>>(&self, labels: &Q) -> bool {
        let found = self.find(labels, Joint::clone);
        self.inner.remove(found.as_slice());
        found.is_some()
    }

    fn find<Q: LabelSet<Family = L>, R>(
        &self,
        labels: &Q,
        work: impl FnOnce(&Joint<Series<M>>) -> R,
    ) -> Option<R> {
        let inner = &*self.inner;
        let widths = &inner.settings.widths;
        let is = |series: &Series<M>| has_values(labels, widths, &series.labels.text);
        inner.find(hash_values(&inner.hasher, labels), is, work)
    }
}

/// With labels whose names are given each time.
impl<M: Instrument> Family<Dynamic, M> {
    /// A handle to the series with these labels, which is made where there is none. Beyond the limit, a
    /// handle to the overflow series.
    ///
    /// # Errors
    /// Where a new series' label has a name that none can have, or that is there twice.
    #[inline]
    pub fn get_or_create(&self, labels: &[(&str, &str)]) -> Result<M, RegistryError> {
        self.with(labels, M::clone)
    }

    /// Lets `work` have the series with these labels, which is made where there is none. Beyond the
    /// limit, the overflow series. Cheaper than a handle that is used once.
    ///
    /// # Errors
    /// See [`get_or_create`](Self::get_or_create).
    #[inline]
    pub fn with<R>(
        &self,
        labels: &[(&str, &str)],
        work: impl FnOnce(&M) -> R,
    ) -> Result<R, RegistryError> {
        let inner = &*self.inner;
        let hash = hash_labels(&inner.hasher, labels);
        let check = || {
            let names = labels.iter().map(|(name, _)| *name);
            check_names(&names, &inner.settings.constant, inner.settings.rules)
        };
        let is = |series: &Series<M>| series.labels.is(labels);
        inner.with(hash, is, check, || Encoded::dynamic(labels), work)
    }

    /// A handle to the series with these labels, if there is one.
    pub fn get(&self, labels: &[(&str, &str)]) -> Option<M> {
        self.find(labels, |series| series.metric.clone())
    }

    /// Removes the series with these labels. `false` where there is none.
    pub fn remove(&self, labels: &[(&str, &str)]) -> bool {
        let found = self.find(labels, Joint::clone);
        self.inner.remove(found.as_slice());
        found.is_some()
    }

    fn find<R>(
        &self,
        labels: &[(&str, &str)],
        work: impl FnOnce(&Joint<Series<M>>) -> R,
    ) -> Option<R> {
        let hash = hash_labels(&self.inner.hasher, labels);
        self.inner
            .find(hash, |series| series.labels.is(labels), work)
    }

    pub(super) fn has_options(&self, options: &M::Options) -> bool {
        M::is_same(&self.inner.settings.options, options)
    }
}

/// A look at one series of a family.
#[derive(Debug)]
pub struct SeriesRef<'a, M>(&'a Series<M>);

impl<M: Instrument> SeriesRef<'_, M> {
    /// The names and values of its labels.
    pub fn labels(&self) -> impl Iterator<Item = (String, String)> {
        pairs(&self.0.labels.text)
    }

    /// The metric.
    pub fn metric(&self) -> &M {
        &self.0.metric
    }

    /// Whether its value is another one than when [`Family::retain`] last kept it. A series that it sees
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

impl<L: 'static, M: Instrument> Collect for Family<L, M> {
    fn expose(&self, to: &mut FamilyWriter) -> fmt::Result {
        for series in self.inner.sorted().iter() {
            let mut to = to.series(&series.labels.text, series.created)?;
            series.metric.expose(&mut to)?;
            to.end()?;
        }
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
