//! A Grafana dashboard: one workload's requests, failures, durations and sizes, and whether the metrics can be trusted.

use anyhow::Result;
use serde_json::{Value, json};
use stats_core::labels::Label::{
    self, DestinationService, DestinationServiceName, ResponseCode, ResponseFlags, SourceWorkload,
    SourceWorkloadNamespace,
};
use stats_core::labels::metrics::HttpMetric;
use stats_core::labels::{OVERFLOW, UNKNOWN};

use super::queries::{Queries, Selection, sum};
use crate::installation::Installation;

const WINDOW: &str = "$__rate_interval";

/// The dashboard, as Grafana imports it.
pub fn dashboard(installation: &Installation) -> Result<String> {
    let queries = Queries::of(installation);
    let dashboard = json!({
        "editable": true,
        "panels": panels(&queries),
        "refresh": "30s",
        "schemaVersion": 39,
        "tags": ["istio", "mixerless"],
        "templating": { "list": variables(&queries) },
        "time": { "from": "now-1h", "to": "now" },
        "title": "Workload requests (mixerless)",
        "uid": "mixerless-workload",
    });
    let mut text = serde_json::to_string_pretty(&dashboard)?;
    text.push('\n');
    Ok(text)
}

/// A graph: its title, its unit, its queries with their legends.
struct Panel {
    title: &'static str,
    unit: &'static str,
    queries: Vec<(String, &'static str)>,
}

fn panels(queries: &Queries) -> Vec<Value> {
    let panels = traffic(queries).into_iter().chain(trust(queries));
    panels
        .enumerate()
        .map(|(at, panel)| panel.to_value(at))
        .collect()
}

/// The inbound and outbound requests of a workload.
fn traffic(queries: &Queries) -> [Panel; 7] {
    let served = Selection::served().to_workload("$namespace", "$workload");
    let called = Selection::called()
        .and(SourceWorkloadNamespace.name(), "=", "$namespace")
        .and(SourceWorkload.name(), "=", "$workload");
    let rate = |by: &[Label]| queries.request_rate(by, &served, WINDOW);
    let bytes = |metric| sum(&[], &queries.rate(metric, "_sum", &served, WINDOW));
    let quantile = |q: &'static str| (queries.duration(q, &[], &served, WINDOW), q);
    [
        Panel::new("Requests by response code", "reqps")
            .query(rate(&[ResponseCode]), "{{response_code}}"),
        Panel::new("Success", "percent")
            .query(queries.success_rate(&[], &served, WINDOW), "success"),
        Panel {
            queries: ["0.5", "0.95", "0.99"].map(quantile).into(),
            ..Panel::new("Duration", "ms")
        },
        Panel::new("Requests by caller", "reqps").query(
            rate(&[SourceWorkload, SourceWorkloadNamespace]),
            "{{source_workload}}.{{source_workload_namespace}}",
        ),
        Panel::new("Requests by response flags", "reqps")
            .query(rate(&[ResponseFlags]), "{{response_flags}}"),
        Panel::new("Requests to others", "reqps").query(
            queries.request_rate(&[DestinationServiceName], &called, WINDOW),
            "{{destination_service_name}}",
        ),
        Panel::new("Bytes in and out", "Bps")
            .query(bytes(HttpMetric::RequestBytes), "in")
            .query(bytes(HttpMetric::ResponseBytes), "out"),
    ]
}

/// Whether the metrics can be trusted.
fn trust(queries: &Queries) -> [Panel; 2] {
    let unknown = Selection::served()
        .to_workload("$namespace", "$workload")
        .and(SourceWorkload.name(), "=", UNKNOWN);
    // The one label that says so for every reporter.
    let overflow = Selection::default().and(DestinationService.name(), "=", OVERFLOW);
    let series = queries.name(HttpMetric::RequestsTotal);
    [
        Panel::new("Trust: requests without a known caller", "reqps")
            .query(
                queries.request_rate(&[], &unknown, WINDOW),
                "unknown caller",
            )
            .query(
                queries.request_rate(&[], &overflow, WINDOW),
                "beyond the limit of series, all workloads",
            ),
        Panel::new("Trust: label sets in one proxy", "short").query(
            format!("max(count by (instance) ({series}))"),
            "most of all proxies",
        ),
    ]
}

impl Panel {
    fn new(title: &'static str, unit: &'static str) -> Self {
        Self {
            title,
            unit,
            queries: Vec::new(),
        }
    }

    fn query(mut self, query: String, legend: &'static str) -> Self {
        self.queries.push((query, legend));
        self
    }

    /// Two panels in a row.
    fn to_value(&self, at: usize) -> Value {
        let target = |((query, legend), id): (&(String, &str), char)| -> Value {
            json!({ "datasource": datasource(), "expr": query, "legendFormat": legend, "refId": id.to_string() })
        };
        let targets: Vec<Value> = self.queries.iter().zip('A'..='Z').map(target).collect();
        json!({
            "datasource": datasource(),
            "fieldConfig": { "defaults": { "min": 0, "unit": self.unit }, "overrides": [] },
            "gridPos": { "h": 8, "w": 12, "x": at % 2 * 12, "y": at / 2 * 8 },
            "id": at + 1,
            "targets": targets,
            "title": self.title,
            "type": "timeseries",
        })
    }
}

fn variables(queries: &Queries) -> Value {
    let requests = queries.name(HttpMetric::RequestsTotal);
    let variable = |name: &str, query: String| -> Value {
        json!({
            "datasource": datasource(),
            "label": name,
            "name": name,
            "query": { "query": query, "refId": name },
            "refresh": 2,
            "sort": 1,
            "type": "query",
        })
    };
    let namespace = format!(
        "label_values({requests}{{reporter=\"destination\"}}, destination_workload_namespace)"
    );
    let workload = format!(
        "label_values({requests}{{reporter=\"destination\",destination_workload_namespace=\"$namespace\"}}, destination_workload)"
    );
    json!([
        { "label": "datasource", "name": "datasource", "query": "prometheus", "type": "datasource" },
        variable("namespace", namespace),
        variable("workload", workload),
    ])
}

fn datasource() -> Value {
    json!({ "type": "prometheus", "uid": "$datasource" })
}
