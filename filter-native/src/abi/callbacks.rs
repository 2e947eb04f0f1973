//! The calls from the module into Envoy, declared by hand from Envoy 1.40.0
//! (`source/extensions/dynamic_modules/abi/abi.h` at commit 9e5580933739775e8bce696a57a2e1bc99368f23).
//! Only what the module calls is here.
//!
//! They are looked up by name when the module is loaded, and not by the linker: an Envoy without one of
//! them then loads the module all the same, and can be told which one it is.

use std::ffi::{CStr, c_char, c_void};
use std::mem;
use std::ptr;

/// Bytes of Envoy's, valid until the end of the hook or the next call that changes something.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct EnvoyBuffer {
    /// The first byte; may be null.
    pub bytes: *const u8,
    /// How many.
    pub length: usize,
}

/// Bytes of the module's, valid for the call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ModuleBuffer {
    /// The first byte; null stands for no value at all.
    pub bytes: *const u8,
    /// How many.
    pub length: usize,
}

/// `envoy_dynamic_module_type_timing_info_v2`: times in nanoseconds, and whether each is known.
#[repr(C)]
pub struct Timing {
    times: [i64; TIMES],
    known: [bool; TIMES],
}

/// How many times a [`Timing`] has.
const TIMES: usize = 19;
/// The time from the request's beginning to its end.
const REQUEST_COMPLETE: usize = 17;

impl Timing {
    /// No time is known.
    pub const UNKNOWN: Self = Self {
        times: [0; TIMES],
        known: [false; TIMES],
    };

    /// The whole duration of the request, where it is known.
    pub fn request_complete(&self) -> Option<u64> {
        let [known, time] = [
            i64::from(self.known[REQUEST_COMPLETE]),
            self.times[REQUEST_COMPLETE],
        ];
        (known == 1).then(|| u64::try_from(time).unwrap_or_default())
    }
}

/// `envoy_dynamic_module_type_metrics_result_Success`.
pub const SUCCESS: u32 = 0;

#[link(name = "dl")]
unsafe extern "C" {
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
}

macro_rules! callbacks {
    ($(fn $name:ident($($type:ty),*) $(-> $result:ty)?;)*) => {
        /// Envoy's functions.
        pub struct Callbacks {
            $(pub $name: unsafe extern "C" fn($($type),*) $(-> $result)?,)*
        }

        impl Callbacks {
            /// The functions of the Envoy that loaded this module.
            ///
            /// # Errors
            /// With the name of the first one that it does not have.
            pub fn find() -> Result<Self, &'static str> {
                Ok(Self {
                    $($name: {
                        let name = concat!("envoy_dynamic_module_callback_", stringify!($name), "\0");
                        let function = find(name)?;
                        // SAFETY: the function of this name has this signature, by Envoy's header.
                        unsafe {
                            mem::transmute::<
                                *mut c_void,
                                unsafe extern "C" fn($($type),*) $(-> $result)?,
                            >(function)
                        }
                    },)*
                })
            }
        }
    };
}

// In the order of the header: logging, HTTP filters, clusters.
callbacks! {
    fn log(u32, ModuleBuffer);

    fn http_get_header(*mut c_void, u32, ModuleBuffer, *mut EnvoyBuffer, usize, *mut usize) -> bool;
    fn http_set_header(*mut c_void, u32, ModuleBuffer, ModuleBuffer) -> bool;
    fn http_get_metadata_string(
        *mut c_void, u32, ModuleBuffer, ModuleBuffer, *mut EnvoyBuffer
    ) -> bool;
    fn http_get_metadata_bool(*mut c_void, u32, ModuleBuffer, ModuleBuffer, *mut bool) -> bool;
    fn http_set_filter_state_bytes(*mut c_void, ModuleBuffer, ModuleBuffer) -> bool;
    fn http_get_filter_state_bytes(*mut c_void, ModuleBuffer, *mut EnvoyBuffer) -> bool;
    fn http_get_filter_state_typed(*mut c_void, ModuleBuffer, *mut EnvoyBuffer) -> bool;
    fn http_filter_get_attribute_string(*mut c_void, u32, *mut EnvoyBuffer) -> bool;
    fn http_filter_get_attribute_int(*mut c_void, u32, *mut u64) -> bool;
    fn http_get_timing_info(*mut c_void, *mut Timing);

    fn cluster_pre_init_complete(*mut c_void);
    fn cluster_config_define_counter(
        *mut c_void, ModuleBuffer, *const ModuleBuffer, usize, *mut usize
    ) -> u32;
    fn cluster_config_define_gauge(
        *mut c_void, ModuleBuffer, *const ModuleBuffer, usize, *mut usize
    ) -> u32;
    fn cluster_config_define_histogram(
        *mut c_void, ModuleBuffer, *const ModuleBuffer, usize, *mut usize
    ) -> u32;
    fn cluster_config_resolve_counter_vec(
        *mut c_void, usize, *const ModuleBuffer, usize, *mut *mut c_void
    ) -> u32;
    fn cluster_config_resolve_gauge_vec(
        *mut c_void, usize, *const ModuleBuffer, usize, *mut *mut c_void
    ) -> u32;
    fn cluster_config_resolve_histogram_vec(
        *mut c_void, usize, *const ModuleBuffer, usize, *mut *mut c_void
    ) -> u32;
    fn cluster_metric_counter_add(*mut c_void, u64);
    fn cluster_metric_gauge_add(*mut c_void, u64);
    fn cluster_metric_gauge_sub(*mut c_void, u64);
    fn cluster_metric_gauge_set(*mut c_void, u64);
    fn cluster_metric_histogram_record(*mut c_void, u64);
}

/// Logs a line in an Envoy of which not all functions are there.
pub fn log_alone(level: u32, message: ModuleBuffer) {
    if let Ok(function) = find("envoy_dynamic_module_callback_log\0") {
        // SAFETY: the function of this name has this signature since Envoy 1.38, and an older one does not
        // load this module.
        let log = unsafe {
            mem::transmute::<*mut c_void, unsafe extern "C" fn(u32, ModuleBuffer)>(function)
        };
        // SAFETY: the message is valid for the call.
        unsafe { log(level, message) };
    }
}

/// A function of this process by its name, which ends in a NUL.
fn find(name: &'static str) -> Result<*mut c_void, &'static str> {
    let Ok(terminated) = CStr::from_bytes_with_nul(name.as_bytes()) else {
        return Err(name);
    };
    // SAFETY: null stands for the whole process, and the name ends in a NUL.
    let function = unsafe { dlsym(ptr::null_mut(), terminated.as_ptr()) };
    if function.is_null() {
        return Err(name.trim_end_matches('\0'));
    }
    Ok(function)
}
