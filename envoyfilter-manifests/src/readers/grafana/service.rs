//! One service or several: as their clients see them, and as their own proxies do.

use stats_core::labels::Label::{
    DestinationServiceName, DestinationServiceNamespace, DestinationWorkload, SourceWorkload,
    SourceWorkloadNamespace,
};

use super::measure::Measure;
use super::panel::{Panel, Row};
use super::table::LabelColumn;
use super::{Dashboard, Variable, WINDOW, parts, uid};
use crate::readers::queries::{Queries, Selection};

pub fn dashboard(queries: &Queries) -> Dashboard {
    let labels = [DestinationServiceNamespace, DestinationServiceName];
    let chosen = |of: Selection| {
        of.chosen(labels[0], "namespace")
            .chosen(labels[1], "service")
    };
    let (called, served) = (chosen(Selection::called()), chosen(Selection::served()));
    let mut rows = Vec::new();
    if !queries.from_gateway() {
        let panels = parts::summary(queries, &served).into_iter();
        rows.push(Row::new("As its own proxies see it", panels));
    }
    let panels = parts::summary(queries, &called).into_iter();
    rows.push(Row::new(
        if queries.from_gateway() {
            "As gateways see it"
        } else {
            "As its clients' proxies see it"
        },
        panels,
    ));
    rows.push(Row::new("Outcomes", parts::outcomes(queries, &called)));
    rows.push(callers(queries, &called));
    if !queries.from_gateway() {
        let panels = parts::versions(queries, &served, DestinationWorkload);
        rows.push(Row::new("Versions", panels));
    }
    rows.extend(parts::connections(queries, "TCP", &served));
    Dashboard {
        name: "service",
        title: "Service (mixerless)",
        description: "One service or several. What clients see includes requests that never arrived.",
        variables: Variable::both(
            queries,
            ["namespace", "service"],
            // Whoever reports it: services outside of the mesh have clients in it alone.
            &[(Selection::default(), labels)],
        ),
        rows,
    }
}

/// Who calls, as the callers' proxies report it.
fn callers(queries: &Queries, called: &Selection) -> Row {
    let by = [SourceWorkload, SourceWorkloadNamespace];
    let legend = parts::legend(&by);
    let to = [("namespace", "Namespace"), ("workload", "Caller")];
    let panels = [
        Panel::graph(
            "Requests by caller",
            "The workload whose proxy, or the gateway that sent them.",
            Measure::Requests,
            [(queries.request_rate(&by, called, WINDOW), legend.clone())],
        ),
        Panel::graph(
            "Success by caller",
            "A caller alone with failures has a fault of its own, or a network between.",
            Measure::Success,
            [(queries.success_rate(&by, called, WINDOW), legend)],
        ),
        Panel::table(
            "Callers",
            "A name leads to the caller's dashboard.",
            [
                LabelColumn::new(by[0], "Caller").to(&uid("workload"), &to),
                LabelColumn::new(by[1], "Namespace"),
            ],
            parts::columns(queries, called, &by),
        ),
    ];
    Row::new("Callers", panels)
}
