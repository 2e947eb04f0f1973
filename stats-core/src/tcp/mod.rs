//! TCP connections: a plugin's part for them on one worker.
//!
//! A connection goes `gather` → [`record`](crate::record), as a request does: every reporting interval
//! while it is open, and at its end. Roles, directions and the configuration are those of the plugin
//! that [`http`](crate::http) holds.
//!
//! Bytes are not counted here: the host tells its own totals. Of what passes only the first bytes are
//! looked at, for the `exchange`: each connection has a `handshake` for them.

mod connection;
mod exchange;
pub mod frame;
mod gather;
pub mod handshake;
mod side;
#[cfg(test)]
mod tests;

pub use connection::Connection;

use core::time::Duration;

use crate::config::Config;
use crate::host::{End, LocalProxy, Metrics, TcpHost};
use crate::http::direction::Direction;
use crate::http::role::Role;
use crate::http::tick;
use crate::record::pending::make_in_turns;
use exchange::ConnectionExchange;
use side::ConnectionSide;

/// For how long the client's first bytes are kept while they may be a header and no more comes, at least.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a plugin on one worker has for TCP connections.
pub struct TcpPlugin {
    role: Role,
    config: Config,
    proxy: LocalProxy,
    /// The direction of all connections, where the configuration states it.
    direction: Option<Direction>,
    exchange: Option<ConnectionExchange>,
    /// For how many ticks the client's first bytes are kept.
    patience: u32,
    /// By direction, each made by its first connection.
    sides: [Option<ConnectionSide>; Direction::ALL.len()],
}

impl TcpPlugin {
    /// The part of a plugin with this role and configuration in this proxy.
    #[cold]
    pub fn new(role: Role, config: &Config, proxy: &LocalProxy) -> Self {
        Self {
            role,
            direction: Direction::configured(config),
            exchange: role.exchanges().then(|| {
                let tells = role == Role::MetadataExchange;
                ConnectionExchange::new(proxy, config, tells)
            }),
            patience: PATIENCE
                .as_millis()
                .div_ceil(tick(config).as_millis().max(1)) as u32,
            config: config.clone(),
            proxy: proxy.clone(),
            sides: Direction::ALL.map(|_| None),
        }
    }

    /// A chunk has come from this end, of so many bytes, and maybe the last one. Whether the host is to keep
    /// it until more comes: only where it comes from the client. The host's current connection is this
    /// one.
    ///
    /// Need not be called any more once it [passes](Connection::passes).
    pub fn on_chunk(
        &mut self,
        host: &mut dyn TcpHost,
        connection: &mut Connection,
        from: End,
        size: usize,
        is_last: bool,
    ) -> bool {
        if !connection.has_begun {
            connection.has_begun = true;
            let direction = self.direction(host, connection);
            if let Some(exchange) = &self.exchange {
                exchange.begin(host, connection, direction);
            }
        }
        match &mut self.exchange {
            Some(exchange) if !connection.passes(from) => {
                connection.waited = 0;
                exchange.on_chunk(host, connection, from, size, is_last)
            }
            _ => false,
        }
    }

    /// A connection is open at a tick. What its client has sent is not kept for ever, where that might
    /// be the beginning of a header and no more comes.
    pub fn on_open(&self, host: &mut dyn TcpHost, connection: &mut Connection) {
        if !connection.handshake.keeps_client() {
            return;
        }
        connection.waited += 1;
        if connection.waited > self.patience {
            connection.handshake.give_up_on_client();
            host.pass_chunk();
        }
    }

    /// Reports a connection that is open, if all that labels show is known. The host's current
    /// connection is this one.
    pub fn on_report(&mut self, host: &mut dyn TcpHost, connection: &mut Connection) {
        if self.role.records() {
            self.side(host, connection).on_report(host, connection);
        }
    }

    /// A connection has ended.
    pub fn on_end(&mut self, host: &mut dyn TcpHost, connection: &mut Connection) {
        if self.role.records() {
            self.side(host, connection).on_end(host, connection);
        }
    }

    /// Some time has passed: as often as [`Plugin::on_tick`](crate::http::Plugin::on_tick).
    pub fn on_tick(&mut self) {
        for side in self.sides.iter_mut().flatten() {
            side.tick();
        }
    }

    /// Makes series of label sets that wait; see
    /// [`Plugin::make_pending`](crate::http::Plugin::make_pending).
    pub fn make_pending(&mut self, host: &mut dyn Metrics) -> bool {
        let percent = self.config.metrics.new_series_percent;
        make_in_turns(&mut self.sides, host, percent)
    }

    /// Gives back what the host holds.
    pub fn release(mut self, host: &mut dyn TcpHost) {
        for side in self.sides.iter_mut().flatten() {
            side.finish(host);
            side.release(host);
        }
    }

    /// Drops what the host has let go of, and of what it held.
    pub fn end(mut self, host: &mut dyn Metrics) {
        for side in self.sides.iter_mut().flatten() {
            side.finish(host);
        }
    }

    /// The side of a connection, whose direction is known from here on.
    fn side(&mut self, host: &mut dyn TcpHost, connection: &mut Connection) -> &mut ConnectionSide {
        let direction = self.direction(host, connection);
        let [inbound, outbound, waypoint] = &mut self.sides;
        let side = match direction {
            Direction::Inbound => inbound,
            Direction::Outbound => outbound,
            Direction::Waypoint => waypoint,
        };
        side.get_or_insert_with(|| {
            ConnectionSide::new(host, self.role, &self.config, &self.proxy, direction)
        })
    }

    /// The direction of a connection, which is known from here on.
    fn direction(&self, host: &dyn TcpHost, connection: &mut Connection) -> Direction {
        let direction = match (self.direction, connection.direction) {
            (Some(direction), _) | (None, Some(direction)) => direction,
            (None, None) => Direction::ask(host),
        };
        connection.direction = Some(direction);
        direction
    }
}
