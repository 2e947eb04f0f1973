//! A WebAssembly module that counts for its host: `cargo xtask no-std` builds it, and
//! `bench/tests/wasm_module.rs` runs it.
//!
//! Built without the feature `std`: a module has one thread, so that its families need no map that
//! threads could share.

use std::cell::RefCell;

use stats_core::label_set;
use stats_core::registry::{Counter, Family, Registry, RegistryError};

label_set! {
    /// What events are counted by.
    #[derive(Clone, Copy)]
    struct Event {
        code: u32,
    }
}

struct Module {
    registry: Registry,
    events: Family<Event, Counter>,
    page: String,
}

impl Module {
    fn new() -> Result<Self, RegistryError> {
        let registry = Registry::new();
        let events = Family::<Event, Counter>::builder("events_total", "Events of the host.")
            .limit(2, &Event { code: 0 })
            .register(&registry)?;
        Ok(Self {
            registry,
            events,
            page: String::new(),
        })
    }
}

thread_local! {
    static MODULE: RefCell<Option<Module>> = RefCell::new(Module::new().ok());
}

/// Counts an event.
#[unsafe(no_mangle)]
pub extern "C" fn count(code: u32) {
    MODULE.with_borrow(|module| {
        if let Some(module) = module {
            module.events.with(&Event { code }, Counter::inc);
        }
    });
}

/// Writes the page, and returns how long it is.
#[unsafe(no_mangle)]
pub extern "C" fn write_page() -> usize {
    MODULE.with_borrow_mut(|module| {
        let module = module.as_mut();
        module.map_or(0, |module| {
            module.page = module.registry.exposition();
            module.page.len()
        })
    })
}

/// Where the page is that was written last.
#[unsafe(no_mangle)]
pub extern "C" fn page() -> *const u8 {
    MODULE.with_borrow(|module| {
        let page = module.as_ref().map(|module| module.page.as_ptr());
        page.unwrap_or(std::ptr::null())
    })
}
