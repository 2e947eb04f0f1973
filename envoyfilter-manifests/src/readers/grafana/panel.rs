//! Panels as Grafana draws them, and their places. Not here: which panels there are.

use serde_json::{Value, json};

use super::measure::Measure;
use super::table::{LabelColumn, ValueColumn, table};
use super::target::{datasource, target};

const WIDTH: usize = 24;

/// Panels below a heading.
pub struct Row {
    title: &'static str,
    panels: Vec<Panel>,
}

/// A panel.
pub struct Panel {
    title: &'static str,
    /// What it says, and of which requests.
    description: &'static str,
    kind: PanelKind,
}

enum PanelKind {
    /// One number.
    Stat { measure: Measure, query: String },
    /// Lines over time, each query with the legend of its lines.
    Graph {
        measure: Measure,
        queries: Vec<(String, String)>,
    },
    /// A line for each combination of labels.
    Table {
        keys: Vec<LabelColumn>,
        columns: Vec<ValueColumn>,
    },
}

impl Row {
    /// Panels below a heading, in their order.
    pub fn new(title: &'static str, panels: impl IntoIterator<Item = Panel>) -> Self {
        Self {
            title,
            panels: panels.into_iter().collect(),
        }
    }
}

impl Panel {
    /// A number.
    pub fn stat(
        title: &'static str,
        description: &'static str,
        measure: Measure,
        query: String,
    ) -> Self {
        Self {
            title,
            description,
            kind: PanelKind::Stat { measure, query },
        }
    }

    /// Lines.
    pub fn graph(
        title: &'static str,
        description: &'static str,
        measure: Measure,
        queries: impl Into<Vec<(String, String)>>,
    ) -> Self {
        Self {
            title,
            description,
            kind: PanelKind::Graph {
                measure,
                queries: queries.into(),
            },
        }
    }

    /// A table.
    pub fn table(
        title: &'static str,
        description: &'static str,
        keys: impl Into<Vec<LabelColumn>>,
        columns: impl Into<Vec<ValueColumn>>,
    ) -> Self {
        Self {
            title,
            description,
            kind: PanelKind::Table {
                keys: keys.into(),
                columns: columns.into(),
            },
        }
    }

    /// Its width and height on Grafana's grid. Numbers share the width of their row.
    fn size(&self, numbers: usize) -> (usize, usize) {
        match self.kind {
            PanelKind::Stat { .. } => (WIDTH / numbers.max(1), 4),
            PanelKind::Graph { .. } => (WIDTH / 2, 8),
            PanelKind::Table { .. } => (WIDTH, 9),
        }
    }

    fn to_value(&self, id: usize, grid: &Value) -> Value {
        let mut panel = match &self.kind {
            PanelKind::Stat { measure, query } => stat(*measure, query),
            PanelKind::Graph { measure, queries } => graph(*measure, queries),
            PanelKind::Table { keys, columns } => table(keys, columns),
        };
        panel["datasource"] = datasource();
        panel["description"] = json!(self.description);
        panel["gridPos"] = grid.clone();
        panel["id"] = json!(id);
        panel["title"] = json!(self.title);
        panel
    }
}

/// All panels with their places: rows from top to bottom, in each from left to right.
pub fn place(rows: &[Row]) -> Vec<Value> {
    let mut panels = Vec::new();
    let mut y = 0;
    for row in rows {
        panels.push(json!({
            "collapsed": false,
            "gridPos": { "h": 1, "w": WIDTH, "x": 0, "y": y },
            "id": panels.len() + 1,
            "panels": [],
            "title": row.title,
            "type": "row",
        }));
        y += 1;
        let numbers = row.panels.iter();
        let numbers = numbers.filter(|panel| matches!(panel.kind, PanelKind::Stat { .. }));
        let numbers = numbers.count();
        let (mut x, mut tallest) = (0, 0);
        for panel in &row.panels {
            let (w, h) = panel.size(numbers);
            if x + w > WIDTH {
                y += tallest;
                (x, tallest) = (0, 0);
            }
            let grid = json!({ "h": h, "w": w, "x": x, "y": y });
            panels.push(panel.to_value(panels.len() + 1, &grid));
            x += w;
            tallest = tallest.max(h);
        }
        y += tallest;
    }
    panels
}

fn stat(measure: Measure, query: &str) -> Value {
    json!({
        "fieldConfig": { "defaults": measure.defaults(), "overrides": [] },
        "options": {
            "colorMode": "value",
            "graphMode": "area",
            "reduceOptions": { "calcs": ["lastNotNull"], "fields": "", "values": false },
            "textMode": "auto",
        },
        "targets": [target(query, 'A', json!({ "legendFormat": "" }))],
        "type": "stat",
    })
}

fn graph(measure: Measure, queries: &[(String, String)]) -> Value {
    let targets: Vec<Value> = queries
        .iter()
        .zip('A'..='Z')
        .map(|((query, legend), id)| target(query, id, json!({ "legendFormat": legend })))
        .collect();
    let mut defaults = measure.defaults();
    defaults["color"] = json!({ "mode": "palette-classic" });
    defaults["custom"] =
        json!({ "drawStyle": "line", "fillOpacity": 10, "lineWidth": 1, "showPoints": "never" });
    json!({
        "fieldConfig": { "defaults": defaults, "overrides": [] },
        "options": {
            "legend": { "calcs": ["lastNotNull", "max"], "displayMode": "table", "placement": "bottom", "showLegend": true },
            "tooltip": { "mode": "multi", "sort": "desc" },
        },
        "targets": targets,
        "type": "timeseries",
    })
}
