//! All workloads at a glance; of gateways, all that they pass on.

use stats_core::labels::Label::{
    ConnectionSecurityPolicy, DestinationServiceName, DestinationServiceNamespace,
    DestinationWorkload, DestinationWorkloadNamespace, RequestProtocol, SourceWorkload,
    SourceWorkloadNamespace,
};
use stats_core::labels::metrics::{HttpMetric, TcpMetric};

use super::measure::Measure;
use super::panel::{Panel, Row};
use super::table::{LabelColumn, ValueColumn};
use super::{Dashboard, Variable, WINDOW, parts, uid};
use crate::readers::queries::{Queries, Selection};

pub fn dashboard(queries: &Queries, trust: Row) -> Dashboard {
    let [_, namespace] = queries.own_labels();
    let variable = Variable {
        name: "namespace",
        sources: vec![(namespace, queries.traffic(&queries.own()))],
    };
    let of = queries.own().chosen(namespace, "namespace");
    let mut rows = vec![overview(queries, &of), traffic(queries, &of)];
    rows.push(Row::new("Services", [services(queries, &of)]));
    if !queries.from_gateway() {
        rows.push(Row::new("Workloads", [workloads(queries, &of)]));
    }
    if let Some(row) = parts::connections(queries, "TCP", &of) {
        rows.push(row);
        rows.push(Row::new("TCP by workload", [connections(queries, &of)]));
    }
    rows.push(trust);
    Dashboard {
        name: "mesh",
        title: "Mesh (mixerless)",
        description: if queries.from_gateway() {
            "All that gateways pass on, as they report it."
        } else {
            "All workloads, as their own proxies report what they serve."
        },
        variables: vec![variable],
        rows,
    }
}

fn overview(queries: &Queries, of: &Selection) -> Row {
    let mut panels: Vec<Panel> = parts::summary(queries, of).into();
    let [name, namespace] = queries.own_labels().map(stats_core::labels::Label::name);
    let requests = queries.name(HttpMetric::RequestsTotal);
    panels.push(Panel::stat(
        if queries.from_gateway() {
            "Gateways"
        } else {
            "Workloads"
        },
        "Those that report requests.",
        Measure::Count,
        format!(
            "count(group by ({name}, {namespace}) ({requests}{}))",
            of.to_promql()
        ),
    ));
    if !queries.from_gateway() {
        let encrypted = of
            .clone()
            .and(ConnectionSecurityPolicy.name(), "=", "mutual_tls");
        panels.push(Panel::stat(
            "Mutual TLS",
            "The share of requests that came over mutual TLS.",
            Measure::Encrypted,
            queries.share(&[], &encrypted, of, WINDOW),
        ));
    }
    Row::new("Overview", panels)
}

fn traffic(queries: &Queries, of: &Selection) -> Row {
    let by = if queries.from_gateway() {
        vec![SourceWorkload, SourceWorkloadNamespace]
    } else {
        vec![DestinationWorkloadNamespace]
    };
    let legend = parts::legend(&by);
    let protocol = queries.request_rate(&[RequestProtocol], of, WINDOW);
    let panels = [
        Panel::graph(
            if queries.from_gateway() {
                "Requests by gateway"
            } else {
                "Requests by namespace"
            },
            "Of all that is chosen above.",
            Measure::Requests,
            [(queries.request_rate(&by, of, WINDOW), legend.clone())],
        ),
        Panel::graph(
            if queries.from_gateway() {
                "Success by gateway"
            } else {
                "Success by namespace"
            },
            "The share of requests that did not fail by the server's fault.",
            Measure::Success,
            [(queries.success_rate(&by, of, WINDOW), legend)],
        ),
        Panel::graph(
            "Requests by protocol",
            "What the request was: http or grpc.",
            Measure::Requests,
            [(protocol, parts::legend(&[RequestProtocol]))],
        ),
    ];
    Row::new(
        "Traffic",
        panels.into_iter().chain(parts::outcomes(queries, of)),
    )
}

fn services(queries: &Queries, of: &Selection) -> Panel {
    let by = [DestinationServiceName, DestinationServiceNamespace];
    let to = [("namespace", "Namespace"), ("service", "Service")];
    Panel::table(
        "Services",
        "Each service that was asked for; a name leads to its dashboard.",
        [
            LabelColumn::new(by[0], "Service").to(&uid("service"), &to),
            LabelColumn::new(by[1], "Namespace"),
        ],
        parts::columns(queries, of, &by),
    )
}

fn workloads(queries: &Queries, of: &Selection) -> Panel {
    let by = [DestinationWorkload, DestinationWorkloadNamespace];
    let to = [("namespace", "Namespace"), ("workload", "Workload")];
    Panel::table(
        "Workloads",
        "Each workload that serves requests; a name leads to its dashboard.",
        [
            LabelColumn::new(by[0], "Workload").to(&uid("workload"), &to),
            LabelColumn::new(by[1], "Namespace"),
        ],
        parts::columns(queries, of, &by),
    )
}

fn connections(queries: &Queries, of: &Selection) -> Panel {
    let by = [DestinationWorkload, DestinationWorkloadNamespace];
    let rate = |metric| queries.tcp_rate(metric, &by, of, WINDOW);
    Panel::table(
        "TCP by workload",
        "Each workload that serves TCP connections.",
        [
            LabelColumn::new(by[0], "Workload"),
            LabelColumn::new(by[1], "Namespace"),
        ],
        [
            ValueColumn::new("In", Measure::Bytes, rate(TcpMetric::ReceivedBytesTotal)),
            ValueColumn::new("Out", Measure::Bytes, rate(TcpMetric::SentBytesTotal)),
            ValueColumn::new(
                "Opened",
                Measure::Connections,
                rate(TcpMetric::ConnectionsOpenedTotal),
            ),
        ],
    )
}
