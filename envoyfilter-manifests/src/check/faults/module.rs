//! Whether the module runs, counts, and counts once.

use stats_core::labels::metrics::TcpMetric;

use super::Expectations;
use crate::check::finding::{Fault, Finding};
use crate::check::observation::Observation;
use crate::scrape::{ScrapedPage, ScrapedSample};

/// Envoy's gauge of virtual machines that run.
const VMS: &str = "envoy_wasm_envoy_wasm_runtime_v8_active";
/// Envoy's counter of modules that it could not fetch.
const NOT_FETCHED: &str = "envoy_wasm_remote_load_fetch_failures";
/// Envoy's counter of each plugin, `envoy_wasm_NAME_vm_reload`.
const PLUGIN: (&str, &str) = ("envoy_wasm_", "_vm_reload");
/// Envoy's own count of requests, those that are not finished included.
pub const RECEIVED: &str = "envoy_http_downstream_rq_total";
/// Envoy's own count of TCP connections, those that are open included.
const CONNECTIONS: &str = "envoy_tcp_downstream_cx_total";
/// The connection managers, by their statistics' prefix, that serve metrics and no traffic: of the generated bootstrap, of
/// Istio, of Envoy Gateway.
const NO_TRAFFIC: [&str; 5] = ["admin", "stats", "agent", "eg-ready-http", "eg-stats-http"];

/// What Envoy puts before the names of a library's metrics, unless a flag of its runtime takes it off.
const LIBRARY: &str = "envoy_dynamicmodulescustom_";

impl Expectations {
    /// Envoy names the metrics of a library after itself.
    pub(super) fn module_prefix(&self, page: &ScrapedPage) -> Option<Finding> {
        let prefixed = format!("{LIBRARY}{}", self.prefix);
        let names = page.families.iter();
        let example = names.filter(|name| name.starts_with(&prefixed)).min()?;
        Some(Finding::new(
            Fault::ModulePrefix,
            format!(
                "The native library counts in this proxy, but its metrics have Envoy's prefix, for example {example}: no \
                 dashboard, rule or alert finds them."
            ),
            "Set the runtime flag envoy.reloadable_features.dynamic_modules_strip_custom_stat_prefix in the bootstrap, and restart \
             the proxy: `mixerless manifests --method dynamic-module` writes it, as envoy/layered-runtime.yaml, in \
             envoy-gateway/envoy-proxy.yaml, or as mesh-config/bootstrap-override.yaml.",
        ))
    }

    pub(super) fn no_metrics(&self, page: &ScrapedPage) -> Option<Finding> {
        if page
            .samples
            .iter()
            .any(|sample| sample.name.starts_with(&self.prefix))
        {
            return None;
        }
        self.config_refused(page)
            .or_else(|| Some(self.not_running(page)))
    }

    /// The module shows that it is there as soon as it has taken its configuration.
    fn config_refused(&self, page: &ScrapedPage) -> Option<Finding> {
        let running = sum(page.of(VMS));
        if running == 0.0 {
            return None;
        }
        let plugins = plugins(page);
        let whose = match &plugins[..] {
            [] => "a module runs".to_owned(),
            plugins => format!("the plugin {} is there", plugins.join(", ")),
        };
        Some(Finding::new(
            Fault::ConfigRefused,
            format!(
                "In this proxy {whose} (Wasm virtual machines: {running}), but there is no {}: the module has refused its \
                 configuration, or that is another module.",
                self.build()
            ),
            "The proxy's log has the line `mixerless: configuration at $.FIELD: …` with what is wrong. \
             `mixerless manifests --plugin-config FILE` refuses the same before it is applied.",
        ))
    }

    fn not_running(&self, page: &ScrapedPage) -> Finding {
        let failed = sum(page.of(NOT_FETCHED));
        let fetching = if failed > 0.0 {
            format!(" It could not be fetched, {failed} times.")
        } else {
            String::new()
        };
        Finding::new(
            Fault::NoMetrics,
            format!(
                "There is no metric {}*: the module does not run in this proxy.{fetching}",
                self.prefix
            ),
            "See that the EnvoyFilter, WasmPlugin or TrafficExtension is in the root namespace or in the pod's own, and look into \
             the proxy's log for `wasm`: a wrong sha256, a registry that cannot be reached, or a missing pull secret stand there.",
        )
    }

    pub(super) fn no_requests(&self, observed: &Observation) -> Option<Finding> {
        let ours = |sample: &&ScrapedSample| sample.name.starts_with(&self.prefix);
        if observed.happened.iter().any(|sample| ours(&sample)) {
            return None;
        }
        let ever = observed
            .page
            .samples
            .iter()
            .filter(ours)
            .any(|sample| sample.name.ends_with("_total") && sample.value > 0.0);
        let problem = if ever {
            "No request was counted in the time that was looked at."
        } else {
            "The module runs, but has counted no request yet."
        };
        Some(Finding::new(
            Fault::NoRequests,
            problem,
            "Send a request through this proxy and check again.",
        ))
    }

    /// A request that passes two connection managers is received twice as well, so that more counted than received requests
    /// are always a fault.
    pub(super) fn counted_twice(&self, observed: &Observation) -> Option<Finding> {
        let traffic = |sample: &&ScrapedSample| {
            !NO_TRAFFIC.contains(&sample.label("envoy_http_conn_manager_prefix"))
        };
        let received = sum(observed.counted(RECEIVED).filter(traffic));
        let (_, counted) = self.count(observed, |_| true, |_| true);
        is_more(counted, received)
            .then(|| counted_more(observed, "requests", counted, received))
            .or_else(|| self.connections_counted_twice(observed))
    }

    /// A connection that was there before the time that is judged may be counted as opened within it, so that the page has
    /// to show the same since the proxy started.
    fn connections_counted_twice(&self, observed: &Observation) -> Option<Finding> {
        let opened = format!(
            "{}{}",
            self.prefix,
            TcpMetric::ConnectionsOpenedTotal.name()
        );
        let counted = sum(observed.counted(&opened));
        let received = sum(observed.counted(CONNECTIONS));
        let page = &observed.page;
        let is_fault =
            is_more(counted, received) && is_more(sum(page.of(&opened)), sum(page.of(CONNECTIONS)));
        is_fault.then(|| counted_more(observed, "TCP connections", counted, received))
    }
}

/// A page is not of one instant: on a busy proxy, some requests are counted between its first line and its last.
fn is_more(counted: f64, received: f64) -> bool {
    received > 0.0 && counted >= received + 2.0 && counted >= received * 1.2
}

fn counted_more(observed: &Observation, what: &str, counted: f64, received: f64) -> Finding {
    let plugins = plugins(&observed.page);
    let who = if plugins.len() > 1 {
        format!(" It has the plugins {}.", plugins.join(", "))
    } else {
        String::new()
    };
    Finding::new(
        Fault::CountedTwice,
        format!(
            "{counted} {what} are counted, but the proxy has received {received}: more than one copy of the module counts \
             them.{who}"
        ),
        "Attach the module once: an EnvoyFilter, or a WasmPlugin, or a TrafficExtension, and a filter or an access logger of \
         the root_id `stats`. `kubectl get envoyfilter,wasmplugin -A` shows what is left of an earlier method.",
    )
}

/// The names of a page's Wasm plugins, as Envoy spells them in stat names.
fn plugins(page: &ScrapedPage) -> Vec<&str> {
    let name = |sample: &'_ ScrapedSample| -> Option<(usize, usize)> {
        let end = sample.name.strip_suffix(PLUGIN.1)?.len();
        sample
            .name
            .starts_with(PLUGIN.0)
            .then_some((PLUGIN.0.len(), end))
    };
    let names = page.samples.iter().filter_map(|sample| {
        let (start, end) = name(sample)?;
        sample.name.get(start..end)
    });
    names.collect()
}

fn sum<'a>(samples: impl Iterator<Item = &'a ScrapedSample>) -> f64 {
    samples
        .map(|sample| sample.value)
        .fold(0.0, |sum, value| sum + value)
}
