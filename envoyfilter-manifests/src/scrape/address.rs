//! The address of a proxy's page, and fetching it.

use std::fmt;
use std::time::Duration;

use anyhow::{Result, bail};
use reqwest::{Client, Url};

use crate::tls;

use super::page::ScrapedPage;
use crate::proxy::STATS_PORT;

/// The path of a proxy's metrics.
pub const PAGE_PATH: &str = "/stats/prometheus";
/// A page of a busy gateway has tens of megabytes.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The address of a page.
#[derive(Clone, Debug)]
pub struct Address {
    url: Url,
    client: Client,
}

/// Why there is no page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoPage {
    /// Something answers that is no proxy's page; with the HTTP status.
    OtherThan(u16),
    /// Nothing answers; with the cause.
    NoAnswer(String),
}

impl Address {
    /// Parses a URL, with defaults for missing parts.
    ///
    /// # Errors
    /// When it is no URL with a host that HTTP can reach.
    pub fn parse(text: &str) -> Result<Self> {
        let (full, bare) = if text.contains("://") {
            (text.to_owned(), false)
        } else {
            (format!("http://{text}"), true)
        };
        let url: Result<Url, _> = full.parse();
        let Ok(mut url) = url else {
            bail!("{text} is no address: write HOST, HOST:PORT or http://HOST:PORT{PAGE_PATH}");
        };
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            bail!("{text} is no address: write HOST, HOST:PORT or http://HOST:PORT{PAGE_PATH}");
        }
        if bare && url.port().is_none() {
            // Fails only for a URL without a host, which was refused above.
            let _ = url.set_port(Some(STATS_PORT));
        }
        if url.path() == "/" {
            url.set_path(PAGE_PATH);
        }
        let client = tls::client(TIMEOUT)?;
        Ok(Self { url, client })
    }

    /// The page.
    ///
    /// # Errors
    /// When nothing answers, or not with metrics.
    pub async fn fetch(&self) -> Result<ScrapedPage, NoPage> {
        let get = async {
            let response = self.client.get(self.url.clone()).send().await?;
            let status = response.status();
            Ok::<_, reqwest::Error>((status, response.text().await?))
        };
        match get.await {
            Ok((status, text)) if status.is_success() && looks_like_metrics(&text) => {
                Ok(ScrapedPage::parse(&text))
            }
            Ok((status, _)) => Err(NoPage::OtherThan(status.as_u16())),
            Err(error) => Err(NoPage::NoAnswer(innermost(&error))),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(f)
    }
}

fn looks_like_metrics(text: &str) -> bool {
    text.trim().is_empty() || text.lines().any(|line| line.starts_with("# TYPE "))
}

/// The last source of an error, which is the cause that a user can fix.
pub(super) fn innermost(error: &dyn std::error::Error) -> String {
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
