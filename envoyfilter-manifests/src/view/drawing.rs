//! The graph as SVG: within a page, and as a file of its own. Every text goes through `maud`, which escapes it.

use maud::{Markup, PreEscaped, html};

use super::choice::{Chosen, GraphNode, ViewChoice, address};
use super::figures;
use super::layout::{GraphLayout, Line, NODE};
use super::traffic::{CallParty, CallTraffic, PartyKind};

const STYLE: &str = include_str!("assets/graph.css");
/// Longer names are cut; a tooltip has the whole.
const NAME: usize = 22;
/// A wider graph is not made to fit a page, because nobody could read it; it scrolls.
const WIDE: f64 = 1700.0;

/// Where a click on a node leads; `None` where there is nothing more to see.
pub type Links<'a> = &'a dyn Fn(&GraphNode) -> Option<String>;

/// A file of its own, without links.
pub fn standalone(chosen: &Chosen, layout: &GraphLayout) -> String {
    svg(
        chosen,
        layout,
        &|_| None,
        &PreEscaped(format!("<style>{STYLE}</style>")),
    )
    .into_string()
        + "\n"
}

/// A part of a page.
pub fn within_page(chosen: &Chosen, layout: &GraphLayout, links: Links) -> Markup {
    svg(chosen, layout, links, &html! {})
}

/// The page of a side of calls.
pub fn party_address(party: &CallParty) -> String {
    let query = [
        ("namespace", party.namespace.as_str()),
        ("name", party.name.as_str()),
        ("kind", kind_name(party.kind)),
    ];
    address("/workload", query.into_iter())
}

/// The links of the whole graph: a namespace opens, a workload has a page.
pub fn whole_graph_links(choice: &ViewChoice) -> impl Fn(&GraphNode) -> Option<String> {
    |node| {
        Some(match node {
            GraphNode::One(party) => party_address(party),
            GraphNode::Namespace(namespace) => choice.turning(namespace).address(),
        })
    }
}

/// The name of a kind in addresses and in JSON.
pub fn kind_name(kind: PartyKind) -> &'static str {
    match kind {
        PartyKind::Workload => "workload",
        PartyKind::Service => "service",
        PartyKind::Unknown => "unknown",
        PartyKind::Overflow => "overflow",
    }
}

/// How bad a share of failed requests is; it chooses a colour, and the figure stands beside it.
pub fn health(traffic: &CallTraffic) -> &'static str {
    match traffic.failed_percent() {
        None => "idle",
        Some(percent) if percent >= 5.0 => "bad",
        Some(percent) if percent >= 1.0 => "poor",
        Some(_) => "good",
    }
}

fn svg(chosen: &Chosen, layout: &GraphLayout, links: Links, style: &Markup) -> Markup {
    let (width, height) = (layout.size.0.ceil(), layout.size.1.ceil());
    html! {
        svg.graph.large[width > WIDE] xmlns="http://www.w3.org/2000/svg" width=(width) height=(height)
            viewBox=(format!("0 0 {width} {height}")) role="group" aria-label="Who calls whom" {
            (style)
            defs {
                @for health in ["good", "poor", "bad", "idle"] {
                    marker class=(health) id=(format!("arrow-{health}")) viewBox="0 0 8 8" refX="7" refY="4"
                        markerWidth="8" markerHeight="8" markerUnits="userSpaceOnUse" orient="auto" {
                        path d="M0 0 8 4 0 8z" {}
                    }
                }
            }
            rect.ground width="100%" height="100%" {}
            @for (call, line) in &layout.lines {
                @if let Some(traffic) = chosen.calls.get(call) {
                    (drawn_line(call, line, traffic))
                }
            }
            @for (call, line) in &layout.lines {
                @if let (Some(traffic), Some(place)) = (chosen.calls.get(call), line.label) {
                    (line_label(traffic, place))
                }
            }
            @for (node, place) in &layout.nodes {
                @if let Some((served, sides)) = chosen.nodes.get(node) {
                    (drawn_node(node, served, *sides, *place, links))
                }
            }
        }
    }
}

fn drawn_line(call: &(GraphNode, GraphNode), line: &Line, traffic: &CallTraffic) -> Markup {
    let health = health(traffic);
    // From a hair to six pixels: each factor of ten is one and a half more.
    let width = (1.25 + 1.5 * (1.0 + traffic.requests).log10()).min(6.0);
    html! {
        g.line.(health) {
            title { (described(call, traffic)) }
            path d=(curve(&line.points)) stroke-width=(format!("{width:.2}"))
                marker-end=(format!("url(#arrow-{health})")) {}
        }
    }
}

fn described((from, to): &(GraphNode, GraphNode), traffic: &CallTraffic) -> String {
    format!(
        "{} to {}: {}, {} failed, p99 {}, {} with mutual TLS",
        from.name(),
        to.name(),
        figures::rate(traffic),
        figures::percent(traffic.failed_percent()),
        figures::duration(traffic.quantile(0.99)),
        figures::percent(traffic.mutual_tls_percent()),
    )
}

fn line_label(traffic: &CallTraffic, (x, y): (f64, f64)) -> Markup {
    let failed = traffic.failed_percent().filter(|percent| *percent >= 1.0);
    let second = match failed {
        Some(failed) => format!("{} failed", figures::percent(Some(failed))),
        None if traffic.requests > 0.0 => {
            format!("p99 {}", figures::duration(traffic.quantile(0.99)))
        }
        None => String::new(),
    };
    let locked = traffic.mutual_tls_percent();
    let shift = if locked.is_some() { 6.0 } else { 0.0 };
    html! {
        g.label.(health(traffic)) transform=(format!("translate({x:.1} {y:.1})")) {
            rect x="-46" y="-15" width="92" height="30" rx="4" {}
            @if let Some(percent) = locked { (lock(percent)) }
            text x=(shift) y="-2" { (figures::rate(traffic)) }
            text.second y="10" { (second) }
        }
    }
}

/// A padlock; an open one where not all requests had mutual TLS.
fn lock(percent: f64) -> Markup {
    let (class, shackle) = if percent >= 100.0 {
        ("closed", "M-38 -5v-2.5a2.5 2.5 0 0 1 5 0v2.5")
    } else {
        ("open", "M-38 -5v-2.5a2.5 2.5 0 0 1 5 0")
    };
    html! {
        g.lock.(class) {
            path d=(shackle) {}
            rect x="-39.5" y="-5" width="8" height="6" rx="1" {}
        }
    }
}

fn drawn_node(
    node: &GraphNode,
    served: &CallTraffic,
    sides: usize,
    (x, y): (f64, f64),
    links: Links,
) -> Markup {
    let (left, top) = (x - NODE.0 / 2.0, y - NODE.1 / 2.0);
    let kind = match node {
        GraphNode::One(party) => kind_name(party.kind),
        GraphNode::Namespace(_) => "namespace",
    };
    let second = match node {
        GraphNode::One(party) if party.kind == PartyKind::Workload => party.namespace.clone(),
        GraphNode::One(_) => node.kind().to_owned(),
        GraphNode::Namespace(_) if sides == 1 => "1 workload".to_owned(),
        GraphNode::Namespace(_) => format!("{sides} workloads"),
    };
    let third = if served.requests > 0.0 || served.tcp_bytes > 0.0 {
        let failed = figures::percent(served.failed_percent());
        format!("{} · {failed} failed", figures::rate(served))
    } else {
        "calls only".to_owned()
    };
    let drawing = html! {
        g.node.(kind).(health(served)) transform=(format!("translate({left:.1} {top:.1})")) {
            title { (node.name()) ", " (second) ": " (third) }
            @if kind == "namespace" {
                rect.behind x="5" y="-5" width=(NODE.0) height=(NODE.1) rx="8" {}
            }
            rect.box width=(NODE.0) height=(NODE.1) rx="8" {}
            rect.mark y="10" width="4" height=(NODE.1 - 20.0) {}
            text.name x="14" y="21" { (shortened(node.name())) }
            text.second x="14" y="35" { (shortened(&second)) }
            text.figures x="14" y="49" { (third) }
        }
    };
    html! {
        @match links(node) {
            Some(link) => a href=(link) aria-label=(format!("{} {}, {second}, {third}", node.kind(), node.name())) { (drawing) },
            None => (drawing),
        }
    }
}

/// Through all points. Lines that lead to the right leave and reach each point level; a loop is round at its corners.
fn curve(points: &[(f64, f64)]) -> String {
    let Some(((x, y), rest)) = points.split_first() else {
        return String::new();
    };
    let mut parts = vec![format!("M{x:.1} {y:.1}")];
    let rightwards = points
        .windows(2)
        .all(|pair| matches!(pair, [a, b] if a.0 < b.0));
    let (mut x, mut y) = (*x, *y);
    for (at, (next_x, next_y)) in rest.iter().enumerate() {
        let (middle_x, middle_y) = (f64::midpoint(x, *next_x), f64::midpoint(y, *next_y));
        parts.push(match at {
            _ if rightwards => {
                format!("C{middle_x:.1} {y:.1} {middle_x:.1} {next_y:.1} {next_x:.1} {next_y:.1}")
            }
            0 => format!("L{middle_x:.1} {middle_y:.1}"),
            _ => format!("Q{x:.1} {y:.1} {middle_x:.1} {middle_y:.1}"),
        });
        (x, y) = (*next_x, *next_y);
    }
    if !rightwards {
        parts.push(format!("L{x:.1} {y:.1}"));
    }
    parts.concat()
}

fn shortened(name: &str) -> String {
    if name.chars().count() <= NAME {
        return name.to_owned();
    }
    name.chars().take(NAME - 1).chain(['…']).collect()
}
