//! A registry, and one repository in it.

use anyhow::{Context, Error, Result, anyhow, ensure};
use oci_client::client::ClientProtocol;
use oci_client::errors::OciDistributionError;
use oci_client::manifest::OCI_IMAGE_MEDIA_TYPE;
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference, RegistryOperation};

use super::credentials::credentials;
use super::hex_sha256;
use super::image::Blob;
use crate::tls;

/// The destination of an image.
pub struct ImageRegistry {
    client: Client,
    to: Reference,
    auth: RegistryAuth,
}

impl ImageRegistry {
    /// Prepares a client, without a request.
    pub fn new(to: &Reference, plain_http: bool) -> Result<Self> {
        let registry = to.resolve_registry().to_owned();
        let protocol = if plain_http || is_local(&registry) {
            ClientProtocol::HttpsExcept(vec![registry])
        } else {
            ClientProtocol::Https
        };
        Ok(Self {
            client: tls::registry_client(&protocol)?,
            auth: credentials(to.registry())?,
            to: to.clone(),
        })
    }

    /// Checks early that the registry answers and accepts the credentials.
    pub async fn log_in(&self) -> Result<()> {
        self.client
            .store_auth_if_needed(self.to.resolve_registry(), &self.auth)
            .await;
        let login = self
            .client
            .auth(&self.to, &self.auth, RegistryOperation::Push);
        login.await.map_err(|error| self.explain(error))?;
        Ok(())
    }

    /// Stores a blob, unless it is there.
    pub async fn push_blob(&self, blob: &Blob) -> Result<()> {
        let known = self.client.blob_exists(&self.to, &blob.digest).await;
        if known.map_err(|error| self.explain(error))? {
            return Ok(());
        }
        let pushed = self
            .client
            .push_blob(&self.to, blob.data.clone(), &blob.digest);
        pushed.await.map_err(|error| self.explain(error))?;
        Ok(())
    }

    /// Stores the manifest, after which the image can be pulled. Returns its digest in hexadecimal.
    pub async fn push_manifest(&self, manifest: Vec<u8>) -> Result<String> {
        let sha256 = hex_sha256(&manifest);
        let kind = OCI_IMAGE_MEDIA_TYPE.parse().context(OCI_IMAGE_MEDIA_TYPE)?;
        let pushed = self.client.push_manifest_raw(&self.to, manifest, kind);
        pushed.await.map_err(|error| self.explain(error))?;
        let stored = self
            .client
            .fetch_manifest_digest(&self.to, &self.auth)
            .await;
        let stored = stored.map_err(|error| self.explain(error))?;
        ensure!(
            stored == format!("sha256:{sha256}"),
            "{} now holds {stored}, not sha256:{sha256} that was pushed: another push to this tag came between; push again",
            self.to
        );
        Ok(sha256)
    }

    fn explain(&self, error: OciDistributionError) -> Error {
        use OciDistributionError::{
            AuthenticationFailure, RequestError, ServerError, UnauthorizedError,
        };
        let registry = self.to.registry();
        let status = match &error {
            UnauthorizedError { .. } | AuthenticationFailure(_) => Some(401),
            ServerError { code, .. } => Some(*code),
            RequestError(error) => error.status().map(|status| status.as_u16()),
            _ => None,
        };
        match error {
            _ if matches!(status, Some(401 | 403)) => anyhow!(
                "{registry} refuses these credentials for {}: `docker login {registry}` as a user who may push there",
                self.to.repository()
            ),
            RequestError(error) if error.is_connect() => anyhow!(error).context(format!(
                "cannot reach the registry {registry}: check its name and port; one without TLS needs --plain-http"
            )),
            other => anyhow!(other)
                .context(format!("the registry {registry} does not take the image")),
        }
    }
}

/// Registries on this machine usually have no trusted certificate.
fn is_local(registry: &str) -> bool {
    let host = registry.rsplit_once(':').map_or(registry, |(host, _)| host);
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}
