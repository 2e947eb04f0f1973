//! A request, as Envoy tells of it.

use std::ffi::c_void;
use std::ptr;

use super::callbacks::{Callbacks, EnvoyBuffer, Timing};
use super::{EnvoyApi, NONE, buffer, bytes};

/// The headers of a request or a response.
#[derive(Clone, Copy)]
pub enum HeaderType {
    /// The request's headers.
    Request = 0,
    /// The response's headers.
    Response = 2,
}

/// An attribute, by its place in Envoy's list.
#[derive(Clone, Copy)]
pub enum Attribute {
    /// Bytes of the request, headers included.
    RequestTotalSize = 14,
    /// The response's status.
    ResponseCode = 15,
    /// The response flags, a bit each.
    ResponseFlags = 17,
    /// The gRPC status. Envoy derives one from the response code where there is none.
    ResponseGrpcStatus = 18,
    /// Bytes of the response, headers included.
    ResponseTotalSize = 22,
    /// The id of the downstream connection.
    ConnectionId = 28,
    /// The own SPIFFE id of the downstream connection.
    DownstreamLocalSan = 36,
    /// The SPIFFE id of the client, of the downstream connection.
    DownstreamPeerSan = 37,
    /// The own SPIFFE id of the upstream connection.
    UpstreamLocalSan = 48,
    /// The SPIFFE id of the server, of the upstream connection.
    UpstreamPeerSan = 49,
    /// The cluster of the request.
    ClusterName = 57,
    /// 1 inbound, 2 outbound, 0 unspecified.
    ListenerDirection = 59,
    /// The name of the route.
    RouteName = 61,
}

/// Whose metadata is meant.
#[derive(Clone, Copy)]
pub enum MetadataSource {
    /// The request's cluster.
    Cluster = 2,
    /// The endpoint.
    Host = 3,
}

/// A request as Envoy knows it, for as long as a hook is about it; or no request, about which there is
/// nothing to be asked.
pub struct Stream {
    callbacks: &'static Callbacks,
    filter: *mut c_void,
}

impl Stream {
    /// The request of a filter; null for none.
    ///
    /// # Safety
    /// Envoy must have handed over the filter, and the stream must not outlive the hook.
    pub unsafe fn new(envoy: EnvoyApi, filter: *mut c_void) -> Self {
        Self {
            callbacks: envoy.callbacks,
            filter,
        }
    }

    /// No request.
    pub fn none(envoy: EnvoyApi) -> Self {
        Self {
            callbacks: envoy.callbacks,
            filter: ptr::null_mut(),
        }
    }

    /// The value of a header; the first one where there are several.
    #[inline]
    pub fn header(&self, map: HeaderType, name: &str) -> Option<&[u8]> {
        self.bytes(|filter, value| {
            let (map, name) = (map as u32, buffer(name.as_bytes()));
            // SAFETY: the name is valid for the call, the value is a local, and the count may be null.
            unsafe {
                (self.callbacks.http_get_header)(filter, map, name, value, 0, ptr::null_mut())
            }
        })
    }

    /// Sets a header, in place of any with this name; `None` removes it.
    pub fn set_header(&mut self, map: HeaderType, name: &str, value: Option<&[u8]>) {
        if self.filter.is_null() {
            return;
        }
        let (map, name) = (map as u32, buffer(name.as_bytes()));
        // SAFETY: both buffers are valid for the call.
        unsafe {
            (self.callbacks.http_set_header)(self.filter, map, name, value.map_or(NONE, buffer))
        };
    }

    /// An attribute that is a text.
    #[inline]
    pub fn text(&self, attribute: Attribute) -> Option<&[u8]> {
        self.bytes(|filter, value| {
            // SAFETY: the value is a local.
            unsafe {
                (self.callbacks.http_filter_get_attribute_string)(filter, attribute as u32, value)
            }
        })
    }

    /// An attribute that is a number.
    #[inline]
    pub fn number(&self, attribute: Attribute) -> Option<u64> {
        let mut number = 0;
        // SAFETY: the number is a local.
        let found = !self.filter.is_null()
            && unsafe {
                let get = self.callbacks.http_filter_get_attribute_int;
                get(self.filter, attribute as u32, &raw mut number)
            };
        found.then_some(number)
    }

    /// The whole duration in nanoseconds, of a request that is complete.
    #[inline]
    pub fn duration(&self) -> Option<u64> {
        if self.filter.is_null() {
            return None;
        }
        let mut timing = Timing::UNKNOWN;
        // SAFETY: the timing is a local.
        unsafe { (self.callbacks.http_get_timing_info)(self.filter, &raw mut timing) };
        timing.request_complete()
    }

    /// A text in metadata.
    pub fn metadata_text(&self, of: MetadataSource, namespace: &str, key: &str) -> Option<&[u8]> {
        self.bytes(|filter, value| {
            let [namespace, key] = [namespace, key].map(|text| buffer(text.as_bytes()));
            // SAFETY: both buffers are valid for the call, and the value is a local.
            unsafe {
                (self.callbacks.http_get_metadata_string)(filter, of as u32, namespace, key, value)
            }
        })
    }

    /// Whether something in metadata is true.
    pub fn metadata_is_true(&self, of: MetadataSource, namespace: &str, key: &str) -> bool {
        let mut is_true = false;
        let [namespace, key] = [namespace, key].map(|text| buffer(text.as_bytes()));
        // SAFETY: both buffers are valid for the call, and the value is a local.
        let found = !self.filter.is_null()
            && unsafe {
                let get = self.callbacks.http_get_metadata_bool;
                get(self.filter, of as u32, namespace, key, &raw mut is_true)
            };
        found && is_true
    }

    /// A filter state object of any kind, serialized.
    pub fn filter_state(&self, key: &str) -> Option<&[u8]> {
        self.bytes(|filter, value| {
            // SAFETY: the key is valid for the call, and the value is a local.
            unsafe {
                (self.callbacks.http_get_filter_state_typed)(filter, buffer(key.as_bytes()), value)
            }
        })
    }

    /// A filter state object of bytes, as it is.
    #[inline]
    pub fn filter_state_bytes(&self, key: &str) -> Option<&[u8]> {
        self.bytes(|filter, value| {
            // SAFETY: the key is valid for the call, and the value is a local.
            unsafe {
                (self.callbacks.http_get_filter_state_bytes)(filter, buffer(key.as_bytes()), value)
            }
        })
    }

    /// Sets a filter state object of bytes.
    pub fn set_filter_state(&mut self, key: &str, value: &[u8]) {
        if !self.filter.is_null() {
            let set = self.callbacks.http_set_filter_state_bytes;
            // SAFETY: both buffers are valid for the call.
            unsafe { set(self.filter, buffer(key.as_bytes()), buffer(value)) };
        }
    }

    /// What a function of Envoy hands out, which lives as long as the borrow: all that changes something
    /// borrows the stream exclusively, and the stream itself lives no longer than the hook.
    #[inline]
    fn bytes(&self, get: impl FnOnce(*mut c_void, *mut EnvoyBuffer) -> bool) -> Option<&[u8]> {
        let mut value = EnvoyBuffer {
            bytes: ptr::null(),
            length: 0,
        };
        if self.filter.is_null() || !get(self.filter, &raw mut value) {
            return None;
        }
        // SAFETY: Envoy said that there is a value, which is valid until the end of the hook.
        Some(unsafe { bytes(value) })
    }
}
