//! The registry: which names are on the page, and that none is there twice.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Debug, Write};

use super::clock::Clock;
use super::counter::{Counter, Gauge, Info};
use super::error::RegistryError;
use super::exposition::{Collect, FamilyWriter, Format, Heading};
use super::family::Family;
use super::histogram::{Buckets, Histogram};
use super::instrument::Instrument;
use super::labels::{Dynamic, LabelRules, check_names, push};
use super::lock::{Joint, Lock};
use super::names::{Type, base, claims, is_metric_name};
use super::number::Shared;

/// All metrics of a process. Cheap to clone; all clones, and all that come of
/// [`sub_registry`](Self::sub_registry), are one page, and know each other's names.
///
/// Registering takes a lock; recording does not involve the registry at all, it goes through the
/// handles. With the feature `std` it is shared between threads; without, it stays on its thread.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    page: Joint<Lock<Page>>,
    /// What all names that are registered here begin with.
    prefix: Box<str>,
    /// The labels that all series have that are registered here.
    constant: Box<str>,
    utf8: bool,
    clock: Option<SharedClock>,
}

/// A clock for all families.
#[derive(Clone)]
pub(super) struct SharedClock(Shared<dyn Clock + Send + Sync>);

impl SharedClock {
    pub fn now(&self) -> core::time::Duration {
        self.0.now()
    }
}

impl Debug for SharedClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedClock")
    }
}

#[derive(Debug, Default)]
struct Page {
    /// By name. Shared with expositions under way, which need no lock then.
    entries: Joint<Vec<Joint<Entry>>>,
    /// Each name that a sample or a family may have on a page, and the metric that has it.
    claims: BTreeMap<String, String>,
    /// How long the last page was that was written into a string.
    last_length: usize,
}

/// All of one name.
#[derive(Clone, Debug)]
struct Entry {
    name: String,
    help: String,
    unit: Option<String>,
    kind: Type,
    utf8: bool,
    members: Vec<Member>,
}

/// What was registered under a name in one registry.
#[derive(Clone, Debug)]
struct Member {
    constant: Box<str>,
    collect: Joint<dyn Collect>,
}

/// What is registered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Declaration<'a> {
    pub name: &'a str,
    pub help: &'a str,
    pub unit: Option<&'a str>,
    pub kind: Type,
}

impl Registry {
    /// A registry without metrics.
    pub fn new() -> Self {
        Self::default()
    }

    /// A part of this registry: the names of all metrics that are registered there begin with `prefix`
    /// and `_`, and all their series have these labels besides their own. Both add to those of this
    /// registry.
    ///
    /// # Errors
    /// Where a label has a name that none can have, or that this registry gives already.
    pub fn sub_registry(
        &self,
        prefix: &str,
        labels: &[(&str, &str)],
    ) -> Result<Self, RegistryError> {
        let rules = LabelRules {
            utf8: self.utf8,
            histogram: true,
        };
        check_names(&labels.iter().map(|(name, _)| *name), &self.constant, rules)?;
        let mut constant = String::from(&*self.constant);
        for (name, value) in labels {
            push(&mut constant, name, value);
        }
        let prefix = if prefix.is_empty() {
            self.prefix.clone()
        } else {
            format!("{}{prefix}_", self.prefix).into()
        };
        Ok(Self {
            prefix,
            constant: constant.into(),
            ..self.clone()
        })
    }

    /// The same registry, where metrics and labels may have names of any characters: a page shows them
    /// in quotes, or escaped, as its [`Format`] says.
    #[must_use]
    pub fn with_utf8_names(self) -> Self {
        Self { utf8: true, ..self }
    }

    /// The same registry, where series know when they were created; `clock` counts from the Unix epoch.
    /// Only OpenMetrics shows it.
    #[must_use]
    pub fn with_created(self, clock: impl Clock + Send + Sync + 'static) -> Self {
        Self {
            clock: Some(SharedClock(Shared::new(clock))),
            ..self
        }
    }

    /// The counter of this name and these labels; the same one, where it exists.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub fn counter(
        &self,
        name: &str,
        help: &str,
        labels: &[(&str, &str)],
    ) -> Result<Counter, RegistryError> {
        self.metric(name, help, labels, &())
    }

    /// The gauge of this name and these labels; the same one, where it exists.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub fn gauge(
        &self,
        name: &str,
        help: &str,
        labels: &[(&str, &str)],
    ) -> Result<Gauge, RegistryError> {
        self.metric(name, help, labels, &())
    }

    /// The histogram of this name and these labels, with buckets up to these bounds; the same one,
    /// where it exists.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub fn histogram(
        &self,
        name: &str,
        help: &str,
        labels: &[(&str, &str)],
        bounds: &[f64],
    ) -> Result<Histogram, RegistryError> {
        self.metric(name, help, labels, &Buckets::from(bounds))
    }

    /// A series that is always 1, so that its labels can be read: versions and the like. Its name is
    /// given without the `_info` that the page shows.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub fn info(
        &self,
        name: &str,
        help: &str,
        labels: &[(&str, &str)],
    ) -> Result<(), RegistryError> {
        self.metric::<Info>(name, help, labels, &()).map(drop)
    }

    fn metric<M: Instrument>(
        &self,
        name: &str,
        help: &str,
        labels: &[(&str, &str)],
        options: &M::Options,
    ) -> Result<M, RegistryError> {
        let declaration = Declaration {
            name,
            help,
            unit: None,
            kind: M::TYPE,
        };
        let rules = LabelRules {
            utf8: self.utf8,
            histogram: M::TYPE == Type::Histogram,
        };
        loop {
            if let Some(family) = self.family::<M>(&declaration, options)? {
                return family.get_or_create(labels);
            }
            // Before the family is there, which must not be on the page for nothing.
            check_names(&labels.iter().map(|(name, _)| *name), &self.constant, rules)?;
            let builder = Family::<Dynamic, M>::builder(name, help).options(options.clone());
            match builder.register(self) {
                // Another thread was faster.
                Err(RegistryError::Duplicate(_)) => {}
                Err(error) => return Err(error),
                Ok(family) => return family.get_or_create(labels),
            }
        }
    }

    /// The family that the dynamic functions have made under this name.
    fn family<M: Instrument>(
        &self,
        declaration: &Declaration,
        options: &M::Options,
    ) -> Result<Option<Family<Dynamic, M>>, RegistryError> {
        let name = self.full_name(declaration.name);
        let Some(entry) = self.page.with(|page| page.entry(&name)) else {
            return Ok(None);
        };
        self.check_same(&entry, declaration)?;
        let mut members = entry.members.iter();
        let Some(member) = members.find(|member| member.constant == self.constant) else {
            return Ok(None);
        };
        let family = member.collect.as_any().downcast_ref::<Family<Dynamic, M>>();
        match family.filter(|family| family.has_options(options)) {
            Some(family) => Ok(Some(family.clone())),
            None => Err(RegistryError::Conflict(name)),
        }
    }

    pub(super) fn register(
        &self,
        declaration: &Declaration,
        collect: Joint<dyn Collect>,
    ) -> Result<(), RegistryError> {
        let name = self.full_name(declaration.name);
        if !(is_metric_name(&name) || self.utf8 && !declaration.name.is_empty()) {
            return Err(RegistryError::MetricName(name));
        }
        if let Some(unit) = declaration.unit {
            let base = base(declaration.kind, &name);
            let stem = base.strip_suffix(unit);
            if unit.is_empty() || !stem.is_some_and(|stem| stem.ends_with('_')) {
                let unit = unit.to_owned();
                return Err(RegistryError::Unit { name, unit });
            }
        }
        let member = Member {
            constant: self.constant.clone(),
            collect,
        };
        self.page.with(|page| match page.position(&name) {
            Ok(at) => {
                let entries = Joint::make_mut(&mut page.entries);
                let Some(entry) = entries.get_mut(at) else {
                    return Ok(());
                };
                self.check_same(entry, declaration)?;
                let same = |other: &Member| other.constant == member.constant;
                if entry.members.iter().any(same) {
                    return Err(RegistryError::Duplicate(name));
                }
                Joint::make_mut(entry).members.push(member);
                Ok(())
            }
            Err(at) => {
                page.claim(declaration.kind, &name)?;
                let entry = Entry {
                    name,
                    help: declaration.help.to_owned(),
                    unit: declaration.unit.map(ToOwned::to_owned),
                    kind: declaration.kind,
                    utf8: self.utf8,
                    members: alloc::vec![member],
                };
                Joint::make_mut(&mut page.entries).insert(at, Joint::new(entry));
                Ok(())
            }
        })
    }

    /// Refuses to put two different metrics under one name.
    fn check_same(&self, entry: &Entry, given: &Declaration) -> Result<(), RegistryError> {
        let name = || entry.name.clone();
        if entry.help != given.help {
            return Err(RegistryError::Help {
                name: name(),
                registered: entry.help.clone(),
                given: given.help.to_owned(),
            });
        }
        if entry.kind != given.kind
            || entry.unit.as_deref() != given.unit
            || entry.utf8 != self.utf8
        {
            return Err(RegistryError::Conflict(name()));
        }
        Ok(())
    }

    /// All metrics in Prometheus' text format, families and series in a fixed order.
    pub fn exposition(&self) -> String {
        self.page(Format::Text)
    }

    /// All metrics as text, families and series in a fixed order.
    pub fn page(&self, format: Format) -> String {
        let length = self.page.with(|page| page.last_length);
        let mut text = String::with_capacity(length + length / 8);
        // A string takes whatever is written.
        let _ = self.expose(format, &mut text);
        self.page.with(|page| page.last_length = text.len());
        text
    }

    /// Writes all metrics as text, piece by piece: nothing is built up in memory. No lock is held
    /// meanwhile, so that `out` may block.
    ///
    /// # Errors
    /// Where `out` fails.
    pub fn expose(&self, format: Format, out: &mut impl Write) -> fmt::Result {
        let entries = self.page.with(|page| page.entries.clone());
        for entry in entries.iter() {
            entry.expose(format, out)?;
        }
        if format.is_open_metrics() {
            out.write_str("# EOF\n")?;
        }
        Ok(())
    }

    pub(super) fn full_name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    pub(super) fn constant_labels(&self) -> &str {
        &self.constant
    }

    pub(super) fn has_utf8_names(&self) -> bool {
        self.utf8
    }

    pub(super) fn clock(&self) -> Option<SharedClock> {
        self.clock.clone()
    }
}

impl Page {
    fn position(&self, name: &str) -> Result<usize, usize> {
        let entries = self.entries.as_slice();
        entries.binary_search_by(|entry| entry.name.as_str().cmp(name))
    }

    fn entry(&self, name: &str) -> Option<Joint<Entry>> {
        let at = self.position(name).ok()?;
        self.entries.get(at).cloned()
    }

    /// Takes all names that the metric has on a page, or says who has one of them.
    fn claim(&mut self, kind: Type, name: &str) -> Result<(), RegistryError> {
        let samples = claims(kind, name);
        for sample in &samples {
            if let Some(registered) = self.claims.get(sample) {
                return Err(RegistryError::SampleName {
                    name: name.to_owned(),
                    registered: registered.clone(),
                    sample: sample.clone(),
                });
            }
        }
        let claims = samples.into_iter().map(|sample| (sample, name.to_owned()));
        self.claims.extend(claims);
        Ok(())
    }
}

impl Entry {
    fn expose(&self, format: Format, out: &mut dyn Write) -> fmt::Result {
        let base = base(self.kind, &self.name);
        let heading = Heading {
            base,
            help: &self.help,
            unit: self.unit.as_deref(),
            kind: self.kind,
            suffix: match self.kind {
                Type::Counter if base.len() == self.name.len() => "",
                kind => kind.suffix(),
            },
            utf8: self.utf8,
        };
        let mut writer = FamilyWriter::new(out, format, &heading);
        for member in &self.members {
            writer.set_constant(&member.constant);
            member.collect.expose(&mut writer)?;
        }
        Ok(())
    }
}
