//! Families: all series of one name, by labels of a type of one's own or by pairs.
//!
//! Not here: how series are made, limited and removed, which is in `series`, and found, in `index`.

use core::any::Any;
use core::convert::Infallible;
use core::fmt;
use core::marker::PhantomData;

use hashbrown::DefaultHashBuilder;

use super::encoded::{Encoded, check_names, hash_labels, hash_values};
use super::error::RegistryError;
use super::exposition::{Collect, FamilyWriter};
use super::instrument::Instrument;
use super::labels::{Dynamic, LabelSet};
use super::lock::Joint;
use super::series::{FamilySettings, SeriesRef, Store};

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
/// | either, series is new | four allocations, seldom a larger table; with a limit, a lock of the family |
/// | a page | besides writing it, new series are sorted in among the others |
pub struct Family<L, M: Instrument> {
    store: Joint<Store<M>>,
    hasher: DefaultHashBuilder,
    labels: PhantomData<fn() -> L>,
}

impl<L, M: Instrument> Clone for Family<L, M> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            hasher: self.hasher.clone(),
            labels: PhantomData,
        }
    }
}

impl<L, M: Instrument> fmt::Debug for Family<L, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}

impl<L, M: Instrument> Family<L, M> {
    pub(super) fn new(settings: FamilySettings<M>, hasher: DefaultHashBuilder) -> Self {
        Self {
            store: Joint::new(Store::new(settings)),
            hasher,
            labels: PhantomData,
        }
    }

    /// How many series there are, the overflow's not counted.
    pub fn len(&self) -> usize {
        self.store.len()
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
    pub fn retain(&self, keep: impl FnMut(&SeriesRef<M>) -> bool) {
        self.store.retain(keep);
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
        let store = &*self.store;
        let hash = hash_values(&self.hasher, labels);
        let prefixes = &store.settings.prefixes;
        let is = |own: &Encoded| own.has_values(labels, prefixes);
        let check = || Ok::<(), Infallible>(());
        let Ok(result) = store.with(hash, is, check, || Encoded::typed(labels, prefixes), work);
        result
    }

    /// A handle to the series with these labels, if there is one.
    pub fn get<Q: LabelSet<Family = L>>(&self, labels: &Q) -> Option<M> {
        let prefixes = &self.store.settings.prefixes;
        let is = |own: &Encoded| own.has_values(labels, prefixes);
        self.store.get(hash_values(&self.hasher, labels), is)
    }

    /// Removes the series with these labels. `false` where there is none.
    pub fn remove<Q: LabelSet<Family = L>>(&self, labels: &Q) -> bool {
        let prefixes = &self.store.settings.prefixes;
        let is = |own: &Encoded| own.has_values(labels, prefixes);
        self.store.remove(hash_values(&self.hasher, labels), is)
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
        let store = &*self.store;
        let hash = hash_labels(&self.hasher, labels);
        let check = || {
            let names = labels.iter().map(|(name, _)| *name);
            check_names(&names, &store.settings.constant, store.settings.rules)
        };
        let is = |own: &Encoded| own.is(labels);
        store.with(hash, is, check, || Encoded::dynamic(labels), work)
    }

    /// A handle to the series with these labels, if there is one.
    pub fn get(&self, labels: &[(&str, &str)]) -> Option<M> {
        let hash = hash_labels(&self.hasher, labels);
        self.store.get(hash, |own| own.is(labels))
    }

    /// Removes the series with these labels. `false` where there is none.
    pub fn remove(&self, labels: &[(&str, &str)]) -> bool {
        let hash = hash_labels(&self.hasher, labels);
        self.store.remove(hash, |own| own.is(labels))
    }

    pub(super) fn has_options(&self, options: &M::Options) -> bool {
        M::is_same(&self.store.settings.options, options)
    }
}

impl<L: 'static, M: Instrument> Collect for Family<L, M> {
    fn expose(&self, to: &mut FamilyWriter) -> fmt::Result {
        for series in self.store.sorted().iter() {
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
