//! Envoy's ABI for dynamic modules, version 0.2, of Envoy 1.40: what makes safe values of its pointers. The
//! functions that Envoy offers are declared in `callbacks`; those that it calls are in
//! [`hooks`](crate::hooks). What all this is used for is in [`host`](crate::host) and
//! [`store`](crate::store).

mod callbacks;
pub mod clock;
pub mod metrics;
pub mod stream;

use std::ffi::{CStr, c_void};
use std::ptr;
use std::slice;
use std::sync::OnceLock;

pub use callbacks::EnvoyBuffer;
use callbacks::{Callbacks, ModuleBuffer};
use log::Level;

/// Which version of the ABI the module speaks. Envoy warns of another one, and loads the module.
pub const VERSION: &CStr = c"v0.2.0";

/// Envoy's functions, or the name of one that it does not have.
static CALLBACKS: OnceLock<Result<Callbacks, &'static str>> = OnceLock::new();

/// The Envoy that has loaded this module.
#[derive(Clone, Copy)]
pub struct EnvoyApi {
    callbacks: &'static Callbacks,
}

// === impl EnvoyApi ===

impl EnvoyApi {
    /// The Envoy around this module.
    ///
    /// # Errors
    /// With the name of a function that it does not have.
    pub fn find() -> Result<Self, &'static str> {
        match CALLBACKS.get_or_init(Callbacks::find) {
            Ok(callbacks) => Ok(Self { callbacks }),
            Err(missing) => Err(missing),
        }
    }

    /// Tells that a cluster has all that it needs to begin.
    ///
    /// # Safety
    /// The cluster must be one that Envoy is initializing.
    pub unsafe fn cluster_is_ready(self, cluster: *mut c_void) {
        // SAFETY: the caller's promise.
        unsafe { (self.callbacks.cluster_pre_init_complete)(cluster) };
    }
}

/// Writes a line to Envoy's log, also of an Envoy that lacks other functions.
pub fn log(level: Level, message: &str) {
    // As Envoy numbers them, from the one that says most.
    let level = match level {
        Level::Trace => 0,
        Level::Debug => 1,
        Level::Info => 2,
        Level::Warn => 3,
        Level::Error => 4,
    };
    let message = buffer(message.as_bytes());
    match EnvoyApi::find() {
        // SAFETY: the message is valid for the call.
        Ok(envoy) => unsafe { (envoy.callbacks.log)(level, message) },
        Err(_) => callbacks::log_alone(level, message),
    }
}

/// Stands for no value.
const NONE: ModuleBuffer = ModuleBuffer {
    bytes: ptr::null(),
    length: 0,
};

/// Bytes as Envoy takes them, for one call.
const fn buffer(bytes: &[u8]) -> ModuleBuffer {
    ModuleBuffer {
        bytes: bytes.as_ptr(),
        length: bytes.len(),
    }
}

/// Bytes that Envoy handed over.
///
/// # Safety
/// They must be valid for as long as the caller says.
pub unsafe fn bytes<'a>(buffer: EnvoyBuffer) -> &'a [u8] {
    if buffer.bytes.is_null() || buffer.length == 0 {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe { slice::from_raw_parts(buffer.bytes, buffer.length) }
}
