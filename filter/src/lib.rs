//! The proxy-wasm module: stats-core bound to a proxy. The callbacks that the proxy enters are
//! here, the calls back into it in [`host`]; nothing in this crate decides anything.
//!
//! The ABI is bound by hand and not through the Rust SDK. The SDK exports every callback there is,
//! and the proxy enters the module for each one exported; it also boxes a context per request and
//! copies what it reads. Only what is needed is exported here, and the steady state allocates
//! nothing.

mod host;
mod memory;

use std::cell::RefCell;

use stats_core::host::{Log, LogLevel};
use stats_core::plugin::{Plugin, Stream};
use stats_core::streams::Streams;

use host::{BufferType, ProxyWasm};

/// Go on with the headers.
const CONTINUE: u32 = 0;

/// What the module knows: the plugins by root context, and each request's state by its context.
struct Contexts {
    /// By root context, of which there are few.
    plugins: Vec<(u32, Option<Plugin>)>,
    /// By the requests' contexts, with the root context of each.
    streams: Streams<(u32, Stream)>,
}

thread_local! {
    // Const, or each entry into the module would look whether it has to be made.
    static CONTEXTS: RefCell<Contexts> = const {
        RefCell::new(Contexts {
            plugins: Vec::new(),
            streams: Streams::new(),
        })
    };
}

impl Contexts {
    /// Enters the module. A module has one thread and no callback interrupts another, so this
    /// always finds the contexts free; if it did not, the callback would be skipped.
    fn enter(callback: impl FnOnce(&mut Self, ProxyWasm)) {
        CONTEXTS.with(|contexts| {
            if let Ok(mut contexts) = contexts.try_borrow_mut() {
                // SAFETY: whoever holds another holds the contexts.
                callback(&mut contexts, unsafe { ProxyWasm::new() });
            }
        });
    }

    /// The plugin of a request and the request's state.
    fn stream(&mut self, context: u32) -> Option<(&mut Plugin, &mut Stream)> {
        let (root, stream) = self.streams.get_mut(context)?;
        let plugin = of(&mut self.plugins, *root)?.as_mut()?;
        Some((plugin, stream))
    }

    /// Reads a root context's configuration; whether it can be used.
    fn configure(&mut self, host: &ProxyWasm, root: u32) -> bool {
        let Some(slot) = of(&mut self.plugins, root) else {
            return false;
        };
        let root_id = host.property("plugin_root_id").unwrap_or_default();
        let configuration = host
            .buffer(BufferType::PluginConfiguration)
            .unwrap_or_default();
        let name = host.property("plugin_name").unwrap_or_default();
        let good = [b"mixerless.good.", name].concat();
        match Plugin::configure(host, root_id, configuration) {
            Ok(plugin) => {
                host.share(&good, b"");
                host.set_tick_period(plugin.tick());
                if let Some(old) = slot.replace(plugin) {
                    old.release(host);
                }
                true
            }
            Err(error) => {
                // Each worker has a VM of its own, but one line says it.
                let refused = [b"mixerless.refused.", name].concat();
                if host.shared(&refused) != Some(configuration) {
                    host.share(&refused, configuration);
                    host.log(LogLevel::Error, &format!("mixerless: {error}"));
                }
                // Told of a refusal, the proxy keeps a configuration before it; without one, it does
                // not even start. Telemetry must not do that: then the plugin only does nothing.
                host.shared(&good).is_none()
            }
        }
    }
}

/// The plugin of a root context.
fn of(plugins: &mut [(u32, Option<Plugin>)], root: u32) -> Option<&mut Option<Plugin>> {
    let plugin = plugins.iter_mut().find(|(context, _)| *context == root)?;
    Some(&mut plugin.1)
}

/// Says which version of the ABI the module speaks.
#[unsafe(no_mangle)]
extern "C" fn proxy_abi_version_0_2_1() {}

/// Gives the host memory to write to.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    memory::allocate(size)
}

/// How often the module has asked for memory: for the benchmark, the proxy never calls it.
#[unsafe(no_mangle)]
extern "C" fn mixerless_allocations() -> u32 {
    memory::allocations()
}

/// A root context for a plugin, or a request's context below one.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_context_create(context: u32, root: u32) {
    Contexts::enter(|contexts, _| {
        if root == 0 {
            contexts.plugins.push((context, None));
        } else {
            contexts.streams.insert(context, (root, Stream::default()));
        }
    });
}

/// The plugin's configuration is here.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_configure(root: u32, _size: usize) -> u32 {
    let mut usable = false;
    Contexts::enter(|contexts, host| usable = contexts.configure(&host, root));
    u32::from(usable)
}

/// The period that `configure` asked for has passed.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_tick(root: u32) {
    Contexts::enter(|contexts, mut host| {
        let Contexts { plugins, streams } = contexts;
        let Some(Some(plugin)) = of(plugins, root) else {
            return;
        };
        let reports = plugin.on_tick();
        streams.retain(|context, (of, stream)| {
            if *of != root {
                return true;
            }
            // Each request's answers at the place of the last one's.
            // SAFETY: this takes the place of the only other one.
            host = unsafe { ProxyWasm::new() };
            let is_open = host.turn_to(context);
            if !is_open {
                plugin.on_done(&host, stream);
            } else if reports {
                plugin.on_report(&host, stream);
            }
            is_open
        });
        // The proxy is not asked to tell when a context is gone: it would enter the module for each
        // request once more.
        while let Some(gone) = plugins
            .iter()
            .position(|(context, _)| !host.turn_to(*context))
        {
            let (gone, plugin) = plugins.swap_remove(gone);
            streams.retain(|_, (of, _)| *of != gone);
            if let Some(plugin) = plugin {
                plugin.end();
            }
        }
        host.turn_to(root);
    });
}

/// The request's headers are here.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_headers(context: u32, _headers: u32, _end_of_stream: u32) -> u32 {
    Contexts::enter(|contexts, host| {
        if let Some((plugin, stream)) = contexts.stream(context) {
            plugin.on_request_headers(&host, stream);
        }
    });
    CONTINUE
}

/// The response's headers are here.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_headers(context: u32, _headers: u32, _end_of_stream: u32) -> u32 {
    Contexts::enter(|contexts, host| {
        if let Some((plugin, stream)) = contexts.stream(context) {
            plugin.on_response_headers(&host, stream);
        }
    });
    CONTINUE
}

/// The request has ended: of all its callbacks this is the last.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_log(context: u32) {
    Contexts::enter(|contexts, host| {
        let Contexts { plugins, streams } = contexts;
        if let Some((root, stream)) = streams.get_mut(context) {
            if let Some(Some(plugin)) = of(plugins, *root) {
                plugin.on_log(&host, stream);
            }
            streams.end(context);
        } else if let Some(Some(logger)) = of(plugins, context) {
            // To an access logger the proxy gives no context for each request, but the plugin's own.
            logger.on_log(&host, &mut Stream::only_logged());
        }
    });
}
