//! The functions that Envoy calls. Each is guarded, so that no panic reaches Envoy, and each passes on what
//! it is about as a safe value. Here are those of the module and of its filters; those of the cluster that
//! holds the metrics are in `cluster`.
//!
//! Envoy asks for all of them when the module is loaded; those that do nothing are at the end.

mod cluster;

use std::ffi::{c_char, c_void};
use std::ptr;
use std::sync::Arc;

use crate::abi::stream::Stream;
use crate::abi::{EnvoyApi, EnvoyBuffer, VERSION, bytes};
use crate::filter::FilterConfig;
use crate::worker::{OpenStream, Worker};
use crate::{guard, loading, logger};

/// Go on with what there is.
const CONTINUE: u32 = 0;

/// A filter's configuration, as Envoy holds it; `None` for one that does nothing.
type HeldConfig = Option<Arc<FilterConfig>>;
// === loading ===

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_program_init() -> *const c_char {
    guard::install();
    logger::install();
    VERSION.as_ptr()
}

// === filters ===

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_config_new(
    _envoy: *mut c_void,
    name: EnvoyBuffer,
    config: EnvoyBuffer,
) -> *const HeldConfig {
    // SAFETY: Envoy keeps both during the call.
    let (name, config) = unsafe { (bytes(name), bytes(config)) };
    let held = guard::run("http_filter_config_new", || loading::load(name, config));
    Box::into_raw(Box::new(held.flatten()))
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_config_destroy(config: *mut HeldConfig) {
    guard::run("http_filter_config_destroy", || {
        // SAFETY: made by `config_new`, and given back by Envoy once.
        if let Some(config) = *unsafe { Box::from_raw(config) } {
            loading::retire(&config);
        }
    });
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_new(
    config: *const HeldConfig,
    filter: *mut c_void,
) -> *mut OpenStream {
    let begin = || {
        // SAFETY: made by `config_new`; all filters of a configuration end before it.
        let config = unsafe { config.as_ref() }?.as_ref()?;
        let stream = stream(filter)?;
        let begun = config.broken.run("http_filter_new", || {
            Worker::enter(|worker| worker.begin(config, stream))
        });
        begun.flatten().flatten()
    };
    // Null would close the request. What is never looked at may point anywhere.
    begin().map_or(ptr::without_provenance_mut(NOTHING), Box::into_raw)
}

/// The address of a request that nothing is known of.
const NOTHING: usize = 1;

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_request_headers(
    filter: *mut c_void,
    open: *mut OpenStream,
    _end: bool,
) -> u32 {
    with(filter, open, |stream, open| {
        open.with(
            "http_filter_request_headers",
            stream,
            |plugin, host, request| {
                plugin.on_request_headers(host, request);
            },
        );
    });
    CONTINUE
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_response_headers(
    filter: *mut c_void,
    open: *mut OpenStream,
    _end: bool,
) -> u32 {
    with(filter, open, |stream, open| {
        open.with(
            "http_filter_response_headers",
            stream,
            |plugin, host, request| {
                plugin.on_response_headers(host, request);
            },
        );
    });
    CONTINUE
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_request_body(
    filter: *mut c_void,
    open: *mut OpenStream,
    _end: bool,
) -> u32 {
    with(filter, open, |stream, open| {
        open.report("http_filter_request_body", stream);
    });
    CONTINUE
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_response_body(
    filter: *mut c_void,
    open: *mut OpenStream,
    _end: bool,
) -> u32 {
    with(filter, open, |stream, open| {
        open.report("http_filter_response_body", stream);
    });
    CONTINUE
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_stream_complete(
    filter: *mut c_void,
    open: *mut OpenStream,
) {
    with(filter, open, |stream, open| {
        open.with(
            "http_filter_stream_complete",
            stream,
            |plugin, host, request| {
                plugin.on_log(host, request);
            },
        );
    });
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_destroy(open: *mut OpenStream) {
    if open.addr() == NOTHING {
        return;
    }
    // SAFETY: made by `filter_new`, and given back by Envoy once.
    let mut open = unsafe { Box::from_raw(open) };
    if let Ok(envoy) = EnvoyApi::find() {
        open.with(
            "http_filter_destroy",
            Stream::none(envoy),
            |plugin, host, request| {
                plugin.on_done(host, request);
            },
        );
    }
    guard::run("http_filter_end", || {
        Worker::enter(|worker| worker.end(open))
    });
}

/// Does something with a request of which something is known.
#[inline]
fn with(filter: *mut c_void, open: *mut OpenStream, body: impl FnOnce(Stream, &mut OpenStream)) {
    if open.addr() != NOTHING
        && let Some(stream) = stream(filter)
        // SAFETY: made by `filter_new`, and Envoy enters one hook of a request at a time.
        && let Some(open) = unsafe { open.as_mut() }
    {
        body(stream, open);
    }
}

#[inline]
fn stream(filter: *mut c_void) -> Option<Stream> {
    let envoy = EnvoyApi::find().ok()?;
    // SAFETY: Envoy handed over the filter, and a stream is used in the hook alone.
    Some(unsafe { Stream::new(envoy, filter) })
}

// === what the module has no use for ===

macro_rules! ignored {
    ($($name:ident)*) => {$(
        /// Ignores its arguments, and where a status is wanted, lets things go on.
        #[unsafe(no_mangle)]
        extern "C" fn $name() -> u32 {
            CONTINUE
        }
    )*};
}

ignored! {
    envoy_dynamic_module_on_http_filter_request_trailers
    envoy_dynamic_module_on_http_filter_response_trailers
    envoy_dynamic_module_on_http_filter_local_reply
    envoy_dynamic_module_on_http_filter_downstream_above_write_buffer_high_watermark
    envoy_dynamic_module_on_http_filter_downstream_below_write_buffer_low_watermark
    envoy_dynamic_module_on_http_filter_scheduled
    envoy_dynamic_module_on_http_filter_http_callout_done
    envoy_dynamic_module_on_http_filter_http_stream_headers
    envoy_dynamic_module_on_http_filter_http_stream_data
    envoy_dynamic_module_on_http_filter_http_stream_trailers
    envoy_dynamic_module_on_http_filter_http_stream_complete
    envoy_dynamic_module_on_http_filter_http_stream_reset
    envoy_dynamic_module_on_http_filter_config_scheduled
    envoy_dynamic_module_on_http_filter_config_http_callout_done
    envoy_dynamic_module_on_http_filter_config_http_stream_headers
    envoy_dynamic_module_on_http_filter_config_http_stream_data
    envoy_dynamic_module_on_http_filter_config_http_stream_trailers
    envoy_dynamic_module_on_http_filter_config_http_stream_complete
    envoy_dynamic_module_on_http_filter_config_http_stream_reset
    envoy_dynamic_module_on_cluster_lb_cancel_host_selection
}
