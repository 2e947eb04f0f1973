//! Keys and certificates of the API server: for the tokens of service accounts, and as a client of aggregated API
//! servers such as KEDA's.

use std::fs;
use std::path::Path;

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// The common name of the API server's client certificate.
pub const PROXY_NAME: &str = "front-proxy-client";

/// Writes `accounts.key` with its public half `accounts.pub`, and `proxy.crt`, `proxy.key` with their issuer `proxy-ca.crt`.
pub fn write(directory: &Path) -> Result<()> {
    let accounts = KeyPair::generate()?;
    fs::write(directory.join("accounts.key"), accounts.serialize_pem())?;
    fs::write(directory.join("accounts.pub"), accounts.public_key_pem())?;
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority
        .distinguished_name
        .push(DnType::CommonName, "front-proxy-ca");
    let key = KeyPair::generate()?;
    fs::write(
        directory.join("proxy-ca.crt"),
        authority.self_signed(&key)?.pem(),
    )?;
    let issuer = Issuer::new(authority, key);

    let mut client = CertificateParams::default();
    client
        .distinguished_name
        .push(DnType::CommonName, PROXY_NAME);
    let key = KeyPair::generate()?;
    fs::write(
        directory.join("proxy.crt"),
        client.signed_by(&key, &issuer)?.pem(),
    )?;
    fs::write(directory.join("proxy.key"), key.serialize_pem())?;
    Ok(())
}
