//! The graph's figures as JSON.

use std::collections::BTreeMap;

use serde::Serialize;

use super::drawing::kind_name;
use super::traffic::{CallParty, TrafficGraph};

/// All calls.
#[derive(Serialize)]
pub struct GraphSummary<'a> {
    calls: Vec<CallSummary<'a>>,
}

#[derive(Serialize)]
struct CallSummary<'a> {
    from: PartySummary<'a>,
    to: PartySummary<'a>,
    requests_per_second: f64,
    failed_percent: Option<f64>,
    p50_milliseconds: Option<f64>,
    p99_milliseconds: Option<f64>,
    mutual_tls_percent: Option<f64>,
    tcp_bytes_per_second: f64,
    requests_per_second_by_code: BTreeMap<&'a str, f64>,
}

#[derive(Serialize)]
struct PartySummary<'a> {
    kind: &'static str,
    namespace: &'a str,
    name: &'a str,
}

/// The figures of a graph.
pub fn of(graph: &TrafficGraph) -> GraphSummary<'_> {
    let calls = graph.calls.iter().map(|((from, to), traffic)| {
        let mut by_code: BTreeMap<&str, f64> = BTreeMap::new();
        for ((code, _), requests) in &traffic.outcomes {
            *by_code.entry(code).or_default() += requests;
        }
        CallSummary {
            from: party(from),
            to: party(to),
            requests_per_second: traffic.requests,
            failed_percent: traffic.failed_percent(),
            p50_milliseconds: traffic.quantile(0.5),
            p99_milliseconds: traffic.quantile(0.99),
            mutual_tls_percent: traffic.mutual_tls_percent(),
            tcp_bytes_per_second: traffic.tcp_bytes,
            requests_per_second_by_code: by_code,
        }
    });
    GraphSummary {
        calls: calls.collect(),
    }
}

fn party(party: &CallParty) -> PartySummary<'_> {
    PartySummary {
        kind: kind_name(party.kind),
        namespace: &party.namespace,
        name: &party.name,
    }
}
