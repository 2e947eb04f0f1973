//! How a sidecar for TCP is set up. Not here: what it has in common with one for HTTP, see `setup`.

use serde_json::Value;

use super::SidecarBuilder;

impl SidecarBuilder {
    /// Takes TCP connections instead of HTTP requests, and sends them on as they are. The module is a network filter.
    pub fn tcp(mut self) -> Self {
        self.tcp.get_or_insert_default();
        self
    }

    /// The same with one more network filter, in front of the module's.
    pub fn tcp_filter(mut self, filter: Value) -> Self {
        self.tcp.get_or_insert_default().push(filter);
        self
    }
}
