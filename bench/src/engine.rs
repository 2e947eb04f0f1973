//! The compiled module in an engine that counts: its instructions, its calls into the proxy, the
//! proxy's entries into it, its memory.
//!
//! The proxy is a [`Recorded`], which the ABI 0.2.1 reaches through [`imports`]; here is in which order
//! Envoy enters a module. A callback that the module does not export is not entered, as in Envoy.

mod attributes;
mod connections;
mod imports;
mod memory;

use std::collections::HashMap;

use harness::install;
use wasmtime::{
    Config, Engine, Instance, Memory, Module, OptLevel, Result, Store, TypedFunc, WasmParams,
    WasmResults, bail, ensure, format_err,
};

use crate::recorded::{HostCalls, Recorded};
use crate::scenarios::{Scenario, WARM_UP};

/// The first context, that of the plugin; those of requests follow.
const FIRST_CONTEXT: u32 = 1;

/// How many headers callbacks are told of.
const HEADERS: u32 = 10;

/// The module, compiled for this machine.
pub struct Compiled {
    engine: Engine,
    module: Module,
    size: u64,
    has_panic_messages: bool,
}

impl Compiled {
    /// Compiles the module that the tests use too.
    ///
    /// # Errors
    /// Where there is none, or it does not compile.
    pub fn load() -> Result<Self> {
        let path = install::module().map_err(|error| format_err!("{error:#}"))?;
        Self::new(&std::fs::read(&path)?)
    }

    /// Compiles a module.
    ///
    /// # Errors
    /// Where it does not compile.
    pub fn new(bytes: &[u8]) -> Result<Self> {
        let mut config = Config::new();
        // What is counted are the module's own instructions, so code that compiles soon will do.
        config
            .consume_fuel(true)
            .cranelift_opt_level(OptLevel::None);
        let engine = Engine::new(&config)?;
        Ok(Self {
            module: Module::new(&engine, bytes)?,
            engine,
            size: bytes.len() as u64,
            has_panic_messages: contains(bytes, b"index out of bounds"),
        })
    }

    /// The size of the module's file in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The names of the functions and memories that it exports: what a proxy can reach. The linker's
    /// marks of the end of the data are globals, which no proxy looks at.
    pub fn functions_and_memories(&self) -> Vec<&str> {
        let exports = self.module.exports();
        exports
            .filter(|export| export.ty().global().is_none())
            .map(|export| export.name())
            .collect()
    }

    /// Whether it can say why it panics: with the std that rustup brings it can.
    pub fn has_panic_messages(&self) -> bool {
        self.has_panic_messages
    }

    /// A worker with this module, configured, and warm after some requests.
    ///
    /// # Errors
    /// Where the module traps or refuses its configuration, or the proxy has problems.
    pub fn start(&self, scenario: &Scenario) -> Result<Vm> {
        let proxy = Proxy {
            recorded: (scenario.proxy)(),
            root_id: scenario.root_id,
            configuration: scenario.configuration,
            shared: HashMap::new(),
            memory: None,
            allocate: None,
            buffers: 0,
            abi: Abi::default(),
            root: FIRST_CONTEXT,
            open: FIRST_CONTEXT,
        };
        let mut store = Store::new(&self.engine, proxy);
        store.set_fuel(u64::MAX)?;
        let linker = imports::linker(&self.engine, &self.module)?;
        let instance = linker.instantiate(&mut store, &self.module)?;
        let memory = instance.get_memory(&mut store, "memory");
        let allocate = instance.get_typed_func(&mut store, "proxy_on_memory_allocate")?;
        let proxy = store.data_mut();
        (proxy.memory, proxy.allocate) = (memory, Some(allocate));
        let mut vm = Vm {
            store,
            instance,
            context: FIRST_CONTEXT,
            callbacks: 0,
        };
        vm.enter::<_, ()>("_initialize", ())?;
        vm.configure()?;
        for _ in 0..WARM_UP {
            vm.request()?;
        }
        let problems = &vm.store.data().abi.problems;
        ensure!(
            problems.is_empty(),
            "{}: {}",
            scenario.name,
            problems.join("; ")
        );
        Ok(vm)
    }
}

/// The module at work on one worker.
pub struct Vm {
    store: Store<Proxy>,
    instance: Instance,
    /// The newest context.
    context: u32,
    callbacks: u64,
}

/// What some requests cost together.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// WebAssembly instructions.
    pub fuel: u64,
    /// Calls into the proxy.
    pub calls: HostCalls,
    /// Entries into the module, other than for memory.
    pub callbacks: u64,
    /// Entries into the module for memory to hand something over in.
    pub buffers: u64,
    /// How often the module asked its allocator for memory.
    pub allocations: u64,
}

impl Vm {
    /// The proxy, to change what the next request is.
    pub fn proxy(&mut self) -> &mut Recorded {
        &mut self.store.data_mut().recorded
    }

    /// The stat name that the module defined last.
    pub fn last_defined(&self) -> &str {
        &self.store.data().abi.last_defined
    }

    /// The module's memory in bytes. It never shrinks.
    pub fn memory_bytes(&self) -> u64 {
        let memory = self.store.data().memory;
        memory.map_or(0, |memory| memory.data_size(&self.store) as u64)
    }

    /// What so many requests cost, each after `change` was told its number.
    ///
    /// # Errors
    /// Where the module traps, or does not count allocations.
    pub fn cost(&mut self, requests: u64, change: impl Fn(&mut Recorded, u64)) -> Result<Cost> {
        self.cost_of(|vm| {
            for number in 0..requests {
                change(vm.proxy(), number);
                vm.request()?;
            }
            Ok(())
        })
    }

    fn cost_of(&mut self, work: impl FnOnce(&mut Self) -> Result<()>) -> Result<Cost> {
        let before = self.so_far()?;
        work(self)?;
        let after = self.so_far()?;
        Ok(Cost {
            fuel: after.fuel - before.fuel,
            calls: after.calls.since(&before.calls),
            callbacks: after.callbacks - before.callbacks,
            buffers: after.buffers - before.buffers,
            allocations: after.allocations - before.allocations,
        })
    }

    /// The proxy puts another plugin of the same configuration in the place of this one.
    ///
    /// # Errors
    /// Where the module traps or refuses the configuration.
    pub fn replace_plugin(&mut self) -> Result<()> {
        self.context += 1;
        let context = self.context;
        let proxy = self.store.data_mut();
        (proxy.root, proxy.open) = (context, context);
        self.configure()
    }

    fn configure(&mut self) -> Result<()> {
        let root = self.store.data().root;
        self.enter::<_, ()>("proxy_on_context_create", (root, 0_u32))?;
        let started = self.enter("proxy_on_vm_start", (root, 0_u32))?;
        let size = self.store.data().configuration.len() as u32;
        let configured = self.enter("proxy_on_configure", (root, size))?;
        for answer in [started, configured] {
            ensure!(answer != Some(0_u32), "the module refuses to start");
        }
        Ok(())
    }

    /// A request that the proxy drops after its headers, and does not log.
    ///
    /// # Errors
    /// Where the module traps.
    pub fn drop_request(&mut self) -> Result<()> {
        self.begin_request()?;
        let proxy = self.store.data_mut();
        proxy.open = proxy.root;
        Ok(())
    }

    /// The period that the module asked for has passed.
    ///
    /// # Errors
    /// Where the module traps.
    pub fn tick(&mut self) -> Result<()> {
        let root = self.store.data().root;
        self.enter::<_, ()>("proxy_on_tick", root)?;
        Ok(())
    }

    fn begin_request(&mut self) -> Result<u32> {
        self.context += 1;
        let context = self.context;
        let proxy = self.store.data_mut();
        proxy.open = context;
        let root = proxy.root;
        self.enter::<_, ()>("proxy_on_context_create", (context, root))?;
        self.enter::<_, u32>("proxy_on_request_headers", (context, HEADERS, 1_u32))?;
        Ok(context)
    }

    /// One whole request, without a body.
    fn request(&mut self) -> Result<()> {
        let context = self.begin_request()?;
        self.enter::<_, u32>("proxy_on_response_headers", (context, HEADERS, 0_u32))?;
        self.enter::<_, ()>("proxy_on_log", context)?;
        self.enter::<_, u32>("proxy_on_done", context)?;
        self.enter::<_, ()>("proxy_on_delete", context)?;
        Ok(())
    }

    /// Enters a callback; `None` where the module does not export it.
    fn enter<P: WasmParams, R: WasmResults>(&mut self, name: &str, params: P) -> Result<Option<R>> {
        let Some(callback) = self.instance.get_func(&mut self.store, name) else {
            return Ok(None);
        };
        self.callbacks += 1;
        let callback = callback.typed::<P, R>(&self.store)?;
        callback.call(&mut self.store, params).map(Some)
    }

    /// What it all cost since the start. To ask for the allocations takes no fuel.
    fn so_far(&mut self) -> Result<Cost> {
        let left = self.store.get_fuel()?;
        let export = "mixerless_allocations";
        let Some(allocations) = self.instance.get_func(&mut self.store, export) else {
            bail!("the module does not export {export}: run `cargo xtask build`");
        };
        let allocations = allocations.typed::<(), u32>(&self.store)?;
        let allocations = allocations.call(&mut self.store, ())?.into();
        self.store.set_fuel(left)?;
        let proxy = self.store.data();
        Ok(Cost {
            fuel: u64::MAX - left,
            calls: proxy.abi.calls,
            callbacks: self.callbacks,
            buffers: proxy.buffers,
            allocations,
        })
    }
}

/// The proxy around a module.
struct Proxy {
    recorded: Recorded,
    root_id: &'static str,
    configuration: &'static str,
    shared: HashMap<Vec<u8>, Vec<u8>>,
    /// Unset until the module is instantiated.
    memory: Option<Memory>,
    /// Likewise: the module's own memory for what is handed over.
    allocate: Option<TypedFunc<u32, u32>>,
    buffers: u64,
    /// What the module did through the ABI.
    abi: Abi,
    /// The context of the plugin.
    root: u32,
    /// The context of the one request that there is; the plugin's where there is none.
    open: u32,
}

/// What a module did through the ABI.
#[derive(Default)]
struct Abi {
    calls: HostCalls,
    /// What each expression evaluates to, by token; `None` for one that was deleted.
    expressions: Vec<Option<Vec<u8>>>,
    metrics: u32,
    last_defined: String,
    /// Warnings and errors that were logged, and expressions with an element that is not known: then
    /// something else is measured than was meant.
    problems: Vec<String>,
    time: u64,
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}
