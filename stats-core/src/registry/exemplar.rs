//! Exemplars: for a counter or a bucket, one request that it counted, so that its trace can be found.
//! Only OpenMetrics shows them.
//!
//! Not here: the metrics that take them, which are in `exemplified`.

use alloc::boxed::Box;
use alloc::string::String;
use core::time::Duration;

use super::encoded::{LabelRules, check_names, push};
use super::error::RegistryError;

/// The most characters that OpenMetrics allows an exemplar's names and values.
const MAX_CHARACTERS: usize = 128;

/// What points to one request: labels such as `trace_id`, and when it was.
#[derive(Clone, Debug)]
pub struct Exemplar {
    pub(super) labels: Box<str>,
    pub(super) time: Option<Duration>,
    pub(super) value: f64,
}

impl Exemplar {
    /// An exemplar with these labels.
    ///
    /// # Errors
    /// Where a name is none, or there twice, or names and values are more than 128 characters.
    pub fn new(labels: &[(&str, &str)]) -> Result<Self, RegistryError> {
        let rules = LabelRules {
            utf8: false,
            histogram: false,
        };
        check_names(&labels.iter().map(|(name, _)| *name), "", rules)?;
        let characters = labels.iter().flat_map(|(name, value)| [name, value]);
        let characters: usize = characters.map(|text| text.chars().count()).sum();
        let mut text = String::new();
        for (name, value) in labels {
            push(&mut text, name, value);
        }
        if characters > MAX_CHARACTERS {
            return Err(RegistryError::Exemplar(text));
        }
        Ok(Self {
            labels: text.into(),
            time: None,
            value: 0.0,
        })
    }

    /// The same with its time, since the Unix epoch.
    #[must_use]
    pub fn at(self, time: Duration) -> Self {
        Self {
            time: Some(time),
            ..self
        }
    }
}
