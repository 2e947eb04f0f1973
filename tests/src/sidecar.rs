//! A sidecar: one Envoy with the module, as Istio would set it up, for one direction of traffic.

use std::fmt::Display;
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, Result, ensure};
use tokio::net::TcpSocket;

use crate::{App, Client, Envoy, ModuleHost, Page, eventually, install};

pub mod bootstrap;
mod setup;
mod tcp;

pub use setup::{Roles, SidecarBuilder, Upstream};

/// A running sidecar; dropping it stops its Envoy.
#[derive(Debug)]
pub struct Sidecar {
    /// The process.
    pub envoy: Envoy,
    /// The address of its traffic listener: for clients (inbound), or for its own application (outbound).
    pub traffic: SocketAddr,
    /// The address that serves `/stats/prometheus`; in a pod, `:15090`.
    pub metrics: SocketAddr,
    /// The address of the listener for the other direction, if it was set up with [`SidecarBuilder::and`].
    pub other_traffic: Option<SocketAddr>,
    /// The filters of the module whose configuration can be changed.
    discovered: Vec<&'static str>,
    host: ModuleHost,
    /// Ports that refuse connections stay bound, so that no other process can listen on them.
    _refusing: Vec<TcpSocket>,
}

/// The listener of one direction, in an Envoy that may have two.
struct TrafficListener<'a> {
    listener: &'static str,
    sidecar: &'a SidecarBuilder,
    endpoint: Option<SocketAddr>,
}

// === impl SidecarBuilder ===

impl SidecarBuilder {
    /// Starts an application, and the Envoy with the application as its upstream: behind an inbound sidecar its own, behind
    /// an outbound one a server without a sidecar.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_with_app(self) -> Result<(App, Sidecar)> {
        let app = App::start().await?;
        let sidecar = self.upstream(Upstream::At(app.address())).start().await?;
        Ok((app, sidecar))
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
        if self.module.host == ModuleHost::Native {
            options.modules = Some(match options.panics_in {
                Some(_) => install::panicking_module_directory()?,
                None => install::native_module_directory()?,
            });
        }
        for listener in listeners
            .iter()
            .filter(|listener| listener.sidecar.module.discovered)
        {
            for root_id in listener.sidecar.root_ids() {
                let file = bootstrap::discovered_file(root_id);
                let module = &listener.sidecar.module;
                let filter =
                    bootstrap::discovered_filter(module.host, root_id, &module.plugin_config)?;
                options.files.push((file, filter));
                discovered.push(root_id);
            }
        }

        if self.module.metrics_discovered {
            let cluster = bootstrap::discovered_metrics_cluster(&self.module.plugin_config);
            options
                .files
                .push((bootstrap::METRICS_FILE.to_owned(), cluster));
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
            host: self.module.host,
            _refusing: refusing,
        })
    }
}

// === impl TrafficListener ===

impl<'a> TrafficListener<'a> {
    /// Adds the socket of a port that refuses connections to `refusing`.
    fn new(
        listener: &'static str,
        sidecar: &'a SidecarBuilder,
        refusing: &mut Vec<TcpSocket>,
    ) -> Result<Self> {
        let endpoint = match sidecar.cluster.upstream.unwrap_or(Upstream::NoEndpoint) {
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
    /// Changes the module's configuration, which [`SidecarBuilder::discovered_plugin_config`] put into a file.
    /// Envoy applies the new one some time later.
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
            let filter = bootstrap::discovered_filter(self.host, root_id, &config)?;
            self.envoy
                .replace_file(&bootstrap::discovered_file(root_id), &filter)?;
        }
        Ok(())
    }

    /// Changes the cluster that [`SidecarBuilder::discovered_metrics_cluster`] put into a file. Envoy applies
    /// the new one some time later.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn replace_metrics_cluster(&self, configurations: impl Display) -> Result<()> {
        let cluster = bootstrap::discovered_metrics_cluster(&configurations.to_string());
        self.envoy.replace_file(bootstrap::METRICS_FILE, &cluster)
    }

    /// The lines of the access log; Envoy writes them with a delay.
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

    /// `/stats/prometheus`, parsed.
    ///
    /// # Errors
    /// When the listener does not serve it, or Prometheus would refuse it.
    pub async fn page(&self) -> Result<Page> {
        Page::parse(&self.page_text().await?)
    }

    /// The page once it satisfies a condition.
    ///
    /// # Errors
    /// When it does not within a minute; the error then holds the page's `istio_*` lines, without the buckets.
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
