//! What is measured, once for all benchmarks: requests in the core and in the compiled module,
//! configurations, a page. How it is measured is the benchmarks' own.

use anyhow::{Context, Result, ensure};
use stats_core::plugin::{Plugin, Stream};
use stats_core::registry::Registry;
use stats_core::stat_name;

use crate::recorded::Recorded;

/// After so many requests everything about one has been seen before.
pub const WARM_UP: u64 = 10;

/// A kind of request, and the plugin that it meets.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// What tables call it.
    pub name: &'static str,
    /// The proxy.
    pub proxy: fn() -> Recorded,
    /// The plugin's role.
    pub root_id: &'static str,
    /// The plugin's configuration.
    pub configuration: &'static str,
}

/// At the server's sidecar, with all defaults.
pub const INBOUND: Scenario = Scenario {
    name: "inbound",
    proxy: Recorded::inbound,
    root_id: "",
    configuration: "",
};

/// At the client's sidecar, with all defaults.
pub const OUTBOUND: Scenario = Scenario {
    name: "outbound",
    proxy: Recorded::outbound,
    ..INBOUND
};

/// Inbound, where another filter exchanges metadata.
pub const STATS_ALONE: Scenario = Scenario {
    name: "stats alone",
    proxy: Recorded::behind_an_exchange,
    root_id: "stats_inbound",
    ..INBOUND
};

/// Inbound, with everything on that costs something.
pub const EVERY_OPTION: Scenario = Scenario {
    name: "every option",
    configuration: r#"{
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

/// Inbound, where the authority names the service: each new one makes a new series.
pub const BY_AUTHORITY: Scenario = Scenario {
    name: "by authority",
    proxy: Recorded::inbound_by_authority,
    ..INBOUND
};

/// Inbound, with room for one peer only: each other one is decoded anew.
pub const ONE_CACHED_PEER: Scenario = Scenario {
    name: "one cached peer",
    configuration: r#"{"max_peer_cache_size": 1}"#,
    ..INBOUND
};

/// The steady requests that benchmarks compare.
pub const STEADY: [Scenario; 4] = [INBOUND, OUTBOUND, STATS_ALONE, EVERY_OPTION];

impl Scenario {
    /// A worker of the core, warm.
    ///
    /// # Errors
    /// Where the configuration cannot be used, or the proxy has problems.
    pub fn in_core(&self) -> Result<Core> {
        let proxy = (self.proxy)();
        let configuration = self.configuration.as_bytes();
        let plugin = Plugin::configure(&proxy, self.root_id.as_bytes(), configuration)?;
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
        let Self { proxy, plugin } = self;
        let mut stream = Stream::default();
        plugin.on_request_headers(proxy, &mut stream);
        plugin.on_response_headers(proxy, &mut stream);
        plugin.on_log(proxy, &mut stream);
        plugin.on_done(proxy, &mut stream);
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
    let mut registry = Registry::new();
    let mut name = String::new();
    for number in 0..series {
        core.proxy.set_authority(WARM_UP + number);
        core.request();
        core.proxy.last_defined().clone_into(&mut name);
        // The last defined is a histogram; as a counter, a series is one line.
        name.push_str("_total");
        let parsed = stat_name::parse(&name);
        let (labels, name) = parsed.with_context(|| format!("{name} is no stat name"))?;
        registry.counter(name, "", &labels)?.increment();
    }
    Ok(registry)
}
