//! What is measured, once for all benchmarks: requests in the core and in the compiled module,
//! configurations, a page. Not here: how it is measured, see the benchmarks.

use anyhow::{Result, ensure};
use stats_core::config::Config;
use stats_core::http::Plugin;
use stats_core::http::request::Request;
use stats_core::http::role::Role;
use stats_core::registry::Registry;

use crate::recorded::Recorded;

/// After so many requests, series and peers of a steady request exist.
pub const WARM_UP: u64 = 10;

/// A kind of request, and the plugin that handles it.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// What tables call it.
    pub name: &'static str,
    /// The proxy.
    pub proxy: fn() -> Recorded,
    /// The plugin's role.
    pub role: Role,
    /// What a proxy calls that role.
    pub root_id: &'static str,
    /// The plugin's configuration.
    pub configuration: &'static str,
}

/// At the server's sidecar, with nothing configured but the direction, as manifests have it.
pub const INBOUND: Scenario = Scenario {
    name: "inbound",
    proxy: Recorded::inbound,
    role: Role::Telemetry,
    root_id: "",
    configuration: r#"{"direction": "inbound"}"#,
};

/// The same at the client's sidecar.
pub const OUTBOUND: Scenario = Scenario {
    name: "outbound",
    proxy: Recorded::outbound,
    configuration: r#"{"direction": "outbound"}"#,
    ..INBOUND
};

/// Inbound, where another filter exchanges metadata.
pub const STATS_ALONE: Scenario = Scenario {
    name: "stats alone",
    proxy: Recorded::behind_an_exchange,
    role: Role::Stats,
    root_id: "stats_inbound",
    ..INBOUND
};

/// Inbound, with everything on that costs something.
pub const EVERY_OPTION: Scenario = Scenario {
    name: "every option",
    configuration: r#"{
        "direction": "inbound",
        "metrics": [{"dimensions": {"method": "request.method", "path": "request.url_path"}}],
        "extra_metrics": [
            "requests_started_total", "requests_in_flight", "response_first_byte_milliseconds"
        ],
        "request_operations": ["POST /reviews", "GET /reviews/{id}", "/static/**"],
        "peer_unknown_reason": true,
        "publish_peer": true
    }"#,
    ..INBOUND
};

/// The same for a host without CEL.
pub const EVERY_OPTION_WITHOUT_CEL: Scenario = Scenario {
    name: "every option but CEL",
    configuration: r#"{
        "direction": "inbound",
        "extra_metrics": [
            "requests_started_total", "requests_in_flight", "response_first_byte_milliseconds"
        ],
        "request_operations": ["POST /reviews", "GET /reviews/{id}", "/static/**"],
        "peer_unknown_reason": true,
        "publish_peer": true
    }"#,
    ..INBOUND
};

/// Inbound, where the authority names the service: each new one makes a new series.
pub const BY_AUTHORITY: Scenario = Scenario {
    name: "by authority",
    proxy: Recorded::inbound_by_authority,
    configuration: r#"{"direction": "inbound", "max_series": 16000, "new_series_cpu_percent": 100}"#,
    ..INBOUND
};

/// Inbound, with room for one peer only: each other one is decoded anew.
pub const ONE_CACHED_PEER: Scenario = Scenario {
    name: "one cached peer",
    configuration: r#"{"direction": "inbound", "max_peer_cache_size": 1}"#,
    ..INBOUND
};

/// The steady requests that benchmarks compare.
pub const STEADY: [Scenario; 4] = [INBOUND, OUTBOUND, STATS_ALONE, EVERY_OPTION];
/// The same for a host without CEL.
pub const STEADY_WITHOUT_CEL: [Scenario; 4] =
    [INBOUND, OUTBOUND, STATS_ALONE, EVERY_OPTION_WITHOUT_CEL];

impl Scenario {
    /// A worker of the core, warm.
    ///
    /// # Errors
    /// Where the configuration cannot be used, or the proxy has problems.
    pub fn in_core(&self) -> Result<Core> {
        let mut proxy = (self.proxy)();
        let configuration = self.configuration.as_bytes();
        let (_, warnings) = Config::parse(configuration)?;
        ensure!(
            warnings.is_empty(),
            "{}: {}",
            self.name,
            warnings.join("; ")
        );
        let local = proxy.local.clone();
        let plugin = Plugin::configure(&mut proxy.host, self.role, local, configuration)?;
        let mut core = Core { proxy, plugin };
        for _ in 0..WARM_UP {
            core.request();
        }
        let problems = core.proxy.problems();
        ensure!(
            problems.is_empty(),
            "{}: {}",
            self.name,
            problems.join("; ")
        );
        Ok(core)
    }
}

/// The core without a module around it.
pub struct Core {
    /// The proxy, to change what the next request is.
    pub proxy: Recorded,
    plugin: Plugin,
}

impl Core {
    /// One whole request.
    pub fn request(&mut self) {
        let host = &mut self.proxy.host;
        let mut request = Request::default();
        self.plugin.on_request_headers(host, &mut request);
        self.plugin.on_response_headers(host, &mut request);
        self.plugin.on_log(host, &mut request);
        self.plugin.on_done(host, &mut request);
    }
}

/// A configuration as Istio's operators write it.
pub const CONFIGURATION: &str = r#"{
    "metrics": [
        {"dimensions": {"request_host": "request.host"}, "tags_to_remove": ["source_principal"]},
        {"name": "request_bytes", "drop": true},
        {"name": "requests_total", "dimensions": {"path": "request.url_path"}, "match": "response.code >= 500"}
    ],
    "definitions": [{"name": "upload_bytes_total", "value": "request.size", "type": "COUNTER"}],
    "extra_metrics": ["requests_in_flight"],
    "request_operations": ["GET /reviews/{id}", "POST /reviews"]
}"#;

/// A configuration as a generator writes it: 500 entries for one metric, and 500 templates.
pub fn large_configuration() -> String {
    let list = |entry: &dyn Fn(usize) -> String| (0..500).map(entry).collect::<Vec<_>>().join(",");
    let metrics = list(&|n| {
        format!(
            r#"{{"name": "requests_total", "dimensions": {{"label_{n}": "request.headers['x-{n}']"}}}}"#
        )
    });
    let operations = list(&|n| format!(r#""GET /api/v{n}/items/{{id}}/parts""#));
    format!(r#"{{"metrics": [{metrics}], "request_operations": [{operations}]}}"#)
}

/// A page of so many counters with the labels of a real one.
///
/// # Errors
/// Where the registry refuses a series.
pub fn registry(series: u64) -> Result<Registry> {
    let mut core = BY_AUTHORITY.in_core()?;
    let registry = Registry::new();
    for number in 0..series {
        core.proxy.set_authority(WARM_UP + number);
        core.request();
        let labels = core.proxy.host.metrics.last_labels();
        let counter = registry.counter("istio_requests_total", "", &labels)?;
        counter.inc();
    }
    Ok(registry)
}
