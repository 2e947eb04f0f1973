//! Panels that more than one dashboard has.

use stats_core::labels::Label::{
    self, DestinationService, DestinationVersion, ResponseCode, ResponseFlags, SourceWorkload,
};
use stats_core::labels::metrics::{HttpMetric, TcpMetric};
use stats_core::labels::{OVERFLOW, UNKNOWN};

use super::WINDOW;
use super::measure::Measure;
use super::panel::{Panel, Row};
use super::table::ValueColumn;
use crate::readers::queries::{Queries, Selection, sum};

/// How many, how well and how fast, as four numbers.
pub fn summary(queries: &Queries, of: &Selection) -> [Panel; 4] {
    [
        Panel::stat(
            "Requests",
            "Requests per second.",
            Measure::Requests,
            queries.request_rate(&[], of, WINDOW),
        ),
        Panel::stat(
            "Success",
            "The share of requests that did not fail by the server's fault: neither status 5xx nor a gRPC status of that kind.",
            Measure::Success,
            queries.success_rate(&[], of, WINDOW),
        ),
        Panel::stat(
            "Median duration",
            "Half of the requests take longer.",
            Measure::Duration,
            queries.duration("0.5", &[], of, WINDOW),
        ),
        Panel::stat(
            "p99 duration",
            "One of a hundred requests takes longer.",
            Measure::Duration,
            queries.duration("0.99", &[], of, WINDOW),
        ),
    ]
}

/// What the answers were, how long they took, and how large they were.
pub fn outcomes(queries: &Queries, of: &Selection) -> [Panel; 4] {
    let bytes = |metric| sum(&[], &queries.rate(metric, "_sum", of, WINDOW));
    let by = |label: Label| (queries.request_rate(&[label], of, WINDOW), legend(&[label]));
    [
        Panel::graph(
            "Requests by response code",
            "A request without any response has the code 0.",
            Measure::Requests,
            [by(ResponseCode)],
        ),
        Panel::graph(
            "Requests by response flags",
            "Why Envoy itself answered or ended a request: UH is no healthy host, UO a full circuit breaker, DC a client \
             that left. A minus is none.",
            Measure::Requests,
            [by(ResponseFlags)],
        ),
        percentiles(queries, of),
        Panel::graph(
            "Bytes in and out",
            "Bodies and headers of requests and of responses.",
            Measure::Bytes,
            [
                (bytes(HttpMetric::RequestBytes), "in".to_owned()),
                (bytes(HttpMetric::ResponseBytes), "out".to_owned()),
            ],
        ),
    ]
}

/// Quantiles of the duration.
pub fn percentiles(queries: &Queries, of: &Selection) -> Panel {
    let quantile = |(quantile, name): (&str, &str)| {
        (queries.duration(quantile, &[], of, WINDOW), name.to_owned())
    };
    Panel::graph(
        "Duration",
        "From the first byte of a request to the last of its response. Between the bounds of the histogram the value is \
         an estimate.",
        Measure::Duration,
        [("0.5", "p50"), ("0.95", "p95"), ("0.99", "p99")].map(quantile),
    )
}

/// How versions of the same workload do beside each other, as in a canary release.
pub fn versions(queries: &Queries, of: &Selection, workload: Label) -> [Panel; 3] {
    let by = [workload, DestinationVersion];
    let graph = |title, description, measure, query| {
        Panel::graph(title, description, measure, [(query, legend(&by))])
    };
    [
        graph(
            "Requests by version",
            "The label version of the pods that serve them.",
            Measure::Requests,
            queries.request_rate(&by, of, WINDOW),
        ),
        graph(
            "Success by version",
            "Of the requests that each version serves.",
            Measure::Success,
            queries.success_rate(&by, of, WINDOW),
        ),
        graph(
            "p99 duration by version",
            "Of the requests that each version serves.",
            Measure::Duration,
            queries.duration("0.99", &by, of, WINDOW),
        ),
    ]
}

/// Columns of a table whose lines these labels tell apart.
pub fn columns(queries: &Queries, of: &Selection, by: &[Label]) -> [ValueColumn; 5] {
    let duration = |quantile| queries.duration(quantile, by, of, WINDOW);
    [
        ValueColumn::new(
            "Requests",
            Measure::Requests,
            queries.request_rate(by, of, WINDOW),
        ),
        ValueColumn::new(
            "Success",
            Measure::Success,
            queries.success_rate(by, of, WINDOW),
        ),
        ValueColumn::new("p50", Measure::Duration, duration("0.5")),
        ValueColumn::new("p95", Measure::Duration, duration("0.95")),
        ValueColumn::new("p99", Measure::Duration, duration("0.99")),
    ]
}

/// TCP connections, where they are counted.
pub fn connections(queries: &Queries, title: &'static str, of: &Selection) -> Option<Row> {
    let rate = |metric, name: &str| (queries.tcp_rate(metric, &[], of, WINDOW), name.to_owned());
    queries.counts_tcp().then(|| {
        Row::new(
            title,
            [
                Panel::graph(
                    "TCP bytes in and out",
                    "Received from and sent to the client, also while a connection is open.",
                    Measure::Bytes,
                    [
                        rate(TcpMetric::ReceivedBytesTotal, "in"),
                        rate(TcpMetric::SentBytesTotal, "out"),
                    ],
                ),
                Panel::graph(
                    "TCP connections opened and closed",
                    "The two differ for as long as connections stay open.",
                    Measure::Connections,
                    [
                        rate(TcpMetric::ConnectionsOpenedTotal, "opened"),
                        rate(TcpMetric::ConnectionsClosedTotal, "closed"),
                    ],
                ),
            ],
        )
    })
}

/// Whether the metrics can be trusted.
pub fn trust(queries: &Queries, max_series: usize) -> Row {
    let everything = queries.request_rate(&[], &Selection::default(), WINDOW);
    // Zero, and not nothing, where there are none.
    let of_all = |of: &Selection| {
        let some = queries.request_rate(&[], of, WINDOW);
        format!("{some} or 0 * {everything}")
    };
    // The one label that says so for every reporter.
    let beyond = Selection::default().and(DestinationService.name(), "=", OVERFLOW);
    let series = queries.name(HttpMetric::RequestsTotal);
    let mut panels = vec![
        Panel::stat(
            "Requests beyond the limit of series",
            "Counted without the labels that tell callers and services apart: a label has too many values.",
            Measure::Faults,
            of_all(&beyond),
        ),
        Panel::stat(
            "Label sets in one proxy",
            "The most of all proxies; the plugin's max_series is the limit.",
            Measure::LabelSets(max_series),
            format!("max(count by (instance) ({series}))"),
        ),
        Panel::stat(
            "Proxies with the module",
            "Those that report its build.",
            Measure::Count,
            format!("count({}build)", queries.prefix()),
        ),
    ];
    // Clients of a gateway are outside of any mesh.
    if !queries.from_gateway() {
        let unknown = Selection::served().and(SourceWorkload.name(), "=", UNKNOWN);
        panels.push(Panel::stat(
            "Requests without a known caller",
            "Clients without a proxy, or whose proxy has no exchange of metadata; mixerless check says which.",
            Measure::Requests,
            of_all(&unknown),
        ));
    }
    Row::new("Whether these metrics can be trusted", panels)
}

/// A legend of these labels: `{{a}}.{{b}}`.
pub fn legend(labels: &[Label]) -> String {
    let labels: Vec<String> = labels
        .iter()
        .map(|label| format!("{{{{{}}}}}", label.name()))
        .collect();
    labels.join(".")
}
