//! What stands on a registry's page: which names there are, who has them, and in which order they come.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt::{self, Write};

use super::error::RegistryError;
use super::exposition::{Collect, FamilyWriter, Heading};
use super::format::Format;
use super::lock::Joint;
use super::names::{Type, base, claims, is_metric_name};

#[derive(Debug, Default)]
pub(super) struct RegistryPage {
    /// By name. Shared with expositions under way, which need no lock then.
    pub entries: Joint<Vec<Joint<PageEntry>>>,
    /// Each name that a sample or a family may have on a page, and the metric that has it.
    claims: BTreeMap<String, String>,
    /// How long the last page was that was written into a string.
    pub last_length: usize,
}

/// All of one name.
#[derive(Clone, Debug)]
pub(super) struct PageEntry {
    declared: Declared,
    members: Vec<Member>,
}

/// What was registered under a name in one registry.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub constant: Box<str>,
    pub collect: Joint<dyn Collect>,
}

/// What is registered under a name.
#[derive(Clone, Debug)]
pub(super) struct Declared {
    pub name: String,
    pub help: String,
    pub unit: Option<String>,
    pub kind: Type,
    /// Whether names may have any characters.
    pub utf8: bool,
}

impl Declared {
    /// Refuses names that no metric can have, and units that the name does not end in.
    pub fn check(&self) -> Result<(), RegistryError> {
        let Self { name, unit, .. } = self;
        if !is_metric_name(name) && (!self.utf8 || name.is_empty()) {
            return Err(RegistryError::MetricName(name.clone()));
        }
        let Some(unit) = unit else {
            return Ok(());
        };
        let stem = base(self.kind, name).strip_suffix(unit.as_str());
        if unit.is_empty() || !stem.is_some_and(|stem| stem.ends_with('_')) {
            return Err(RegistryError::Unit {
                name: name.clone(),
                unit: unit.clone(),
            });
        }
        Ok(())
    }
}

impl RegistryPage {
    fn position(&self, name: &str) -> Result<usize, usize> {
        let entries = self.entries.as_slice();
        entries.binary_search_by(|entry| entry.declared.name.as_str().cmp(name))
    }

    pub fn entry(&self, name: &str) -> Option<Joint<PageEntry>> {
        let at = self.position(name).ok()?;
        self.entries.get(at).cloned()
    }

    /// Puts the metric on the page, beside what other registries have there under its name.
    pub fn insert(&mut self, declared: Declared, member: Member) -> Result<(), RegistryError> {
        match self.position(&declared.name) {
            Ok(at) => match Joint::make_mut(&mut self.entries).get_mut(at) {
                Some(entry) => Joint::make_mut(entry).insert(&declared, member),
                None => Ok(()),
            },
            Err(at) => {
                self.claim(declared.kind, &declared.name)?;
                let entry = Joint::new(PageEntry {
                    declared,
                    members: vec![member],
                });
                Joint::make_mut(&mut self.entries).insert(at, entry);
                Ok(())
            }
        }
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

impl PageEntry {
    /// What was registered with these labels.
    pub fn member(&self, constant: &str) -> Option<&Member> {
        self.members
            .iter()
            .find(|member| &*member.constant == constant)
    }

    fn insert(&mut self, declared: &Declared, member: Member) -> Result<(), RegistryError> {
        self.check_same(declared)?;
        if self.member(&member.constant).is_some() {
            return Err(RegistryError::Duplicate(declared.name.clone()));
        }
        self.members.push(member);
        Ok(())
    }

    /// Refuses to put two different metrics under one name.
    pub fn check_same(&self, given: &Declared) -> Result<(), RegistryError> {
        let Declared {
            name,
            help,
            unit,
            kind,
            utf8,
        } = &self.declared;
        if *help != given.help {
            return Err(RegistryError::Help {
                name: name.clone(),
                registered: help.clone(),
                given: given.help.clone(),
            });
        }
        if (unit, *kind, *utf8) != (&given.unit, given.kind, given.utf8) {
            return Err(RegistryError::Conflict(name.clone()));
        }
        Ok(())
    }

    pub fn expose(&self, format: Format, out: &mut dyn Write) -> fmt::Result {
        let Declared {
            name,
            help,
            unit,
            kind,
            utf8,
        } = &self.declared;
        let base = base(*kind, name);
        let heading = Heading {
            base,
            help,
            unit: unit.as_deref(),
            kind: *kind,
            suffix: match kind {
                Type::Counter if base.len() == name.len() => "",
                kind => kind.suffix(),
            },
            utf8: *utf8,
        };
        let mut writer = FamilyWriter::new(out, format, &heading);
        for member in &self.members {
            writer.set_constant(&member.constant);
            member.collect.expose(&mut writer)?;
        }
        Ok(())
    }
}
