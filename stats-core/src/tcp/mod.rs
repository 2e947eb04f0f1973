//! TCP connections: a plugin's part for them on one worker.
//!
//! A connection goes `gather` → [`record`](crate::record), as a request does: every reporting interval
//! while it is open, and at its end. Roles, directions and the configuration are those of the plugin
//! that [`http`](crate::http) holds.
//!
//! Bytes are not counted here: the host tells its own totals, so that it need not enter for each
//! chunk of data.

mod connection;
mod gather;
mod side;
#[cfg(test)]
mod tests;

pub use connection::Connection;

use crate::config::Config;
use crate::host::{LocalProxy, Metrics, TcpHost};
use crate::http::direction::Direction;
use crate::http::role::Role;
use side::ConnectionSide;

/// What a plugin on one worker has for TCP connections.
pub struct TcpPlugin {
    role: Role,
    config: Config,
    proxy: LocalProxy,
    /// The direction of all connections, where the configuration states it.
    direction: Option<Direction>,
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
            config: config.clone(),
            proxy: proxy.clone(),
            sides: Direction::ALL.map(|_| None),
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
        let sides = &mut self.sides;
        while sides.iter().flatten().any(ConnectionSide::has_pending) {
            if !host.has_time(percent) {
                return true;
            }
            for side in sides.iter_mut().flatten() {
                side.make_pending(host);
            }
        }
        false
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
        let direction = match (self.direction, connection.direction) {
            (Some(direction), _) | (None, Some(direction)) => direction,
            (None, None) => Direction::ask(host),
        };
        connection.direction = Some(direction);
        let [inbound, outbound, waypoint] = &mut self.sides;
        let side = match direction {
            Direction::Inbound => inbound,
            Direction::Outbound => outbound,
            Direction::Waypoint => waypoint,
        };
        side.get_or_insert_with(|| ConnectionSide::new(host, &self.config, &self.proxy, direction))
    }
}
