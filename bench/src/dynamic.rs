//! The native module without an Envoy: the library is loaded as Envoy loads it, and its hooks are called in
//! Envoy's order for one recorded request, as often as wanted.
//!
//! Here: the library, and the order of its hooks. What it calls back is in [`callbacks`], which the build script
//! exports from tests and benchmarks, for the library looks for it in its process.

#![allow(unsafe_code, reason = "the calls into a library")]

mod callbacks;
pub mod calls;

use std::ffi::{CStr, c_char, c_void};
use std::ptr;
use std::sync::OnceLock;

use anyhow::{Context, Result, ensure};
use libloading::Library;

pub use self::callbacks::Buffer;
use self::calls::CallbackCounts;
use crate::recorded::Recorded;
use crate::scenarios::{Scenario, WARM_UP};

/// What `cargo xtask build` makes.
const LIBRARY: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../target/dist/libmixerless.so"
);
/// Not null, for what is only handed back.
const SOMETHING: *mut c_void = ptr::without_provenance_mut(1);

macro_rules! hooks {
    ($(fn $name:ident($($type:ty),*) $(-> $result:ty)?;)*) => {
        /// The functions of the library that a worker of Envoy calls.
        struct Hooks {
            $($name: unsafe extern "C" fn($($type),*) $(-> $result)?,)*
        }

        impl Hooks {
            fn find(library: &Library) -> Result<Self> {
                Ok(Self {
                    $($name: {
                        let name = concat!("envoy_dynamic_module_on_", stringify!($name));
                        // SAFETY: the function of this name has this signature, by Envoy's header.
                        *unsafe { library.get(name.as_bytes()) }.context(name)?
                    },)*
                })
            }
        }
    };
}

hooks! {
    fn program_init() -> *const c_char;
    fn cluster_config_new(*mut c_void, Buffer, Buffer) -> *mut c_void;
    fn cluster_new(*mut c_void, *mut c_void) -> *mut c_void;
    fn cluster_lb_new(*mut c_void, *mut c_void) -> *mut c_void;
    fn cluster_lb_destroy(*mut c_void);
    fn cluster_destroy(*mut c_void);
    fn cluster_config_destroy(*mut c_void);
    fn http_filter_config_new(*mut c_void, Buffer, Buffer) -> *mut c_void;
    fn http_filter_config_destroy(*mut c_void);
    fn http_filter_new(*mut c_void, *mut c_void) -> *mut c_void;
    fn http_filter_request_headers(*mut c_void, *mut c_void, bool) -> u32;
    fn http_filter_response_headers(*mut c_void, *mut c_void, bool) -> u32;
    fn http_filter_response_body(*mut c_void, *mut c_void, bool) -> u32;
    fn http_filter_stream_complete(*mut c_void, *mut c_void);
    fn http_filter_destroy(*mut c_void);
}

/// The library, loaded once and never closed, as Envoy does with `do_not_close`.
fn hooks() -> Result<&'static Hooks> {
    static HOOKS: OnceLock<Hooks> = OnceLock::new();
    if let Some(hooks) = HOOKS.get() {
        return Ok(hooks);
    }
    // SAFETY: our own library, which does nothing when it is loaded.
    let library = unsafe { Library::new(LIBRARY) }
        .with_context(|| format!("cannot load {LIBRARY}: run `cargo xtask build`"))?;
    let hooks = Hooks::find(&library)?;
    std::mem::forget(library);
    // SAFETY: Envoy's first call, with nothing to promise.
    let version = unsafe { CStr::from_ptr((hooks.program_init)()) };
    ensure!(version == c"v0.2.0", "the library speaks {version:?}");
    Ok(HOOKS.get_or_init(|| hooks))
}

/// The library on a worker of Envoy, which is the current thread, with one filter and its metrics cluster.
pub struct DynamicModule {
    /// The proxy, to change what the next request is. In one place, for the library has its address.
    pub proxy: Box<Recorded>,
    hooks: &'static Hooks,
    cluster_config: *mut c_void,
    cluster: *mut c_void,
    balancer: *mut c_void,
    filter_config: *mut c_void,
}

impl DynamicModule {
    /// A worker with a filter as the scenario wants it, warm.
    ///
    /// # Errors
    /// Where the library cannot be loaded, or it has something to warn of.
    pub fn start(scenario: &Scenario) -> Result<Self> {
        let hooks = hooks()?;
        calls::forget_lines();
        let configuration = Buffer::of(scenario.configuration.as_bytes());
        let name = Buffer::of(scenario.root_id.as_bytes());
        // SAFETY: the order of Envoy, which hands each result to the hooks that take it.
        let mut module = unsafe {
            let cluster_config = (hooks.cluster_config_new)(SOMETHING, name, configuration);
            let cluster = (hooks.cluster_new)(cluster_config, SOMETHING);
            Self {
                proxy: Box::new((scenario.proxy)()),
                hooks,
                cluster_config,
                cluster,
                balancer: (hooks.cluster_lb_new)(cluster, SOMETHING),
                filter_config: (hooks.http_filter_config_new)(SOMETHING, name, configuration),
            }
        };
        for _ in 0..WARM_UP {
            module.request();
        }
        let lines = calls::lines();
        ensure!(lines.is_empty(), "{}: {}", scenario.name, lines.join("; "));
        Ok(module)
    }

    /// One whole request, with a body in its response.
    pub fn request(&mut self) {
        let filter = ptr::from_mut(&mut *self.proxy).cast();
        let hooks = self.hooks;
        // SAFETY: the order of Envoy, with a filter that lives longer than the request.
        unsafe {
            let open = (hooks.http_filter_new)(self.filter_config, filter);
            (hooks.http_filter_request_headers)(filter, open, true);
            (hooks.http_filter_response_headers)(filter, open, false);
            (hooks.http_filter_response_body)(filter, open, true);
            (hooks.http_filter_stream_complete)(filter, open);
            (hooks.http_filter_destroy)(open);
        }
    }

    /// What so many requests call back.
    pub fn calls(&mut self, requests: u64) -> CallbackCounts {
        let before = calls::counts();
        for _ in 0..requests {
            self.request();
        }
        calls::counts().since(&before)
    }
}

impl Drop for DynamicModule {
    fn drop(&mut self) {
        // SAFETY: each is given back once, after all that needs it.
        unsafe {
            (self.hooks.http_filter_config_destroy)(self.filter_config);
            (self.hooks.cluster_lb_destroy)(self.balancer);
            (self.hooks.cluster_destroy)(self.cluster);
            (self.hooks.cluster_config_destroy)(self.cluster_config);
        }
    }
}
