//! The pages: the whole mesh, and one workload. Every text goes through `maud`, which escapes it.

use maud::{DOCTYPE, Markup, html};

use super::choice::{Chosen, GraphNode, ViewChoice};
use super::layout::GraphLayout;
use super::traffic::{CallParty, CallTraffic, TrafficGraph};
use super::{drawing, figures, histogram};

/// Rows of a table; a search finds the others.
const ROWS: usize = 100;

/// What stands around the content of each page.
pub struct Frame<'a> {
    /// What is looked at.
    pub source: &'a str,
    /// What could not be read.
    pub problems: &'a [String],
    /// How often the page is worth reading again, in seconds.
    pub every: u64,
}

/// The page of the whole mesh.
pub fn mesh(
    frame: &Frame,
    graph: &TrafficGraph,
    choice: &ViewChoice,
    layout: &GraphLayout,
    chosen: &Chosen,
) -> Markup {
    let search = html! {
        form role="search" action="/" {
            @for namespace in &choice.turned { input type="hidden" name="turn" value=(namespace); }
            label for="search" { "Search" }
            input #search type="search" name="q" value=(choice.search) placeholder="workload or namespace" autocomplete="off";
        }
    };
    let content = html! {
        @if !chosen.namespaces.is_empty() { (namespaces(choice, chosen)) }
        div.columns {
            section.picture aria-label="Graph" tabindex="0" {
                @if chosen.nodes.is_empty() {
                    p.quiet { (nothing(choice)) }
                } @else {
                    (drawing::within_page(chosen, layout, &drawing::whole_graph_links(choice)))
                }
                @if chosen.left_out > 0 {
                    p.quiet { (chosen.left_out) " quieter workloads are shown as their namespaces; search for one to see it." }
                }
            }
            section.tables aria-label="Calls" { (calls(graph, choice)) }
        }
        (legend())
    };
    page(frame, "Mesh", &search, &content)
}

/// The page of one workload.
pub fn workload(frame: &Frame, graph: &TrafficGraph, party: &CallParty) -> Markup {
    let served = graph.served_by(party);
    let near = Chosen::around(graph, party);
    let layout = GraphLayout::of(&near);
    let back = html! { nav { a href="/" { "← The whole mesh" } } };
    let links = |node: &GraphNode| match node {
        GraphNode::One(other) if other != party => Some(drawing::party_address(other)),
        _ => None,
    };
    let content = html! {
        h2 { (party.name) @if !party.namespace.is_empty() { " " span.quiet { "in " (party.namespace) } } }
        @if near.nodes.is_empty() {
            p.quiet { "Nothing is known of it now: it has served and sent nothing, or nobody reports it." }
        } @else {
            dl.figures {
                (figure("Requests", &figures::requests(served.requests), ""))
                (figure("Failed", &figures::percent(served.failed_percent()), drawing::health(&served)))
                (figure("p50", &figures::duration(served.quantile(0.5)), ""))
                (figure("p95", &figures::duration(served.quantile(0.95)), ""))
                (figure("p99", &figures::duration(served.quantile(0.99)), ""))
                (figure("Mutual TLS", &figures::percent(served.mutual_tls_percent()), ""))
                @if served.tcp_bytes > 0.0 { (figure("TCP", &figures::bytes(served.tcp_bytes), "")) }
            }
            div.columns {
                section.picture aria-label="Graph" tabindex="0" { (drawing::within_page(&near, &layout, &links)) }
                section.tables aria-label="Answers" { (outcomes(&served)) }
            }
            section {
                h3 { "How long requests to it take" }
                (histogram::drawn(&served))
            }
        }
    };
    page(frame, &party.name, &back, &content)
}

/// The page for an address that there is not.
pub fn not_found(frame: &Frame) -> Markup {
    let content = html! { p { "There is no such page. " a href="/" { "The whole mesh" } } };
    page(frame, "Not found", &html! {}, &content)
}

fn page(frame: &Frame, title: &str, beside: &Markup, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · mixerless" }
                link rel="stylesheet" href="/style.css";
                link rel="icon" href="data:,";
                script src="/live.js" defer {}
            }
            body data-every=(frame.every) {
                header {
                    h1 { a href="/" { "mixerless" } }
                    span.source { (frame.source) }
                    (beside)
                    button #pause type="button" hidden { "Pause" }
                    span #state role="status" {}
                }
                main #live {
                    @for problem in frame.problems { p.problem role="alert" { (problem) } }
                    (content)
                }
            }
        }
    }
}

fn namespaces(choice: &ViewChoice, chosen: &Chosen) -> Markup {
    html! {
        nav.namespaces aria-label="Namespaces" {
            @for (namespace, (sides, open)) in &chosen.namespaces {
                a href=(choice.turning(namespace).address()) id=(format!("turn-{namespace}")) aria-expanded=(open)
                    title=(if *open { "Show as one" } else { "Show each workload" }) {
                    (if *open { "▾ " } else { "▸ " }) (namespace) " " span.quiet { (sides) }
                }
            }
        }
    }
}

fn calls(graph: &TrafficGraph, choice: &ViewChoice) -> Markup {
    let found = |party: &CallParty| choice.search.is_empty() || choice.finds(party);
    let mut calls: Vec<_> = graph
        .calls
        .iter()
        .filter(|((from, to), _)| found(from) || found(to))
        .collect();
    calls.sort_by(|(a, x), (b, y)| y.requests.total_cmp(&x.requests).then(a.cmp(b)));
    let more = calls.len().saturating_sub(ROWS);
    html! {
        table {
            thead { tr {
                th scope="col" { "From" } th scope="col" { "To" } th.number scope="col" { "Traffic" }
                th.number scope="col" { "Failed" } th.number scope="col" { "p99" } th.number scope="col" { "mTLS" }
            } }
            tbody {
                @for ((from, to), traffic) in calls.iter().take(ROWS) {
                    tr {
                        td { (link(from)) } td { (link(to)) }
                        td.number { (figures::rate(traffic)) }
                        td.number.(drawing::health(traffic)) { (figures::percent(traffic.failed_percent())) }
                        td.number { (figures::duration(traffic.quantile(0.99))) }
                        td.number { (figures::percent(traffic.mutual_tls_percent())) }
                    }
                }
            }
        }
        @if more > 0 { p.quiet { "and " (more) " more with less traffic; search to see them" } }
    }
}

fn outcomes(served: &CallTraffic) -> Markup {
    let mut outcomes: Vec<_> = served
        .outcomes
        .iter()
        .filter(|(_, requests)| **requests > 0.0)
        .collect();
    outcomes.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    html! {
        table {
            thead { tr { th scope="col" { "Code" } th scope="col" { "Flags" } th.number scope="col" { "Traffic" } } }
            tbody {
                @for ((code, flags), requests) in outcomes {
                    tr { td { (code) } td { (flags) } td.number { (figures::requests(*requests)) } }
                }
            }
        }
    }
}

fn link(party: &CallParty) -> Markup {
    html! {
        a href=(drawing::party_address(party)) { (party.name) }
        @if !party.namespace.is_empty() { span.quiet { " " (party.namespace) } }
    }
}

fn figure(name: &str, value: &str, health: &str) -> Markup {
    html! { div { dt { (name) } dd.(health) { (value) } } }
}

fn legend() -> Markup {
    html! {
        footer.legend {
            span.good { "failed below 1 %" } span.poor { "1 % to 5 %" } span.bad { "5 % and more" }
            span.idle { "no requests" }
            span { "Failed: status 5xx, or a gRPC status of the server. A closed padlock: all requests had mutual TLS." }
        }
    }
}

fn nothing(choice: &ViewChoice) -> &'static str {
    if choice.search.is_empty() {
        "No traffic yet. A rate needs two readings: wait some seconds, and send requests."
    } else {
        "Nothing has that name."
    }
}
