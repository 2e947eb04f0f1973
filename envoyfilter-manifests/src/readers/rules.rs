//! Recording rules: a few aggregates to keep for long, instead of every series of every pod.

use serde_json::{Value, json};
use stats_core::labels::Label;
use stats_core::labels::Label::{
    ConnectionSecurityPolicy, DestinationServiceName, DestinationServiceNamespace,
    DestinationWorkload, DestinationWorkloadNamespace, GrpcResponseStatus, Reporter,
    RequestProtocol, ResponseCode, SourceWorkload, SourceWorkloadNamespace,
};
use stats_core::labels::metrics::HttpMetric::{RequestBytes, RequestDuration, ResponseBytes};
use stats_core::labels::metrics::TcpMetric::{ReceivedBytesTotal, SentBytesTotal};

use super::queries::{Queries, Selection, sum};
use crate::bundle::Document;
use crate::installation::Installation;

/// The labels of every aggregate: source, destination and service, without pods, versions, principals and flags.
const EDGE: [Label; 7] = [
    Reporter,
    SourceWorkload,
    SourceWorkloadNamespace,
    DestinationWorkload,
    DestinationWorkloadNamespace,
    DestinationServiceName,
    DestinationServiceNamespace,
];
/// The further labels of request counts.
const OUTCOME: [Label; 4] = [
    RequestProtocol,
    ResponseCode,
    GrpcResponseStatus,
    ConnectionSecurityPolicy,
];
const WINDOW: &str = "1m";

/// The rule file.
pub fn rules(installation: &Installation) -> Document {
    Document::new(
        format!(
            "Aggregates of {prefix}* by workload, without pods. For long retention keep these (workload:{prefix}.*) and let the\n\
             raw series go after days: by federation, by remote write, or in an object store of their own.",
            prefix = Queries::of(installation).prefix()
        ),
        groups(&Queries::of(installation)),
    )
}

fn groups(queries: &Queries) -> Value {
    let everybody = Selection::default();
    let count: Vec<Label> = EDGE.into_iter().chain(OUTCOME).collect();
    let mut aggregates = vec![rule(
        queries,
        "requests:rate1m",
        &queries.request_rate(&count, &everybody, WINDOW),
    )];
    for part in ["_sum", "_count"] {
        for metric in [RequestDuration, RequestBytes, ResponseBytes] {
            let expression = sum(&EDGE, &queries.rate(metric, part, &everybody, WINDOW));
            aggregates.push(rule(
                queries,
                &format!("{}{part}:rate1m", metric.name()),
                &expression,
            ));
        }
    }
    if queries.counts_tcp() {
        for metric in [SentBytesTotal, ReceivedBytesTotal] {
            let name = metric.name().trim_end_matches("_total");
            let expression = queries.tcp_rate(metric, &EDGE, &everybody, WINDOW);
            aggregates.push(rule(queries, &format!("{name}:rate1m"), &expression));
        }
    }
    let (served, by_called) = (queries.own(), queries.called_labels());
    let buckets = queries.rate(RequestDuration, "_bucket", &served, WINDOW);
    let by: Vec<&str> = by_called.iter().map(|label| label.name()).collect();
    aggregates.push(rule(
        queries,
        &format!("{}_bucket:rate1m", RequestDuration.name()),
        &format!("sum by ({}, le) ({buckets})", by.join(", ")),
    ));

    let answers = [
        rule(
            queries,
            "success_percent:rate1m",
            &queries.success_rate(&by_called, &served, WINDOW),
        ),
        rule(
            queries,
            &format!("{}:p99_1m", RequestDuration.name()),
            &queries.duration("0.99", &by_called, &served, WINDOW),
        ),
    ];
    json!({ "groups": [
        { "name": "mixerless-workload-aggregates", "rules": aggregates },
        { "name": "mixerless-workload-answers", "rules": answers },
    ] })
}

fn rule(queries: &Queries, name: &str, expression: &str) -> Value {
    json!({ "expr": expression, "record": format!("workload:{}{name}", queries.prefix()) })
}
