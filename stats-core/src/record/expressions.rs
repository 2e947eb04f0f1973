//! The user's CEL expressions: values of labels, values of metrics, conditions. Each is compiled once,
//! and all of them are evaluated together.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use super::evaluated::Evaluated;
use super::tables::EvaluatedId;
use super::value_text;
use crate::bytes::{MAX_VALUE_BYTES, bounded_text};
use crate::host::{ExpressionId, Expressions};
use crate::intern::Interner;
use crate::labels::UNKNOWN;

/// The expressions of a configuration.
#[derive(Default)]
pub struct UserExpressions {
    compiled: Vec<UserExpression>,
    /// By bit, the position of each condition's expression; `None` for one that does not parse.
    conditions: Vec<Option<usize>>,
    /// The bits of the conditions that drop all metrics.
    dropping: u64,
    /// Whether the current request is one of which all metrics are dropped.
    drops: bool,
    /// Room for the values of one request.
    values: Vec<u8>,
    /// What each expression last evaluated to, as a number.
    numbers: Vec<u64>,
    /// How many did not parse.
    refused: usize,
}

/// The most expressions that do not parse of which the log has a line.
const MAX_REFUSED_LINES: usize = 8;

struct UserExpression {
    text: String,
    id: ExpressionId,
    /// The sets of conditions under which a label shows its value: it does if all of one set hold.
    shown_under: Vec<u64>,
    /// Whether a metric records its value.
    is_number: bool,
}

impl UserExpression {
    /// Whether a label shows its value while these conditions hold.
    fn is_shown(&self, holding: u64) -> bool {
        let mut sets = self.shown_under.iter();
        sets.any(|set| holding & set == *set)
    }
}

impl UserExpressions {
    /// Whether there is none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.compiled.is_empty()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.compiled.len()
    }

    /// The position of an expression; `None`, and a line in the log, where it does not parse.
    fn compile(&mut self, host: &mut dyn Expressions, text: &str) -> Option<usize> {
        let known = self.compiled.iter().position(|known| known.text == text);
        known.or_else(|| self.add(host, text))
    }

    /// The position of an expression whose value a metric records.
    pub fn compile_number(&mut self, host: &mut dyn Expressions, text: &str) -> Option<usize> {
        let at = self.compile(host, text)?;
        self.compiled.get_mut(at)?.is_number = true;
        Some(at)
    }

    /// The position of an expression whose value a label shows while these conditions hold; zero for
    /// always.
    pub fn compile_label(
        &mut self,
        host: &mut dyn Expressions,
        text: &str,
        conditions: u64,
    ) -> Option<usize> {
        let at = self.compile(host, text)?;
        let shown_under = &mut self.compiled.get_mut(at)?.shown_under;
        if !shown_under.contains(&conditions) {
            shown_under.push(conditions);
        }
        Some(at)
    }

    /// Says how many more did not parse than those of which the log has a line.
    pub fn warn_of_the_rest(&self) {
        let more = self.refused.saturating_sub(MAX_REFUSED_LINES);
        if more > 0 {
            log::warn!("{more} more expressions do not parse");
        }
    }

    fn add(&mut self, host: &mut dyn Expressions, text: &str) -> Option<usize> {
        let Some(id) = host.compile(text) else {
            self.refused += 1;
            if self.refused <= MAX_REFUSED_LINES {
                let (text, refusal) = (bounded_text(text), host.refusal());
                log::warn!("the expression {text:?} {refusal}: what it is for is left out");
            }
            return None;
        };
        self.compiled.push(UserExpression {
            text: text.to_owned(),
            id,
            shown_under: Vec::new(),
            is_number: false,
        });
        Some(self.compiled.len() - 1)
    }

    /// The bit of a new condition; `drops_all` says whether no metric is recorded while it holds. One
    /// that does not parse never holds.
    pub fn condition(&mut self, host: &mut dyn Expressions, text: &str, drops_all: bool) -> u64 {
        let at = self.compile(host, text);
        self.conditions.push(at);
        let bit = 1 << (self.conditions.len() - 1);
        if drops_all {
            self.dropping |= bit;
        }
        bit
    }

    /// Whether nothing is recorded of the request that was evaluated last, so that it need not take
    /// room in any table.
    #[inline]
    pub fn drops_request(&self) -> bool {
        self.drops
    }

    /// Evaluates all expressions for the current request: the conditions first, since they decide which
    /// values labels show.
    pub fn evaluate(
        &mut self,
        host: &dyn Expressions,
        evaluated: &mut Interner<Evaluated>,
    ) -> EvaluatedId {
        if self.is_empty() {
            return EvaluatedId::default();
        }
        self.numbers.clear();
        let mut holding = self.holding_conditions(host);
        self.values.clear();
        self.drops = holding & self.dropping != 0;
        if self.drops {
            // What else it is must not fill the table.
            holding &= self.dropping;
        } else {
            self.evaluate_values(host, holding);
        }
        let values = &*self.values;
        let id = evaluated.id(
            (holding, values),
            |known| known.is(holding, values),
            || Evaluated::new(holding, values),
        );
        if id != EvaluatedId::NO_ROOM {
            return id;
        }
        // Which metrics are dropped is decided past the limit too.
        evaluated.part(Evaluated::new(holding, &[]))
    }

    /// Evaluates what labels show and metrics record while these conditions hold.
    fn evaluate_values(&mut self, host: &dyn Expressions, holding: u64) {
        for expression in &self.compiled {
            let length_at = self.values.len();
            self.values.extend_from_slice(&[0; 4]);
            let start = self.values.len();
            let is_shown = expression.is_shown(holding);
            if is_shown || expression.is_number {
                push_value(&mut self.values, host, expression.id);
            }
            let value = self.values.get(start..).unwrap_or_default();
            self.numbers.push(value_text::number(value));
            if is_shown {
                let length = (value.len() as u32).to_le_bytes();
                if let Some(bytes) = self.values.get_mut(length_at..start) {
                    bytes.copy_from_slice(&length);
                }
            } else {
                // No label shows it, so it must not make a label set of its own.
                self.values.truncate(start);
            }
        }
    }

    /// The conditions that hold for the current request, a bit each.
    fn holding_conditions(&mut self, host: &dyn Expressions) -> u64 {
        let mut holding = 0;
        for (bit, at) in self.conditions.iter().enumerate() {
            let Some(expression) = at.and_then(|at| self.compiled.get(at)) else {
                continue;
            };
            self.values.clear();
            push_value(&mut self.values, host, expression.id);
            if self.values == b"true" {
                holding |= 1 << bit;
            }
        }
        holding
    }

    /// The number that the expression at a position last evaluated to.
    #[inline]
    pub fn number(&self, at: usize) -> Option<u64> {
        self.numbers.get(at).copied()
    }

    /// Gives back what the host holds.
    pub fn release(&self, host: &mut dyn Expressions) {
        for expression in &self.compiled {
            host.release(expression.id);
        }
    }
}

/// Appends the text of an expression's value; `unknown` where it fails.
fn push_value(values: &mut Vec<u8>, host: &dyn Expressions, expression: ExpressionId) {
    let start = values.len();
    match host.evaluate(expression) {
        Some(value) => value_text::push(values, value),
        None => values.extend_from_slice(UNKNOWN.as_bytes()),
    }
    values.truncate(start + MAX_VALUE_BYTES);
}
