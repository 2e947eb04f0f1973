//! SPIFFE certificates, generated in memory.

use anyhow::{Context, Result};
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    SanType,
};

/// The mesh's certificate authority.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A workload's certificate and key, in PEM.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The SPIFFE id, which is the certificate's only subject alternative name.
    pub uri: String,
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
    /// The authority that peers must be signed by.
    pub root: String,
}

impl Authority {
    /// An authority of its own.
    ///
    /// # Errors
    /// When the system yields no random numbers.
    pub fn new() -> Result<Self> {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::OrganizationName, "cluster.local");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        Ok(Self { issuer })
    }

    /// A certificate for a SPIFFE id.
    ///
    /// # Errors
    /// When the id is not ASCII.
    pub fn identity(&self, uri: &str) -> Result<Identity> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(
            Ia5String::try_from(uri).context(uri.to_owned())?,
        )];
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Identity {
            uri: uri.to_owned(),
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            root: self.issuer.pem(),
        })
    }
}
