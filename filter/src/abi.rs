//! The calls from the module into the proxy: proxy-wasm's ABI 0.2.1. What they are used for is in
//! [`host`](crate::host).
//!
//! Bound by hand and not through the `proxy-wasm` crate (0.2.5), as measured:
//!
//! - Its calls that hand something over take it as a vector of their own. Here it is in a buffer that
//!   is used again, so they cannot be used at all.
//! - Its other calls panic on a status that they do not expect. A proxy that restricts what a module may
//!   call then traps it while it is configured, and ends; the calls here ignore such a status.
//! - What is left are four enumerations. Beside them the crate brings its dispatcher, whose exports
//!   collide with these callbacks: dropped after linking they leave 12.4 kB and 12 imports behind, and
//!   to drop them while linking takes a link step of our own, to spare these forty lines.

mod buffers;

use std::ptr;
use std::time::Duration;

pub use buffers::BufferType;

use crate::admission::SharedData;
use crate::facts::Attributes;
use crate::memory;

/// The proxy around this module, for as long as what it hands over is kept.
pub struct ProxyWasm {
    _private: (),
}

/// The headers of a request or a response.
#[derive(Clone, Copy)]
pub enum MapType {
    /// The request's headers.
    RequestHeaders = 0,
    /// The response's headers.
    ResponseHeaders = 2,
}

/// The kind of a metric.
#[derive(Clone, Copy)]
pub enum MetricType {
    /// Recorded values are added.
    Counter = 0,
    /// A recorded value replaces the last.
    Gauge = 1,
    /// A recorded value is an observation.
    Histogram = 2,
}

/// How much a log line matters.
#[derive(Clone, Copy)]
pub enum LogLevel {
    /// For who traces one request.
    Debug = 1,
    /// For the record.
    Info = 2,
    /// Something that an operator should mend; telemetry goes on.
    Warn = 3,
    /// Something that keeps telemetry from working.
    Error = 4,
}

const OK: u32 = 0;

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn random_get(buffer: *mut u8, size: usize) -> u32;
}

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_log(level: u32, message: *const u8, size: usize) -> u32;
    fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    fn proxy_get_property(
        path: *const u8,
        path_size: usize,
        value: *mut *const u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_set_property(
        path: *const u8,
        path_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_get_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *mut *const u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_get_header_map_pairs(map: u32, value: *mut *const u8, size: *mut usize) -> u32;
    fn proxy_replace_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_remove_header_map_value(map: u32, name: *const u8, name_size: usize) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, name_size: usize, id: *mut u32) -> u32;
    fn proxy_record_metric(id: u32, value: u64) -> u32;
    fn proxy_increment_metric(id: u32, by: i64) -> u32;
    fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
    fn proxy_set_effective_context(context: u32) -> u32;
    fn proxy_get_shared_data(
        key: *const u8,
        key_size: usize,
        value: *mut *const u8,
        size: *mut usize,
        version: *mut u32,
    ) -> u32;
    fn proxy_set_shared_data(
        key: *const u8,
        key_size: usize,
        value: *const u8,
        value_size: usize,
        version: u32,
    ) -> u32;
    fn proxy_call_foreign_function(
        name: *const u8,
        name_size: usize,
        argument: *const u8,
        argument_size: usize,
        value: *mut *const u8,
        size: *mut usize,
    ) -> u32;
}

#[expect(
    clippy::unused_self,
    reason = "what is handed over lives as long as the borrow"
)]
impl ProxyWasm {
    /// The proxy, with all memory for what it hands over free.
    ///
    /// # Safety
    /// At any time there may only be one: what another handed over is overwritten.
    pub unsafe fn new() -> Self {
        // SAFETY: what was handed over was borrowed from a handle that is gone.
        unsafe { memory::reuse() };
        Self { _private: () }
    }

    /// Makes the memory for what is handed over free again: nothing that was is borrowed any more.
    pub fn reuse_memory(&mut self) {
        // SAFETY: what was handed over was borrowed from this handle, which is borrowed anew here.
        unsafe { memory::reuse() };
    }

    /// The value of a header.
    #[inline]
    pub fn header(&self, map: MapType, name: &str) -> Option<&[u8]> {
        // SAFETY: the name is valid for the call, and the two pointers are to locals.
        handed_over(|value, size| unsafe {
            proxy_get_header_map_value(map as u32, name.as_ptr(), name.len(), value, size)
        })
    }

    /// All headers, as [pairs](crate::pairs).
    #[inline]
    pub fn headers(&self, map: MapType) -> Option<&[u8]> {
        // SAFETY: the two pointers are to locals, as `handed_over` has it.
        handed_over(|value, size| unsafe { proxy_get_header_map_pairs(map as u32, value, size) })
    }

    /// Sets a header, in place of any with this name.
    pub fn set_header(&mut self, map: MapType, name: &str, value: &[u8]) {
        // SAFETY: both slices are valid for the call.
        unsafe {
            proxy_replace_header_map_value(
                map as u32,
                name.as_ptr(),
                name.len(),
                value.as_ptr(),
                value.len(),
            )
        };
    }

    /// Removes a header.
    pub fn remove_header(&mut self, map: MapType, name: &str) {
        // SAFETY: the name is valid for the call.
        unsafe { proxy_remove_header_map_value(map as u32, name.as_ptr(), name.len()) };
    }

    /// Sets a property of the current request.
    pub fn set_property(&mut self, path: &str, value: &[u8]) {
        // SAFETY: both slices are valid for the call.
        unsafe { proxy_set_property(path.as_ptr(), path.len(), value.as_ptr(), value.len()) };
    }

    /// Calls one of the proxy's own functions.
    pub fn call(&self, function: &str, argument: &[u8]) -> Option<&[u8]> {
        // SAFETY: both slices are valid for the call, and the two pointers are to locals.
        handed_over(|value, size| unsafe {
            proxy_call_foreign_function(
                function.as_ptr(),
                function.len(),
                argument.as_ptr(),
                argument.len(),
                value,
                size,
            )
        })
    }

    /// Defines the metric of a stat name, or finds it where it exists.
    pub fn define_metric(&mut self, kind: MetricType, stat_name: &str) -> Option<u32> {
        let (name, size) = (stat_name.as_ptr(), stat_name.len());
        let mut id = 0;
        // SAFETY: the name is valid for the call, and the id is a local.
        let status = unsafe { proxy_define_metric(kind as u32, name, size, &raw mut id) };
        (status == OK).then_some(id)
    }

    /// Records a value as the metric's kind has it.
    #[inline]
    pub fn record_metric(&mut self, metric: u32, value: u64) {
        // SAFETY: no memory is passed.
        unsafe { proxy_record_metric(metric, value) };
    }

    /// Changes a counter or a gauge.
    pub fn increment_metric(&mut self, metric: u32, by: i64) {
        // SAFETY: no memory is passed.
        unsafe { proxy_increment_metric(metric, by) };
    }

    /// The time in nanoseconds.
    pub fn now(&self) -> u64 {
        let mut time = 0;
        // SAFETY: the time is a local.
        unsafe { proxy_get_current_time_nanoseconds(&raw mut time) };
        time
    }

    /// 16 random bytes; the time instead, where the proxy refuses to give any.
    pub fn random(&self) -> [u8; 16] {
        let mut bytes = u128::from(self.now()).to_ne_bytes();
        // SAFETY: the buffer is a local of this size.
        unsafe { random_get(bytes.as_mut_ptr(), bytes.len()) };
        bytes
    }

    /// How often `proxy_on_tick` is to be called.
    pub fn set_tick_period(&mut self, period: Duration) {
        let milliseconds = u32::try_from(period.as_millis()).unwrap_or(u32::MAX);
        // SAFETY: no memory is passed.
        unsafe { proxy_set_tick_period_milliseconds(milliseconds) };
    }

    /// Makes another context the one that calls are about; whether there still is one.
    pub fn set_context(&mut self, context: u32) -> bool {
        // SAFETY: no memory is passed.
        let status = unsafe { proxy_set_effective_context(context) };
        status == OK
    }
}

impl SharedData for ProxyWasm {
    fn get(&self, key: &[u8]) -> Option<(&[u8], u32)> {
        let mut version = 0;
        // SAFETY: the key is valid for the call, and the three pointers are to locals.
        let value = handed_over(|value, size| unsafe {
            proxy_get_shared_data(key.as_ptr(), key.len(), value, size, &raw mut version)
        });
        Some((value?, version))
    }

    fn set(&self, key: &[u8], value: &[u8], version: u32) -> bool {
        let (size, value) = (value.len(), value.as_ptr());
        // SAFETY: both slices are valid for the call.
        unsafe { proxy_set_shared_data(key.as_ptr(), key.len(), value, size, version) == OK }
    }
}

impl Attributes for ProxyWasm {
    #[inline]
    fn attribute(&self, path: &str) -> Option<&[u8]> {
        // SAFETY: the path is valid for the call, and the two pointers are to locals.
        handed_over(|value, size| unsafe {
            proxy_get_property(path.as_ptr(), path.len(), value, size)
        })
    }

    fn create(&self, expression: &str) -> Option<u32> {
        let token = self.call("expr_create", expression.as_bytes())?;
        Some(u32::from_ne_bytes(token.try_into().ok()?))
    }

    #[inline]
    fn evaluate(&self, token: u32) -> Option<&[u8]> {
        self.call("expr_evaluate", &token.to_ne_bytes())
    }

    fn delete(&self, token: u32) {
        self.call("expr_delete", &token.to_ne_bytes());
    }
}

/// Writes a line to the proxy's log.
pub fn log(level: LogLevel, message: &str) {
    // SAFETY: the message is valid for the call.
    unsafe { proxy_log(level as u32, message.as_ptr(), message.len()) };
}

/// What a call hands over: the host asks [`memory`] for room, writes there and says where.
///
/// The lifetime is free. The callers bind it to their `&self`, and a [`ProxyWasm`] lives no longer
/// than what it handed over may be looked at: see [`ProxyWasm::new`].
#[inline]
fn handed_over<'a>(call: impl FnOnce(*mut *const u8, *mut usize) -> u32) -> Option<&'a [u8]> {
    let (mut value, mut size) = (ptr::null(), 0);
    if call(&raw mut value, &raw mut size) != OK {
        return None;
    }
    // SAFETY: the host says where it wrote how much, in room that is kept while the proxy's handle
    // lives.
    Some(unsafe { memory::written(value, size) })
}
