//! Clients of HTTP, and whom they trust: the machine's certificate authorities. On a machine that has none, as in an image on
//! nothing, those of Mozilla that were built in.

use std::time::Duration;

use anyhow::{Context, Result};
use oci_client::client::{Certificate, CertificateEncoding, ClientConfig, ClientProtocol};
use webpki_root_certs::TLS_SERVER_ROOT_CERTS;

/// A client that gives up after `timeout`.
///
/// # Errors
/// When TLS cannot be set up.
pub fn client(timeout: Duration) -> Result<reqwest::Client> {
    use_ring();
    let builder = || reqwest::Client::builder().timeout(timeout);
    let of_machine = builder().build();
    of_machine
        .or_else(|_| {
            let certificates = TLS_SERVER_ROOT_CERTS.iter();
            let built_in = certificates.map(|der| reqwest::Certificate::from_der(der));
            let built_in = built_in.collect::<Result<Vec<_>, _>>()?;
            builder().tls_certs_only(built_in).build()
        })
        .context("cannot set up TLS")
}

/// A client of registries.
///
/// # Errors
/// When TLS cannot be set up.
pub fn registry_client(protocol: &ClientProtocol) -> Result<oci_client::Client> {
    use_ring();
    // Not `Client::new`, which panics where there are no authorities.
    let with = |tls_certs_only| {
        oci_client::Client::try_from(ClientConfig {
            protocol: protocol.clone(),
            tls_certs_only,
            ..ClientConfig::default()
        })
    };
    with(Vec::new())
        .or_else(|_| {
            let certificates = TLS_SERVER_ROOT_CERTS.iter();
            let built_in = certificates.map(|der| Certificate {
                encoding: CertificateEncoding::Der,
                data: der.to_vec(),
            });
            with(built_in.collect())
        })
        .context("cannot set up TLS")
}

/// Makes ring the process's TLS provider, unless there is one already.
fn use_ring() {
    // Fails only if there is a provider already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
