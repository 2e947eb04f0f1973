//! Metrics by name, without a type for their labels: for a handful of series, and for who learns the
//! names at run time.

use super::counter::{Counter, Gauge, Info};
use super::encoded::check_names;
use super::error::RegistryError;
use super::family::Family;
use super::histogram::{Buckets, Histogram};
use super::instrument::Instrument;
use super::labels::Dynamic;
use super::page::Declared;
use super::registry::Registry;

impl Registry {
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
        let declared = self.declared(M::TYPE, name, help, None);
        loop {
            if let Some(family) = self.family::<M>(&declared, options)? {
                return family.get_or_create(labels);
            }
            // Before the family is there, which must not be registered for nothing.
            let names = labels.iter().map(|(name, _)| *name);
            check_names(&names, self.constant_labels(), self.label_rules(M::TYPE))?;
            let builder = Family::<Dynamic, M>::builder(name, help).options(options.clone());
            match builder.register(self) {
                // Another thread was faster.
                Err(RegistryError::Duplicate(_)) => {}
                Err(error) => return Err(error),
                Ok(family) => return family.get_or_create(labels),
            }
        }
    }

    /// The family of this name, where it is one that such functions can use.
    fn family<M: Instrument>(
        &self,
        declared: &Declared,
        options: &M::Options,
    ) -> Result<Option<Family<Dynamic, M>>, RegistryError> {
        let Some(collect) = self.registered(declared)? else {
            return Ok(None);
        };
        let family = collect.as_any().downcast_ref::<Family<Dynamic, M>>();
        match family.filter(|family| family.has_options(options)) {
            Some(family) => Ok(Some(family.clone())),
            None => Err(RegistryError::Conflict(declared.name.clone())),
        }
    }
}
