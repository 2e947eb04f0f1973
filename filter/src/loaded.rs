//! A plugin, and what the proxy holds for it. Which one a callback is for is decided in the crate's root.

use stats_core::http::Plugin;
use stats_core::http::request::Request;
use stats_core::tcp::{Connection, TcpPlugin};

use crate::abi::ProxyWasm;
use crate::host::{Host, PluginState};

/// A plugin that is configured.
pub struct Loaded {
    /// What it is for all, and for HTTP.
    pub plugin: Plugin,
    /// Its part for TCP, from its first connection on.
    pub tcp: Option<TcpPlugin>,
    /// What the proxy holds for it.
    pub state: PluginState,
}

impl Loaded {
    /// The plugin's part for TCP, and its host: the current context is to be a connection's.
    pub fn for_connections(&mut self, proxy: ProxyWasm) -> (&mut TcpPlugin, Host<'_>) {
        let Self { plugin, tcp, state } = self;
        let new = || TcpPlugin::new(plugin.role(), plugin.config(), plugin.proxy());
        let host = Host {
            is_tcp: true,
            ..Host::new(proxy, state)
        };
        (tcp.get_or_insert_with(new), host)
    }

    /// As an access logger, the plugin is told of a request, or of a connection, that has ended.
    pub fn on_logged(&mut self, proxy: ProxyWasm) {
        let host = Host::new(proxy, &mut self.state);
        let is_connection = self.plugin.logs_connection(&host);
        let proxy = host.proxy;
        if is_connection {
            let (tcp, mut host) = self.for_connections(proxy);
            tcp.on_end(&mut host, &mut Connection::default());
        } else {
            let mut host = Host::new(proxy, &mut self.state);
            self.plugin.on_log(&mut host, &mut Request::only_logged());
        }
    }

    /// A request of this plugin is gone.
    pub fn on_done(&mut self, proxy: ProxyWasm, request: &mut Request) -> ProxyWasm {
        let mut host = Host::new(proxy, &mut self.state);
        self.plugin.on_done(&mut host, request);
        host.proxy
    }

    /// Makes series of label sets that wait. Where none does any more, ticks come as before.
    pub fn make_pending(&mut self, proxy: ProxyWasm) -> ProxyWasm {
        let Self { plugin, tcp, state } = self;
        let mut host = Host::new(proxy, state);
        let of_requests = plugin.make_pending(&mut host);
        let of_connections = tcp.as_mut().is_some_and(|tcp| tcp.make_pending(&mut host));
        if !of_requests && !of_connections {
            host.state.ticks_early = false;
            host.proxy.set_tick_period(plugin.tick());
        }
        host.proxy
    }

    /// The proxy has let go of the plugin, and of what it held.
    pub fn end(self, proxy: ProxyWasm) -> ProxyWasm {
        let Self {
            plugin,
            tcp,
            mut state,
        } = self;
        let mut host = Host::new(proxy, &mut state);
        plugin.end(&mut host);
        if let Some(tcp) = tcp {
            tcp.end(&mut host);
        }
        host.proxy
    }

    /// Gives back what the proxy holds.
    pub fn release(self, proxy: ProxyWasm) {
        let Self {
            plugin,
            tcp,
            mut state,
        } = self;
        let mut host = Host::new(proxy, &mut state);
        plugin.release(&mut host);
        if let Some(tcp) = tcp {
            tcp.release(&mut host);
        }
        let proxy = host.proxy;
        state.release(&proxy);
    }
}
