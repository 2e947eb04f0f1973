//! The user's CEL expressions: values of labels, values of metrics, conditions. Each is compiled once,
//! and all of them are evaluated together.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use super::evaluated::Evaluated;
use super::tables::EvaluatedId;
use super::value_text;
use crate::bytes::MAX_VALUE_BYTES;
use crate::host::{ExpressionId, Expressions};
use crate::intern::Interner;
use crate::labels::UNKNOWN;

/// The expressions of a configuration.
#[derive(Default)]
pub struct UserExpressions {
    compiled: Vec<UserExpression>,
    /// By bit, the position of each condition's expression; `None` for one that does not parse.
    conditions: Vec<Option<usize>>,
    /// Room for the values of one request.
    values: Vec<u8>,
    /// What each expression last evaluated to, as a number.
    numbers: Vec<u64>,
}

struct UserExpression {
    text: String,
    id: ExpressionId,
    /// Whether a label shows its value.
    in_labels: bool,
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
    pub fn compile(
        &mut self,
        host: &mut dyn Expressions,
        text: &str,
        in_labels: bool,
    ) -> Option<usize> {
        let known = self.compiled.iter().position(|known| known.text == text);
        let at = match known {
            Some(at) => at,
            None => self.add(host, text)?,
        };
        if let Some(compiled) = self.compiled.get_mut(at) {
            compiled.in_labels |= in_labels;
        }
        Some(at)
    }

    fn add(&mut self, host: &mut dyn Expressions, text: &str) -> Option<usize> {
        let Some(id) = host.compile(text) else {
            log::warn!("the expression {text:?} does not parse: what it is for is left out");
            return None;
        };
        self.compiled.push(UserExpression {
            text: text.to_owned(),
            id,
            in_labels: false,
        });
        Some(self.compiled.len() - 1)
    }

    /// The bit of a new condition. One that does not parse never holds.
    pub fn condition(&mut self, host: &mut dyn Expressions, text: &str) -> u64 {
        let at = self.compile(host, text, false);
        self.conditions.push(at);
        1 << (self.conditions.len() - 1)
    }

    /// Evaluates all expressions for the current request.
    pub fn evaluate(
        &mut self,
        host: &dyn Expressions,
        evaluated: &mut Interner<Evaluated>,
    ) -> EvaluatedId {
        if self.is_empty() {
            return EvaluatedId::default();
        }
        self.values.clear();
        self.numbers.clear();
        let mut holding = 0;
        for (at, expression) in self.compiled.iter().enumerate() {
            let length_at = self.values.len();
            self.values.extend_from_slice(&[0; 4]);
            let start = self.values.len();
            match host.evaluate(expression.id) {
                Some(value) => value_text::push(&mut self.values, value),
                None => self.values.extend_from_slice(UNKNOWN.as_bytes()),
            }
            self.values.truncate(start + MAX_VALUE_BYTES);
            let value = self.values.get(start..).unwrap_or_default();
            self.numbers.push(value_text::number(value));
            if value == b"true" {
                holding |= bits(&self.conditions, at);
            }
            if expression.in_labels {
                let length = (value.len() as u32).to_le_bytes();
                if let Some(place) = self.values.get_mut(length_at..start) {
                    place.copy_from_slice(&length);
                }
            } else {
                // No label shows it, so it must not make a label set of its own.
                self.values.truncate(start);
            }
        }
        let values = &*self.values;
        evaluated.id(
            (holding, values),
            |known| known.is(holding, values),
            || Evaluated::new(holding, values),
        )
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

/// The bits of the conditions whose expression is at this position.
fn bits(conditions: &[Option<usize>], at: usize) -> u64 {
    let conditions = conditions.iter().enumerate();
    conditions
        .filter(|(_, condition)| **condition == Some(at))
        .map(|(bit, _)| 1 << bit)
        .sum()
}
