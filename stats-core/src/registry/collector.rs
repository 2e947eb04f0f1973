//! Metrics that are read when the page is: a queue's length, what an allocator knows.

use alloc::boxed::Box;
use core::any::Any;
use core::fmt;
use core::marker::PhantomData;

use super::encoded::{Encoded, check_names, prefixes};
use super::error::RegistryError;
use super::exposition::{Collect, FamilyWriter};
use super::labels::LabelSet;
use super::lock::Joint;
use super::names::Type;
use super::number::{Countable, Number, Settable};
use super::registry::Registry;

/// Where a callback puts what it has read. It must give each label set only once.
pub struct Samples<'s, 'a, L, N> {
    out: &'s mut FamilyWriter<'a>,
    outcome: fmt::Result,
    prefixes: &'s [Box<str>],
    of: PhantomData<fn(L, N)>,
}

impl<L: LabelSet + 'static, N: Number> Samples<'_, '_, L, N> {
    /// Writes the value of the series with these labels.
    pub fn push<Q: LabelSet<Family = L>>(&mut self, labels: &Q, value: N) {
        if self.outcome.is_ok() {
            let labels = Encoded::typed(labels, self.prefixes);
            let series = self.out.series(&labels.text, None);
            self.outcome = series.and_then(|mut series| series.value(value, None));
        }
    }
}

struct Callback<L, N, F> {
    read: F,
    /// The labels' names, see [`prefixes`].
    prefixes: Box<[Box<str>]>,
    of: PhantomData<fn(L, N)>,
}

impl<L, N, F> fmt::Debug for Callback<L, N, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Callback")
    }
}

impl<L, N, F> Collect for Callback<L, N, F>
where
    L: LabelSet + 'static,
    N: Number,
    F: Fn(&mut Samples<'_, '_, L, N>) + Send + Sync + 'static,
{
    fn expose(&self, to: &mut FamilyWriter) -> fmt::Result {
        let mut samples = Samples {
            out: to,
            outcome: Ok(()),
            prefixes: &self.prefixes,
            of: PhantomData,
        };
        (self.read)(&mut samples);
        samples.outcome
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Registry {
    /// Registers a counter that `read` reads each time a page is written.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub fn collect_counter<L: LabelSet + 'static, N: Countable>(
        &self,
        name: &str,
        help: &str,
        read: impl Fn(&mut Samples<'_, '_, L, N>) + Send + Sync + 'static,
    ) -> Result<(), RegistryError> {
        self.collect(name, help, Type::Counter, read)
    }

    /// Registers a gauge that `read` reads each time a page is written.
    ///
    /// ```
    /// use stats_core::registry::{Registry, Samples};
    ///
    /// let registry = Registry::new();
    /// registry.collect_gauge("answer", "What is asked.", |samples: &mut Samples<(), i64>| {
    ///     samples.push(&(), 42);
    /// })?;
    /// assert_eq!(
    ///     registry.exposition(),
    ///     "# HELP answer What is asked.\n# TYPE answer gauge\nanswer 42\n"
    /// );
    /// # Ok::<(), stats_core::registry::RegistryError>(())
    /// ```
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub fn collect_gauge<L: LabelSet + 'static, N: Settable>(
        &self,
        name: &str,
        help: &str,
        read: impl Fn(&mut Samples<'_, '_, L, N>) + Send + Sync + 'static,
    ) -> Result<(), RegistryError> {
        self.collect(name, help, Type::Gauge, read)
    }

    fn collect<L: LabelSet + 'static, N: Number>(
        &self,
        name: &str,
        help: &str,
        kind: Type,
        read: impl Fn(&mut Samples<'_, '_, L, N>) + Send + Sync + 'static,
    ) -> Result<(), RegistryError> {
        let names = L::NAMES.iter().copied();
        check_names(&names, self.constant_labels(), self.label_rules(kind))?;
        let callback = Callback {
            read,
            prefixes: prefixes(L::NAMES),
            of: PhantomData,
        };
        self.register(self.declared(kind, name, help, None), Joint::new(callback))
    }
}
