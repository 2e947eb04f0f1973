//! What the user's expressions evaluated to for a request. How they are evaluated is in
//! [`expressions`](super::expressions).

use alloc::boxed::Box;

use crate::labels::UNKNOWN;

/// What expressions evaluated to for a request: labels show it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Evaluated {
    /// Which conditions hold, a bit each.
    pub conditions: u64,
    /// The values of all expressions, each with its length in front; empty where no label shows one.
    values: Box<[u8]>,
}

impl Evaluated {
    /// Which conditions hold, and the values of all expressions, each with its length in front as four
    /// bytes, the lowest first.
    pub fn new(conditions: u64, values: &[u8]) -> Self {
        Self {
            conditions,
            values: values.into(),
        }
    }

    /// Whether this is what these make.
    pub fn is(&self, conditions: u64, values: &[u8]) -> bool {
        self.conditions == conditions && *self.values == *values
    }

    /// The value of the expression at a position.
    pub fn value(&self, at: usize) -> &[u8] {
        let mut rest = &*self.values;
        let mut next = || {
            let (length, after) = rest.split_first_chunk()?;
            let (value, after) = after.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            rest = after;
            Some(value)
        };
        for _ in 0..at {
            next();
        }
        next().unwrap_or(UNKNOWN.as_bytes())
    }
}
