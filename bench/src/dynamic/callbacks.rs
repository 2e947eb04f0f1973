//! Envoy's functions, answered from a [`Recorded`] proxy and counted. As `abi.h` of Envoy 1.40 declares them; only
//! what the library calls.
//!
//! What is set is not kept, for the next request is the same; so an answer allocates nothing, and what is
//! allocated during a request was allocated by the library.

use std::ffi::c_void;
use std::slice;

use stats_core::host::{End, ListenerDirection};

use super::SOMETHING;
use super::calls::{EnvoyCallback, count, logged, resolved};
use crate::recorded::Recorded;

/// Bytes of either side.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Buffer {
    bytes: *const u8,
    length: usize,
}

impl Buffer {
    /// These bytes, for as long as they are there.
    pub const fn of(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.as_ptr(),
            length: bytes.len(),
        }
    }

    /// # Safety
    /// The bytes must be there.
    unsafe fn text<'a>(self) -> &'a str {
        if self.length == 0 {
            return "";
        }
        // SAFETY: the caller's promise.
        let bytes = unsafe { slice::from_raw_parts(self.bytes, self.length) };
        str::from_utf8(bytes).unwrap_or_default()
    }
}

/// `envoy_dynamic_module_type_timing_info_v2`.
#[repr(C)]
pub struct CompletionTimes {
    times: [i64; 19],
    known: [bool; 19],
}

/// Hands out a value that is there.
///
/// # Safety
/// `to` must be a place for it.
unsafe fn hand_out(value: Option<&[u8]>, to: *mut Buffer) -> bool {
    let found = value.filter(|value| !value.is_empty());
    if let Some(value) = found {
        // SAFETY: the caller's promise.
        unsafe { *to = Buffer::of(value) };
    }
    found.is_some()
}

/// # Safety
/// Must be what [`super::DynamicModule`] hands over as the filter.
unsafe fn proxy<'a>(filter: *mut c_void) -> &'a Recorded {
    // SAFETY: the caller's promise.
    unsafe { &*filter.cast::<Recorded>() }
}

macro_rules! callbacks {
    ($(fn $name:ident($($argument:ident: $type:ty),*) $(-> $result:ty)? = $callback:ident $body:block)*) => {$(
        #[unsafe(export_name = concat!("envoy_dynamic_module_callback_", stringify!($name)))]
        unsafe extern "C" fn $name($($argument: $type),*) $(-> $result)? {
            count(EnvoyCallback::$callback);
            // SAFETY: the library calls with what Envoy's header asks for.
            #[allow(unused_unsafe, reason = "some look at none of it")]
            unsafe {
                $body
            }
        }
    )*};
}

callbacks! {
    fn log(_level: u32, message: Buffer) = Log {
        logged(message.text().to_owned());
    }

    fn http_get_header(
        filter: *mut c_void, map: u32, name: Buffer, value: *mut Buffer, _nth: usize, _count: *mut usize
    ) -> bool = GetHeader {
        let host = &proxy(filter).host;
        let headers = if map == 0 { &host.request } else { &host.response };
        hand_out(headers.get(name.text()), value)
    }

    fn http_set_header(_filter: *mut c_void, _map: u32, _name: Buffer, _value: Buffer) -> bool = SetHeader {
        true
    }

    fn http_get_metadata_string(
        filter: *mut c_void, _of: u32, _namespace: Buffer, _key: Buffer, value: *mut Buffer
    ) -> bool = Metadata {
        hand_out(proxy(filter).host.peers.endpoint.as_deref(), value)
    }

    fn http_get_metadata_bool(
        _filter: *mut c_void, _of: u32, _namespace: Buffer, _key: Buffer, _value: *mut bool
    ) -> bool = Metadata {
        false
    }

    fn http_set_filter_state_bytes(_filter: *mut c_void, _key: Buffer, _value: Buffer) -> bool = SetFilterState {
        true
    }

    fn http_get_filter_state_bytes(filter: *mut c_void, key: Buffer, value: *mut Buffer) -> bool = GetFilterState {
        let end = match key.text() {
            "wasm.downstream_peer" => End::Downstream,
            "wasm.upstream_peer" => End::Upstream,
            _ => return false,
        };
        hand_out(proxy(filter).host.peers.published[end as usize].as_deref(), value)
    }

    fn http_get_filter_state_typed(_filter: *mut c_void, _key: Buffer, _value: *mut Buffer) -> bool = GetFilterState {
        false
    }

    fn http_filter_get_attribute_string(filter: *mut c_void, attribute: u32, value: *mut Buffer) -> bool = Text {
        hand_out(text(proxy(filter), attribute), value)
    }

    fn http_filter_get_attribute_int(filter: *mut c_void, attribute: u32, value: *mut u64) -> bool = Number {
        let number = number(proxy(filter), attribute);
        if let Some(number) = number {
            *value = number;
        }
        number.is_some()
    }

    fn http_get_timing_info(filter: *mut c_void, to: *mut CompletionTimes) = Timing {
        const REQUEST_COMPLETE: usize = 17;
        if let Some(duration) = proxy(filter).host.facts.duration {
            (*to).times[REQUEST_COMPLETE] = duration.cast_signed();
            (*to).known[REQUEST_COMPLETE] = true;
        }
    }

    fn cluster_pre_init_complete(_cluster: *mut c_void) = Begin {}

    fn cluster_config_define_counter(
        _config: *mut c_void, _name: Buffer, _labels: *const Buffer, _count: usize, number: *mut usize
    ) -> u32 = Define {
        define(number)
    }

    fn cluster_config_define_gauge(
        _config: *mut c_void, _name: Buffer, _labels: *const Buffer, _count: usize, number: *mut usize
    ) -> u32 = Define {
        define(number)
    }

    fn cluster_config_define_histogram(
        _config: *mut c_void, _name: Buffer, _labels: *const Buffer, _count: usize, number: *mut usize
    ) -> u32 = Define {
        define(number)
    }

    fn cluster_config_resolve_counter_vec(
        _config: *mut c_void, _metric: usize, values: *const Buffer, many: usize, handle: *mut *mut c_void
    ) -> u32 = Resolve {
        resolve(values, many, handle)
    }

    fn cluster_config_resolve_gauge_vec(
        _config: *mut c_void, _metric: usize, _values: *const Buffer, _many: usize, handle: *mut *mut c_void
    ) -> u32 = Resolve {
        *handle = SOMETHING;
        SUCCESS
    }

    fn cluster_config_resolve_histogram_vec(
        _config: *mut c_void, _metric: usize, values: *const Buffer, many: usize, handle: *mut *mut c_void
    ) -> u32 = Resolve {
        resolve(values, many, handle)
    }

    fn cluster_metric_counter_add(_handle: *mut c_void, _by: u64) = Add {}
    fn cluster_metric_gauge_add(_handle: *mut c_void, _by: u64) = Gauge {}
    fn cluster_metric_gauge_sub(_handle: *mut c_void, _by: u64) = Gauge {}
    fn cluster_metric_gauge_set(_handle: *mut c_void, _value: u64) = Gauge {}
    fn cluster_metric_histogram_record(_handle: *mut c_void, _value: u64) = Observe {}
}

/// `envoy_dynamic_module_type_metrics_result_Success`.
const SUCCESS: u32 = 0;

unsafe fn define(number: *mut usize) -> u32 {
    // SAFETY: a place for the number.
    unsafe { *number = 0 };
    SUCCESS
}

unsafe fn resolve(values: *const Buffer, many: usize, handle: *mut *mut c_void) -> u32 {
    // SAFETY: so many values, and a place for the handle.
    unsafe {
        let values = slice::from_raw_parts(values, many).iter();
        resolved(values.map(|value| value.text().to_owned()).collect());
        *handle = SOMETHING;
    }
    SUCCESS
}

/// An attribute by its place in Envoy's list.
fn text(proxy: &Recorded, attribute: u32) -> Option<&[u8]> {
    let host = &proxy.host;
    Some(match attribute {
        36 => &host.downstream.local,
        37 => &host.downstream.peer,
        48 => &host.facts.upstream.local,
        49 => &host.facts.upstream.peer,
        57 => host.facts.cluster.as_bytes(),
        61 => host.facts.route.as_bytes(),
        _ => return None,
    })
}

fn number(proxy: &Recorded, attribute: u32) -> Option<u64> {
    let facts = &proxy.host.facts;
    Some(match attribute {
        14 => facts.request_bytes,
        15 => facts.response_code.into(),
        17 => facts.response_flags,
        22 => facts.response_bytes,
        28 => facts.connection?,
        59 => match proxy.host.direction {
            ListenerDirection::Unspecified => 0,
            ListenerDirection::Inbound => 1,
            ListenerDirection::Outbound => 2,
        },
        _ => return None,
    })
}
