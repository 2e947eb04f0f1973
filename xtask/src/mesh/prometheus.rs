//! Prometheus in the cluster, with the generated configuration; and what it answers.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use ureq::Agent;

use super::api::agent;
use super::cluster::TestCluster;
use super::object::{list, text};
use super::workload;

/// A server that answers `PromQL`.
#[derive(Clone, Debug)]
pub struct Prometheus {
    agent: Agent,
    base: String,
    /// More parameters of each query.
    parameters: Vec<(String, String)>,
}

impl Prometheus {
    /// Starts one in the cluster with the configuration below `manifests`.
    pub fn start(cluster: &TestCluster, manifests: &Path) -> Result<Self> {
        let file = |name: &str| fs::read_to_string(manifests.join("prometheus").join(name));
        let map = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": { "name": "prometheus", "namespace": "istio-system" },
            "data": { "prometheus.yaml": file("prometheus.yaml")?, "rules.yaml": file("rules.yaml")? },
        });
        cluster.api.apply_text(&map.to_string())?;
        cluster
            .api
            .apply_text(include_str!("objects/prometheus.yaml"))?;
        workload::wait_for(cluster, "istio-system", "prometheus")?;
        let address = workload::address_of(cluster, "istio-system", "app=prometheus")?;
        Ok(Self::at(&format!("http://{address}:9090")))
    }

    /// One that runs already.
    pub fn at(base: &str) -> Self {
        Self {
            agent: agent(Duration::from_secs(10)),
            base: base.to_owned(),
            parameters: Vec::new(),
        }
    }

    /// The same with one more parameter in each query.
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut with = self.clone();
        with.parameters.push((name.to_owned(), value.to_owned()));
        with
    }

    /// The samples of an instant query, each with its labels and value.
    pub fn query(&self, query: &str) -> Result<Vec<(Value, f64)>> {
        let answer = self.ask("query", &[("query", query)])?;
        let sample = |sample: &Value| {
            let (_, value) = point(&sample["value"])?;
            Some((sample["metric"].clone(), value))
        };
        Ok(list(&answer, "/data/result").filter_map(sample).collect())
    }

    /// The points of a query's only series up to now: seconds and values.
    pub fn range(&self, query: &str, past: Duration, step: Duration) -> Result<Vec<(f64, f64)>> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64();
        let parameters = [
            ("query", query),
            ("start", &(now - past.as_secs_f64()).to_string()),
            ("end", &now.to_string()),
            ("step", &step.as_secs_f64().to_string()),
        ];
        let answer = self.ask("query_range", &parameters)?;
        let points = list(&answer, "/data/result/0/values");
        Ok(points.filter_map(point).collect())
    }

    fn ask(&self, what: &str, parameters: &[(&str, &str)]) -> Result<Value> {
        let url = format!("{}/api/v1/{what}", self.base);
        let own = self.parameters.iter();
        let own = own.map(|(name, value)| (name.as_str(), value.as_str()));
        let request = self.agent.get(&url).query_pairs(parameters.iter().copied());
        let answer: Value = request.query_pairs(own).call()?.body_mut().read_json()?;
        ensure!(text(&answer, "/status") == "success", "{what}: {answer}");
        Ok(answer)
    }

    /// The value of a query that has exactly one.
    pub fn value(&self, query: &str) -> Result<f64> {
        let samples = self.query(query)?;
        ensure!(
            samples.len() == 1,
            "{query}: {} samples instead of one",
            samples.len()
        );
        Ok(samples[0].1)
    }
}

/// A point as Prometheus writes it: seconds, and the value as text.
fn point(point: &Value) -> Option<(f64, f64)> {
    let value = point.get(1)?.as_str()?.parse().ok()?;
    Some((point.get(0)?.as_f64()?, value))
}
