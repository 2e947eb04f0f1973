//! One Envoy with a listener for each variant, ten copies of it in the listener's chain, and another
//! Envoy behind it that answers. Measures CPU time of the first: of all its threads, so that nothing
//! hides in one that is not a worker.
//!
//! Not here: what the variants are, and what is made of their costs.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use harness::envoy::EnvoyOptions;
use harness::envoy_config::{
    cluster, http_connection_manager, istio_metadata, lb_endpoint, router, socket_address,
    stats_config,
};
use harness::{Envoy, Page, ProxyNode, SidecarDirection};
use serde_json::{Value, json};
use stats_core::exchange::{ID_HEADER, METADATA_HEADER};

use super::load::{Clients, PEER_ID, PEER_METADATA, Requests};
use super::variant::{COUNTERS, Variant};
use crate::peers;
use crate::report;

/// How many copies of a variant a chain has.
pub const COPIES: u32 = 10;
/// Rounds before those that count: Envoy, V8 and the kernel settle.
const WARM_UP_ROUNDS: u32 = 3;
/// Connections to each listener.
const CONNECTIONS: usize = 4;
/// What a request leaves to be done when its response is out is done by then.
const SETTLE: Duration = Duration::from_millis(3);

/// What a testbed is like beside its variants.
#[derive(Clone, Debug)]
pub struct TestbedSetup {
    /// Which way requests go.
    pub direction: SidecarDirection,
    /// Copies of each variant.
    pub copies: u32,
    /// Whether the cluster's metadata names its service; where not, the request's authority does.
    pub service_is_known: bool,
    /// Whether each request tells which peer sends it; where not, it is always the same.
    pub peers_differ: bool,
    /// Whether Envoy's rules take labels out of stat names, as they must on a real proxy.
    pub label_rules: bool,
}

impl TestbedSetup {
    /// That of a service known to the mesh, called by one peer.
    pub fn usual(direction: SidecarDirection) -> Self {
        Self {
            direction,
            copies: COPIES,
            service_is_known: true,
            peers_differ: false,
            label_rules: true,
        }
    }
}

/// How long to measure.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Testbeds, one after the other: where things happen to lie in memory makes one Envoy faster
    /// than the next for as long as it runs.
    pub envoys: u32,
    /// Rounds; in each, every variant has one burst.
    pub rounds: u32,
    /// Requests in a burst.
    pub burst: u32,
}

/// What each variant costs by its name: microseconds of CPU time per request and copy.
pub type Costs = BTreeMap<String, f64>;

/// The Envoys at work.
#[derive(Debug)]
pub struct Testbed {
    envoy: Envoy,
    _upstream: Envoy,
    variants: Vec<Variant>,
    listeners: Vec<Clients>,
    copies: u32,
}

impl Testbed {
    /// Starts the Envoys and connects to the listeners.
    ///
    /// # Errors
    /// When one does not start.
    pub async fn start(setup: &TestbedSetup, variants: &[Variant]) -> Result<Self> {
        let upstream = Envoy::start(&upstream(), &options()).await?;
        let upstream_address = upstream.listener(UPSTREAM).await?;
        let bootstrap = setup.bootstrap(variants, upstream_address);
        let envoy = Envoy::start(&bootstrap, &options()).await?;
        let mut listeners = Vec::new();
        for nth in 0..variants.len() {
            let address = envoy.listener(&listener_name(nth)).await?;
            listeners.push(Clients::connect(address, CONNECTIONS).await?);
        }
        Ok(Self {
            envoy,
            _upstream: upstream,
            variants: variants.to_vec(),
            listeners,
            copies: setup.copies,
        })
    }

    /// The measured Envoy.
    pub fn envoy(&self) -> &Envoy {
        &self.envoy
    }

    /// The connections to a variant's listener.
    ///
    /// # Errors
    /// When there are not so many variants.
    pub fn clients(&mut self, variant: usize) -> Result<&mut Clients> {
        self.listeners
            .get_mut(variant)
            .context("a variant of this testbed")
    }

    /// What each variant costs: the lower quartile of its bursts without that of its baseline's.
    /// What else the machine does only ever makes a burst dearer.
    ///
    /// # Errors
    /// When a request fails.
    pub async fn costs(&mut self, requests: &Requests, effort: Effort) -> Result<Costs> {
        let mut bursts = vec![Vec::new(); self.variants.len()];
        for round in 0..WARM_UP_ROUNDS + effort.rounds {
            let mut order: Vec<usize> = (0..self.variants.len()).collect();
            fastrand::shuffle(&mut order);
            for variant in order {
                let burst = self.burst(variant, requests, effort.burst).await?;
                if round >= WARM_UP_ROUNDS {
                    bursts[variant].push(burst);
                }
            }
        }
        let names = self.variants.iter().map(|variant| &*variant.name);
        let quartiles = bursts.iter().map(|bursts| report::lower_quartile(bursts));
        let whole: BTreeMap<&str, f64> = names.zip(quartiles).collect();
        let cost = |variant: &Variant| {
            let without = whole.get(variant.without?)?;
            let cost = (whole.get(&*variant.name)? - without) / f64::from(self.copies);
            Some((variant.name.clone(), cost))
        };
        Ok(self.variants.iter().filter_map(cost).collect())
    }

    /// Envoy's CPU time per request of a burst through a variant's chain, in microseconds.
    ///
    /// # Errors
    /// When a request fails.
    pub async fn burst(&mut self, variant: usize, requests: &Requests, count: u32) -> Result<f64> {
        tokio::time::sleep(SETTLE).await;
        let before = cpu_time(self.envoy.pid())?;
        self.clients(variant)?.burst(requests, count).await?;
        tokio::time::sleep(SETTLE).await;
        let spent = cpu_time(self.envoy.pid())?.saturating_sub(before);
        Ok(spent.as_secs_f64() * 1e6 / f64::from(count))
    }

    /// Fails unless every request was counted by every copy that is to count it: a module that has
    /// failed lets requests pass, and must not be taken for a cheap one.
    ///
    /// # Errors
    /// When a counter is not what it should be, or Envoy has logged an error of a module.
    pub async fn check(&self) -> Result<()> {
        let log = self.envoy.log()?;
        let error = log
            .lines()
            .find(|line| line.contains("][error][wasm]") || line.contains("][critical][wasm]"));
        ensure!(error.is_none(), "{}", error.unwrap_or_default());
        // With thousands of label sets, the histograms are hundreds of megabytes.
        let path = "/stats/prometheus?usedonly&filter=(requests_total|bench_probe_total)";
        let page = Page::parse(&self.envoy.admin_get(path).await?.text())?;
        for counter in COUNTERS {
            let sent = |of: &dyn Fn(&Variant) -> bool| -> u32 {
                let variants = self.variants.iter().zip(&self.listeners);
                let of = variants.filter(|(variant, _)| of(variant));
                of.map(|(_, clients)| clients.sent() * self.copies).sum()
            };
            let expected = sent(&|variant| variant.counter == Some(counter));
            // What another module counts is its own affair, and it may be under the same name.
            let more = sent(&|variant| variant.without.is_some() && variant.counter.is_none());
            let found = sum(&page, counter);
            ensure!(
                (f64::from(expected)..=f64::from(expected + more)).contains(&found),
                "{counter} is {found}, and {expected} requests were to be counted"
            );
        }
        Ok(())
    }
}

/// Without rules the labels are in the name too.
fn sum(page: &Page, counter: &str) -> f64 {
    let samples = page.families.values().flat_map(|family| &family.samples);
    let of_counter = samples.filter(|sample| sample.name.contains(counter));
    of_counter.map(|sample| sample.value).sum()
}

/// CPU time of a process so far, from the scheduler's own books: exact to the nanosecond, where
/// `/proc/PID/stat` counts in hundredths of a second.
///
/// # Errors
/// When the process is gone or the kernel keeps no such books.
pub fn cpu_time(pid: u32) -> Result<Duration> {
    let mut total = Duration::ZERO;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let path = task?.path().join("schedstat");
        let books = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let on_cpu = books.split(' ').next().unwrap_or_default();
        total += Duration::from_nanos(on_cpu.parse().with_context(|| books.clone())?);
    }
    Ok(total)
}

const UPSTREAM: &str = "upstream";

/// How the Envoys run.
pub(super) fn options() -> EnvoyOptions {
    EnvoyOptions {
        log_level: "warning".to_owned(),
        ..EnvoyOptions::default()
    }
}

/// Where nobody answers, for an Envoy that is not asked anything.
pub(super) const NOBODY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9);

impl TestbedSetup {
    /// The measured Envoy's bootstrap.
    pub(super) fn bootstrap(&self, variants: &[Variant], upstream: SocketAddr) -> Value {
        let mut cluster = cluster(self.cluster(), &[lb_endpoint(&socket_address(upstream))]);
        if self.service_is_known {
            let service = json!({ "host": "podinfo.test.svc.cluster.local", "name": "podinfo", "namespace": "test" });
            cluster["metadata"] = istio_metadata(&json!({ "services": [service] }));
        }
        let node = match self.direction {
            SidecarDirection::Inbound => ProxyNode::podinfo(),
            SidecarDirection::Outbound => ProxyNode::new("shop", "cart"),
        };
        let listener = |(nth, variant)| listener(self, nth, variant);
        let mut bootstrap = json!({
            "node": node.to_json(),
            // Merging histograms is no part of a request, and would fall on some bursts only.
            "stats_flush_interval": "299s",
            "static_resources": {
                "listeners": variants.iter().enumerate().map(listener).collect::<Vec<_>>(),
                "clusters": [cluster],
            },
        });
        if self.label_rules {
            let added = variants.iter().flat_map(|variant| variant.added_labels);
            let added: Vec<String> = added.map(|&label| label.to_owned()).collect();
            bootstrap["stats_config"] = stats_config(&added);
        }
        bootstrap
    }

    fn cluster(&self) -> &'static str {
        match self.direction {
            SidecarDirection::Inbound => "inbound|9898||",
            SidecarDirection::Outbound => "outbound|9898||podinfo.test.svc.cluster.local",
        }
    }

    /// In front of each copy, for each takes away what the next one is to find: sets what the peer
    /// says about itself. The bare chain has these too.
    fn introduction(&self) -> Value {
        let (id, metadata) = if self.peers_differ {
            (
                format!("%REQ({PEER_ID})%"),
                format!("%REQ({PEER_METADATA})%"),
            )
        } else {
            peers::headers(0)
        };
        let set = |key: &str, value: &str| {
            json!({ "append": {
                "header": { "key": key, "value": value },
                "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
            } })
        };
        let side = match self.direction {
            SidecarDirection::Inbound => "request_mutations",
            SidecarDirection::Outbound => "response_mutations",
        };
        json!({
            "name": "envoy.filters.http.header_mutation",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
                "mutations": { side: [set(ID_HEADER, &id), set(METADATA_HEADER, &metadata)] },
            },
        })
    }
}

fn listener_name(nth: usize) -> String {
    format!("variant_{nth}")
}

fn listener(setup: &TestbedSetup, nth: usize, variant: &Variant) -> Value {
    let routes = json!({
        "name": "traffic",
        "virtual_hosts": [{
            "name": "all",
            "domains": ["*"],
            "routes": [{
                "name": "default",
                "match": { "prefix": "/" },
                "route": { "cluster": setup.cluster(), "timeout": "0s" },
            }],
        }],
    });
    let introduction = [setup.introduction()];
    let (in_front, behind): (&[Value], &[Value]) = match setup.direction {
        SidecarDirection::Inbound => (&introduction, &[]),
        // Responses pass the chain from its end.
        SidecarDirection::Outbound => (&[], &introduction),
    };
    let mut filters = [in_front, &variant.in_front, behind].concat();
    for _ in 0..setup.copies {
        filters.extend([in_front, &variant.filters, behind].concat());
    }
    filters.push(router());
    let mut manager = http_connection_manager("traffic", &routes, &filters);
    manager["typed_config"]["access_log"] = vec![variant.loggers.as_slice(); setup.copies as usize]
        .concat()
        .into();
    json!({
        "name": listener_name(nth),
        "address": any_port(),
        "traffic_direction": setup.direction.of_listener(),
        "filter_chains": [{ "filters": [manager] }],
    })
}

/// An Envoy that answers every request alike.
fn upstream() -> Value {
    let routes = json!({
        "name": UPSTREAM,
        "virtual_hosts": [{
            "name": UPSTREAM,
            "domains": ["*"],
            "routes": [{
                "match": { "prefix": "/" },
                "direct_response": { "status": 200, "body": { "inline_string": "{\"version\":\"6.9.0\"}\n" } },
            }],
        }],
    });
    json!({
        "static_resources": { "listeners": [{
            "name": UPSTREAM,
            "address": any_port(),
            "filter_chains": [{ "filters": [http_connection_manager(UPSTREAM, &routes, &[router()])] }],
        }] },
    })
}

fn any_port() -> Value {
    json!({ "socket_address": { "address": "127.0.0.1", "port_value": 0 } })
}
