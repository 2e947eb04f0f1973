//! The proxy-wasm module: stats-core bound to a proxy. The callbacks that the proxy enters are
//! here, the core's host traits in [`host`], the calls back into the proxy in [`abi`]; nothing in this
//! crate decides anything.
//!
//! What only proxy-wasm has stays in this crate: paths with NUL, native-endian bytes, lists of pairs,
//! one evaluation for many attributes, labels glued into stat names, `root_id`.
//!
//! The proxy enters the module for each callback that is exported, so only what is needed is, and the
//! steady state allocates nothing.

mod abi;
mod admission;
mod attributes;
mod budget;
mod connections;
mod data;
mod facts;
mod host;
mod loaded;
mod logger;
mod memory;
mod metric_ids;
mod pairs;
mod requests;
mod values;

use std::cell::RefCell;

use stats_core::host::envoy;
use stats_core::http::Plugin;
use stats_core::http::request::Request;
use stats_core::http::role::Role;
use stats_core::http::rounds::Rounds;

use abi::{BufferType, LogLevel, ProxyWasm};
use admission::SharedData;
use connections::OpenConnections;
use facts::Attributes;
use host::{Host, PluginState};
use loaded::Loaded;
use requests::OpenRequests;

/// Go on with the headers.
const CONTINUE: u32 = 0;

/// What the module knows: the plugins by root context, and the state of each request and connection by
/// its context.
struct Contexts {
    /// By root context, of which there are few.
    plugins: Vec<(u32, Option<Loaded>)>,
    requests: OpenRequests,
    connections: OpenConnections,
}

thread_local! {
    // Const, or each entry into the module would look whether it has to be made.
    static CONTEXTS: RefCell<Contexts> = const {
        RefCell::new(Contexts {
            plugins: Vec::new(),
            requests: OpenRequests::new(),
            connections: OpenConnections::new(),
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

    /// A request begins, below a root context. Where that has no plugin, there is nothing to keep.
    fn begin(&mut self, context: u32, root: u32) {
        let Some(Some(_)) = of(&mut self.plugins, root) else {
            return;
        };
        self.requests.begin(context, root);
    }

    /// Does something with an open request, its plugin and their host. Gives back the proxy where the
    /// context is no request's.
    #[inline]
    fn with_request(
        &mut self,
        context: u32,
        proxy: ProxyWasm,
        callback: impl FnOnce(&mut Plugin, &mut Host<'_>, &mut Request),
    ) -> Option<ProxyWasm> {
        let Some(open) = self.requests.find(context) else {
            return Some(proxy);
        };
        if let Some(Some(Loaded { plugin, state, .. })) = of(&mut self.plugins, open.root) {
            callback(plugin, &mut Host::new(proxy, state), &mut open.request);
        }
        None
    }

    /// A connection has ended.
    #[cold]
    fn end_connection(&mut self, context: u32, proxy: ProxyWasm) {
        if let Some(mut open) = self.connections.end(context)
            && let Some(Some(loaded)) = of(&mut self.plugins, open.root)
        {
            let (tcp, mut host) = loaded.for_connections(proxy);
            tcp.on_end(&mut host, &mut open.connection);
        }
    }

    /// Configures the plugin of a root context; whether the configuration can be used.
    fn configure(&mut self, proxy: ProxyWasm, root: u32) -> bool {
        // Here and not on a tick alone: each plugin that is configured starts the period anew, so with
        // changes faster than that there is no tick.
        let proxy = self.forget_plugins(proxy, root);
        let Some(slot) = of(&mut self.plugins, root) else {
            return false;
        };
        let root_id = facts::text(&proxy, "plugin_root_id").to_vec();
        let configuration = proxy.buffer(BufferType::PluginConfiguration, usize::MAX);
        let configuration = configuration.unwrap_or_default().to_vec();
        let name = facts::text(&proxy, "plugin_name").to_vec();
        let good = [b"mixerless.good.", &*name].concat();
        let refused = [b"mixerless.refused.", &*name].concat();
        let node = proxy.attribute(attributes::NODE).unwrap_or_default();
        let local = envoy::local_proxy(node, proxy.random());
        let mut state = PluginState::default();
        let mut host = Host::new(proxy, &mut state);
        let plugin = Role::named(&root_id, "root_id")
            .and_then(|role| Plugin::configure(&mut host, role, local, &configuration));
        let mut proxy = host.proxy;
        match plugin {
            Ok(plugin) => {
                proxy.share(&good, b"");
                proxy.set_tick_period(plugin.tick());
                proxy.share(&refused, b"");
                let new = Loaded {
                    plugin,
                    tcp: None,
                    state,
                    rounds: Rounds::default(),
                };
                if let Some(old) = slot.replace(new) {
                    // What they know is the old plugin's.
                    self.requests.of(root).for_each(Request::forget_plugin);
                    self.connections.forget_plugin(root);
                    old.release(proxy);
                }
                true
            }
            Err(error) => {
                // Each worker has a VM of its own, but one line says it.
                if proxy.shared(&refused) != Some(&configuration) {
                    proxy.share(&refused, &configuration);
                    abi::log(LogLevel::Error, &format!("mixerless: {error}"));
                }
                // A proxy that is told of a refusal keeps the configuration before it; without one, it
                // does not start. Telemetry must not do that: then the plugin only does nothing.
                proxy.shared(&good).is_none()
            }
        }
    }

    /// Looks at some of the open requests and connections, makes series that were waited for, and drops the
    /// plugins that are gone.
    fn tick(&mut self, mut proxy: ProxyWasm, root: u32) {
        let Self {
            plugins,
            requests,
            connections,
        } = self;
        let Some(Some(loaded)) = of(plugins, root) else {
            return;
        };
        let is_due = loaded.on_tick();
        if is_due {
            let open = requests.contexts(root).chain(connections.contexts(root));
            let reports = loaded.plugin.on_tick();
            loaded.rounds.begin(open, reports);
        }
        while let Some(context) = loaded.rounds.next_open() {
            proxy = loaded.look_at(proxy, context, requests, connections);
        }
        proxy.set_context(root);
        let proxy = loaded.make_pending(proxy);
        if is_due {
            self.forget_plugins(proxy, root);
        }
    }

    /// Drops the plugins that the proxy has let go of. The proxy's current context is `root` before and
    /// after.
    fn forget_plugins(&mut self, mut proxy: ProxyWasm, root: u32) -> ProxyWasm {
        let Self {
            plugins,
            requests,
            connections,
        } = self;
        while let Some(gone) = plugins
            .iter()
            .position(|(context, _)| !proxy.set_context(*context))
        {
            let (gone, plugin) = plugins.swap_remove(gone);
            // The effective context is a root that is there: a gauge can be changed from it.
            proxy.set_context(root);
            connections.end_all(gone);
            if let Some(mut plugin) = plugin {
                for request in requests.of(gone) {
                    proxy = plugin.on_done(proxy, request);
                }
                proxy = plugin.end(proxy);
            }
            requests.end_all(gone);
        }
        proxy.set_context(root);
        proxy
    }
}

/// The plugin of a root context.
fn of(plugins: &mut [(u32, Option<Loaded>)], root: u32) -> Option<&mut Option<Loaded>> {
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
            contexts.begin(context, root);
        }
    });
}

/// The plugin's configuration is here.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_configure(root: u32, _size: usize) -> u32 {
    logger::install();
    let mut usable = false;
    Contexts::enter(|contexts, proxy| usable = contexts.configure(proxy, root));
    u32::from(usable)
}

/// The period that `configure` asked for has passed.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_tick(root: u32) {
    Contexts::enter(|contexts, proxy| contexts.tick(proxy, root));
}

/// The request's headers are here.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_headers(context: u32, _headers: u32, _end_of_stream: u32) -> u32 {
    Contexts::enter(|contexts, proxy| {
        contexts.with_request(context, proxy, |plugin, host, request| {
            plugin.on_request_headers(host, request);
        });
    });
    CONTINUE
}

/// The response's headers are here.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_headers(context: u32, _headers: u32, _end_of_stream: u32) -> u32 {
    Contexts::enter(|contexts, proxy| {
        contexts.with_request(context, proxy, |plugin, host, request| {
            plugin.on_response_headers(host, request);
        });
    });
    CONTINUE
}

/// A TCP connection has begun: the context is no request's.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_new_connection(context: u32) -> u32 {
    Contexts::enter(|contexts, _| {
        if let Some(root) = contexts.requests.end(context) {
            contexts.connections.begin(context, root);
        }
    });
    CONTINUE
}

/// The request or the connection has ended: of all its callbacks this is the last. To an access logger
/// the proxy gives no context for each request, but the plugin's own.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_log(context: u32) {
    Contexts::enter(|contexts, proxy| {
        let Contexts { plugins, .. } = contexts;
        if let Some(Some(loaded)) = of(plugins, context) {
            loaded.on_logged(proxy);
            return;
        }
        // Looked up, and removed afterwards: to take the request out first moves it, which costs 53
        // instructions of 4,790 more than the second look-up.
        let other = contexts.with_request(context, proxy, |plugin, host, request| {
            plugin.on_log(host, request);
        });
        match other {
            Some(proxy) => contexts.end_connection(context, proxy),
            None => {
                contexts.requests.end(context);
            }
        }
    });
}
