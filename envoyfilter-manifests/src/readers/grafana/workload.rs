//! One workload or several: what they serve, and what they call. Of gateways, what they pass on.

use stats_core::labels::Label::{
    self, DestinationServiceName, DestinationServiceNamespace, DestinationWorkload,
    DestinationWorkloadNamespace, SourceWorkload, SourceWorkloadNamespace,
};

use super::measure::Measure;
use super::panel::{Panel, Row};
use super::table::LabelColumn;
use super::{Dashboard, Variable, WINDOW, parts, uid};
use crate::readers::queries::{Queries, Selection};

pub fn dashboard(queries: &Queries) -> Dashboard {
    let [name, namespace] = queries.own_labels();
    let own = chosen(queries.own(), [name, namespace]);
    let sent = chosen(
        Selection::called(),
        [SourceWorkload, SourceWorkloadNamespace],
    );
    let mut rows = Vec::new();
    if !queries.from_gateway() {
        rows.push(Row::new("Served", parts::summary(queries, &own)));
        rows.push(Row::new("What was served", parts::outcomes(queries, &own)));
        rows.push(callers(queries, &own));
        let panels = parts::versions(queries, &own, DestinationWorkload);
        rows.push(Row::new("Versions", panels));
    }
    let (numbers, services) = if queries.from_gateway() {
        ("Passed on", "What was passed on")
    } else {
        ("Called", "What was called")
    };
    rows.push(Row::new(numbers, parts::summary(queries, &sent)));
    rows.push(called(queries, services, &sent));
    rows.extend(parts::connections(queries, "TCP connections served", &own));
    rows.extend(parts::connections(queries, "TCP connections made", &sent));
    Dashboard {
        name: "workload",
        title: if queries.from_gateway() {
            "Gateway (mixerless)"
        } else {
            "Workload (mixerless)"
        },
        description: if queries.from_gateway() {
            "One gateway or several, as they report what they pass on."
        } else {
            "One workload or several, as their own proxies report what they serve and what they call."
        },
        variables: variables(queries),
        rows,
    }
}

/// Workloads that serve, and those that only call, such as gateways.
fn variables(queries: &Queries) -> Vec<Variable> {
    let called = (
        Selection::called(),
        [SourceWorkloadNamespace, SourceWorkload],
    );
    let served = (
        Selection::served(),
        [DestinationWorkloadNamespace, DestinationWorkload],
    );
    let all = [called, served];
    let of = if queries.from_gateway() {
        &all[..1]
    } else {
        &all
    };
    Variable::both(queries, ["namespace", "workload"], of)
}

fn chosen(of: Selection, [name, namespace]: [Label; 2]) -> Selection {
    of.chosen(namespace, "namespace").chosen(name, "workload")
}

fn callers(queries: &Queries, own: &Selection) -> Row {
    let by = [SourceWorkload, SourceWorkloadNamespace];
    let rate = queries.request_rate(&by, own, WINDOW);
    Row::new(
        "Callers",
        [
            Panel::graph(
                "Requests by caller",
                "Unknown are clients without a proxy, or whose proxy has no exchange of metadata.",
                Measure::Requests,
                [(rate, parts::legend(&by))],
            ),
            Panel::graph(
                "Success by caller",
                "Of the requests that arrived.",
                Measure::Success,
                [(queries.success_rate(&by, own, WINDOW), parts::legend(&by))],
            ),
        ],
    )
}

fn called(queries: &Queries, title: &'static str, sent: &Selection) -> Row {
    let by = [DestinationServiceName, DestinationServiceNamespace];
    let name = [DestinationServiceName];
    let to = [("namespace", "Namespace"), ("service", "Service")];
    let table = Panel::table(
        "Services",
        "A name leads to the service's dashboard.",
        [
            LabelColumn::new(by[0], "Service").to(&uid("service"), &to),
            LabelColumn::new(by[1], "Namespace"),
        ],
        parts::columns(queries, sent, &by),
    );
    let panels = [
        Panel::graph(
            "Requests by service",
            "What was asked for.",
            Measure::Requests,
            [(
                queries.request_rate(&name, sent, WINDOW),
                parts::legend(&name),
            )],
        ),
        Panel::graph(
            "p99 duration by service",
            "As the caller waited for it.",
            Measure::Duration,
            [(
                queries.duration("0.99", &name, sent, WINDOW),
                parts::legend(&name),
            )],
        ),
    ];
    let outcomes = queries
        .from_gateway()
        .then(|| parts::outcomes(queries, sent));
    let outcomes = outcomes.into_iter().flatten();
    Row::new(title, panels.into_iter().chain(outcomes).chain([table]))
}
