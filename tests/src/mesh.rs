//! The smallest mesh: a client's sidecar, a server's sidecar, an application.

use anyhow::Result;

use crate::certs::Authority;
use crate::{App, Client, Response, Sidecar, SidecarBuilder, Upstream};

/// A running mesh: client → [`outbound`](Self::outbound) → [`inbound`](Self::inbound) → [`app`](Self::app).
#[derive(Debug)]
pub struct Mesh {
    /// The client's sidecar.
    pub outbound: Sidecar,
    /// The application's sidecar.
    pub inbound: Sidecar,
    /// The application.
    pub app: App,
}

/// How a mesh is set up. By default: podinfo calls itself, as on the expected page, over mutual TLS.
#[derive(Clone, Debug)]
#[must_use]
pub struct MeshBuilder {
    outbound: SidecarBuilder,
    inbound: SidecarBuilder,
    mtls: bool,
}

impl Mesh {
    /// A mesh to be set up.
    pub fn builder() -> MeshBuilder {
        MeshBuilder {
            outbound: SidecarBuilder::outbound(),
            inbound: SidecarBuilder::inbound(),
            mtls: true,
        }
    }

    /// GET through both sidecars, over a new HTTP/1.1 connection.
    ///
    /// # Errors
    /// When no response comes back.
    pub async fn get(&self, path: &str) -> Result<Response> {
        self.client().await?.get(path).await
    }

    /// An HTTP/1.1 connection to the client's sidecar.
    ///
    /// # Errors
    /// When there is no connection to be had.
    pub async fn client(&self) -> Result<Client> {
        Client::http1(self.outbound.traffic).await
    }
}

impl MeshBuilder {
    /// Changes how the client's sidecar is set up.
    pub fn outbound(mut self, change: impl FnOnce(SidecarBuilder) -> SidecarBuilder) -> Self {
        self.outbound = change(self.outbound);
        self
    }

    /// Changes how the server's sidecar is set up. Its upstream is the application, unless that is changed here.
    pub fn inbound(mut self, change: impl FnOnce(SidecarBuilder) -> SidecarBuilder) -> Self {
        self.inbound = change(self.inbound);
        self
    }

    /// Changes how both sidecars are set up.
    pub fn both(self, change: impl Fn(SidecarBuilder) -> SidecarBuilder) -> Self {
        self.outbound(&change).inbound(&change)
    }

    /// Whether the sidecars speak mutual TLS with each other.
    pub fn mtls(mut self, mtls: bool) -> Self {
        self.mtls = mtls;
        self
    }

    /// Starts the application and both Envoys.
    ///
    /// # Errors
    /// When Envoy or the module is not there, or an Envoy does not come up.
    pub async fn start(self) -> Result<Mesh> {
        let Self {
            mut outbound,
            mut inbound,
            mtls,
        } = self;
        if mtls {
            let authority = Authority::new()?;
            let (client, server) = (outbound.identity(), inbound.identity());
            inbound = inbound.mtls(authority.identity(&server)?, None);
            outbound = outbound.mtls(authority.identity(&client)?, Some(server));
        }
        let app = App::start().await?;
        let inbound = inbound
            .upstream_or(Upstream::At(app.address()))
            .start()
            .await?;
        let outbound = outbound
            .upstream_or(Upstream::At(inbound.traffic))
            .start()
            .await?;
        Ok(Mesh {
            outbound,
            inbound,
            app,
        })
    }
}
