//! CEL, which Envoy does not offer to modules: what is configured as an expression is left out, with a line in
//! the log.

use stats_core::host::Expressions;

/// The CEL of a host that has none.
pub struct NoCel;

impl Expressions for NoCel {
    fn refusal(&self) -> &'static str {
        "needs CEL, which Envoy does not offer to native modules"
    }
}
