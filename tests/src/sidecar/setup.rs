//! How a sidecar is set up, call by call. Not here: the configuration that follows from it, see `bootstrap`; and the
//! running sidecar.

use std::fmt::Display;
use std::net::{Ipv4Addr, SocketAddr};

use serde_json::{Map, Value, json};

use crate::certs::Identity;
use crate::envoy::EnvoyOptions;
use crate::{ModuleHost, ProxyNode, SidecarDirection};

/// How a sidecar is set up. By default: podinfo's, plaintext, one worker, on free ports, no upstream.
#[derive(Clone, Debug)]
#[must_use]
pub struct SidecarBuilder {
    pub(super) direction: SidecarDirection,
    /// For TCP, the network filters in front of the module's; none for HTTP.
    pub(super) tcp: Option<Vec<Value>>,
    pub(super) node: ProxyNode,
    pub(super) module: ModuleSetup,
    pub(super) http: HttpSetup,
    pub(super) cluster: ClusterSetup,
    pub(super) tls: Option<Tls>,
    pub(super) other: Option<Box<SidecarBuilder>>,
    pub(super) listen: SocketAddr,
    pub(super) metrics: SocketAddr,
    pub(super) flush_interval: &'static str,
    pub(super) options: EnvoyOptions,
}

/// The module in the sidecar.
#[derive(Clone, Debug)]
pub(super) struct ModuleSetup {
    pub(super) host: ModuleHost,
    pub(super) roles: Roles,
    pub(super) plugin_config: String,
    pub(super) discovered: bool,
    pub(super) metrics_discovered: bool,
    pub(super) labels: Vec<String>,
}

/// What the listener does with a request, besides the module.
#[derive(Clone, Debug)]
pub(super) struct HttpSetup {
    pub(super) domains: Vec<String>,
    pub(super) filters_in_front: Vec<Value>,
    pub(super) filters_behind: Vec<Value>,
    pub(super) access_log: Option<String>,
    pub(super) logs_open_requests: bool,
}

/// The cluster to which requests go, with its endpoint.
#[derive(Clone, Debug)]
pub(super) struct ClusterSetup {
    pub(super) name: Option<&'static str>,
    pub(super) service: Option<NamedClusterService>,
    pub(super) metadata: Map<String, Value>,
    pub(super) endpoint_metadata: Value,
    pub(super) upstream: Option<Upstream>,
}

/// How the module's work is spread over filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Roles {
    /// One filter exchanges metadata and makes the metrics.
    Combined,
    /// Two filters; the second reads the peer of the first from filter state.
    Split,
    /// An access logger makes the metrics, for HTTP behind a filter that exchanges metadata.
    Logger,
    /// No filter of ours, as the baseline.
    None,
}

/// The upstream of a sidecar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upstream {
    /// A server.
    At(SocketAddr),
    /// A host that refuses every connection.
    Refusing,
    /// No host at all.
    NoEndpoint,
}

/// The service that the cluster's metadata names.
#[derive(Clone, Debug)]
pub(super) struct NamedClusterService {
    pub(super) name: String,
    pub(super) namespace: String,
}

/// What a sidecar needs for mutual TLS.
#[derive(Clone, Debug)]
pub(super) struct Tls {
    pub(super) identity: Identity,
    /// The SPIFFE id that the peer must have; `None` accepts every peer of the same authority.
    pub(super) peer: Option<String>,
}

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
        self.cluster.service = Some(NamedClusterService {
            name: name.to_owned(),
            namespace: namespace.to_owned(),
        });
        self
    }

    /// No service in the cluster's metadata.
    pub fn without_service(mut self) -> Self {
        self.cluster.service = None;
        self
    }

    /// The hosts that are routed; any other is a missing route.
    pub fn domains(mut self, domains: &[&str]) -> Self {
        self.http.domains = domains.iter().map(|&domain| domain.to_owned()).collect();
        self
    }

    /// Where the requests go.
    pub fn upstream(mut self, upstream: Upstream) -> Self {
        self.cluster.upstream = Some(upstream);
        self
    }

    /// Mutual TLS between sidecars: inbound requires a client's certificate, outbound shows one. With a `peer`, the
    /// peer must have that SPIFFE id.
    pub fn mtls(mut self, identity: Identity, peer: Option<String>) -> Self {
        self.tls = Some(Tls { identity, peer });
        self
    }

    /// How the module's work is spread over filters.
    pub fn roles(mut self, roles: Roles) -> Self {
        self.module.roles = roles;
        self
    }

    /// In which of its forms Envoy loads the module.
    pub fn host(mut self, host: ModuleHost) -> Self {
        self.module.host = host;
        self
    }

    /// The module's own configuration: JSON, or any text in tests of wrong configurations.
    pub fn plugin_config(mut self, config: impl Display) -> Self {
        self.module.plugin_config = config.to_string();
        self
    }

    /// Has the module's configuration in a file that Envoy watches (its extension config discovery), so that
    /// [`Sidecar::reconfigure`] can change it.
    pub fn discovered_plugin_config(mut self) -> Self {
        self.module.discovered = true;
        self
    }

    /// Has the cluster of a native module's metrics in a file that Envoy watches, so that
    /// [`Sidecar::replace_metrics_cluster`] can change it.
    pub fn discovered_metrics_cluster(mut self) -> Self {
        self.module.metrics_discovered = true;
        self
    }

    /// Labels that the module's configuration adds, each of which needs a rule: Istio's `extraStatTags`.
    pub fn labels(mut self, labels: &[&str]) -> Self {
        self.module
            .labels
            .extend(labels.iter().map(|&label| label.to_owned()));
        self
    }

    /// The name of the cluster, where it is not the service's.
    pub fn cluster_name(mut self, name: &'static str) -> Self {
        self.cluster.name = Some(name);
        self
    }

    /// A field of the cluster's metadata `istio`.
    pub fn cluster_metadata(mut self, name: &str, value: Value) -> Self {
        self.cluster.metadata.insert(name.to_owned(), value);
        self
    }

    /// The workload in the endpoint's metadata `istio`: `name;namespace;canonical name;revision;cluster`.
    pub fn endpoint_workload(mut self, workload: &str) -> Self {
        self.cluster.endpoint_metadata = json!({ "workload": workload });
        self
    }

    /// One more HTTP filter, in front of the module's.
    pub fn http_filter(mut self, filter: Value) -> Self {
        self.http.filters_in_front.push(filter);
        self
    }

    /// One more HTTP filter, behind the module's.
    pub fn http_filter_behind(mut self, filter: Value) -> Self {
        self.http.filters_behind.push(filter);
        self
    }

    /// Writes a line of that format for each request; see [`Sidecar::access_log`].
    pub fn access_log(mut self, format: &str) -> Self {
        self.http.access_log = Some(format.to_owned());
        self
    }

    /// Has requests logged when they begin, and every 50 ms while they are open. Envoy takes every filter of ours for an
    /// access logger too.
    pub fn logs_open_requests(mut self) -> Self {
        self.http.logs_open_requests = true;
        self
    }

    /// Has the same Envoy also carry the other direction, as a pod's sidecar does. Node, metrics, labels and Envoy's options
    /// are this one's.
    pub fn and(mut self, other: Self) -> Self {
        self.other = Some(Box::new(other));
        self
    }

    /// The address of the traffic listener.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// The address that serves `/stats/prometheus`.
    pub fn metrics(mut self, address: SocketAddr) -> Self {
        self.metrics = address;
        self
    }

    /// How often histograms are merged, as a protobuf duration; short by default, because tests wait for it.
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

    /// Loads the native module that is built for a test, which panics in that hook.
    pub fn panics_in(mut self, hook: &'static str) -> Self {
        self.module.host = ModuleHost::Native;
        self.options.panics_in = Some(hook);
        self
    }

    pub(crate) fn upstream_or(mut self, upstream: Upstream) -> Self {
        self.cluster.upstream.get_or_insert(upstream);
        self
    }

    pub(crate) fn identity(&self) -> String {
        self.node.identity()
    }

    /// The module's filters, by role.
    pub(super) fn root_ids(&self) -> &'static [&'static str] {
        match (self.module.roles, self.direction) {
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
            tcp: None,
            node: ProxyNode::podinfo(),
            module: ModuleSetup {
                host: ModuleHost::chosen(),
                roles: Roles::Combined,
                plugin_config: String::new(),
                discovered: false,
                metrics_discovered: false,
                labels: Vec::new(),
            },
            http: HttpSetup {
                domains,
                filters_in_front: Vec::new(),
                filters_behind: Vec::new(),
                access_log: None,
                logs_open_requests: false,
            },
            cluster: ClusterSetup {
                name: None,
                service: Some(NamedClusterService {
                    name: "podinfo".to_owned(),
                    namespace: "test".to_owned(),
                }),
                metadata: Map::new(),
                endpoint_metadata: Value::Null,
                upstream: None,
            },
            tls: None,
            other: None,
            listen: any_port,
            metrics: any_port,
            flush_interval: "0.1s",
            options: EnvoyOptions::default(),
        }
    }
}
