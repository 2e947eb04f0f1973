//! A module's memory: what the proxy is handed from it, and hands over to it.

use wasmtime::{Caller, Error, Memory, Result, format_err};

use super::Proxy;

/// A pointer into the module and a size.
pub type Slice = (u32, u32);

/// The status of a call that went well.
pub const OK: u32 = 0;
/// The status of a call for something that is not there.
pub const NOT_FOUND: u32 = 1;

/// Writes a value to memory that the module gives for it, and where it is to where the module wants
/// to be told.
pub fn hand_over(
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

pub fn write(proxy: &mut Caller<'_, Proxy>, at: u32, value: &[u8]) -> Result<u32> {
    let memory = memory(proxy.data())?;
    memory.write(proxy, at as usize, value)?;
    Ok(OK)
}

/// The module's memory and the proxy.
pub fn parts<'a>(proxy: &'a mut Caller<'_, Proxy>) -> Result<(&'a [u8], &'a mut Proxy)> {
    let memory = memory(proxy.data())?;
    let (bytes, proxy) = memory.data_and_store_mut(proxy);
    Ok((bytes, proxy))
}

fn memory(proxy: &Proxy) -> Result<Memory> {
    proxy
        .memory
        .ok_or_else(|| format_err!("the module exports no memory"))
}

pub fn bytes(memory: &[u8], (at, size): Slice) -> Result<&[u8]> {
    let (at, size) = (at as usize, size as usize);
    let bytes = memory.get(at..).and_then(|bytes| bytes.get(..size));
    bytes.ok_or_else(|| format_err!("the module points outside of its memory"))
}

pub fn text(memory: &[u8], slice: Slice) -> Result<&str> {
    str::from_utf8(bytes(memory, slice)?).map_err(Error::from)
}
