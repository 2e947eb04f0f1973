//! Our module as a library of Envoy's dynamic modules.

use harness::envoy_config::NativeFilter;
use serde_json::Value;

use super::{BARE, ISTIO_COUNTER, Variant};

/// The library, all in one filter.
pub const DYNAMIC: &str = "dynamic module";
/// The library behind an exchange of its own, whose cost is not included.
pub const DYNAMIC_STATS: &str = "dynamic module, stats alone";
/// The chain without any copies but with such an exchange in front.
const EXCHANGE_IN_FRONT: &str = "bare chain behind an exchange of the dynamic module";

impl Variant {
    /// The library, all in one filter.
    pub fn dynamic(configuration: &str) -> Self {
        Self {
            name: DYNAMIC.to_owned(),
            filters: vec![filter("", configuration)],
            without: Some(BARE),
            counter: Some(ISTIO_COUNTER),
            metrics_of: Some(configuration.to_owned()),
            ..Self::bare()
        }
    }

    /// The library behind an exchange of its own.
    pub fn dynamic_stats(configuration: &str) -> Self {
        Self {
            name: DYNAMIC_STATS.to_owned(),
            filters: vec![filter("stats", configuration)],
            without: Some(EXCHANGE_IN_FRONT),
            ..Self::behind_dynamic_exchange(Self::dynamic(configuration))
        }
    }

    /// The chain behind such an exchange.
    pub fn bare_behind_dynamic_exchange() -> Self {
        Self {
            name: EXCHANGE_IN_FRONT.to_owned(),
            ..Self::behind_dynamic_exchange(Self::bare())
        }
    }

    fn behind_dynamic_exchange(variant: Self) -> Self {
        Self {
            in_front: vec![filter("metadata_exchange", "")],
            ..variant
        }
    }
}

fn filter(role: &str, configuration: &str) -> Value {
    NativeFilter {
        name: "bench.dynamic",
        role,
        configuration,
    }
    .http_filter()
}
