//! What all threads share of a filter: its configuration. How one comes about is in
//! [`loading`](crate::loading).

use std::sync::atomic::{AtomicU32, Ordering};

use stats_core::http::role::Role;

use crate::guard::Broken;

/// The configuration of a filter.
pub struct FilterConfig {
    /// The filter's name, which names its role.
    pub name: Vec<u8>,
    /// What the filter does.
    pub role: Role,
    /// The JSON that configures it.
    pub text: Vec<u8>,
    /// Whether it has panicked.
    pub broken: Broken,
    /// How many filters have it. It is one, unless a later configuration was refused.
    filters: AtomicU32,
}

impl FilterConfig {
    /// The configuration of one filter.
    pub fn new(name: &[u8], role: Role, text: &[u8]) -> Self {
        Self {
            name: name.to_vec(),
            role,
            text: text.to_vec(),
            broken: Broken::default(),
            filters: AtomicU32::new(1),
        }
    }

    /// Whether requests may still come.
    pub fn is_in_use(&self) -> bool {
        self.filters.load(Ordering::Relaxed) > 0
    }

    /// One more filter has it.
    pub fn share(&self) {
        self.filters.fetch_add(1, Ordering::Relaxed);
    }

    /// Envoy has no listener and no request left of one filter with it. Whether that was the last one.
    pub fn retire(&self) -> bool {
        self.filters.fetch_sub(1, Ordering::Relaxed) == 1
    }
}
