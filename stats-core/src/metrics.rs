//! The standard metrics: their names and kinds.

use crate::host::MetricKind;

/// What every metric's name begins with.
pub const PREFIX: &str = "istio_";

/// A metric recorded once for each finished HTTP request, with all labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpMetric {
    /// Requests.
    RequestsTotal,
    /// From the first byte of the request to the last of the response, in milliseconds.
    RequestDuration,
    /// Bytes of the request, headers included.
    RequestBytes,
    /// Bytes of the response, headers included.
    ResponseBytes,
}

impl HttpMetric {
    /// All of them, in the order in which they are recorded.
    pub const ALL: [Self; 4] = [
        Self::RequestsTotal,
        Self::RequestDuration,
        Self::RequestBytes,
        Self::ResponseBytes,
    ];

    /// The name behind [`PREFIX`].
    pub const fn name(self) -> &'static str {
        match self {
            Self::RequestsTotal => "requests_total",
            Self::RequestDuration => "request_duration_milliseconds",
            Self::RequestBytes => "request_bytes",
            Self::ResponseBytes => "response_bytes",
        }
    }

    /// Counter or histogram.
    pub const fn kind(self) -> MetricKind {
        match self {
            Self::RequestsTotal => MetricKind::Counter,
            Self::RequestDuration | Self::RequestBytes | Self::ResponseBytes => {
                MetricKind::Histogram
            }
        }
    }
}
