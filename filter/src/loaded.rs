//! A plugin, and what the proxy holds for it. Which one a callback is for is decided in the crate's root.

use stats_core::http::request::Request;
use stats_core::http::rounds::Rounds;
use stats_core::http::{EARLY_TICK, Plugin};
use stats_core::tcp::{Connection, TcpPlugin};

use crate::abi::ProxyWasm;
use crate::connections::OpenConnections;
use crate::host::{Host, PluginState};
use crate::requests::OpenRequests;

/// A plugin that is configured.
pub struct Loaded {
    /// What it is for all, and for HTTP.
    pub plugin: Plugin,
    /// Its part for TCP, from its first connection on.
    pub tcp: Option<TcpPlugin>,
    /// What the proxy holds for it.
    pub state: PluginState,
    /// Goes round what is open.
    pub rounds: Rounds,
}

impl Loaded {
    /// The plugin's part for TCP, and its host: the current context is to be a connection's.
    pub fn for_connections(&mut self, proxy: ProxyWasm) -> (&mut TcpPlugin, Host<'_>) {
        let Self {
            plugin, tcp, state, ..
        } = self;
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

    /// A tick has come. Whether the plugin's own is due with it.
    pub fn on_tick(&mut self) -> bool {
        self.rounds.on_tick();
        let is_due = !self.state.ticks_early || self.plugin.on_early_tick();
        if is_due && let Some(tcp) = &mut self.tcp {
            tcp.on_tick();
        }
        is_due
    }

    /// Looks at what may be open at a context, and drops it where it is gone: the proxy does not tell of that,
    /// since it would enter the module for each request once more.
    pub fn look_at(
        &mut self,
        mut proxy: ProxyWasm,
        context: u32,
        requests: &mut OpenRequests,
        connections: &mut OpenConnections,
    ) -> ProxyWasm {
        proxy.reuse_memory();
        let is_open = proxy.set_context(context);
        if let Some(open) = requests.find(context) {
            if is_open {
                return self.look_at_request(proxy, &mut open.request);
            }
            proxy = self.on_done(proxy, &mut open.request);
            requests.end(context);
        } else if let Some(open) = connections.find(context) {
            if is_open {
                return self.look_at_connection(proxy, &mut open.connection);
            }
            connections.end(context);
        }
        proxy
    }

    fn look_at_request(&mut self, proxy: ProxyWasm, request: &mut Request) -> ProxyWasm {
        let mut host = Host::new(proxy, &mut self.state);
        if self.rounds.reports() {
            self.plugin.on_report(&mut host, request);
        }
        host.proxy
    }

    fn look_at_connection(&mut self, proxy: ProxyWasm, connection: &mut Connection) -> ProxyWasm {
        let reports = self.rounds.reports();
        let (tcp, mut host) = self.for_connections(proxy);
        tcp.on_open(&mut host, connection);
        if reports {
            tcp.on_report(&mut host, connection);
        }
        host.proxy
    }

    /// Makes series of label sets that wait, and asks for the next tick: an early one, as long as one waits
    /// or the round is not over.
    pub fn make_pending(&mut self, proxy: ProxyWasm) -> ProxyWasm {
        let Self {
            plugin,
            tcp,
            state,
            rounds,
        } = self;
        let was_early = state.ticks_early;
        let mut host = Host::new(proxy, state);
        let mut has_more = !rounds.is_over();
        if was_early {
            has_more |= plugin.make_pending(&mut host);
            has_more |= tcp.as_mut().is_some_and(|tcp| tcp.make_pending(&mut host));
        }
        if has_more != was_early {
            host.state.ticks_early = has_more;
            let period = if has_more { EARLY_TICK } else { plugin.tick() };
            host.proxy.set_tick_period(period);
        }
        host.proxy
    }

    /// The proxy has let go of the plugin, and of what it held.
    pub fn end(self, proxy: ProxyWasm) -> ProxyWasm {
        let Self {
            plugin,
            tcp,
            mut state,
            ..
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
            ..
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
