//! The calls about buffers: the plugin's configuration, and the bytes of TCP connections.

use super::{ProxyWasm, handed_over};

/// A buffer that the proxy holds.
#[derive(Clone, Copy)]
pub enum BufferType {
    /// What has come from the client of a TCP connection.
    DownstreamData = 2,
    /// What has come from its server.
    UpstreamData = 3,
    /// The plugin's configuration.
    PluginConfiguration = 7,
}

/// The client's half of a TCP connection.
const DOWNSTREAM: u32 = 2;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_get_buffer_bytes(
        buffer: u32,
        start: usize,
        max: usize,
        value: *mut *const u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_set_buffer_bytes(
        buffer: u32,
        start: usize,
        size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_continue_stream(stream: u32) -> u32;
}

#[expect(
    clippy::unused_self,
    reason = "what is handed over lives as long as the borrow"
)]
impl ProxyWasm {
    /// The first bytes of a buffer: as many as that, or all of fewer.
    pub fn buffer(&self, buffer: BufferType, most: usize) -> Option<&[u8]> {
        // SAFETY: the two pointers are to locals, as `handed_over` has it.
        handed_over(|value, size| unsafe {
            proxy_get_buffer_bytes(buffer as u32, 0, most, value, size)
        })
    }

    /// Takes so many bytes away from the front of a buffer, which are there, and then puts others there.
    pub fn edit_buffer(&mut self, buffer: BufferType, drain: usize, front: &[u8]) {
        // SAFETY: the slice is valid for the call.
        unsafe {
            proxy_set_buffer_bytes(buffer as u32, 0, drain, front.as_ptr(), front.len());
        }
    }

    /// Has the bytes pass that the current TCP connection's client sent and that were kept.
    pub fn continue_downstream(&mut self) {
        // SAFETY: no memory is passed.
        unsafe {
            proxy_continue_stream(DOWNSTREAM);
        }
    }
}
