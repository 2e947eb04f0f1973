//! A Grafana dashboard: one workload's requests, failures, durations and sizes, its TCP connections, and whether the metrics
//! can be trusted.

use anyhow::Result;
use serde_json::{Value, json};
use stats_core::labels::Label::{
    self, DestinationService, DestinationServiceName, ResponseCode, ResponseFlags, SourceWorkload,
    SourceWorkloadNamespace,
};
use stats_core::labels::metrics::{HttpMetric, TcpMetric};
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
    let mut panels = traffic(queries);
    if queries.counts_tcp() {
        panels.extend(connections(queries));
    }
    panels.extend(trust(queries));
    panels
        .iter()
        .enumerate()
        .map(|(at, panel)| panel.to_value(at))
        .collect()
}

/// The requests of a workload: of a sidecar those that it serves, of a gateway those that it passes on.
fn traffic(queries: &Queries) -> Vec<Panel> {
    let own = own_traffic(queries);
    let rate = |by: &[Label]| queries.request_rate(by, &own, WINDOW);
    let bytes = |metric| sum(&[], &queries.rate(metric, "_sum", &own, WINDOW));
    let quantile = |q: &'static str| (queries.duration(q, &[], &own, WINDOW), q);
    let mut panels = vec![
        Panel::new("Requests by response code", "reqps")
            .query(rate(&[ResponseCode]), "{{response_code}}"),
        Panel::new("Success", "percent").query(queries.success_rate(&[], &own, WINDOW), "success"),
        Panel {
            queries: ["0.5", "0.95", "0.99"].map(quantile).into(),
            ..Panel::new("Duration", "ms")
        },
        Panel::new("Requests by response flags", "reqps")
            .query(rate(&[ResponseFlags]), "{{response_flags}}"),
        Panel::new("Bytes in and out", "Bps")
            .query(bytes(HttpMetric::RequestBytes), "in")
            .query(bytes(HttpMetric::ResponseBytes), "out"),
    ];
    let sent = Selection::called()
        .and(SourceWorkloadNamespace.name(), "=", "$namespace")
        .and(SourceWorkload.name(), "=", "$workload");
    let called = queries.request_rate(&[DestinationServiceName], &sent, WINDOW);
    if queries.from_gateway() {
        panels.push(
            Panel::new("Requests by service", "reqps")
                .query(called, "{{destination_service_name}}"),
        );
        return panels;
    }
    panels.extend([
        Panel::new("Requests by caller", "reqps").query(
            rate(&[SourceWorkload, SourceWorkloadNamespace]),
            "{{source_workload}}.{{source_workload_namespace}}",
        ),
        Panel::new("Requests to others", "reqps").query(called, "{{destination_service_name}}"),
    ]);
    panels
}

/// The TCP connections of a workload: those that it serves.
fn connections(queries: &Queries) -> [Panel; 2] {
    let own = own_traffic(queries);
    let rate = |metric| queries.tcp_rate(metric, &[], &own, WINDOW);
    [
        Panel::new("TCP bytes in and out", "Bps")
            .query(rate(TcpMetric::ReceivedBytesTotal), "in")
            .query(rate(TcpMetric::SentBytesTotal), "out"),
        Panel::new("TCP connections opened and closed", "cps")
            .query(rate(TcpMetric::ConnectionsOpenedTotal), "opened")
            .query(rate(TcpMetric::ConnectionsClosedTotal), "closed"),
    ]
}

/// What the workload's own proxy reports of it.
fn own_traffic(queries: &Queries) -> Selection {
    let [workload, namespace] = queries.own_labels();
    queries
        .own()
        .and(namespace.name(), "=", "$namespace")
        .and(workload.name(), "=", "$workload")
}

/// Whether the metrics can be trusted.
fn trust(queries: &Queries) -> Vec<Panel> {
    // The one label that says so for every reporter.
    let overflow = Selection::default().and(DestinationService.name(), "=", OVERFLOW);
    let overflow = queries.request_rate(&[], &overflow, WINDOW);
    let beyond = "beyond the limit of series, all workloads";
    let series = queries.name(HttpMetric::RequestsTotal);
    let label_sets = Panel::new("Trust: label sets in one proxy", "short").query(
        format!("max(count by (instance) ({series}))"),
        "most of all proxies",
    );
    // Clients of a gateway are outside of any mesh.
    if queries.from_gateway() {
        let counted = Panel::new("Trust: requests beyond the limit of series", "reqps");
        return vec![counted.query(overflow, beyond), label_sets];
    }
    let unknown = own_traffic(queries).and(SourceWorkload.name(), "=", UNKNOWN);
    let unknown = queries.request_rate(&[], &unknown, WINDOW);
    vec![
        Panel::new("Trust: requests without a known caller", "reqps")
            .query(unknown, "unknown caller")
            .query(overflow, beyond),
        label_sets,
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
    let [workload_label, namespace_label] = queries.own_labels().map(Label::name);
    let own = queries.own();
    let namespace = format!("label_values({}, {namespace_label})", queries.traffic(&own));
    let own = own.and(namespace_label, "=", "$namespace");
    let workload = format!("label_values({}, {workload_label})", queries.traffic(&own));
    json!([
        { "label": "datasource", "name": "datasource", "query": "prometheus", "type": "datasource" },
        variable("namespace", namespace),
        variable("workload", workload),
    ])
}

fn datasource() -> Value {
    json!({ "type": "prometheus", "uid": "$datasource" })
}
