//! Alerts: what somebody should look at, of the traffic and of the metrics themselves.

use serde_json::{Value, json};
use stats_core::labels::Label::{
    DestinationService, DestinationWorkload, DestinationWorkloadNamespace, SourceWorkload,
    SourceWorkloadNamespace,
};
use stats_core::labels::metrics::HttpMetric::RequestsTotal;
use stats_core::labels::{Label, OVERFLOW, UNKNOWN};

use super::queries::{Queries, Selection, sum};
use crate::bundle::Document;
use crate::installation::Installation;

const WINDOW: &str = "5m";
/// Below this, one failed request would be an alert.
const ENOUGH_PER_SECOND: &str = "0.2";
const SUCCESS_PERCENT: &str = "95";
const SLOW_MILLISECONDS: &str = "1000";

/// The rule file.
pub fn alerts(installation: &Installation) -> Document {
    let queries = Queries::of(installation);
    let mut rules = traffic(&queries);
    rules.extend(trust(&queries, installation.plugin.max_series()));
    Document::new(
        "Limits are a beginning: raise and lower them to what your services promise.",
        json!({ "groups": [{ "name": "mixerless-alerts", "rules": rules }] }),
    )
}

fn traffic(queries: &Queries) -> Vec<Value> {
    let [name, namespace] = queries.called_labels();
    let by = [name, namespace];
    let own = queries.own();
    let called = format!(
        "{{{{ $labels.{} }}}} in {{{{ $labels.{} }}}}",
        name.name(),
        namespace.name()
    );
    let success = queries.success_rate(&by, &own, WINDOW);
    let rate = queries.request_rate(&by, &own, WINDOW);
    let slow = queries.duration("0.99", &by, &own, WINDOW);
    vec![
        alert(
            "MixerlessRequestsFail",
            &format!("({success}) < {SUCCESS_PERCENT} and {rate} > {ENOUGH_PER_SECOND}"),
            "5m",
            &format!("{called}: {{{{ printf \"%.1f\" $value }}}} % of requests succeed"),
            "See by response code and flags who fails: the dashboard, or `mixerless view`.",
        ),
        alert(
            "MixerlessRequestsAreSlow",
            &format!("{slow} > {SLOW_MILLISECONDS} and {rate} > {ENOUGH_PER_SECOND}"),
            "10m",
            &format!("{called}: p99 is {{{{ printf \"%.0f\" $value }}}} ms"),
            "See whether the time is spent in it or in what it calls.",
        ),
    ]
}

/// Of the metrics themselves.
fn trust(queries: &Queries, max_series: usize) -> Vec<Value> {
    let requests = queries.name(RequestsTotal);
    let service = DestinationService.name();
    let prefix = queries.prefix();
    let beyond = Selection::default().and(service, "=", OVERFLOW);
    let beyond = queries.rate(RequestsTotal, "", &beyond, WINDOW);
    let mut alerts = vec![
        alert(
            "MixerlessSeriesOverLimit",
            &format!("sum by (instance) ({beyond}) > 0"),
            "5m",
            "{{ $labels.instance }}: requests are counted without labels, the limit of series is reached",
            "Find the label with too many values; `mixerless check` says how.",
        ),
        alert(
            "MixerlessModuleMissing",
            &format!(
                "up == 1 and on (job) group by (job) ({prefix}build) unless on (job, instance) group by (job, instance) ({prefix}build)"
            ),
            "10m",
            "{{ $labels.instance }}: the proxy is scraped, but the module does not report",
            "It was not loaded, or refused its configuration: `mixerless check` tells which.",
        ),
    ];
    // In tenths, to stay with whole numbers; zero is no limit.
    if let near @ 1.. = max_series * 8 / 10 {
        alerts.push(alert(
            "MixerlessSeriesNearLimit",
            &format!("count by (instance) ({requests}{{{service}!=\"{OVERFLOW}\"}}) > {near}"),
            "10m",
            "{{ $labels.instance }}: {{ $value }} label sets are in use, near the limit",
            "Find the label with too many values before requests are counted without labels.",
        ));
    }
    if !queries.from_gateway() {
        alerts.push(counted_twice(queries));
    }
    alerts
}

/// Both sides of a call count it. Only successes, because a retry is one request for the client and more for the server.
fn counted_twice(queries: &Queries) -> Value {
    const CALL: [Label; 4] = [
        SourceWorkload,
        SourceWorkloadNamespace,
        DestinationWorkload,
        DestinationWorkloadNamespace,
    ];
    let good = |side: Selection| {
        let known = side
            .and(SourceWorkload.name(), "!=", UNKNOWN)
            .and(DestinationWorkload.name(), "!=", UNKNOWN)
            .and("response_code", "=~", "2..");
        sum(&CALL, &queries.rate(RequestsTotal, "", &known, WINDOW))
    };
    let (served, called) = (good(Selection::served()), good(Selection::called()));
    alert(
        "MixerlessCountedTwice",
        &format!("{served} > 1.8 * {called} and {called} > {ENOUGH_PER_SECOND}"),
        "15m",
        "{{ $labels.destination_workload }} in {{ $labels.destination_workload_namespace }} counts \
         {{ $labels.source_workload }}'s requests twice",
        "Two copies of the module, or native metrics as well, or a client some of whose pods have no sidecar: `mixerless check`.",
    )
}

fn alert(name: &str, expression: &str, lasting: &str, summary: &str, action: &str) -> Value {
    json!({
        "alert": name,
        "annotations": { "action": action, "summary": summary },
        "expr": expression,
        "for": lasting,
        "labels": { "severity": "warning" },
    })
}
