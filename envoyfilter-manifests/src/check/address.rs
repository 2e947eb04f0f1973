//! The address of a proxy's page, and fetching it.

use std::fmt;
use std::time::Duration;

use anyhow::{Result, bail};
use reqwest::Url;

use super::finding::{Fault, Finding};
use crate::proxy::STATS_PORT;

const PATH: &str = "/stats/prometheus";
/// A page of a busy gateway has tens of megabytes.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The address of a page.
pub struct Address(Url);

impl Address {
    /// Parses a URL, with defaults for missing parts.
    pub fn parse(text: &str) -> Result<Self> {
        let (full, bare) = if text.contains("://") {
            (text.to_owned(), false)
        } else {
            (format!("http://{text}"), true)
        };
        let url: Result<Url, _> = full.parse();
        let Ok(mut url) = url else {
            bail!("{text} is no address: write HOST, HOST:PORT or http://HOST:PORT{PATH}");
        };
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            bail!("{text} is no address: write HOST, HOST:PORT or http://HOST:PORT{PATH}");
        }
        if bare && url.port().is_none() {
            // Fails only for a URL without a host, which was refused above.
            let _ = url.set_port(Some(STATS_PORT));
        }
        if url.path() == "/" {
            url.set_path(PATH);
        }
        Ok(Self(url))
    }

    /// The page, or the fault because of which it cannot be fetched.
    pub async fn fetch(&self) -> Result<String, Finding> {
        let get = async {
            let client = reqwest::Client::builder().timeout(TIMEOUT).build()?;
            let response = client.get(self.0.clone()).send().await?;
            let status = response.status();
            Ok::<_, reqwest::Error>((status, response.text().await?))
        };
        match get.await {
            Ok((status, text)) if status.is_success() && looks_like_metrics(&text) => Ok(text),
            Ok((status, _)) => Err(Finding::new(
                Fault::NoStatsListener,
                format!(
                    "What answers here (status {}) is not a proxy's metrics.",
                    status.as_u16()
                ),
                format!(
                    "Ask the listener that serves {PATH}: port {STATS_PORT} of a sidecar or gateway. {CURE}"
                ),
            )),
            Err(error) => Err(Finding::new(
                Fault::NoStatsListener,
                format!("No answer from this address: {}.", innermost(&error)),
                format!(
                    "See that the pod runs and has a sidecar, and that nothing keeps you from port {STATS_PORT}. {CURE}"
                ),
            )),
        }
    }
}

const CURE: &str = "Istio's sidecars have that port of themselves; a bootstrap of your own needs the listener that \
                    `mixerless manifests --target envoy` writes to envoy/stats-listener.yaml.";

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn looks_like_metrics(text: &str) -> bool {
    text.trim().is_empty() || text.lines().any(|line| line.starts_with("# TYPE "))
}

/// The last source of an error, which is the cause that a user can fix.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_what_istio_has() {
        for (text, expected) in [
            ("10.1.2.3", "http://10.1.2.3:15090/stats/prometheus"),
            ("localhost:9901", "http://localhost:9901/stats/prometheus"),
            ("http://pod/metrics", "http://pod/metrics"),
        ] {
            assert_eq!(Address::parse(text).unwrap().to_string(), expected);
        }
        for text in ["", "ftp://a", "http://"] {
            assert!(Address::parse(text).is_err(), "{text}");
        }
    }
}
