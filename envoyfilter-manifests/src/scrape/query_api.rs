//! Prometheus' HTTP API, as far as instant queries.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use reqwest::{Client, Url};

use crate::tls;
use serde::Deserialize;

use super::address::innermost;
use super::page::ScrapedSample;

const TIMEOUT: Duration = Duration::from_mins(1);

/// A Prometheus, or what speaks its API.
#[derive(Clone, Debug)]
pub struct QueryApi {
    url: Url,
    client: Client,
}

/// The API's answer; of fields that are not here, nothing is used.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    error: String,
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    #[serde(rename = "resultType")]
    kind: String,
    #[serde(default)]
    result: serde_json::Value,
}

#[derive(Deserialize)]
struct QueriedSeries {
    metric: BTreeMap<String, String>,
    value: (f64, String),
}

impl QueryApi {
    /// A Prometheus at this URL, which may have a path before `/api/v1`.
    ///
    /// # Errors
    /// When it is no URL.
    pub fn new(url: &str) -> Result<Self> {
        let wrong = || format!("--prometheus: {url} is no URL: write http://HOST:9090");
        let url: Url = url.parse().with_context(wrong)?;
        ensure!(
            matches!(url.scheme(), "http" | "https") && url.has_host(),
            wrong()
        );
        let client = tls::client(TIMEOUT)?;
        Ok(Self { url, client })
    }

    /// The series of an instant query. Values that are no numbers (no traffic: 0/0) are left out.
    ///
    /// # Errors
    /// When nothing answers, or it refuses the query.
    pub async fn query(&self, query: &str) -> Result<Vec<ScrapedSample>> {
        let mut url = self.url.clone();
        let path = format!("{}/api/v1/query", url.path().trim_end_matches('/'));
        url.set_path(&path);
        url.query_pairs_mut().append_pair("query", query);
        let text = async { self.client.get(url).send().await?.text().await };
        let text = match text.await {
            Ok(text) => text,
            Err(error) => bail!("--prometheus: no answer from {self}: {}", innermost(&error)),
        };
        let answer: Answer = serde_json::from_str(&text)
            .with_context(|| format!("--prometheus: what answers at {self} is no Prometheus"))?;
        let Some(data) = answer.data else {
            bail!("--prometheus: {self} refuses {query}: {}", answer.error);
        };
        ensure!(data.kind == "vector", "{query} gives no vector");
        let series: Vec<QueriedSeries> = serde_json::from_value(data.result)
            .with_context(|| format!("--prometheus: {self} answers something else to {query}"))?;
        Ok(series.into_iter().filter_map(sample).collect())
    }
}

fn sample(series: QueriedSeries) -> Option<ScrapedSample> {
    let value: f64 = series.value.1.parse().ok()?;
    let name = series.metric.get("__name__").cloned().unwrap_or_default();
    value
        .is_finite()
        .then(|| ScrapedSample::new(&name, series.metric, value))
}

impl fmt::Display for QueryApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(f)
    }
}
