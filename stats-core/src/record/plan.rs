//! What is recorded of a request, and with which labels: the standard metrics, what the configuration
//! makes of them, and metrics of the user's own. Which series they come to is not decided here.
//!
//! Which entries of `metrics` apply may depend on the request (`match`), so the labels of a metric are
//! those under a set of conditions, a bit each.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::expressions::UserExpressions;
use crate::config::{MetricOverride, MetricsConfig};
use crate::host::{Expressions, MetricKind, Metrics, SeriesId};
use crate::labels::metrics::{ExtraMetric, HttpMetric, MessageMetric, PENDING, TcpMetric};
use crate::labels::table::origin;
use crate::labels::visible::Visible;
use crate::labels::{Label, Reporter, operation};
use crate::peer::unknown::UnknownReason;

/// Everything that is recorded with the labels of a request, or of a connection.
pub struct Plan {
    /// Recorded when a request has ended, or during a connection and at its end.
    pub at_end: Vec<PlannedMetric>,
    /// Recorded while a gRPC request is open, and when it has ended.
    pub messages: Vec<PlannedMetric>,
    /// How many expressions the user has.
    pub expressions: usize,
    /// The name of the gauge of label sets that wait for their series.
    pub pending_name: String,
    /// The most of the worker's time that goes into new series, in percent.
    pub new_series_percent: u8,
    overrides: Vec<Override>,
    allowed: Option<Vec<String>>,
    shows_operation: bool,
    shows_reason: bool,
}

/// One metric.
pub struct PlannedMetric {
    /// Its name behind the prefix.
    name: String,
    /// Its name with the prefix.
    pub full_name: String,
    /// Its kind.
    pub kind: MetricKind,
    /// What is recorded.
    pub value: PlannedValue,
    /// How many of the standard labels it has.
    standard_labels: usize,
}

/// What a metric records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlannedValue {
    /// What the standard has it record.
    Http(HttpMetric),
    /// Messages since the last report.
    Messages(MessageMetric),
    /// Of a connection, what there was since the last report.
    Tcp(TcpMetric),
    /// The time to the response's headers.
    FirstByte,
    /// The number that the expression at this position evaluates to.
    Number(usize),
}

/// An entry of `metrics`, its expressions compiled.
struct Override {
    name: String,
    /// The bit of its condition; zero without one.
    condition: u64,
    drop: bool,
    tags_to_remove: Vec<String>,
    /// Labels, and the positions of their expressions; `None` for one that does not parse.
    dimensions: Vec<(String, Option<usize>)>,
}

/// What a label of a planned metric shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// A standard label's value.
    Standard(Label),
    /// The value of the expression at this position.
    Expression(usize),
    /// The operation's template.
    Operation,
    /// Why the peer is unknown.
    UnknownReason,
}

impl PlannedMetric {
    fn new(
        config: &MetricsConfig,
        name: &str,
        kind: MetricKind,
        value: PlannedValue,
        standard_labels: usize,
    ) -> Self {
        Self {
            name: name.to_owned(),
            full_name: format!("{}_{name}", config.stat_prefix),
            kind,
            value,
            standard_labels,
        }
    }

    /// Records a value in a series of the metric.
    #[inline]
    pub fn record(&self, host: &mut (impl Metrics + ?Sized), series: SeriesId, value: u64) {
        match self.kind {
            MetricKind::Counter => host.add(series, value),
            MetricKind::Gauge => host.gauge_set(series, value),
            MetricKind::Histogram => host.observe(series, value),
        }
    }
}

impl Plan {
    /// What `config` plans for requests, its expressions compiled. What does not parse is logged.
    pub fn compile(
        host: &mut dyn Expressions,
        config: &MetricsConfig,
        expressions: &mut UserExpressions,
    ) -> Self {
        let all = Label::ALL.len();
        let standard = HttpMetric::ALL.into_iter().map(|http| {
            PlannedMetric::new(
                config,
                http.name(),
                http.kind(),
                PlannedValue::Http(http),
                all,
            )
        });
        let mut at_end: Vec<_> = standard.collect();
        if config.extra.contains(&ExtraMetric::ResponseFirstByte) {
            let (name, kind) = (ExtraMetric::ResponseFirstByte.name(), MetricKind::Histogram);
            let value = PlannedValue::FirstByte;
            at_end.push(PlannedMetric::new(config, name, kind, value, all));
        }
        let messages = MessageMetric::ALL.into_iter().map(|message| {
            let value = PlannedValue::Messages(message);
            let (kind, labels) = (MetricKind::Counter, MessageMetric::LABELS);
            PlannedMetric::new(config, message.name(), kind, value, labels)
        });
        Self::with_users(host, config, expressions, at_end, messages.collect())
    }

    /// The same for TCP connections.
    pub fn compile_tcp(
        host: &mut dyn Expressions,
        config: &MetricsConfig,
        expressions: &mut UserExpressions,
    ) -> Self {
        let standard = TcpMetric::ALL.into_iter().map(|tcp| {
            let value = PlannedValue::Tcp(tcp);
            let (kind, labels) = (MetricKind::Counter, TcpMetric::LABELS);
            PlannedMetric::new(config, tcp.name(), kind, value, labels)
        });
        Self::with_users(host, config, expressions, standard.collect(), Vec::new())
    }

    /// The standard metrics, and what the user adds to them and makes of them.
    fn with_users(
        host: &mut dyn Expressions,
        config: &MetricsConfig,
        expressions: &mut UserExpressions,
        mut at_end: Vec<PlannedMetric>,
        messages: Vec<PlannedMetric>,
    ) -> Self {
        for definition in &config.definitions {
            if let Some(value) = expressions.compile_number(host, &definition.value) {
                let (name, kind) = (&definition.name, definition.kind);
                let value = PlannedValue::Number(value);
                at_end.push(PlannedMetric::new(config, name, kind, value, 0));
            }
        }
        let overrides = overrides(host, &config.overrides, expressions);
        expressions.warn_of_the_rest();
        Self {
            at_end,
            messages,
            expressions: expressions.count(),
            pending_name: format!("{}_{PENDING}", config.stat_prefix),
            new_series_percent: config.new_series_percent,
            overrides,
            allowed: config.allowed_labels.clone(),
            shows_operation: !config.operations.is_empty(),
            shows_reason: config.peer_unknown_reason,
        }
    }

    /// What the labels of all metrics depend on, for a reporter. What none of them shows must not
    /// tell label sets apart: it would fill the table with sets that show the same.
    pub fn visible(&self, reporter: Reporter) -> Visible {
        // Where a condition holds, a metric has the same standard labels or fewer.
        let mut visible = Visible::default();
        let metrics = self.at_end.iter().chain(&self.messages);
        let labels = metrics
            .filter_map(|metric| self.labels(metric, 0))
            .flatten();
        for (_, shown) in labels {
            if let Shown::Standard(label) = shown {
                origin(label, reporter).depends_on(&mut visible);
            }
        }
        visible
    }

    /// The labels of a metric while these conditions hold: the standard ones in their order, then
    /// added ones by name. `None` where it is dropped.
    pub fn labels(&self, metric: &PlannedMetric, conditions: u64) -> Option<Vec<(&str, Shown)>> {
        let standard = Label::ALL.into_iter().take(metric.standard_labels);
        let mut standard: Vec<_> = standard
            .filter(|label| self.allows(label.name()))
            .map(|label| (label.name(), Shown::Standard(label)))
            .collect();
        let mut added: Vec<(&str, Shown)> = Vec::new();
        let of_requests = matches!(
            metric.value,
            PlannedValue::Http(_) | PlannedValue::FirstByte
        );
        if of_requests && self.shows_operation {
            added.push((operation::LABEL, Shown::Operation));
        }
        if of_requests && self.shows_reason {
            added.push((UnknownReason::LABEL, Shown::UnknownReason));
        }
        let applies = |entry: &&Override| {
            (entry.name.is_empty() || entry.name == metric.name)
                && conditions & entry.condition == entry.condition
        };
        for entry in self.overrides.iter().filter(applies) {
            if entry.drop {
                return None;
            }
            entry.apply(&mut standard, &mut added);
        }
        added.sort_by_key(|(label, _)| *label);
        standard.append(&mut added);
        Some(standard)
    }

    fn allows(&self, label: &str) -> bool {
        let allowed = self.allowed.as_ref();
        allowed.is_none_or(|allowed| allowed.iter().any(|allowed| allowed == label))
    }
}

type PlannedLabels<'a> = Vec<(&'a str, Shown)>;

impl Override {
    /// Changes a metric's labels: the standard ones, and those that were added to them.
    fn apply<'a>(&'a self, standard: &mut PlannedLabels<'a>, added: &mut PlannedLabels<'a>) {
        for removed in &self.tags_to_remove {
            remove(standard, removed);
            remove(added, removed);
        }
        for (label, expression) in &self.dimensions {
            let known = standard
                .iter_mut()
                .chain(&mut *added)
                .find(|(name, _)| name == label);
            match (known, expression) {
                (Some((_, shown)), Some(at)) => *shown = Shown::Expression(*at),
                (None, Some(at)) => added.push((label, Shown::Expression(*at))),
                (_, None) => {
                    remove(standard, label);
                    remove(added, label);
                }
            }
        }
    }
}

fn remove(labels: &mut PlannedLabels<'_>, name: &str) {
    labels.retain(|(label, _)| *label != name);
}

fn overrides(
    host: &mut dyn Expressions,
    configured: &[MetricOverride],
    expressions: &mut UserExpressions,
) -> Vec<Override> {
    let compile = |entry: &MetricOverride| {
        let condition = match &*entry.condition {
            "" => 0,
            condition => {
                let drops_all = entry.drop && entry.name.is_empty();
                expressions.condition(host, condition, drops_all)
            }
        };
        let dimensions = entry.dimensions.iter();
        Override {
            name: entry.name.clone(),
            condition,
            drop: entry.drop,
            tags_to_remove: entry.tags_to_remove.clone(),
            dimensions: dimensions
                .map(|(label, text)| {
                    let at = expressions.compile_label(host, text, condition);
                    (label.clone(), at)
                })
                .collect(),
        }
    };
    configured.iter().map(compile).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Definition;
    use crate::host::memory::{MemoryHost, MemoryMetrics};

    fn plan(config: &MetricsConfig) -> (Plan, UserExpressions) {
        let mut host = MemoryHost::new(MemoryMetrics::default());
        let mut expressions = UserExpressions::default();
        let plan = Plan::compile(&mut host, config, &mut expressions);
        (plan, expressions)
    }

    fn labels(plan: &Plan, metric: usize, conditions: u64) -> Option<Vec<(&str, Shown)>> {
        plan.labels(&plan.at_end[metric], conditions)
    }

    fn text(text: &str) -> String {
        text.to_owned()
    }

    fn adding(label: &str, expression: &str) -> MetricOverride {
        MetricOverride {
            dimensions: Vec::from([(text(label), text(expression))]),
            ..MetricOverride::default()
        }
    }

    #[test]
    fn the_standard_metrics_have_all_labels_in_their_order_and_messages_the_first_twenty() {
        let (plan, _) = plan(&MetricsConfig::default());
        let all: Vec<_> = Label::ALL
            .into_iter()
            .map(|label| (label.name(), Shown::Standard(label)))
            .collect();
        assert_eq!(plan.at_end.len(), 4);
        for metric in 0..4 {
            assert_eq!(labels(&plan, metric, 0).as_deref(), Some(&all[..]));
        }
        let of_messages = plan.labels(&plan.messages[0], 0);
        assert_eq!(of_messages.as_deref(), Some(&all[..20]));
        assert_eq!(plan.at_end[0].full_name, "istio_requests_total");
    }

    #[test]
    fn a_label_is_added_overridden_or_removed_and_the_later_entry_wins() {
        let removing = MetricOverride {
            tags_to_remove: Vec::from([text("reporter")]),
            ..MetricOverride::default()
        };
        let overrides = [
            adding("b", "x"),
            adding("a", "y"),
            adding("source_app", "x"),
            removing,
        ];
        let (plan, _) = plan(&MetricsConfig {
            overrides: overrides.into(),
            ..MetricsConfig::default()
        });
        let labels = labels(&plan, 0, 0).expect("not dropped");
        assert_eq!(labels.len(), 24 + 2);
        assert_eq!(labels[0].0, "source_workload");
        assert!(labels.contains(&("source_app", Shown::Expression(0))));
        let added = [("a", Shown::Expression(1)), ("b", Shown::Expression(0))];
        assert_eq!(labels[24..], added, "added ones last, by name");
    }

    #[test]
    fn an_expression_that_does_not_parse_removes_its_label() {
        let (plan, expressions) = plan(&MetricsConfig {
            overrides: Vec::from([adding("source_app", "(("), adding("new", "((")]),
            ..MetricsConfig::default()
        });
        let labels = labels(&plan, 0, 0).expect("not dropped");
        assert_eq!(labels.len(), 24);
        assert!(labels.iter().all(|(name, _)| *name != "source_app"));
        assert!(expressions.is_empty());
    }

    #[test]
    fn an_entry_applies_only_while_its_condition_holds() {
        let dropping = MetricOverride {
            drop: true,
            condition: text("slow"),
            ..MetricOverride::default()
        };
        let (plan, _) = plan(&MetricsConfig {
            overrides: Vec::from([dropping]),
            ..MetricsConfig::default()
        });
        assert!(labels(&plan, 0, 0).is_some());
        assert_eq!(labels(&plan, 0, 1), None);
    }

    #[test]
    fn a_metric_of_the_users_own_has_no_standard_label() {
        let mut own = adding("mine", "x");
        own.name = text("bytes_total");
        let (plan, _) = plan(&MetricsConfig {
            definitions: Vec::from([Definition {
                name: text("bytes_total"),
                value: text("request.size"),
                kind: MetricKind::Counter,
            }]),
            overrides: Vec::from([own]),
            ..MetricsConfig::default()
        });
        let labels = labels(&plan, 4, 0).expect("not dropped");
        assert_eq!(labels, [("mine", Shown::Expression(1))]);
        assert_eq!(plan.at_end[4].value, PlannedValue::Number(0));
    }

    #[test]
    fn only_what_labels_show_is_visible() {
        let config = MetricsConfig {
            allowed_labels: Some(Vec::from([text("reporter"), text("response_code")])),
            ..MetricsConfig::default()
        };
        for reporter in Reporter::ALL {
            let visible = plan(&config).0.visible(reporter);
            assert!(visible.peer.is_empty() && visible.service.is_empty());
            assert!(visible.outcome.response_code && !visible.outcome.response_flags);
        }
    }
}
