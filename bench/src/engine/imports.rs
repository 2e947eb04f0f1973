//! The functions of the ABI 0.2.1 that a module imports, as far as ours does: each reaches the [`Recorded`] proxy.
//!
//! Not here: in which order a module's own callbacks are entered, see [`engine`](super).
//!
//! [`Recorded`]: crate::recorded::Recorded

#![expect(
    clippy::needless_pass_by_value,
    reason = "the linker hands over the caller by value"
)]

use stats_core::host::{
    Attributes, Clock, Expression, HeaderMap, Headers, Log, LogLevel, MetricId, MetricKind, Metrics,
};
use wasmtime::{Caller, Engine, Error, Linker, Memory, Module, Result, bail, ensure, format_err};

use super::Proxy;
use crate::recorded::HostCall;

/// A pointer into the module and a size.
type Slice = (u32, u32);

const OK: u32 = 0;
const NOT_FOUND: u32 = 1;
const BAD_ARGUMENT: u32 = 2;

/// What the module's imports are bound to.
///
/// # Errors
/// Names an import that is unknown here.
pub fn linker(engine: &Engine, module: &Module) -> Result<Linker<Proxy>> {
    let mut linker = Linker::new(engine);
    for import in module.imports() {
        let (from, name) = (import.module(), import.name());
        ensure!(from == "env", "the module imports {from}.{name}");
        match name {
            "proxy_get_header_map_value" => linker.func_wrap(from, name, get_header),
            "proxy_get_header_map_pairs" => linker.func_wrap(from, name, get_headers),
            "proxy_replace_header_map_value" => linker.func_wrap(from, name, set_header),
            "proxy_remove_header_map_value" => linker.func_wrap(from, name, remove_header),
            "proxy_get_property" => linker.func_wrap(from, name, get_property),
            "proxy_set_property" => linker.func_wrap(from, name, set_property),
            "proxy_call_foreign_function" => linker.func_wrap(from, name, call_foreign),
            "proxy_define_metric" => linker.func_wrap(from, name, define_metric),
            "proxy_record_metric" => linker.func_wrap(from, name, record_metric),
            "proxy_increment_metric" => linker.func_wrap(from, name, increment_metric),
            "proxy_get_current_time_nanoseconds" => linker.func_wrap(from, name, current_time),
            "proxy_log" => linker.func_wrap(from, name, log),
            "proxy_get_buffer_bytes" => linker.func_wrap(from, name, get_configuration),
            "proxy_get_shared_data" => linker.func_wrap(from, name, get_shared),
            "proxy_set_shared_data" => linker.func_wrap(from, name, set_shared),
            "proxy_set_tick_period_milliseconds" => linker.func_wrap(from, name, set_tick_period),
            "proxy_set_effective_context" => linker.func_wrap(from, name, set_effective_context),
            _ => {
                bail!("the module imports {name}, which bench/src/engine/imports.rs does not bind")
            }
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

fn set_header(
    mut proxy: Caller<'_, Proxy>,
    map: u32,
    name: u32,
    name_size: u32,
    value: u32,
    value_size: u32,
) -> Result<u32> {
    let (memory, proxy) = parts(&mut proxy)?;
    let name = text(memory, (name, name_size))?;
    let value = bytes(memory, (value, value_size))?;
    proxy.recorded.set_header(header_map(map)?, name, value);
    Ok(OK)
}

fn remove_header(mut proxy: Caller<'_, Proxy>, map: u32, name: u32, size: u32) -> Result<u32> {
    let (memory, proxy) = parts(&mut proxy)?;
    let name = text(memory, (name, size))?;
    proxy.recorded.remove_header(header_map(map)?, name);
    Ok(OK)
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

fn set_property(
    mut proxy: Caller<'_, Proxy>,
    name: u32,
    name_size: u32,
    value: u32,
    value_size: u32,
) -> Result<u32> {
    let (memory, proxy) = parts(&mut proxy)?;
    let name = text(memory, (name, name_size))?;
    let value = bytes(memory, (value, value_size))?;
    proxy.recorded.publish(name, value);
    Ok(OK)
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

fn record_metric(proxy: Caller<'_, Proxy>, metric: u32, value: u64) -> u32 {
    proxy.data().recorded.record(MetricId(metric), value);
    OK
}

fn increment_metric(proxy: Caller<'_, Proxy>, metric: u32, by: i64) -> u32 {
    proxy.data().recorded.change(MetricId(metric), by);
    OK
}

fn current_time(mut proxy: Caller<'_, Proxy>, at: u32) -> Result<u32> {
    let now = proxy.data().recorded.now();
    write(&mut proxy, at, &now.to_ne_bytes())
}

fn log(mut proxy: Caller<'_, Proxy>, level: u32, message: u32, size: u32) -> Result<u32> {
    let (memory, proxy) = parts(&mut proxy)?;
    let message = text(memory, (message, size))?;
    proxy.recorded.log(log_level(level), message);
    Ok(OK)
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

fn set_shared(
    mut proxy: Caller<'_, Proxy>,
    key: u32,
    key_size: u32,
    value: u32,
    value_size: u32,
    _version: u32,
) -> Result<u32> {
    let (memory, proxy) = parts(&mut proxy)?;
    proxy.recorded.count(HostCall::SetShared);
    let key = bytes(memory, (key, key_size))?.to_vec();
    let value = bytes(memory, (value, value_size))?.to_vec();
    proxy.shared.insert(key, value);
    Ok(OK)
}

fn set_tick_period(proxy: Caller<'_, Proxy>, _period: u32) -> u32 {
    proxy.data().recorded.count(HostCall::SetTickPeriod);
    OK
}

fn set_effective_context(proxy: Caller<'_, Proxy>, context: u32) -> u32 {
    proxy.data().recorded.count(HostCall::SetEffectiveContext);
    let Proxy { root, open, .. } = *proxy.data();
    let exists = [root, open].contains(&context);
    if exists { OK } else { BAD_ARGUMENT }
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
