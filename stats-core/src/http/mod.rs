//! HTTP and gRPC: one plugin on one worker, and its part in each of a request's callbacks.
//!
//! A request goes `exchange` → `gather` → [`record`](crate::record): [`exchange`] decodes the peer in the
//! headers, `gather` asks the host for the facts when the request has ended, and the recorder counts
//! them. `side` holds what these need for one direction.

pub mod direction;
pub mod exchange;
pub mod families;
mod gather;
mod in_flight;
mod messages;
pub mod request;
pub mod role;
pub mod rounds;
mod side;
#[cfg(test)]
mod tests;

use core::mem;
use core::time::Duration;

use crate::config::{Config, ConfigError, MetricsConfig};
use crate::host::{End, HttpHost, LocalProxy, MetricKind, Metrics};
use crate::labels::UNKNOWN;
use crate::labels::metrics::{BUILD, BUILD_LABELS};
use crate::labels::value::neutral;
use crate::record::pending::make_in_turns;
use direction::Direction;
use request::Request;
use role::Role;
use side::Side;

/// The shortest time between two ticks: each one enters the module on every worker.
const FASTEST_TICK: Duration = Duration::from_millis(100);
/// The time between two early ticks: while label sets wait for their series, the share of a worker's time
/// that goes into them is given out so often, and while [`Rounds`](rounds::Rounds) are not over, so many are
/// looked at so often.
pub const EARLY_TICK: Duration = Duration::from_millis(10);
/// The longest time between two ticks: for so long a cluster's metadata may be out of date.
const SLOWEST_TICK: Duration = Duration::from_secs(5);

/// One plugin on one worker.
pub struct Plugin {
    role: Role,
    config: Config,
    proxy: LocalProxy,
    /// The direction of all requests, where the configuration states it.
    direction: Option<Direction>,
    /// By direction, each made by its first request: listeners of both directions may share a plugin.
    sides: [Option<Side>; Direction::ALL.len()],
    /// Whether the plugin has anything to do before a request has ended.
    needs_headers: bool,
    /// The time since what grows during requests was last reported.
    since_report: Duration,
    /// The time since the last tick, in early ones.
    since_tick: Duration,
    /// Whether what an access logger cannot do has been said.
    warned_of_logger: bool,
}

impl Plugin {
    /// A plugin as `role` and the JSON `configuration` want it, in this proxy. Warnings are logged.
    ///
    /// # Errors
    /// Where the configuration cannot be used; see [`Config::parse`].
    #[inline(never)] // for size, see Cargo.toml
    pub fn configure(
        host: &mut dyn HttpHost,
        role: Role,
        mut proxy: LocalProxy,
        configuration: &[u8],
    ) -> Result<Self, ConfigError> {
        let (config, warnings) = Config::parse(configuration)?;
        for warning in &warnings {
            log::warn!("{warning}");
        }
        proxy.keep_labels(&config.peers.additional_labels);
        if role.records() {
            record_build(host, &config.metrics, &proxy.version);
        }
        if role.exchanges() {
            // Only here: a host keeps declarations with the plugin, not with a request or a connection. It
            // is not known yet which of both there will be.
            host.declare_peers();
        }
        let metrics = &config.metrics;
        let changes_metrics = !metrics.overrides.is_empty()
            || !metrics.definitions.is_empty()
            || !metrics.extra.is_empty();
        Ok(Self {
            role,
            direction: Direction::configured(&config),
            needs_headers: role.exchanges() || changes_metrics,
            config,
            proxy,
            sides: Direction::ALL.map(|_| None),
            since_report: Duration::ZERO,
            since_tick: Duration::ZERO,
            warned_of_logger: false,
        })
    }

    /// What the plugin does.
    pub const fn role(&self) -> Role {
        self.role
    }

    /// Its configuration.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// The proxy that it runs in.
    pub const fn proxy(&self) -> &LocalProxy {
        &self.proxy
    }

    /// How often [`Self::on_tick`] wants to be called: as often as is reported, but clusters are
    /// looked at every few seconds whatever the reports.
    pub fn tick(&self) -> Duration {
        tick(&self.config)
    }

    /// The request's headers are here.
    #[inline]
    pub fn on_request_headers(&mut self, host: &mut impl HttpHost, request: &mut Request) {
        if self.needs_headers {
            self.side(host, request).on_request_headers(host, request);
        }
    }

    /// The response's headers are here. The request's may never have been: the proxy itself may answer
    /// a request that did not come this far.
    #[inline]
    pub fn on_response_headers(&mut self, host: &mut impl HttpHost, request: &mut Request) {
        if self.needs_headers {
            self.side(host, request).on_response_headers(host, request);
        }
    }

    /// The request has ended.
    #[inline]
    pub fn on_log(&mut self, host: &mut impl HttpHost, request: &mut Request) {
        self.on_done(host, request);
        if request.only_logged && !self.warned_of_logger {
            self.warn_of_logger();
        }
        if self.role.records() {
            self.side(host, request).on_log(host, request);
        }
    }

    /// Whether an access logger is told of a TCP connection that is to be counted, as one that has ended, by
    /// [`TcpPlugin`](crate::tcp::TcpPlugin), and not of a request.
    #[inline]
    pub fn logs_connection(&self, host: &impl HttpHost) -> bool {
        self.config.tcp_access_log && {
            let known = host.finished_request(End::Downstream);
            gather::is_connection(host, &known)
        }
    }

    /// A request is gone, whether or not it was logged.
    #[inline]
    pub fn on_done(&mut self, host: &mut impl HttpHost, request: &mut Request) {
        if mem::take(&mut request.in_flight) {
            self.side(host, request).end(host);
        }
    }

    /// The time of [`Self::tick`] has passed. Whether open requests are to be reported: each through
    /// [`Self::on_report`], in their [`Rounds`](rounds::Rounds).
    pub fn on_tick(&mut self) -> bool {
        self.since_tick = Duration::ZERO;
        for side in self.sides.iter_mut().flatten() {
            side.tick();
        }
        let every = self.config.reporting_interval;
        self.since_report += self.tick();
        let due = !every.is_zero() && self.since_report >= every;
        if due {
            self.since_report = Duration::ZERO;
        }
        due
    }

    /// The time of [`EARLY_TICK`] has passed: a host was asked by [`make_soon`](Metrics::make_soon), or its
    /// [`Rounds`](rounds::Rounds) were not over. Whether [`Self::on_tick`] is due with it.
    pub fn on_early_tick(&mut self) -> bool {
        self.since_tick += EARLY_TICK;
        self.since_tick >= self.tick()
    }

    /// Makes series of label sets that wait, as long as there is time; whether any still waits, and an
    /// early tick is to follow.
    pub fn make_pending(&mut self, host: &mut dyn Metrics) -> bool {
        let percent = self.config.metrics.new_series_percent;
        make_in_turns(&mut self.sides, host, percent)
    }

    /// Reports what grows while a request is open. The host's current request is this one, and of
    /// it only facts can be read, no headers.
    #[inline(never)] // for size, see Cargo.toml
    pub fn on_report(&mut self, host: &mut impl HttpHost, request: &mut Request) {
        self.side(host, request).on_report(host, request);
    }

    /// Gives back what the host holds for this plugin, which is configured anew.
    #[inline(never)] // for size, see Cargo.toml
    pub fn release(mut self, host: &mut dyn HttpHost) {
        for side in self.sides.iter_mut().flatten() {
            side.finish(host);
            side.release(host);
        }
    }

    /// Drops a plugin that the host has let go of, and of what it held.
    #[inline(never)] // for size, see Cargo.toml
    pub fn end(mut self, host: &mut dyn Metrics) {
        for side in self.sides.iter_mut().flatten() {
            side.finish(host);
        }
    }

    /// The side of a request, whose direction is known from here on.
    #[inline]
    fn side(&mut self, host: &mut impl HttpHost, request: &mut Request) -> &mut Side {
        let direction = match (self.direction, request.direction) {
            (Some(direction), _) | (None, Some(direction)) => direction,
            (None, None) => Direction::ask(host),
        };
        request.direction = Some(direction);
        let [inbound, outbound, waypoint] = &mut self.sides;
        let side = match direction {
            Direction::Inbound => inbound,
            Direction::Outbound => outbound,
            Direction::Waypoint => waypoint,
        };
        side.get_or_insert_with(|| Side::new(host, self.role, &self.config, &self.proxy, direction))
    }

    /// Says once what does not work where the plugin is an access logger.
    #[cold]
    fn warn_of_logger(&mut self) {
        self.warned_of_logger = true;
        if self.role != Role::Stats {
            log::warn!(
                "as an access logger the plugin sees no headers pass, so it does not exchange \
                 metadata; use the root_id \"stats\", and \"metadata_exchange\" in an HTTP filter"
            );
        }
        if !self.config.metrics.extra.is_empty() {
            log::warn!(
                "as an access logger the plugin sees only how requests end, so extra_metrics \
                 count nothing; use an HTTP filter"
            );
        }
    }
}

/// The time between two ticks of a plugin with this configuration.
pub fn tick(config: &Config) -> Duration {
    let interval = config.reporting_interval.max(FASTEST_TICK);
    if config.reporting_interval.is_zero() {
        return SLOWEST_TICK;
    }
    // As slow as may be, and so that an interval is a whole number of ticks.
    let ticks = interval.as_nanos().div_ceil(SLOWEST_TICK.as_nanos());
    interval / u32::try_from(ticks).unwrap_or(u32::MAX)
}

/// Records the gauge `build`: which version runs here.
fn record_build(host: &mut dyn Metrics, config: &MetricsConfig, version: &str) {
    let name = alloc::format!("{}_{BUILD}", config.stat_prefix);
    let version = if version.is_empty() { UNKNOWN } else { version };
    let build = host
        .family(MetricKind::Gauge, &name, &BUILD_LABELS)
        .and_then(|family| host.series(family, &["proxy", &neutral(version.as_bytes())]));
    if let Some(build) = build {
        host.gauge_set(build, 1);
    }
}
