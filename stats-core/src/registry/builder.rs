//! What a family is declared with, up to its registration.

use core::marker::PhantomData;

use hashbrown::DefaultHashBuilder;

use super::encoded::{Encoded, check_names, hash_labels, hash_values, prefixes};
use super::error::RegistryError;
use super::exemplified::HistogramWithExemplars;
use super::family::Family;
use super::histogram::{Buckets, Histogram};
use super::instrument::Instrument;
use super::labels::{Dynamic, LabelSet};
use super::lock::Joint;
use super::registry::Registry;
use super::series::{FamilySettings, Limit};

/// A family that is not registered yet; see [`Family::builder`].
#[derive(Debug)]
#[must_use = "a family is on no page until it is registered"]
pub struct Builder<'a, L, M: Instrument> {
    name: &'a str,
    help: &'a str,
    unit: Option<&'a str>,
    options: M::Options,
    limit: Option<Limit>,
    hasher: DefaultHashBuilder,
    labels: PhantomData<fn() -> L>,
}

impl<L, M: Instrument> Family<L, M> {
    /// Begins a family of this name and help text.
    pub fn builder<'a>(name: &'a str, help: &'a str) -> Builder<'a, L, M> {
        Builder {
            name,
            help,
            unit: None,
            options: M::Options::default(),
            limit: None,
            hasher: DefaultHashBuilder::default(),
            labels: PhantomData,
        }
    }
}

impl<'a, L, M: Instrument> Builder<'a, L, M> {
    pub(super) fn options(self, options: M::Options) -> Self {
        Self { options, ..self }
    }

    /// The unit, such as `seconds`, which the name must end in (before `_total`). OpenMetrics shows it.
    pub fn unit(self, unit: &'a str) -> Self {
        Self {
            unit: Some(unit),
            ..self
        }
    }
}

impl<L> Builder<'_, L, Histogram> {
    /// The bounds of the buckets; without this, [`DEFAULT_BOUNDS`](super::DEFAULT_BOUNDS).
    pub fn buckets(self, buckets: impl Into<Buckets>) -> Self {
        Self {
            options: buckets.into(),
            ..self
        }
    }
}

impl<L> Builder<'_, L, HistogramWithExemplars> {
    /// The bounds of the buckets; without this, [`DEFAULT_BOUNDS`](super::DEFAULT_BOUNDS).
    pub fn buckets(self, buckets: impl Into<Buckets>) -> Self {
        Self {
            options: buckets.into(),
            ..self
        }
    }
}

impl<L: LabelSet + 'static, M: Instrument> Builder<'_, L, M> {
    /// Keeps the family to so many series, and one more with the labels of `overflow`: that one gets
    /// all that has no series of its own, so that totals stay exact.
    pub fn limit<Q: LabelSet<Family = L>>(self, series: usize, overflow: &Q) -> Self {
        let limit = Limit {
            series,
            overflow: Encoded::typed(overflow, &prefixes(L::NAMES)),
            hash: hash_values(&self.hasher, overflow),
        };
        Self {
            limit: Some(limit),
            ..self
        }
    }
}

impl<M: Instrument> Builder<'_, Dynamic, M> {
    /// Keeps the family to so many series, and one more with the labels of `overflow`: that one gets
    /// all that has no series of its own, so that totals stay exact.
    pub fn limit(self, series: usize, overflow: &[(&str, &str)]) -> Self {
        let limit = Limit {
            series,
            overflow: Encoded::dynamic(overflow),
            hash: hash_labels(&self.hasher, overflow),
        };
        Self {
            limit: Some(limit),
            ..self
        }
    }
}

/// A kind of label set that a family can be declared with.
pub trait Labels: 'static {
    /// The names that all sets have, where that is known.
    const NAMES: &'static [&'static str];
}

impl<L: LabelSet + 'static> Labels for L {
    const NAMES: &'static [&'static str] = L::NAMES;
}

impl Labels for Dynamic {
    const NAMES: &'static [&'static str] = &[];
}

impl<L: Labels, M: Instrument> Builder<'_, L, M> {
    /// Puts the family on the registry's page.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub fn register(self, registry: &Registry) -> Result<Family<L, M>, RegistryError> {
        let rules = registry.label_rules(M::TYPE);
        let constant = registry.constant_labels();
        let declared = registry.declared(M::TYPE, self.name, self.help, self.unit);
        check_names(&L::NAMES.iter().copied(), constant, rules)?;
        if let Some(limit) = &self.limit {
            limit.overflow.check_names(constant, rules)?;
        }
        if !M::is_valid(&self.options) {
            return Err(RegistryError::Bounds(declared.name));
        }
        let settings = FamilySettings {
            options: self.options,
            prefixes: prefixes(L::NAMES),
            limit: self.limit,
            constant: constant.into(),
            rules,
            clock: registry.clock(),
        };
        let family = Family::new(settings, self.hasher);
        registry.register(declared, Joint::new(family.clone()))?;
        Ok(family)
    }
}
