//! Grafana's dashboards: of all workloads, of a service, of a workload.
//!
//! Here: what a dashboard is besides its panels. Not here: what panels look like, see `panel`, and what each dashboard shows.

mod measure;
mod mesh;
mod panel;
mod parts;
mod service;
mod table;
mod target;
mod workload;

use anyhow::Result;
use serde_json::{Value, json};
use stats_core::labels::Label;

use self::panel::Row;
use self::target::datasource;
use super::queries::{Queries, Selection};
use crate::installation::Installation;

/// How far rates look back: Grafana's choice, at least four scrapes.
const WINDOW: &str = "$__rate_interval";

/// One dashboard.
struct Dashboard {
    /// The word of its file and of its address in Grafana.
    name: &'static str,
    title: &'static str,
    description: &'static str,
    variables: Vec<Variable>,
    rows: Vec<Row>,
}

/// A choice of values, of which a user may take several, or all.
struct Variable {
    name: &'static str,
    /// Labels whose values they are, each with the series that have it.
    sources: Vec<(Label, String)>,
}

/// The files, each with the text that Grafana imports.
///
/// # Errors
/// When a dashboard cannot be written as JSON.
pub fn dashboards(installation: &Installation) -> Result<Vec<(String, String)>> {
    let queries = Queries::of(installation);
    let trust = parts::trust(&queries, installation.plugin.max_series());
    let dashboards = [
        mesh::dashboard(&queries, trust),
        service::dashboard(&queries),
        workload::dashboard(&queries),
    ];
    let texts = dashboards.into_iter().map(|dashboard| {
        let mut text = serde_json::to_string_pretty(&dashboard.to_value())?;
        text.push('\n');
        Ok((format!("grafana/{}.json", dashboard.name), text))
    });
    texts.collect()
}

impl Dashboard {
    fn to_value(&self) -> Value {
        let source = json!({
            "label": "Prometheus",
            "name": "datasource",
            "query": "prometheus",
            "type": "datasource",
        });
        let variables: Vec<Value> = std::iter::once(source)
            .chain(self.variables.iter().map(Variable::to_value))
            .collect();
        let others = json!({
            "asDropdown": false,
            "icon": "external link",
            "includeVars": false,
            "keepTime": true,
            "tags": ["mixerless"],
            "targetBlank": false,
            "title": "",
            "tooltip": "",
            "type": "dashboards",
        });
        json!({
            "annotations": { "list": [] },
            "description": self.description,
            "editable": true,
            "graphTooltip": 1,
            "links": [others],
            "panels": panel::place(&self.rows),
            "refresh": "30s",
            "schemaVersion": 39,
            "tags": ["istio", "mixerless"],
            "templating": { "list": variables },
            "time": { "from": "now-1h", "to": "now" },
            "timezone": "browser",
            "title": self.title,
            "uid": uid(self.name),
        })
    }
}

impl Variable {
    /// The namespace and the name of what a dashboard is about: the values of the two labels in each of these selections.
    fn both(
        queries: &Queries,
        names: [&'static str; 2],
        of: &[(Selection, [Label; 2])],
    ) -> Vec<Self> {
        let [namespace, name] = names;
        let sources = |at: usize| {
            of.iter().map(move |(of, labels)| {
                let within = match at {
                    0 => of.clone(),
                    _ => of.clone().chosen(labels[0], namespace),
                };
                (labels[at], queries.traffic(&within))
            })
        };
        [(namespace, 0), (name, 1)]
            .map(|(name, at)| Self {
                name,
                sources: sources(at).collect(),
            })
            .into()
    }

    /// The query, and what its result is taken apart by, if need be.
    fn query(&self) -> (String, &'static str) {
        if let [(label, series)] = &self.sources[..] {
            return (format!("label_values({series}, {})", label.name()), "");
        }
        let renamed: Vec<String> = self
            .sources
            .iter()
            .map(|(label, series)| {
                format!(
                    "label_join({series}, \"value\", \"\", \"{}\")",
                    label.name()
                )
            })
            .collect();
        let values = format!("group by (value) ({})", renamed.join(" or "));
        (format!("query_result({values})"), "/value=\"([^\"]*)\"/")
    }

    fn to_value(&self) -> Value {
        let (query, regex) = self.query();
        json!({
            "allValue": ".*",
            "current": { "selected": true, "text": ["All"], "value": ["$__all"] },
            "datasource": datasource(),
            "definition": query,
            "includeAll": true,
            "label": capital(self.name),
            "multi": true,
            "name": self.name,
            "query": { "query": query, "refId": self.name },
            "refresh": 2,
            "regex": regex,
            "sort": 1,
            "type": "query",
        })
    }
}

/// A dashboard's own part of its address.
fn uid(name: &str) -> String {
    format!("mixerless-{name}")
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}
