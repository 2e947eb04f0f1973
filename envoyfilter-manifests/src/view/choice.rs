//! What of the graph is shown: namespaces as one or in full, what a search finds, and no more than can be read.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Url;

use super::traffic::{CallParty, CallTraffic, PartyKind, TrafficGraph};

/// With more workloads than this, namespaces are shown as one until they are opened.
const IN_FULL: usize = 40;
/// More workloads than this are not drawn; the busiest are.
const DRAWN: usize = 60;

/// What somebody wants to see; it is the query of a page's address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ViewChoice {
    /// Namespaces that are shown the other way than by default.
    pub turned: BTreeSet<String>,
    /// Part of a workload's or a namespace's name.
    pub search: String,
}

/// A node of the picture.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GraphNode {
    /// A side of calls.
    One(CallParty),
    /// The sides of one namespace.
    Namespace(String),
}

/// The part of the graph that is shown.
#[derive(Clone, Debug, Default)]
pub struct Chosen {
    /// The nodes, with what they serve and how many sides they are.
    pub nodes: BTreeMap<GraphNode, (CallTraffic, usize)>,
    /// The calls between them.
    pub calls: BTreeMap<(GraphNode, GraphNode), CallTraffic>,
    /// All namespaces, with the number of their sides, and whether they are shown in full.
    pub namespaces: BTreeMap<String, (usize, bool)>,
    /// How many workloads are folded because there are too many.
    pub left_out: usize,
}

impl ViewChoice {
    /// From the query of an address; what it does not know is ignored.
    pub fn parse(url: &Url) -> Self {
        let mut choice = Self::default();
        for (name, value) in url.query_pairs() {
            match &*name {
                "turn" => {
                    choice.turned.insert(value.into_owned());
                }
                "q" => choice.search = value.trim().to_lowercase(),
                _ => {}
            }
        }
        choice
    }

    /// The address of the page that shows it.
    pub fn address(&self) -> String {
        let turned = self
            .turned
            .iter()
            .map(|namespace| ("turn", namespace.as_str()));
        let search = (!self.search.is_empty()).then_some(("q", self.search.as_str()));
        address("/", turned.chain(search))
    }

    /// The same with a namespace shown the other way.
    #[must_use]
    pub fn turning(&self, namespace: &str) -> Self {
        let mut choice = self.clone();
        if !choice.turned.remove(namespace) {
            choice.turned.insert(namespace.to_owned());
        }
        choice
    }

    /// Whether the search finds it.
    pub fn finds(&self, party: &CallParty) -> bool {
        let is_in = |text: &str| text.to_lowercase().contains(&self.search);
        is_in(&party.name)
            || is_in(&party.namespace)
            || is_in(&format!("{}/{}", party.namespace, party.name))
    }
}

/// The address of a page of this site.
pub fn address<'a>(path: &str, query: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut pairs = query.peekable();
    // The host is left off again.
    let Ok(mut url) = Url::parse("http://localhost/") else {
        return path.to_owned();
    };
    url.set_path(path);
    if pairs.peek().is_some() {
        url.query_pairs_mut().extend_pairs(pairs);
    }
    match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    }
}

impl Chosen {
    /// The part of a graph that is to be shown.
    pub fn of(graph: &TrafficGraph, choice: &ViewChoice) -> Self {
        let parties: Vec<&CallParty> = graph.parties().collect();
        let in_full = parties.len() <= IN_FULL;
        let is_open = |namespace: &str| in_full != choice.turned.contains(namespace);
        let searching = !choice.search.is_empty();

        let mut chosen = Self::default();
        for party in parties.iter().filter(|party| !party.namespace.is_empty()) {
            let namespace = party.namespace.clone();
            let open = is_open(&namespace);
            chosen.namespaces.entry(namespace).or_insert((0, open)).0 += 1;
        }
        let wanted = |party: &CallParty| {
            party.namespace.is_empty()
                || if searching {
                    choice.finds(party)
                } else {
                    is_open(&party.namespace)
                }
        };
        let single = busiest(graph, parties.iter().copied().filter(|party| wanted(party)));
        let wanted_in_all = parties.iter().filter(|party| wanted(party)).count();
        chosen.left_out = wanted_in_all - single.len();

        let shown = |party: &CallParty| {
            if single.contains(party) || party.namespace.is_empty() {
                GraphNode::One(party.clone())
            } else {
                GraphNode::Namespace(party.namespace.clone())
            }
        };
        let found = |party: &CallParty| !searching || choice.finds(party);
        for ((from, to), traffic) in &graph.calls {
            if found(from) || found(to) {
                let call = (shown(from), shown(to));
                chosen.calls.entry(call).or_default().add(traffic);
            }
        }
        let in_calls: BTreeSet<GraphNode> = chosen
            .calls
            .keys()
            .flat_map(|(from, to)| [from.clone(), to.clone()])
            .collect();
        for party in &parties {
            let node = shown(party);
            if found(party) || in_calls.contains(&node) {
                chosen.nodes.entry(node).or_default().1 += 1;
            }
        }
        for ((_, to), traffic) in &graph.calls {
            if let Some((served, _)) = chosen.nodes.get_mut(&shown(to)) {
                served.add(traffic);
            }
        }
        chosen
    }

    /// One workload and those next to it, all in full.
    pub fn around(graph: &TrafficGraph, party: &CallParty) -> Self {
        let mut near = TrafficGraph::default();
        for ((from, to), traffic) in &graph.calls {
            if from == party || to == party {
                near.calls
                    .insert((from.clone(), to.clone()), traffic.clone());
            }
        }
        let mut chosen = Self::default();
        let single = busiest(&near, near.parties().filter(|other| *other != party));
        for ((from, to), traffic) in &near.calls {
            let is_shown = |other: &CallParty| other == party || single.contains(other);
            if is_shown(from) && is_shown(to) {
                let call = (GraphNode::One(from.clone()), GraphNode::One(to.clone()));
                chosen.calls.insert(call, traffic.clone());
            }
        }
        for other in near
            .parties()
            .filter(|other| *other == party || single.contains(other))
        {
            let served = graph.served_by(other);
            chosen
                .nodes
                .insert(GraphNode::One(other.clone()), (served, 1));
        }
        chosen.left_out = near.parties().count() - chosen.nodes.len();
        chosen
    }
}

impl GraphNode {
    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::One(party) => &party.name,
            Self::Namespace(namespace) => namespace,
        }
    }

    /// What it is, in a word or two.
    pub fn kind(&self) -> &str {
        match self {
            Self::Namespace(_) => "namespace",
            Self::One(CallParty { kind, .. }) => match kind {
                PartyKind::Workload => "workload",
                PartyKind::Service => "service",
                PartyKind::Unknown => "not known",
                PartyKind::Overflow => "beyond the limit of series",
            },
        }
    }
}

/// The sides with the most traffic, as many as can be drawn.
fn busiest<'a>(
    graph: &TrafficGraph,
    parties: impl Iterator<Item = &'a CallParty>,
) -> BTreeSet<CallParty> {
    let mut traffic: BTreeMap<&CallParty, f64> = BTreeMap::new();
    for ((from, to), call) in &graph.calls {
        let much = call.requests + call.tcp_bytes / 1e6;
        *traffic.entry(from).or_default() += much;
        *traffic.entry(to).or_default() += much;
    }
    let much = |party: &CallParty| traffic.get(party).copied().unwrap_or_default();
    let mut parties: Vec<&CallParty> = parties.collect();
    parties.sort_by(|a, b| much(b).total_cmp(&much(a)).then(a.cmp(b)));
    parties.into_iter().take(DRAWN).cloned().collect()
}
