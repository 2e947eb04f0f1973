//! The standard metrics: their names and kinds.

use crate::registry::MetricKind;

/// What every metric's name begins with unless configured; a `_` follows.
pub const PREFIX: &str = "istio";

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

/// A metric of a gRPC request's messages, with the first 20 labels. It grows while the request is
/// open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageMetric {
    /// Messages from the client.
    RequestMessagesTotal,
    /// Messages to the client.
    ResponseMessagesTotal,
}

impl MessageMetric {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::RequestMessagesTotal, Self::ResponseMessagesTotal];
    /// How many of the standard labels it has.
    pub const LABELS: usize = 20;

    /// The name behind [`PREFIX`].
    pub const fn name(self) -> &'static str {
        match self {
            Self::RequestMessagesTotal => "request_messages_total",
            Self::ResponseMessagesTotal => "response_messages_total",
        }
    }
}

/// A metric that Istio does not have; off unless configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtraMetric {
    /// Requests counted as they begin.
    RequestsStartedTotal,
    /// Requests that have begun and not ended.
    RequestsInFlight,
    /// From the request's headers to the response's, in milliseconds: what a stream's duration
    /// hides.
    ResponseFirstByte,
}

impl ExtraMetric {
    /// All of them.
    pub const ALL: [Self; 3] = [
        Self::RequestsStartedTotal,
        Self::RequestsInFlight,
        Self::ResponseFirstByte,
    ];

    /// The name behind [`PREFIX`].
    pub const fn name(self) -> &'static str {
        match self {
            Self::RequestsStartedTotal => "requests_started_total",
            Self::RequestsInFlight => "requests_in_flight",
            Self::ResponseFirstByte => "response_first_byte_milliseconds",
        }
    }
}

/// A metric of a TCP connection, with the first 23 labels: a connection has neither a response code
/// nor a gRPC status. All are counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TcpMetric {
    /// Connections, as they become known.
    ConnectionsOpenedTotal,
    /// Connections that have ended.
    ConnectionsClosedTotal,
    /// Bytes of the application to the client.
    SentBytesTotal,
    /// Bytes of the application from the client.
    ReceivedBytesTotal,
}

impl TcpMetric {
    /// All of them, in the order in which they are recorded.
    pub const ALL: [Self; 4] = [
        Self::ConnectionsOpenedTotal,
        Self::ConnectionsClosedTotal,
        Self::SentBytesTotal,
        Self::ReceivedBytesTotal,
    ];
    /// How many of the standard labels it has.
    pub const LABELS: usize = 23;

    /// The name behind [`PREFIX`].
    pub const fn name(self) -> &'static str {
        match self {
            Self::ConnectionsOpenedTotal => "tcp_connections_opened_total",
            Self::ConnectionsClosedTotal => "tcp_connections_closed_total",
            Self::SentBytesTotal => "tcp_sent_bytes_total",
            Self::ReceivedBytesTotal => "tcp_received_bytes_total",
        }
    }
}

/// The name of the gauge that shows the version, behind [`PREFIX`].
pub const BUILD: &str = "build";
/// The labels of [`BUILD`]; the first is always `proxy`.
pub const BUILD_LABELS: [&str; 2] = ["component", "tag"];

/// The name of the gauge of label sets that wait for their series, behind [`PREFIX`].
pub const PENDING: &str = "pending_label_sets";
/// The labels of [`PENDING`].
pub const PENDING_LABELS: [&str; 1] = ["reporter"];

/// Whether this is the name of a metric of the module's own, which a configuration cannot define.
pub fn is_standard(name: &str) -> bool {
    HttpMetric::ALL.iter().any(|metric| metric.name() == name)
        || MessageMetric::ALL
            .iter()
            .any(|metric| metric.name() == name)
        || ExtraMetric::ALL.iter().any(|metric| metric.name() == name)
        || TcpMetric::ALL.iter().any(|metric| metric.name() == name)
        || name == BUILD
        || name == PENDING
}
