//! CEL expressions, where a host has them.

/// A compiled expression; valid until it is [released](Expressions::release).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpressionId(pub u32);

/// What an expression evaluates to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// A text, or bytes.
    Text(&'a [u8]),
    /// A signed integer.
    Int(i64),
    /// An unsigned integer.
    Uint(u64),
    /// True or false.
    Bool(bool),
    /// A floating-point number.
    Double(f64),
    /// A duration, in nanoseconds.
    Duration(i64),
    /// A point in time, in nanoseconds since 1970 in UTC.
    Timestamp(i64),
}

/// Evaluates CEL. The capability is optional: a host without it leaves the methods as they are, and
/// each configured expression is reported and left out.
pub trait Expressions {
    /// Compiles an expression; `None` where it does not parse, or there is no CEL.
    fn compile(&mut self, _expression: &str) -> Option<ExpressionId> {
        None
    }

    /// What is the matter with an expression that [`Self::compile`] refuses, for a line in the log.
    fn refusal(&self) -> &'static str {
        "does not parse"
    }

    /// Evaluates an expression for the current request; `None` where it fails.
    fn evaluate(&self, _expression: ExpressionId) -> Option<Value<'_>> {
        None
    }

    /// Releases an expression.
    fn release(&mut self, _expression: ExpressionId) {}
}
