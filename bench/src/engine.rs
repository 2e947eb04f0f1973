//! The compiled module in an engine that counts: its instructions, its calls into the proxy, the
//! proxy's entries into it, its memory.
//!
//! The proxy is a [`Recorded`]; here is how the ABI 0.2.1 reaches it, and in which order Envoy enters
//! a module. A callback that the module does not export is not entered, as in Envoy.

use std::collections::HashMap;

use harness::install;
use stats_core::host::{
    Attributes, Clock, Expression, HeaderMap, Headers, Log, LogLevel, MetricId, MetricKind, Metrics,
};
use wasmtime::{
    Caller, Config, Engine, Error, Instance, Linker, Memory, Module, OptLevel, Result, Store,
    TypedFunc, WasmParams, WasmResults, bail, ensure, format_err,
};

use crate::recorded::{HostCall, HostCalls, Recorded};
use crate::scenarios::{Scenario, WARM_UP};

/// The first context, that of the plugin; those of requests follow.
const FIRST_CONTEXT: u32 = 1;

/// How many headers callbacks are told of.
const HEADERS: u32 = 10;

const OK: u32 = 0;
const NOT_FOUND: u32 = 1;
const BAD_ARGUMENT: u32 = 2;

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
            root: FIRST_CONTEXT,
            open: FIRST_CONTEXT,
        };
        let mut store = Store::new(&self.engine, proxy);
        store.set_fuel(u64::MAX)?;
        let linker = linker(&self.engine, &self.module)?;
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
        let problems = vm.proxy().problems();
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
        let before = self.so_far()?;
        for number in 0..requests {
            change(self.proxy(), number);
            self.request()?;
        }
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
            calls: proxy.recorded.calls(),
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
    /// The context of the plugin.
    root: u32,
    /// The context of the one request that there is; the plugin's where there is none.
    open: u32,
}

/// A pointer into the module and a size.
type Slice = (u32, u32);

/// What the module's imports are bound to.
///
/// # Errors
/// Names an import that is unknown here.
fn linker(engine: &Engine, module: &Module) -> Result<Linker<Proxy>> {
    type Proxied<'a> = Caller<'a, Proxy>;
    let mut linker = Linker::new(engine);
    for import in module.imports() {
        let (from, name) = (import.module(), import.name());
        match (from, name) {
            ("env", "proxy_get_header_map_value") => linker.func_wrap(from, name, get_header),
            ("env", "proxy_get_header_map_pairs") => linker.func_wrap(from, name, get_headers),
            ("env", "proxy_replace_header_map_value") => linker.func_wrap(
                from,
                name,
                |mut proxy: Proxied, map, name, name_size, value, value_size| {
                    let (memory, proxy) = parts(&mut proxy)?;
                    let name = text(memory, (name, name_size))?;
                    let value = bytes(memory, (value, value_size))?;
                    proxy.recorded.set_header(header_map(map)?, name, value);
                    Ok(OK)
                },
            ),
            ("env", "proxy_remove_header_map_value") => {
                linker.func_wrap(from, name, |mut proxy: Proxied, map, name, size| {
                    let (memory, proxy) = parts(&mut proxy)?;
                    let name = text(memory, (name, size))?;
                    proxy.recorded.remove_header(header_map(map)?, name);
                    Ok(OK)
                })
            }
            ("env", "proxy_get_property") => linker.func_wrap(from, name, get_property),
            ("env", "proxy_set_property") => linker.func_wrap(
                from,
                name,
                |mut proxy: Proxied, name, name_size, value, value_size| {
                    let (memory, proxy) = parts(&mut proxy)?;
                    let name = text(memory, (name, name_size))?;
                    let value = bytes(memory, (value, value_size))?;
                    proxy.recorded.publish(name, value);
                    Ok(OK)
                },
            ),
            ("env", "proxy_call_foreign_function") => linker.func_wrap(from, name, call_foreign),
            ("env", "proxy_define_metric") => linker.func_wrap(from, name, define_metric),
            ("env", "proxy_record_metric") => {
                linker.func_wrap(from, name, |proxy: Proxied, metric, value| {
                    proxy.data().recorded.record(MetricId(metric), value);
                    OK
                })
            }
            ("env", "proxy_increment_metric") => {
                linker.func_wrap(from, name, |proxy: Proxied, metric, by| {
                    proxy.data().recorded.change(MetricId(metric), by);
                    OK
                })
            }
            ("env", "proxy_get_current_time_nanoseconds") => {
                linker.func_wrap(from, name, |mut proxy: Proxied, at| {
                    let now = proxy.data().recorded.now();
                    write(&mut proxy, at, &now.to_ne_bytes())
                })
            }
            ("env", "proxy_log") => {
                linker.func_wrap(from, name, |mut proxy: Proxied, level, message, size| {
                    let (memory, proxy) = parts(&mut proxy)?;
                    let message = text(memory, (message, size))?;
                    proxy.recorded.log(log_level(level), message);
                    Ok(OK)
                })
            }
            ("env", "proxy_get_buffer_bytes") => linker.func_wrap(from, name, get_configuration),
            ("env", "proxy_get_shared_data") => linker.func_wrap(from, name, get_shared),
            ("env", "proxy_set_shared_data") => linker.func_wrap(
                from,
                name,
                |mut proxy: Proxied, key, key_size, value, value_size, _version: u32| {
                    let (memory, proxy) = parts(&mut proxy)?;
                    proxy.recorded.count(HostCall::SetShared);
                    let key = bytes(memory, (key, key_size))?.to_vec();
                    let value = bytes(memory, (value, value_size))?.to_vec();
                    proxy.shared.insert(key, value);
                    Ok(OK)
                },
            ),
            ("env", "proxy_set_tick_period_milliseconds") => {
                linker.func_wrap(from, name, |proxy: Proxied, _period: u32| {
                    proxy.data().recorded.count(HostCall::SetTickPeriod);
                    OK
                })
            }
            ("env", "proxy_set_effective_context") => {
                linker.func_wrap(from, name, |proxy: Proxied, context: u32| {
                    proxy.data().recorded.count(HostCall::SetEffectiveContext);
                    let Proxy { root, open, .. } = *proxy.data();
                    let is_there = [root, open].contains(&context);
                    if is_there { OK } else { BAD_ARGUMENT }
                })
            }
            _ => bail!("the module imports {from}.{name}, which bench/src/engine.rs does not bind"),
        }?;
    }
    Ok(linker)
}

fn get_header(
    mut proxy: Caller<'_, Proxy>,
    map: u32,
    name: u32,
    name_size: u32,
    value: u32,
    value_size: u32,
) -> Result<u32> {
    let (memory, data) = parts(&mut proxy)?;
    let name = text(memory, (name, name_size))?;
    let found = data.recorded.header(header_map(map)?, name);
    let found = found.map(<[u8]>::to_vec);
    hand_over(&mut proxy, found, (value, value_size))
}

fn get_headers(mut proxy: Caller<'_, Proxy>, map: u32, value: u32, value_size: u32) -> Result<u32> {
    let all = proxy.data().recorded.all_headers(header_map(map)?);
    hand_over(&mut proxy, Some(all), (value, value_size))
}

fn get_property(
    mut proxy: Caller<'_, Proxy>,
    path: u32,
    path_size: u32,
    value: u32,
    value_size: u32,
) -> Result<u32> {
    let (memory, data) = parts(&mut proxy)?;
    let found = match text(memory, (path, path_size))? {
        "plugin_root_id" => Some(data.root_id.into()),
        "plugin_name" => Some(b"bench".to_vec()),
        path => data.recorded.attribute(path).map(<[u8]>::to_vec),
    };
    hand_over(&mut proxy, found, (value, value_size))
}

fn call_foreign(
    mut proxy: Caller<'_, Proxy>,
    name: u32,
    name_size: u32,
    argument: u32,
    argument_size: u32,
    value: u32,
    value_size: u32,
) -> Result<u32> {
    let (memory, data) = parts(&mut proxy)?;
    let proxied = &data.recorded;
    let argument = (argument, argument_size);
    let expression = || -> Result<_> {
        let token = bytes(memory, argument)?.try_into()?;
        Ok(Expression(u32::from_ne_bytes(token)))
    };
    let result = match text(memory, (name, name_size))? {
        "expr_create" => {
            let compiled = proxied.compile(text(memory, argument)?);
            compiled.map(|Expression(token)| token.to_ne_bytes().to_vec())
        }
        "expr_evaluate" => proxied.evaluate(expression()?).map(<[u8]>::to_vec),
        "expr_delete" => {
            proxied.forget(expression()?);
            Some(Vec::new())
        }
        "declare_property" => {
            proxied.count(HostCall::Declare);
            Some(Vec::new())
        }
        name => bail!("the module calls the foreign function {name}, which is not bound"),
    };
    // Envoy takes an address of zero for nobody's wish to know the result.
    let result = result.map(|result| if value == 0 { Vec::new() } else { result });
    hand_over(&mut proxy, result, (value, value_size))
}

fn define_metric(
    mut proxy: Caller<'_, Proxy>,
    kind: u32,
    name: u32,
    name_size: u32,
    at: u32,
) -> Result<u32> {
    let kind = match kind {
        0 => MetricKind::Counter,
        1 => MetricKind::Gauge,
        2 => MetricKind::Histogram,
        other => bail!("there is no kind {other} of metrics"),
    };
    let (memory, data) = parts(&mut proxy)?;
    let name = text(memory, (name, name_size))?;
    let Some(MetricId(metric)) = data.recorded.define(kind, name) else {
        return Ok(NOT_FOUND);
    };
    write(&mut proxy, at, &metric.to_ne_bytes())
}

fn get_configuration(
    mut proxy: Caller<'_, Proxy>,
    buffer: u32,
    _start: u32,
    _size: u32,
    value: u32,
    value_size: u32,
) -> Result<u32> {
    const PLUGIN_CONFIGURATION: u32 = 7;
    let data = proxy.data();
    data.recorded.count(HostCall::GetBuffer);
    let configuration = (buffer == PLUGIN_CONFIGURATION).then(|| data.configuration.into());
    hand_over(&mut proxy, configuration, (value, value_size))
}

fn get_shared(
    mut proxy: Caller<'_, Proxy>,
    key: u32,
    key_size: u32,
    value: u32,
    value_size: u32,
    _version: u32,
) -> Result<u32> {
    let (memory, data) = parts(&mut proxy)?;
    data.recorded.count(HostCall::GetShared);
    let found = data.shared.get(bytes(memory, (key, key_size))?).cloned();
    hand_over(&mut proxy, found, (value, value_size))
}

/// Writes a value to memory that the module gives for it, and where it is to where the module wants
/// to be told.
fn hand_over(
    proxy: &mut Caller<'_, Proxy>,
    value: Option<Vec<u8>>,
    (pointer_at, size_at): Slice,
) -> Result<u32> {
    let Some(value) = value else {
        return Ok(NOT_FOUND);
    };
    let size = value.len() as u32;
    let mut pointer = 0;
    if size > 0 {
        let data = proxy.data_mut();
        data.buffers += 1;
        let allocate = data.allocate.clone();
        let allocate = allocate.ok_or_else(|| format_err!("there is no memory to hand over in"))?;
        pointer = allocate.call(&mut *proxy, size)?;
        write(proxy, pointer, &value)?;
    }
    write(proxy, pointer_at, &pointer.to_ne_bytes())?;
    write(proxy, size_at, &size.to_ne_bytes())
}

fn write(proxy: &mut Caller<'_, Proxy>, at: u32, value: &[u8]) -> Result<u32> {
    let memory = memory(proxy.data())?;
    memory.write(proxy, at as usize, value)?;
    Ok(OK)
}

/// The module's memory and the proxy.
fn parts<'a>(proxy: &'a mut Caller<'_, Proxy>) -> Result<(&'a [u8], &'a mut Proxy)> {
    let memory = memory(proxy.data())?;
    let (bytes, proxy) = memory.data_and_store_mut(proxy);
    Ok((bytes, proxy))
}

fn memory(proxy: &Proxy) -> Result<Memory> {
    proxy
        .memory
        .ok_or_else(|| format_err!("the module exports no memory"))
}

fn bytes(memory: &[u8], (at, size): Slice) -> Result<&[u8]> {
    let (at, size) = (at as usize, size as usize);
    let bytes = memory.get(at..).and_then(|bytes| bytes.get(..size));
    bytes.ok_or_else(|| format_err!("the module points outside of its memory"))
}

fn text(memory: &[u8], slice: Slice) -> Result<&str> {
    str::from_utf8(bytes(memory, slice)?).map_err(Error::from)
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

fn header_map(map: u32) -> Result<HeaderMap> {
    match map {
        0 => Ok(HeaderMap::Request),
        2 => Ok(HeaderMap::Response),
        other => bail!("there is no header map {other} here"),
    }
}

fn log_level(level: u32) -> LogLevel {
    match level {
        ..=2 => LogLevel::Debug,
        3 => LogLevel::Warn,
        _ => LogLevel::Error,
    }
}
