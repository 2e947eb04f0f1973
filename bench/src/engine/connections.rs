//! TCP connections through the module.

use wasmtime::Result;

use super::{Cost, Vm};

/// What a proxy reads at once.
pub const CHUNK_BYTES: u32 = 16 * 1024;

impl Vm {
    /// What so many connections cost, with so many chunks of data from each side.
    ///
    /// # Errors
    /// Where the module traps, or does not count allocations.
    pub fn connections(&mut self, connections: u64, chunks: u32) -> Result<Cost> {
        self.cost_of(|vm| (0..connections).try_for_each(|_| vm.connection(chunks)))
    }

    /// One whole connection, with all callbacks that a proxy makes for one.
    fn connection(&mut self, chunks: u32) -> Result<()> {
        self.context += 1;
        let context = self.context;
        let proxy = self.store.data_mut();
        proxy.open = context;
        let root = proxy.root;
        self.enter::<_, ()>("proxy_on_context_create", (context, root))?;
        self.enter::<_, u32>("proxy_on_new_connection", context)?;
        for _ in 0..chunks {
            let data = (context, CHUNK_BYTES, 0_u32);
            self.enter::<_, u32>("proxy_on_downstream_data", data)?;
            self.enter::<_, u32>("proxy_on_upstream_data", data)?;
        }
        let closed = (context, 0_u32);
        self.enter::<_, ()>("proxy_on_downstream_connection_close", closed)?;
        self.enter::<_, u32>("proxy_on_done", context)?;
        self.enter::<_, ()>("proxy_on_log", context)?;
        self.enter::<_, ()>("proxy_on_delete", context)?;
        Ok(())
    }
}
