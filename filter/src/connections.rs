//! The state of each open TCP connection, by its context. What is reported of them is decided in
//! [`stats_core::tcp`].

use hashbrown::HashTable;
use stats_core::tcp::Connection;

use crate::abi::ProxyWasm;
use crate::loaded::Loaded;
use crate::requests::hash;

/// Connections that are open.
pub struct OpenConnections(HashTable<OpenConnection>);

/// A connection that is open.
pub struct OpenConnection {
    context: u32,
    /// The context of its plugin.
    pub root: u32,
    /// What is kept of it.
    pub connection: Connection,
}

impl OpenConnections {
    /// None.
    pub const fn new() -> Self {
        Self(HashTable::new())
    }

    /// A connection has begun.
    pub fn begin(&mut self, context: u32, root: u32) {
        let open = OpenConnection {
            context,
            root,
            connection: Connection::default(),
        };
        let hash_of = |open: &OpenConnection| hash(open.context);
        self.0.insert_unique(hash(context), open, hash_of);
    }

    /// An open connection.
    #[inline]
    pub fn find(&mut self, context: u32) -> Option<&mut OpenConnection> {
        let is = |open: &OpenConnection| open.context == context;
        self.0.find_mut(hash(context), is)
    }

    /// A connection has ended; what was kept of it.
    pub fn end(&mut self, context: u32) -> Option<OpenConnection> {
        let is = |open: &OpenConnection| open.context == context;
        let open = self.0.find_entry(hash(context), is).ok()?;
        Some(open.remove().0)
    }

    /// All connections of a plugin are gone.
    pub fn end_all(&mut self, root: u32) {
        self.0.retain(|open| open.root != root);
    }

    /// The plugin of a root context is replaced by another one: what its connections know is the old
    /// plugin's.
    pub fn forget_plugin(&mut self, root: u32) {
        for open in self.0.iter_mut().filter(|open| open.root == root) {
            open.connection.forget_plugin();
        }
    }

    /// Drops the connections of a plugin that are gone, and reports the others where it is time.
    pub fn tick(
        &mut self,
        proxy: ProxyWasm,
        loaded: &mut Loaded,
        root: u32,
        reports: bool,
    ) -> ProxyWasm {
        // An access logger has none that are open.
        if loaded.tcp.is_none() && !self.0.iter().any(|open| open.root == root) {
            return proxy;
        }
        let (tcp, mut host) = loaded.for_connections(proxy);
        tcp.on_tick();
        self.0.retain(|open| {
            if open.root != root {
                return true;
            }
            host.proxy.reuse_memory();
            let is_open = host.proxy.set_context(open.context);
            if is_open {
                tcp.on_open(&mut host, &mut open.connection);
            }
            if is_open && reports {
                tcp.on_report(&mut host, &mut open.connection);
            }
            is_open
        });
        host.proxy
    }
}
