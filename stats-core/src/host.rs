//! What the core asks of the proxy around it. A host implements these traits; nothing else in
//! this crate touches one.
//!
//! All methods take `&self`: a host is a handle, and what it hands out lives as long as the borrow,
//! so that the core can look at several values at once without copying any. `filter/` implements
//! them on proxy-wasm; a Rust proxy or an Envoy dynamic module can do the same.

/// Which of a request's header maps is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderMap {
    /// The request's headers.
    Request,
    /// The response's headers.
    Response,
}

/// Reads and writes the headers of the current request.
pub trait Headers {
    /// The value of the header, or `None` where there is none. Bytes: a peer chooses them.
    fn header(&self, map: HeaderMap, name: &str) -> Option<&[u8]>;
    /// The values of several headers that are likely to be there. A host to which each value handed
    /// over is costly may have a cheaper way than one by one.
    fn headers<const N: usize>(&self, map: HeaderMap, names: [&str; N]) -> [Option<&[u8]>; N]
    where
        Self: Sized,
    {
        names.map(|name| self.header(map, name))
    }
    /// Sets the header, in place of any there.
    fn set_header(&self, map: HeaderMap, name: &str, value: &[u8]);
    /// Removes the header. Removing one that is not there is no error.
    fn remove_header(&self, map: HeaderMap, name: &str);
}

/// A compiled attribute expression; valid until it is dropped with [`Attributes::forget`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expression(pub u32);

/// Reads what the proxy knows of the current request, its connections and itself.
///
/// Names and encodings are those of [Envoy's attributes]: text and bytes as they are, integers and
/// durations (in nanoseconds) as eight bytes in native order, booleans as one, messages in their
/// protobuf encoding.
///
/// [Envoy's attributes]: https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/advanced/attributes
pub trait Attributes {
    /// One attribute. `path` holds its segments, separated by NUL: `"xds\0cluster_name"`.
    fn attribute(&self, path: &str) -> Option<&[u8]>;
    /// Compiles a CEL expression, or says `None` where it does not parse.
    fn compile(&self, expression: &str) -> Option<Expression>;
    /// Evaluates an expression for the current request. A list comes back as
    /// [pairs](crate::pairs::list). `None` where any part of it is absent.
    fn evaluate(&self, expression: Expression) -> Option<&[u8]>;
    /// Releases an expression.
    fn forget(&self, expression: Expression);
    /// Declares the filter state `wasm.NAME` to hold a `google.protobuf.Struct`.
    fn declare_struct(&self, name: &str);
    /// Sets the filter state `wasm.NAME` of the current request.
    fn publish(&self, name: &str, value: &[u8]);
}

pub use crate::registry::MetricKind;

/// A metric that the host has defined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricId(pub u32);

/// Holds the series.
pub trait Metrics {
    /// Defines the metric of this [stat name](crate::stat_name), or finds it where it exists.
    fn define(&self, kind: MetricKind, stat_name: &str) -> Option<MetricId>;
    /// Records a value as the metric's kind has it.
    fn record(&self, metric: MetricId, value: u64);
    /// Changes a gauge by so much. Unlike a recorded value, this adds up over several workers.
    fn change(&self, gauge: MetricId, by: i64);
}

/// Knows the time.
pub trait Clock {
    /// Nanoseconds since some fixed point.
    fn now(&self) -> u64;
}

/// How much a log line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// For who traces one request.
    Debug,
    /// Something that an operator should mend; telemetry goes on.
    Warn,
    /// Something that keeps telemetry from working.
    Error,
}

/// Writes to the proxy's log.
pub trait Log {
    /// Writes one line.
    fn log(&self, level: LogLevel, message: &str);
}

/// A whole host.
///
/// What is on the way of every request is generic over it, and compiled with the host. What runs once
/// per plugin, series or peer takes a `&dyn Host`, and is compiled once and small: a proxy compiles all
/// of a module before it starts.
pub trait Host: Headers + Attributes + Metrics + Clock + Log {}

impl<T: Headers + Attributes + Metrics + Clock + Log> Host for T {}
