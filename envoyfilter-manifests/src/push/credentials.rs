//! The credentials for a registry that `docker login` stored in the docker configuration (`$DOCKER_CONFIG`, else `~/.docker`).

use std::fs::File;
use std::io::{BufReader, ErrorKind};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use docker_credential::{CredentialRetrievalError, DockerCredential, get_credential_from_reader};
use oci_client::secrets::RegistryAuth;

/// The credentials for a registry; anonymous if there are none.
pub fn credentials(registry: &str) -> Result<RegistryAuth> {
    let Some(config) = config()? else {
        return Ok(RegistryAuth::Anonymous);
    };
    // Docker's own registry has another name there.
    let server = match registry {
        "docker.io" | "index.docker.io" => "https://index.docker.io/v1/",
        other => other,
    };
    match get_credential_from_reader(BufReader::new(config), server) {
        Ok(DockerCredential::UsernamePassword(user, password)) => {
            Ok(RegistryAuth::Basic(user, password))
        }
        Ok(DockerCredential::IdentityToken(_)) => bail!(
            "the docker configuration has an identity token for {registry}, which this command cannot use: \
             `docker login {registry}` with a password or an access token"
        ),
        Err(CredentialRetrievalError::NoCredentialConfigured) => Ok(RegistryAuth::Anonymous),
        Err(error) => bail!(
            "the docker configuration is of no use for {registry} ({error}): `docker login {registry}` again"
        ),
    }
}

fn config() -> Result<Option<File>> {
    let home = || std::env::home_dir().map(|home| home.join(".docker"));
    let directory = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from);
    let Some(directory) = directory.or_else(home) else {
        return Ok(None);
    };
    let file = directory.join("config.json");
    match File::open(&file) {
        Ok(config) => Ok(Some(config)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
}
