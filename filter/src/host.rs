//! The calls from the module into the proxy: stats-core's host traits on the proxy-wasm ABI 0.2.1.

use std::ptr;
use std::time::Duration;

use stats_core::host::{
    Attributes, Clock, Expression, HeaderMap, Headers, Log, LogLevel, MetricId, MetricKind, Metrics,
};
use stats_core::pairs;

use crate::memory;

/// The proxy around this module, for as long as what it hands over is kept.
pub struct ProxyWasm {
    _private: (),
}

/// A buffer that the proxy holds.
#[derive(Clone, Copy)]
pub enum BufferType {
    /// The plugin's configuration.
    PluginConfiguration = 7,
}

const OK: u32 = 0;
/// Shared data is set whatever is there.
const ANY_VERSION: u32 = 0;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_log(level: u32, message: *const u8, size: usize) -> u32;
    fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
    fn proxy_get_buffer_bytes(
        buffer: u32,
        start: usize,
        max: usize,
        value: *mut *const u8,
        size: *mut usize,
    ) -> u32;
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
    /// The proxy, with all its memory free.
    ///
    /// # Safety
    /// At any time there may only be one: what another handed over is overwritten.
    pub unsafe fn new() -> Self {
        // SAFETY: what was handed over was borrowed from a handle that is gone.
        unsafe { memory::reuse() };
        Self { _private: () }
    }

    /// A property that is not an attribute of a request, such as `plugin_root_id`.
    pub fn property(&self, path: &str) -> Option<&[u8]> {
        self.attribute(path)
    }

    /// A whole buffer.
    pub fn buffer(&self, buffer: BufferType) -> Option<&[u8]> {
        // SAFETY: the two pointers are to locals, as `handed_over` has it.
        handed_over(|value, size| unsafe {
            proxy_get_buffer_bytes(buffer as u32, 0, usize::MAX, value, size)
        })
    }

    /// How often `proxy_on_tick` is to be called.
    pub fn set_tick_period(&self, period: Duration) {
        let milliseconds = u32::try_from(period.as_millis()).unwrap_or(u32::MAX);
        // SAFETY: no memory is passed.
        unsafe { proxy_set_tick_period_milliseconds(milliseconds) };
    }

    /// What a VM of the same id has [shared](Self::share) under this key.
    pub fn shared(&self, key: &[u8]) -> Option<&[u8]> {
        let mut version = 0;
        // SAFETY: the key is valid for the call, and the three pointers are to locals.
        handed_over(|value, size| unsafe {
            proxy_get_shared_data(key.as_ptr(), key.len(), value, size, &raw mut version)
        })
    }

    /// Shares a value with all VMs of the same id, those to come included.
    pub fn share(&self, key: &[u8], value: &[u8]) {
        // SAFETY: both slices are valid for the call.
        unsafe {
            proxy_set_shared_data(
                key.as_ptr(),
                key.len(),
                value.as_ptr(),
                value.len(),
                ANY_VERSION,
            )
        };
    }

    /// Makes another context the one that calls are about; whether there still is one.
    pub fn turn_to(&self, context: u32) -> bool {
        // SAFETY: no memory is passed.
        let status = unsafe { proxy_set_effective_context(context) };
        status == OK
    }

    /// Calls one of the proxy's own functions.
    fn call(&self, function: &str, argument: &[u8]) -> Option<&[u8]> {
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
}

impl Headers for ProxyWasm {
    fn header(&self, map: HeaderMap, name: &str) -> Option<&[u8]> {
        // SAFETY: the name is valid for the call, and the two pointers are to locals.
        handed_over(|value, size| unsafe {
            proxy_get_header_map_value(map_type(map), name.as_ptr(), name.len(), value, size)
        })
    }

    /// Each value handed over is an entry into the module for memory, and that costs more than to
    /// hand over all headers at once.
    fn headers<const N: usize>(&self, map: HeaderMap, names: [&str; N]) -> [Option<&[u8]>; N] {
        // SAFETY: the two pointers are to locals, as `handed_over` has it.
        let all = handed_over(|value, size| unsafe {
            proxy_get_header_map_pairs(map_type(map), value, size)
        });
        pairs::values(all.unwrap_or_default(), names)
    }

    fn set_header(&self, map: HeaderMap, name: &str, value: &[u8]) {
        // SAFETY: both slices are valid for the call.
        unsafe {
            proxy_replace_header_map_value(
                map_type(map),
                name.as_ptr(),
                name.len(),
                value.as_ptr(),
                value.len(),
            )
        };
    }

    fn remove_header(&self, map: HeaderMap, name: &str) {
        // SAFETY: the name is valid for the call.
        unsafe { proxy_remove_header_map_value(map_type(map), name.as_ptr(), name.len()) };
    }
}

impl Attributes for ProxyWasm {
    fn attribute(&self, path: &str) -> Option<&[u8]> {
        // SAFETY: the path is valid for the call, and the two pointers are to locals.
        handed_over(|value, size| unsafe {
            proxy_get_property(path.as_ptr(), path.len(), value, size)
        })
    }

    fn compile(&self, expression: &str) -> Option<Expression> {
        let token = self.call("expr_create", expression.as_bytes())?;
        Some(Expression(u32::from_ne_bytes(token.try_into().ok()?)))
    }

    fn evaluate(&self, expression: Expression) -> Option<&[u8]> {
        self.call("expr_evaluate", &expression.0.to_ne_bytes())
    }

    fn forget(&self, expression: Expression) {
        self.call("expr_delete", &expression.0.to_ne_bytes());
    }

    fn declare_struct(&self, name: &str) {
        self.call("declare_property", &declare_struct_arguments(name));
    }

    fn publish(&self, name: &str, value: &[u8]) {
        // SAFETY: both slices are valid for the call.
        unsafe { proxy_set_property(name.as_ptr(), name.len(), value.as_ptr(), value.len()) };
    }
}

impl Metrics for ProxyWasm {
    fn define(&self, kind: MetricKind, stat_name: &str) -> Option<MetricId> {
        let kind = match kind {
            MetricKind::Counter => 0,
            MetricKind::Gauge => 1,
            MetricKind::Histogram => 2,
        };
        let mut id = 0;
        // SAFETY: the name is valid for the call, and the id is a local.
        let status =
            unsafe { proxy_define_metric(kind, stat_name.as_ptr(), stat_name.len(), &raw mut id) };
        (status == OK).then_some(MetricId(id))
    }

    fn record(&self, metric: MetricId, value: u64) {
        // SAFETY: no memory is passed.
        unsafe { proxy_record_metric(metric.0, value) };
    }

    fn change(&self, gauge: MetricId, by: i64) {
        // SAFETY: no memory is passed.
        unsafe { proxy_increment_metric(gauge.0, by) };
    }
}

impl Clock for ProxyWasm {
    fn now(&self) -> u64 {
        let mut time = 0;
        // SAFETY: the time is a local.
        unsafe { proxy_get_current_time_nanoseconds(&raw mut time) };
        time
    }
}

impl Log for ProxyWasm {
    fn log(&self, level: LogLevel, message: &str) {
        let level = match level {
            LogLevel::Debug => 1,
            LogLevel::Warn => 3,
            LogLevel::Error => 4,
        };
        // SAFETY: the message is valid for the call.
        unsafe { proxy_log(level, message.as_ptr(), message.len()) };
    }
}

fn map_type(map: HeaderMap) -> u32 {
    match map {
        HeaderMap::Request => 0,
        HeaderMap::Response => 2,
    }
}

/// What a call hands over: the host asks [`memory`] for room, writes there and says where.
///
/// The lifetime is free. The callers bind it to their `&self`, and a [`ProxyWasm`] lives no longer
/// than what it read may be looked at: see [`ProxyWasm::new`].
fn handed_over<'a>(call: impl FnOnce(*mut *const u8, *mut usize) -> u32) -> Option<&'a [u8]> {
    let (mut value, mut size) = (ptr::null(), 0);
    if call(&raw mut value, &raw mut size) != OK {
        return None;
    }
    // SAFETY: the host says where it wrote how much, in room that is kept while the proxy's handle
    // lives.
    Some(unsafe { memory::written(value, size) })
}

/// Envoy's `DeclarePropertyArguments`: `name` (1), `type` (3) and `schema` (4); all else stays the
/// default. Encoded by hand: three fields do not need a protobuf library.
fn declare_struct_arguments(name: &str) -> Vec<u8> {
    const SCHEMA: &str = "type.googleapis.com/google.protobuf.Struct";
    const TEXT: u8 = 2;
    const PROTOBUF: u8 = 3;
    let mut arguments = vec![3 << 3, PROTOBUF];
    for (field, text) in [(1 << 3, name), (4 << 3, SCHEMA)] {
        arguments.push(field | TEXT);
        arguments.push(text.len() as u8);
        arguments.extend(text.as_bytes());
    }
    arguments
}
