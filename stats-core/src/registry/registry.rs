//! The registry: what is common to all that is registered in it, and its page.
//!
//! Not here: families, which register themselves (`builder`), and metrics by name (`dynamic`).

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use core::fmt::{self, Write};

use super::clock::{Clock, SharedClock};
use super::encoded::{LabelRules, check_names, push};
use super::error::RegistryError;
use super::exposition::Collect;
use super::format::Format;
use super::lock::{Joint, Lock};
use super::names::Type;
use super::page::{Declared, Member, RegistryPage};

/// All metrics of a process. Cheap to clone; all clones, and all that come of
/// [`sub_registry`](Self::sub_registry), are one page, and know each other's names.
///
/// Registering takes a lock; recording does not involve the registry at all, it goes through the
/// handles. With the feature `std` it is shared between threads; without, it stays on its thread.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    page: Joint<Lock<RegistryPage>>,
    /// What all names that are registered here begin with.
    prefix: Box<str>,
    /// The labels that all series have that are registered here.
    constant: Box<str>,
    utf8: bool,
    clock: Option<SharedClock>,
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
        let rules = self.label_rules(Type::Histogram);
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
            clock: Some(SharedClock::new(clock)),
            ..self
        }
    }

    pub(super) fn register(
        &self,
        declared: Declared,
        collect: Joint<dyn Collect>,
    ) -> Result<(), RegistryError> {
        let member = Member {
            constant: self.constant.clone(),
            collect,
        };
        declared.check()?;
        self.page.with(|page| page.insert(declared, member))
    }

    /// What stands on the page under this name with the labels of this registry.
    pub(super) fn registered(
        &self,
        declared: &Declared,
    ) -> Result<Option<Joint<dyn Collect>>, RegistryError> {
        let entry = self.page.with(|page| page.entry(&declared.name));
        let Some(entry) = entry else {
            return Ok(None);
        };
        entry.check_same(declared)?;
        let member = entry.member(&self.constant);
        Ok(member.map(|member| member.collect.clone()))
    }

    /// A metric of this registry.
    pub(super) fn declared(
        &self,
        kind: Type,
        name: &str,
        help: &str,
        unit: Option<&str>,
    ) -> Declared {
        Declared {
            name: format!("{}{name}", self.prefix),
            help: help.to_owned(),
            unit: unit.map(ToOwned::to_owned),
            kind,
            utf8: self.utf8,
        }
    }

    /// What a label may be called here.
    pub(super) fn label_rules(&self, kind: Type) -> LabelRules {
        LabelRules {
            utf8: self.utf8,
            histogram: kind == Type::Histogram,
        }
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

    pub(super) fn constant_labels(&self) -> &str {
        &self.constant
    }

    pub(super) fn clock(&self) -> Option<SharedClock> {
        self.clock.clone()
    }
}
