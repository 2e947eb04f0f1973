//! A sidecar: one Envoy with the module, as Istio would set it up, for one direction of traffic.

use std::fmt::Display;
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};
use tokio::net::TcpSocket;

use crate::certs::Identity;
use crate::envoy::{Envoy, EnvoyOptions};
use crate::{Client, Page, ProxyNode, SidecarDirection, eventually};

pub mod bootstrap;

/// A running sidecar; dropping it ends its Envoy.
#[derive(Debug)]
pub struct Sidecar {
    /// The process.
    pub envoy: Envoy,
    /// Where it takes traffic: from clients (inbound), or from its own application (outbound).
    pub traffic: SocketAddr,
    /// Where it serves `/stats/prometheus`; in a pod, that is `:15090`.
    pub metrics: SocketAddr,
    /// Where it takes traffic of the other direction, if it was set up with [`SidecarBuilder::and`].
    pub other_traffic: Option<SocketAddr>,
    /// The filters of the module whose configuration can be changed.
    discovered: Vec<&'static str>,
    /// Ports that refuse connections stay ours, so that nobody else comes to answer there.
    _refusing: Vec<TcpSocket>,
}

/// How a sidecar is set up. Without further calls: podinfo's, plaintext, one worker, on free ports, no upstream.
#[derive(Clone, Debug)]
#[must_use]
pub struct SidecarBuilder {
    direction: SidecarDirection,
    node: ProxyNode,
    service: Option<ClusterService>,
    domains: Vec<String>,
    upstream: Option<Upstream>,
    tls: Option<Tls>,
    roles: Roles,
    plugin_config: String,
    discovered: bool,
    labels: Vec<String>,
    cluster_name: Option<&'static str>,
    cluster_metadata: Map<String, Value>,
    endpoint_metadata: Value,
    http_filters: Vec<Value>,
    filters_behind: Vec<Value>,
    access_log: Option<String>,
    logs_open_requests: bool,
    other: Option<Box<SidecarBuilder>>,
    listen: SocketAddr,
    metrics: SocketAddr,
    flush_interval: &'static str,
    options: EnvoyOptions,
}

/// How the module's work is spread over filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Roles {
    /// One filter exchanges metadata and makes the metrics.
    Combined,
    /// Two filters; the second learns from the first through filter state.
    Split,
    /// A filter exchanges metadata, and an access logger makes the metrics.
    Logger,
    /// No filter of ours: what everything else is compared with.
    None,
}

/// What stands behind a sidecar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upstream {
    /// A server.
    At(SocketAddr),
    /// A host that refuses every connection.
    Refusing,
    /// Not one host.
    NoEndpoint,
}

/// The service that the cluster's metadata names.
#[derive(Clone, Debug)]
struct ClusterService {
    name: String,
    namespace: String,
}

/// What a sidecar needs for mutual TLS.
#[derive(Clone, Debug)]
struct Tls {
    identity: Identity,
    /// Whom the other side has to be; `None` is anyone of the same authority.
    peer: Option<String>,
}

/// One direction of an Envoy that may have two.
struct TrafficListener<'a> {
    listener: &'static str,
    sidecar: &'a SidecarBuilder,
    endpoint: Option<SocketAddr>,
}

// === impl SidecarBuilder ===

impl SidecarBuilder {
    /// A server's sidecar: takes requests to any host.
    pub fn inbound() -> Self {
        Self::new(SidecarDirection::Inbound, vec!["*".to_owned()])
    }

    /// A client's sidecar: takes requests to `podinfo` by the names that Kubernetes gives it, with and without port.
    pub fn outbound() -> Self {
        let names = ["podinfo", "podinfo.test", "podinfo.test.svc.cluster.local"];
        let domains = names
            .iter()
            .flat_map(|name| [(*name).to_owned(), format!("{name}:9898")]);
        Self::new(SidecarDirection::Outbound, domains.collect())
    }

    /// Whose sidecar it is.
    pub fn node(mut self, node: ProxyNode) -> Self {
        self.node = node;
        self
    }

    /// The service in the cluster's metadata (`istio.services`).
    pub fn service(mut self, namespace: &str, name: &str) -> Self {
        self.service = Some(ClusterService {
            name: name.to_owned(),
            namespace: namespace.to_owned(),
        });
        self
    }

    /// No service in the cluster's metadata.
    pub fn without_service(mut self) -> Self {
        self.service = None;
        self
    }

    /// The hosts that are routed; any other is a missing route.
    pub fn domains(mut self, domains: &[&str]) -> Self {
        self.domains = domains.iter().map(|&domain| domain.to_owned()).collect();
        self
    }

    /// Where the requests go.
    pub fn upstream(mut self, upstream: Upstream) -> Self {
        self.upstream = Some(upstream);
        self
    }

    /// Mutual TLS between sidecars: inbound requires a client's certificate, outbound shows one. With a `peer`, the
    /// other side must have that SPIFFE id.
    pub fn mtls(mut self, identity: Identity, peer: Option<String>) -> Self {
        self.tls = Some(Tls { identity, peer });
        self
    }

    /// How the module's work is spread over filters.
    pub fn roles(mut self, roles: Roles) -> Self {
        self.roles = roles;
        self
    }

    /// The module's own configuration: JSON, or a text that should be.
    pub fn plugin_config(mut self, config: impl Display) -> Self {
        self.plugin_config = config.to_string();
        self
    }

    /// Has the module's configuration in a file that Envoy watches (its extension config discovery), so that
    /// [`Sidecar::reconfigure`] can change it.
    pub fn discovered_plugin_config(mut self) -> Self {
        self.discovered = true;
        self
    }

    /// Labels that the module's configuration adds, each of which needs a rule: Istio's `extraStatTags`.
    pub fn labels(mut self, labels: &[&str]) -> Self {
        self.labels
            .extend(labels.iter().map(|&label| label.to_owned()));
        self
    }

    /// The name of the cluster, where it is not the service's.
    pub fn cluster_name(mut self, name: &'static str) -> Self {
        self.cluster_name = Some(name);
        self
    }

    /// A field of the cluster's metadata `istio`.
    pub fn cluster_metadata(mut self, name: &str, value: Value) -> Self {
        self.cluster_metadata.insert(name.to_owned(), value);
        self
    }

    /// The workload in the endpoint's metadata `istio`: `name;namespace;canonical name;revision;cluster`.
    pub fn endpoint_workload(mut self, workload: &str) -> Self {
        self.endpoint_metadata = json!({ "workload": workload });
        self
    }

    /// One more HTTP filter, in front of the module's.
    pub fn http_filter(mut self, filter: Value) -> Self {
        self.http_filters.push(filter);
        self
    }

    /// One more HTTP filter, behind the module's.
    pub fn http_filter_behind(mut self, filter: Value) -> Self {
        self.filters_behind.push(filter);
        self
    }

    /// Writes a line of that format for each request; see [`Sidecar::access_log`].
    pub fn access_log(mut self, format: &str) -> Self {
        self.access_log = Some(format.to_owned());
        self
    }

    /// Has requests logged when they begin, and every 50 ms while they are open. Envoy takes every filter of ours for an
    /// access logger too.
    pub fn logs_open_requests(mut self) -> Self {
        self.logs_open_requests = true;
        self
    }

    /// Has the same Envoy also carry the other direction, as a pod's sidecar does. Node, metrics, labels and Envoy's options
    /// are this one's.
    pub fn and(mut self, other: Self) -> Self {
        self.other = Some(Box::new(other));
        self
    }

    /// Where to take traffic.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// Where to serve `/stats/prometheus`.
    pub fn metrics(mut self, address: SocketAddr) -> Self {
        self.metrics = address;
        self
    }

    /// How often histograms are merged, as a protobuf duration; tests like it short.
    pub fn flush_interval(mut self, interval: &'static str) -> Self {
        self.flush_interval = interval;
        self
    }

    /// Envoy's worker threads.
    pub fn concurrency(mut self, workers: u32) -> Self {
        self.options.concurrency = workers;
        self
    }

    /// Envoy's `--log-level`.
    pub fn log_level(mut self, level: &str) -> Self {
        level.clone_into(&mut self.options.log_level);
        self
    }

    /// Starts the Envoy.
    ///
    /// # Errors
    /// When Envoy or the module is not there, or Envoy does not come up.
    pub async fn start(self) -> Result<Sidecar> {
        let mut refusing = Vec::new();
        let mut listeners = vec![TrafficListener::new(
            bootstrap::TRAFFIC,
            &self,
            &mut refusing,
        )?];
        if let Some(other) = &self.other {
            listeners.push(TrafficListener::new(
                bootstrap::OTHER_TRAFFIC,
                other,
                &mut refusing,
            )?);
        }
        let mut discovered: Vec<&'static str> = Vec::new();
        let mut options = self.options.clone();
        for listener in listeners
            .iter()
            .filter(|listener| listener.sidecar.discovered)
        {
            for root_id in listener.sidecar.root_ids() {
                let file = bootstrap::discovered_file(root_id);
                let filter =
                    bootstrap::discovered_filter(root_id, &listener.sidecar.plugin_config)?;
                options.files.push((file, filter));
                discovered.push(root_id);
            }
        }

        let envoy = Envoy::start(&bootstrap::sidecar(&self, &listeners)?, &options).await?;
        let traffic = envoy.listener(bootstrap::TRAFFIC).await?;
        let metrics = envoy.listener(bootstrap::METRICS).await?;
        let other_traffic = match self.other {
            Some(_) => Some(envoy.listener(bootstrap::OTHER_TRAFFIC).await?),
            None => None,
        };
        Ok(Sidecar {
            envoy,
            traffic,
            metrics,
            other_traffic,
            discovered,
            _refusing: refusing,
        })
    }

    pub(crate) fn upstream_or(mut self, upstream: Upstream) -> Self {
        self.upstream.get_or_insert(upstream);
        self
    }

    pub(crate) fn identity(&self) -> String {
        self.node.identity()
    }

    /// The module's filters, by role.
    fn root_ids(&self) -> &'static [&'static str] {
        match (self.roles, self.direction) {
            (Roles::Combined, _) => &[""],
            (Roles::Split, SidecarDirection::Inbound) => &["metadata_exchange", "stats_inbound"],
            (Roles::Split, SidecarDirection::Outbound) => &["metadata_exchange", "stats_outbound"],
            (Roles::Logger, _) => &["metadata_exchange"],
            (Roles::None, _) => &[],
        }
    }

    fn new(direction: SidecarDirection, domains: Vec<String>) -> Self {
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            direction,
            node: ProxyNode::podinfo(),
            service: Some(ClusterService {
                name: "podinfo".to_owned(),
                namespace: "test".to_owned(),
            }),
            domains,
            upstream: None,
            tls: None,
            roles: Roles::Combined,
            plugin_config: String::new(),
            discovered: false,
            labels: Vec::new(),
            cluster_name: None,
            cluster_metadata: Map::new(),
            endpoint_metadata: Value::Null,
            http_filters: Vec::new(),
            filters_behind: Vec::new(),
            access_log: None,
            logs_open_requests: false,
            other: None,
            listen: any_port,
            metrics: any_port,
            flush_interval: "0.1s",
            options: EnvoyOptions::default(),
        }
    }
}

// === impl TrafficListener ===

impl<'a> TrafficListener<'a> {
    /// A port that has to refuse connections is kept with those in `refusing`.
    fn new(
        listener: &'static str,
        sidecar: &'a SidecarBuilder,
        refusing: &mut Vec<TcpSocket>,
    ) -> Result<Self> {
        let endpoint = match sidecar.upstream.unwrap_or(Upstream::NoEndpoint) {
            Upstream::At(address) => Some(address),
            Upstream::Refusing => {
                let socket = bound_socket()?;
                let address = socket.local_addr()?;
                refusing.push(socket);
                Some(address)
            }
            Upstream::NoEndpoint => None,
        };
        Ok(Self {
            listener,
            sidecar,
            endpoint,
        })
    }
}

// === impl Sidecar ===

impl Sidecar {
    /// Changes the module's configuration, which [`SidecarBuilder::discovered_plugin_config`] made changeable. Envoy
    /// takes the new one in its own time.
    ///
    /// # Errors
    /// When the configuration is in the bootstrap, or the file cannot be written.
    pub fn reconfigure(&self, config: impl Display) -> Result<()> {
        ensure!(
            !self.discovered.is_empty(),
            "the configuration is in the bootstrap"
        );
        let config = config.to_string();
        for root_id in &self.discovered {
            let filter = bootstrap::discovered_filter(root_id, &config)?;
            self.envoy
                .replace_file(&bootstrap::discovered_file(root_id), &filter)?;
        }
        Ok(())
    }

    /// The lines of the access log; Envoy writes them in its own time.
    ///
    /// # Errors
    /// When there is none; see [`SidecarBuilder::access_log`].
    pub fn access_log(&self) -> Result<Vec<String>> {
        let log = self.envoy.file(bootstrap::ACCESS_LOG)?;
        Ok(log.lines().map(str::to_owned).collect())
    }

    /// The text of `/stats/prometheus`.
    ///
    /// # Errors
    /// When the listener does not serve it.
    pub async fn page_text(&self) -> Result<String> {
        let page = Client::http1(self.metrics)
            .await?
            .get("/stats/prometheus")
            .await?;
        ensure!(
            page.status == 200,
            "/stats/prometheus answers {}: {}",
            page.status,
            page.text()
        );
        String::from_utf8(page.body.into()).context("/stats/prometheus is not UTF-8")
    }

    /// `/stats/prometheus`, read.
    ///
    /// # Errors
    /// When the listener does not serve it, or it is not what Prometheus takes.
    pub async fn page(&self) -> Result<Page> {
        Page::parse(&self.page_text().await?)
    }

    /// The page once it satisfies a condition.
    ///
    /// # Errors
    /// When it does not in the end; the error then holds the page's `istio_*` lines but the buckets.
    pub async fn page_when(&self, what: &str, condition: impl Fn(&Page) -> bool) -> Result<Page> {
        let page = eventually(what, async || {
            Ok(Some(self.page().await?).filter(|page| condition(page)))
        })
        .await;
        match page {
            Ok(page) => Ok(page),
            Err(error) => {
                let text = self.page_text().await?;
                let istio = text
                    .lines()
                    .filter(|line| line.starts_with("istio_") && !line.contains("_bucket{"));
                Err(error.context(format!(
                    "the page has\n{}",
                    istio.collect::<Vec<_>>().join("\n")
                )))
            }
        }
    }

    /// The page once it shows at least that many requests, in the counter as well as in the histograms.
    ///
    /// # Errors
    /// As [`Self::page_when`].
    pub async fn page_after(&self, requests: u32) -> Result<Page> {
        let shown = |page: &Page| {
            REQUEST_COUNTS
                .iter()
                .all(|name| page.sum(name, &[]) >= f64::from(requests))
        };
        self.page_when(&format!("{requests} requests on the page"), shown)
            .await
    }
}

/// The samples that go up by one with every request.
pub const REQUEST_COUNTS: [&str; 4] = [
    "istio_requests_total",
    "istio_request_duration_milliseconds_count",
    "istio_request_bytes_count",
    "istio_response_bytes_count",
];

/// Bound but not listening: a connection to it is refused.
fn bound_socket() -> Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
    Ok(socket)
}
