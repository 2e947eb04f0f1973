//! The forms of the module.

use std::env;

/// In which of its forms Envoy loads the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModuleHost {
    /// As WebAssembly.
    Wasm,
    /// As a library of Envoy's dynamic modules.
    Native,
}

impl ModuleHost {
    /// The environment variable that chooses the form for all sidecars that do not choose.
    pub const VARIABLE: &str = "MIXERLESS_HOST";

    /// What [`Self::VARIABLE`] says; WebAssembly without it.
    pub fn chosen() -> Self {
        match env::var(Self::VARIABLE).as_deref() {
            Ok("native") => Self::Native,
            _ => Self::Wasm,
        }
    }
}
