//! Where nodes and lines are, in pixels: layers from left to right, by dagre's method.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use dagre::graph::{Graph, GraphOptions};
use dagre::layout::types::LabelPos;
use dagre::{EdgeLabel, LayoutOptions, NodeLabel, RankDir};

use super::choice::{Chosen, GraphNode};

/// The size of a node.
pub const NODE: (f64, f64) = (184.0, 58.0);
/// The room for a line's label.
const LABEL: (f64, f64) = (96.0, 30.0);
/// With more lines than this, labels would hide the lines.
const LABELLED: usize = 40;
const MARGIN: f64 = 16.0;

/// How many layouts are kept.
const KEPT: usize = 16;

/// Layouts that were made, by what is in them: while names stay the same, only figures change.
#[derive(Debug, Default)]
pub struct LayoutCache {
    kept: VecDeque<(Topology, Arc<GraphLayout>)>,
}

/// The nodes and the lines of a layout.
type Topology = (Vec<GraphNode>, Vec<(GraphNode, GraphNode)>);

impl LayoutCache {
    /// The layout of what was chosen.
    pub fn of(&mut self, chosen: &Chosen) -> Arc<GraphLayout> {
        let nodes: Vec<GraphNode> = chosen.nodes.keys().cloned().collect();
        let topology = (nodes, chosen.calls.keys().cloned().collect());
        if let Some((_, layout)) = self.kept.iter().find(|(known, _)| *known == topology) {
            return layout.clone();
        }
        let layout = Arc::new(GraphLayout::of(chosen));
        self.kept.truncate(KEPT - 1);
        self.kept.push_front((topology, layout.clone()));
        layout
    }
}

/// The places of all that is drawn.
#[derive(Clone, Debug, Default)]
pub struct GraphLayout {
    /// The size of the whole.
    pub size: (f64, f64),
    /// The middle of each node.
    pub nodes: BTreeMap<GraphNode, (f64, f64)>,
    /// Each line.
    pub lines: BTreeMap<(GraphNode, GraphNode), Line>,
}

/// A line from node to node.
#[derive(Clone, Debug, Default)]
pub struct Line {
    /// Its points, first to last.
    pub points: Vec<(f64, f64)>,
    /// The middle of its label, if there is room for labels.
    pub label: Option<(f64, f64)>,
}

impl GraphLayout {
    /// The places of what was chosen. They depend on names alone and not on rates, so that nothing moves while one looks.
    pub fn of(chosen: &Chosen) -> Self {
        // By number: a name of a node can be anything.
        let numbers: BTreeMap<&GraphNode, String> = chosen
            .nodes
            .keys()
            .enumerate()
            .map(|(at, node)| (node, at.to_string()))
            .collect();
        let number = |node| numbers.get(node).map(String::as_str);
        let calls: Vec<(&(GraphNode, GraphNode), &str, &str)> = chosen
            .calls
            .keys()
            .filter_map(|call| Some((call, number(&call.0)?, number(&call.1)?)))
            .collect();
        let labelled = calls.len() <= LABELLED;
        let lines = calls.iter().map(|(_, from, to)| (*from, *to));
        let graph = laid_out(numbers.values(), lines, labelled);

        let mut layout = Self::default();
        for (node, number) in &numbers {
            let label = graph.node(number);
            if let Some(place) = label.and_then(|label| Some((label.x?, label.y?))) {
                layout.reach(place.0 + NODE.0 / 2.0, place.1 + NODE.1 / 2.0);
                layout.nodes.insert((*node).clone(), place);
            }
        }
        for (call, from, to) in calls {
            let Some(edge) = graph.edge(from, to, None) else {
                continue;
            };
            let points = edge.points.iter().map(|point| (point.x, point.y));
            let points = layout.attached(call, points.collect());
            for (x, y) in &points {
                layout.reach(*x, *y);
            }
            let label = edge.x.zip(edge.y).filter(|_| labelled);
            if let Some((x, y)) = label {
                layout.reach(x + LABEL.0 / 2.0, y + LABEL.1 / 2.0);
            }
            layout.lines.insert(call.clone(), Line { points, label });
        }
        layout
    }

    /// The same line from the right side of a node to the left side of the next, where it leads that way.
    fn attached(
        &self,
        (from, to): &(GraphNode, GraphNode),
        mut points: Vec<(f64, f64)>,
    ) -> Vec<(f64, f64)> {
        if let (Some(from), Some(to)) = (self.nodes.get(from), self.nodes.get(to))
            && from.0 + NODE.0 < to.0
            && let [first, .., last] = &mut points[..]
        {
            *first = (from.0 + NODE.0 / 2.0, from.1);
            *last = (to.0 - NODE.0 / 2.0, to.1);
        }
        points
    }

    fn reach(&mut self, x: f64, y: f64) {
        self.size.0 = self.size.0.max(x + MARGIN);
        self.size.1 = self.size.1.max(y + MARGIN);
    }
}

/// A graph of these nodes and lines, with places.
fn laid_out<'a>(
    nodes: impl Iterator<Item = &'a String>,
    lines: impl Iterator<Item = (&'a str, &'a str)>,
    labelled: bool,
) -> Graph<NodeLabel, EdgeLabel> {
    let mut graph = Graph::with_options(GraphOptions {
        directed: true,
        multigraph: true,
        compound: true,
    });
    for node in nodes {
        let label = NodeLabel {
            width: NODE.0,
            height: NODE.1,
            ..NodeLabel::default()
        };
        graph.set_node(node.clone(), Some(label));
    }
    let (width, height) = if labelled { LABEL } else { (0.0, 0.0) };
    for (from, to) in lines {
        let label = EdgeLabel {
            width,
            height,
            labelpos: LabelPos::Center,
            ..EdgeLabel::default()
        };
        graph.set_edge(from, to, Some(label), None);
    }
    let options = LayoutOptions {
        rankdir: RankDir::LR,
        nodesep: 26.0,
        ranksep: if labelled { 34.0 } else { 90.0 },
        edgesep: 14.0,
        marginx: MARGIN,
        marginy: MARGIN,
        ..LayoutOptions::default()
    };
    dagre::layout(&mut graph, Some(options));
    graph
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::traffic::CallTraffic;

    fn node(at: u64) -> GraphNode {
        GraphNode::Namespace(format!("n{at:02}"))
    }

    /// Circles, loops, parts without a connection, all of them: each node has a place of its own, twice the same.
    #[test]
    fn whatever_calls_whatever_has_a_place() {
        // A small generator, so that a failure can be repeated.
        let mut state = 1_u64;
        let mut next = |below: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) % below
        };
        for _ in 0..150 {
            let nodes = 1 + next(24);
            let mut chosen = Chosen::default();
            for at in 0..nodes {
                chosen.nodes.insert(node(at), (CallTraffic::default(), 1));
            }
            for _ in 0..next(3 * nodes) {
                let call = (node(next(nodes)), node(next(nodes)));
                chosen.calls.insert(call, CallTraffic::default());
            }
            let layout = GraphLayout::of(&chosen);
            assert_eq!(layout.nodes.len(), chosen.nodes.len());
            assert_eq!(layout.lines.len(), chosen.calls.len());
            let places: Vec<(f64, f64)> = layout.nodes.values().copied().collect();
            for (at, (x, y)) in places.iter().enumerate() {
                assert!(x.is_finite() && y.is_finite());
                for (other_x, other_y) in &places[..at] {
                    let apart = (x - other_x).abs() >= NODE.0 || (y - other_y).abs() >= NODE.1;
                    assert!(apart, "{:?}", chosen.calls.keys());
                }
            }
            let again = GraphLayout::of(&chosen);
            assert_eq!(again.nodes, layout.nodes);
        }
    }
}
