//! The functions of the ABI 0.2.1 that a module imports, as far as ours does: each reaches the [`Recorded`] proxy.
//!
//! Not here: in which order a module's own callbacks are entered, see [`engine`](super).
//!
//! [`Recorded`]: crate::recorded::Recorded

use stats_core::host::memory::HeaderList;
use wasmtime::{Caller, Engine, Linker, Module, Result, bail, ensure};

use super::attributes;
use super::connections::CHUNK_BYTES;
use super::memory::{OK, bytes, hand_over, parts, text, write};
use super::{Abi, Proxy};
use crate::recorded::HostCall;

const BAD_ARGUMENT: u32 = 2;
/// The buffer types.
const DOWNSTREAM_DATA: u32 = 2;
const UPSTREAM_DATA: u32 = 3;
const PLUGIN_CONFIGURATION: u32 = 7;
/// Log levels from here on are problems.
const WARN: u32 = 3;

/// What the module's imports are bound to.
///
/// # Errors
/// Names an import that is unknown here.
pub fn linker(engine: &Engine, module: &Module) -> Result<Linker<Proxy>> {
    let mut linker = Linker::new(engine);
    for import in module.imports() {
        let (from, name) = (import.module(), import.name());
        let is_wasi = from == "wasi_snapshot_preview1" && name == "random_get";
        ensure!(from == "env" || is_wasi, "the module imports {from}.{name}");
        match name {
            "random_get" => linker.func_wrap(from, name, random_get),
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
            "proxy_get_buffer_bytes" => linker.func_wrap(from, name, get_buffer),
            "proxy_set_buffer_bytes" => linker.func_wrap(from, name, set_buffer),
            "proxy_continue_stream" => linker.func_wrap(from, name, continue_stream),
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
    data.abi.calls.count(HostCall::GetHeader);
    let found = header_list(data, map)?.get(name).map(<[u8]>::to_vec);
    hand_over(&mut proxy, found, (value, value_size))
}

fn get_headers(mut proxy: Caller<'_, Proxy>, map: u32, value: u32, value_size: u32) -> Result<u32> {
    count(&mut proxy, HostCall::GetHeaders);
    let all = attributes::headers(header_list(proxy.data(), map)?);
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
    let (memory, data) = parts(&mut proxy)?;
    header_list(data, map)?;
    text(memory, (name, name_size))?;
    bytes(memory, (value, value_size))?;
    data.abi.calls.count(HostCall::SetHeader);
    Ok(OK)
}

fn remove_header(mut proxy: Caller<'_, Proxy>, map: u32, name: u32, size: u32) -> Result<u32> {
    let (memory, data) = parts(&mut proxy)?;
    header_list(data, map)?;
    text(memory, (name, size))?;
    data.abi.calls.count(HostCall::RemoveHeader);
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
        path => {
            data.abi.calls.count(HostCall::GetProperty);
            attributes::attribute(&data.recorded, path)
        }
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
    let (memory, data) = parts(&mut proxy)?;
    text(memory, (name, name_size))?;
    bytes(memory, (value, value_size))?;
    data.abi.calls.count(HostCall::SetProperty);
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
    let argument = bytes(memory, (argument, argument_size))?;
    let token = || -> Result<usize> { Ok(u32::from_ne_bytes(argument.try_into()?) as usize) };
    let result = match text(memory, (name, name_size))? {
        "expr_create" => {
            data.abi.calls.count(HostCall::Compile);
            create(data, str::from_utf8(argument)?)
        }
        "expr_evaluate" => {
            data.abi.calls.count(HostCall::Evaluate);
            data.abi.expressions.get(token()?).cloned().flatten()
        }
        "expr_delete" => {
            data.abi.calls.count(HostCall::Forget);
            if let Some(slot) = data.abi.expressions.get_mut(token()?) {
                *slot = None;
            }
            Some(Vec::new())
        }
        "declare_property" => {
            data.abi.calls.count(HostCall::Declare);
            Some(Vec::new())
        }
        name => bail!("the module calls the foreign function {name}, which is not bound"),
    };
    // To Envoy an address of zero means that the result is not wanted.
    let result = result.map(|result| if value == 0 { Vec::new() } else { result });
    hand_over(&mut proxy, result, (value, value_size))
}

/// Compiles an expression: evaluates it, since no request differs from the next in what expressions
/// show.
fn create(data: &mut Proxy, expression: &str) -> Option<Vec<u8>> {
    match attributes::evaluated(&data.recorded, expression) {
        Ok(value) => {
            let Abi { expressions, .. } = &mut data.abi;
            let free = expressions.iter().position(Option::is_none);
            let token = free.unwrap_or_else(|| {
                expressions.push(None);
                expressions.len() - 1
            });
            expressions[token] = Some(value);
            Some((token as u32).to_ne_bytes().to_vec())
        }
        Err(unknown) => {
            let problem = format!("nothing is recorded for `{unknown}` in `{expression}`");
            data.abi.problems.push(problem);
            None
        }
    }
}

fn define_metric(
    mut proxy: Caller<'_, Proxy>,
    kind: u32,
    name: u32,
    name_size: u32,
    at: u32,
) -> Result<u32> {
    ensure!(kind <= 2, "there is no kind {kind} of metrics");
    let (memory, data) = parts(&mut proxy)?;
    let name = text(memory, (name, name_size))?;
    let abi = &mut data.abi;
    abi.calls.count(HostCall::Define);
    name.clone_into(&mut abi.last_defined);
    abi.metrics += 1;
    let metric = abi.metrics;
    write(&mut proxy, at, &metric.to_ne_bytes())
}

fn record_metric(mut proxy: Caller<'_, Proxy>, _metric: u32, _value: u64) -> u32 {
    count(&mut proxy, HostCall::Record)
}

fn increment_metric(mut proxy: Caller<'_, Proxy>, _metric: u32, _by: i64) -> u32 {
    count(&mut proxy, HostCall::Change)
}

fn current_time(mut proxy: Caller<'_, Proxy>, at: u32) -> Result<u32> {
    count(&mut proxy, HostCall::Time);
    let abi = &mut proxy.data_mut().abi;
    abi.time += 1_000;
    let now = abi.time;
    write(&mut proxy, at, &now.to_ne_bytes())
}

/// The same bytes each time, so that no count depends on them.
fn random_get(mut proxy: Caller<'_, Proxy>, at: u32, size: u32) -> Result<u32> {
    write(&mut proxy, at, &vec![7; size as usize])
}

fn log(mut proxy: Caller<'_, Proxy>, level: u32, message: u32, size: u32) -> Result<u32> {
    let (memory, proxy) = parts(&mut proxy)?;
    let message = text(memory, (message, size))?.to_owned();
    proxy.abi.calls.count(HostCall::Log);
    if level >= WARN {
        proxy.abi.problems.push(message);
    }
    Ok(OK)
}

/// The plugin's configuration; of a connection's data the beginning, which is no header of an exchange.
fn get_buffer(
    mut proxy: Caller<'_, Proxy>,
    buffer: u32,
    _start: u32,
    size: u32,
    value: u32,
    value_size: u32,
) -> Result<u32> {
    count(&mut proxy, HostCall::GetBuffer);
    let found = match buffer {
        DOWNSTREAM_DATA | UPSTREAM_DATA => Some(vec![0; size.min(CHUNK_BYTES) as usize]),
        PLUGIN_CONFIGURATION => Some(proxy.data().configuration.into()),
        _ => None,
    };
    hand_over(&mut proxy, found, (value, value_size))
}

fn set_buffer(
    mut proxy: Caller<'_, Proxy>,
    _buffer: u32,
    _start: u32,
    _size: u32,
    _value: u32,
    _value_size: u32,
) -> u32 {
    count(&mut proxy, HostCall::SetBuffer);
    OK
}

fn continue_stream(mut proxy: Caller<'_, Proxy>, _stream: u32) -> u32 {
    count(&mut proxy, HostCall::ContinueStream);
    OK
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
    data.abi.calls.count(HostCall::GetShared);
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
    proxy.abi.calls.count(HostCall::SetShared);
    let key = bytes(memory, (key, key_size))?.to_vec();
    let value = bytes(memory, (value, value_size))?.to_vec();
    proxy.shared.insert(key, value);
    Ok(OK)
}

fn set_tick_period(mut proxy: Caller<'_, Proxy>, _period: u32) -> u32 {
    count(&mut proxy, HostCall::SetTickPeriod)
}

fn set_effective_context(mut proxy: Caller<'_, Proxy>, context: u32) -> u32 {
    count(&mut proxy, HostCall::SetEffectiveContext);
    let Proxy { root, open, .. } = *proxy.data();
    let exists = [root, open].contains(&context);
    if exists { OK } else { BAD_ARGUMENT }
}

fn header_list(proxy: &Proxy, map: u32) -> Result<&HeaderList> {
    match map {
        0 => Ok(&proxy.recorded.host.request),
        2 => Ok(&proxy.recorded.host.response),
        other => bail!("there is no header map {other} here"),
    }
}

fn count(proxy: &mut Caller<'_, Proxy>, call: HostCall) -> u32 {
    proxy.data_mut().abi.calls.count(call);
    OK
}
