//! What is recorded, and with which labels: the standard metrics, what the configuration makes of
//! them, and metrics of the user's own.
//!
//! Which entries of `metrics` apply may depend on the request (`match`), so a label set includes
//! which conditions hold, a bit each, and the values of the user's expressions.

use alloc::borrow::{Cow, ToOwned};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::cel;
use crate::config::{Config, MetricOverride};
use crate::dimensions::{Facts, Label, OVERFLOW, UNKNOWN};
use crate::exchange::UnknownReason;
use crate::host::{Attributes, Expression, Host, LogLevel, MetricKind};
use crate::metrics::{ExtraMetric, HttpMetric, MessageMetric};
use crate::operation;
use crate::stat_name;

/// Everything that is recorded with the labels of a request.
pub struct Plan {
    /// Recorded when a request has ended.
    pub at_end: Vec<PlannedMetric>,
    /// Recorded while a gRPC request is open, and when it has ended.
    pub messages: Vec<PlannedMetric>,
    expressions: Expressions,
    entries: Vec<Entry>,
    allowed: Option<Vec<String>>,
    operations: bool,
    reasons: bool,
}

/// One metric.
pub struct PlannedMetric {
    /// Its name behind the prefix.
    name: String,
    /// The name that a stat has.
    full_name: String,
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
    /// The time to the response's headers.
    FirstByte,
    /// The number that this expression evaluates to.
    Number(usize),
}

/// An entry of `metrics`, its expressions compiled.
struct Entry {
    name: String,
    /// The bit of its condition; zero without one.
    condition: u64,
    drop: bool,
    tags_to_remove: Vec<String>,
    /// Labels, and the expressions of their values; `None` for one that does not parse.
    dimensions: Vec<(String, Option<usize>)>,
}

/// The user's expressions, each compiled once.
#[derive(Default)]
struct Expressions {
    texts: Vec<String>,
    compiled: Vec<Expression>,
    /// The conditions' expressions, by bit.
    conditions: Vec<Option<usize>>,
    /// Which of the expressions are values of labels.
    in_labels: Vec<bool>,
}

/// What the user's expressions say of a request: part of its label set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Custom<T> {
    /// Which conditions hold.
    pub conditions: u64,
    /// The values of all expressions in labels, each with its length in front.
    pub values: T,
}

/// Where a label of a planned metric comes from.
enum Source {
    Standard(Label),
    Expression(usize),
    Operation,
    UnknownReason,
}

/// The parts of a request that labels are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "a set")]
pub struct Parts {
    /// The peers' workloads.
    pub peers: bool,
    /// The connection's principals.
    pub principals: bool,
    /// The service.
    pub service: bool,
    /// The response's code.
    pub response_code: bool,
    /// The response flags.
    pub response_flags: bool,
}

impl Parts {
    const ALL: Self = Self {
        peers: true,
        principals: true,
        service: true,
        response_code: true,
        response_flags: true,
    };
    const NONE: Self = Self {
        peers: false,
        principals: false,
        service: false,
        response_code: false,
        response_flags: false,
    };

    /// With what a label's value may depend on: see [`Facts::value`].
    fn with(mut self, label: Label) -> Self {
        use Label as L;
        match label {
            // The protocol and the gRPC status have few values.
            L::Reporter | L::RequestProtocol | L::GrpcResponseStatus => {}
            L::ResponseCode => self.response_code = true,
            L::ResponseFlags => self.response_flags = true,
            L::SourcePrincipal | L::ConnectionSecurityPolicy => self.principals = true,
            L::DestinationService | L::DestinationServiceName => self.service = true,
            L::DestinationServiceNamespace => {
                self.service = true;
                self.principals = true;
                self.peers = true;
            }
            L::SourceWorkloadNamespace
            | L::DestinationWorkloadNamespace
            | L::DestinationPrincipal => {
                self.principals = true;
                self.peers = true;
            }
            L::SourceWorkload
            | L::SourceApp
            | L::SourceVersion
            | L::SourceCanonicalService
            | L::SourceCanonicalRevision
            | L::SourceCluster
            | L::DestinationWorkload
            | L::DestinationApp
            | L::DestinationVersion
            | L::DestinationCanonicalService
            | L::DestinationCanonicalRevision
            | L::DestinationCluster => self.peers = true,
        }
        self
    }
}

/// What the labels of a request beyond the standard ones are made of.
#[derive(Clone, Copy, Debug)]
pub struct Extras<'a> {
    /// What the user's expressions say.
    pub custom: &'a Custom<Box<[u8]>>,
    /// The operation's template.
    pub operation: Option<&'a str>,
    /// Why the peer is unknown.
    pub reason: UnknownReason,
}

impl Plan {
    /// What `config` plans, its expressions compiled. What does not parse is logged.
    pub fn compile(host: &dyn Host, config: &Config) -> Self {
        let mut expressions = Expressions::default();
        let prefix = &config.stat_prefix;
        let metric = |name: &str, kind, value, standard_labels| PlannedMetric {
            name: name.to_owned(),
            full_name: format!("{prefix}_{name}"),
            kind,
            value,
            standard_labels,
        };
        let all = Label::ALL.len();
        let mut at_end: Vec<_> = HttpMetric::ALL
            .into_iter()
            .map(|http| metric(http.name(), http.kind(), PlannedValue::Http(http), all))
            .collect();
        if config
            .extra_metrics
            .contains(&ExtraMetric::ResponseFirstByte)
        {
            let name = ExtraMetric::ResponseFirstByte.name();
            at_end.push(metric(
                name,
                MetricKind::Histogram,
                PlannedValue::FirstByte,
                all,
            ));
        }
        for definition in &config.definitions {
            if let Some(value) = expressions.compile(host, &definition.value, false) {
                let value = PlannedValue::Number(value);
                at_end.push(metric(&definition.name, definition.kind, value, 0));
            }
        }
        let messages = MessageMetric::ALL.into_iter().map(|message| {
            let value = PlannedValue::Messages(message);
            metric(
                message.name(),
                MetricKind::Counter,
                value,
                MessageMetric::LABELS,
            )
        });
        Self {
            at_end,
            messages: messages.collect(),
            entries: Self::entries(host, config, &mut expressions),
            expressions,
            allowed: config.allowed_labels.clone(),
            operations: !config.request_operations.is_empty(),
            reasons: config.peer_unknown_reason,
        }
    }

    fn entries(host: &dyn Host, config: &Config, expressions: &mut Expressions) -> Vec<Entry> {
        let compile = |entry: &MetricOverride| Entry {
            name: entry.name.clone(),
            condition: match &*entry.condition {
                "" => 0,
                condition => expressions.condition(host, condition),
            },
            drop: entry.drop,
            tags_to_remove: entry.tags_to_remove.clone(),
            dimensions: entry
                .dimensions
                .iter()
                .map(|(label, text)| (label.clone(), expressions.compile(host, text, true)))
                .collect(),
        };
        config.metrics.iter().map(compile).collect()
    }

    /// Gives back what the host holds.
    pub fn release(&self, host: &dyn Attributes) {
        for expression in &self.expressions.compiled {
            host.forget(*expression);
        }
    }

    /// Which parts of a request any label shows. What none does must not tell label sets apart: it
    /// would fill the table with sets that look the same.
    pub fn parts(&self) -> Parts {
        if self.entries.iter().any(|entry| entry.condition != 0) {
            return Parts::ALL;
        }
        let metrics = self.at_end.iter().chain(&self.messages);
        let sources = metrics
            .filter_map(|metric| self.labels(metric, 0))
            .flatten();
        sources.fold(Parts::NONE, |parts, (_, source)| match source {
            Source::Standard(label) => parts.with(label),
            _ => parts,
        })
    }

    /// Whether there is anything to [`evaluate`](Self::evaluate).
    pub fn is_custom(&self) -> bool {
        !self.expressions.compiled.is_empty()
    }

    /// Evaluates the user's expressions for the current request: the labels' values into `values`,
    /// and every number of a metric of the user's own into `numbers`, by expression.
    pub fn evaluate(
        &self,
        host: &dyn Attributes,
        values: &mut Vec<u8>,
        numbers: &mut Vec<u64>,
    ) -> u64 {
        values.clear();
        numbers.clear();
        let mut conditions = 0;
        for (at, expression) in self.expressions.compiled.iter().enumerate() {
            let length_at = values.len();
            values.extend_from_slice(&[0; 4]);
            let start = values.len();
            let value = host.evaluate(*expression);
            if value.and_then(|value| cel::print(values, value)).is_none() {
                values.extend_from_slice(UNKNOWN.as_bytes());
            }
            values.truncate(start + stat_name::MAX_VALUE_BYTES);
            let value = values.get(start..).unwrap_or_default();
            numbers.push(cel::number(value));
            if value == b"true" {
                conditions |= self.expressions.bits(at);
            }
            if self.expressions.in_labels.get(at) == Some(&true) {
                let length = u32::try_from(value.len()).unwrap_or_default().to_ne_bytes();
                if let Some(place) = values.get_mut(length_at..start) {
                    place.copy_from_slice(&length);
                }
            } else {
                // Not a label's: it must not make a label set of its own.
                values.truncate(start);
            }
        }
        conditions
    }

    /// The stat name of a metric of a request; `None` where it is dropped.
    pub fn stat_name(
        &self,
        metric: &PlannedMetric,
        facts: &Facts<'_>,
        extras: Extras<'_>,
    ) -> Option<String> {
        self.name(metric, extras.custom.conditions, |source| match source {
            Source::Standard(label) => facts.value(*label),
            Source::Expression(at) => Cow::Borrowed(extras.custom.value(*at)),
            Source::Operation => Cow::Borrowed(extras.operation.unwrap_or(UNKNOWN).as_bytes()),
            Source::UnknownReason => Cow::Borrowed(extras.reason.name().as_bytes()),
        })
    }

    /// The stat name that counts what exceeds the limit.
    pub fn overflow_stat_name(
        &self,
        metric: &PlannedMetric,
        reporter: &'static str,
    ) -> Option<String> {
        self.name(metric, 0, |source| match source {
            Source::Standard(Label::Reporter) => Cow::Borrowed(reporter.as_bytes()),
            _ => Cow::Borrowed(OVERFLOW.as_bytes()),
        })
    }

    fn name<'a>(
        &self,
        metric: &PlannedMetric,
        conditions: u64,
        value: impl Fn(&Source) -> Cow<'a, [u8]>,
    ) -> Option<String> {
        let mut name = String::with_capacity(1024);
        for (label, source) in self.labels(metric, conditions)? {
            stat_name::push_label(&mut name, label, &value(&source));
        }
        name.push_str(&metric.full_name);
        Some(name)
    }

    /// The labels of a metric while these conditions hold: the standard ones in their order, then
    /// added ones by name. `None` where it is dropped.
    fn labels(&self, metric: &PlannedMetric, conditions: u64) -> Option<Vec<(&str, Source)>> {
        let standard = Label::ALL.into_iter().take(metric.standard_labels);
        let mut standard: Vec<_> = standard
            .filter(|label| self.allows(label.name()))
            .map(|label| (label.name(), Source::Standard(label)))
            .collect();
        let mut added: Vec<(&str, Source)> = Vec::new();
        let at_end = !matches!(
            metric.value,
            PlannedValue::Number(_) | PlannedValue::Messages(_)
        );
        if at_end && self.operations {
            added.push((operation::LABEL, Source::Operation));
        }
        if at_end && self.reasons {
            added.push((UnknownReason::LABEL, Source::UnknownReason));
        }
        let applies = |entry: &&Entry| {
            (entry.name.is_empty() || entry.name == metric.name)
                && conditions & entry.condition == entry.condition
        };
        for entry in self.entries.iter().filter(applies) {
            if entry.drop {
                return None;
            }
            for removed in &entry.tags_to_remove {
                standard.retain(|(label, _)| label != removed);
                added.retain(|(label, _)| label != removed);
            }
            for (label, expression) in &entry.dimensions {
                let place = standard
                    .iter_mut()
                    .chain(&mut added)
                    .find(|(name, _)| name == label);
                match (place, expression) {
                    (Some((_, source)), Some(at)) => *source = Source::Expression(*at),
                    (None, Some(at)) => added.push((label, Source::Expression(*at))),
                    (_, None) => {
                        standard.retain(|(name, _)| name != label);
                        added.retain(|(name, _)| name != label);
                    }
                }
            }
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

impl Expressions {
    /// The number of an expression; `None`, and a line in the log, where it does not parse.
    fn compile(&mut self, host: &dyn Host, text: &str, in_labels: bool) -> Option<usize> {
        let known = self.texts.iter().position(|known| known == text);
        let at = match known {
            Some(at) => at,
            None => self.add(host, text)?,
        };
        if let Some(labels) = self.in_labels.get_mut(at) {
            *labels |= in_labels;
        }
        Some(at)
    }

    fn add(&mut self, host: &dyn Host, text: &str) -> Option<usize> {
        let Some(compiled) = Self::compiled(host, text) else {
            host.log(
                LogLevel::Warn,
                &format!(
                    "mixerless: the expression {text:?} does not parse: what it is for is left out"
                ),
            );
            return None;
        };
        self.texts.push(text.to_owned());
        self.compiled.push(compiled);
        self.in_labels.push(false);
        Some(self.texts.len() - 1)
    }

    /// Parses alone first: wrapped, two halves of something else might.
    fn compiled(host: &dyn Host, text: &str) -> Option<Expression> {
        let alone = host.compile(text)?;
        host.forget(alone);
        host.compile(&cel::typed(text))
    }

    /// The bit of a new condition. One that does not parse never holds.
    fn condition(&mut self, host: &dyn Host, text: &str) -> u64 {
        let at = self.compile(host, text, false);
        self.conditions.push(at);
        1 << (self.conditions.len() - 1)
    }

    /// The conditions that hold where this expression is true.
    fn bits(&self, at: usize) -> u64 {
        let conditions = self.conditions.iter().enumerate();
        conditions
            .filter(|(_, condition)| **condition == Some(at))
            .map(|(bit, _)| 1 << bit)
            .sum()
    }
}

impl Custom<Box<[u8]>> {
    /// The value of an expression.
    fn value(&self, at: usize) -> &[u8] {
        let mut rest = &*self.values;
        let mut next = || {
            let (length, after) = rest.split_first_chunk()?;
            let (value, after) = after.split_at_checked(u32::from_ne_bytes(*length) as usize)?;
            rest = after;
            Some(value)
        };
        for _ in 0..at {
            next();
        }
        next().unwrap_or(UNKNOWN.as_bytes())
    }
}
