//! The queries of all readers, in `PromQL`. Each exists once, so that the canary, the autoscaler, the recording rules and the
//! dashboard cannot disagree.

use stats_core::labels::Label;
use stats_core::labels::metrics::{HttpMetric, TcpMetric};

use crate::installation::{Installation, Platform};

/// The bounds of the duration histogram without which thresholds and quantiles of the readers are guesses. 500 is the
/// canary's limit.
pub const REQUIRED_BUCKETS: [&str; 9] =
    ["5", "10", "25", "50", "100", "250", "500", "1000", "5000"];

/// gRPC has status code 200 in nearly every response. These gRPC statuses are failures of the server: unknown, deadline exceeded,
/// unimplemented, internal, unavailable, data loss.
const FAILED_GRPC: &str = "2|4|12|13|14|15";

/// Metric names with the prefix of an installation.
#[derive(Clone, Debug)]
pub struct Queries {
    prefix: String,
    /// Whether the proxies are gateways, which report what they pass on.
    from_gateway: bool,
    counts_tcp: bool,
}

/// A selection of requests or connections by their labels.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    matchers: Vec<String>,
}

impl Queries {
    /// Queries of the metrics of this installation.
    pub fn of(installation: &Installation) -> Self {
        Self {
            prefix: installation.plugin.prefix(),
            from_gateway: matches!(installation.platform, Platform::EnvoyGateway { .. }),
            counts_tcp: installation.counts_tcp(),
        }
    }

    /// The full name of a metric.
    pub fn name(&self, metric: HttpMetric) -> String {
        format!("{}{}", self.prefix, metric.name())
    }

    /// The prefix of the names.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether the proxies are gateways: all that they report is as the source of a request, whose destination has no sidecar
    /// to say more than the service's name.
    pub fn from_gateway(&self) -> bool {
        self.from_gateway
    }

    /// Whether there are metrics of TCP connections.
    pub fn counts_tcp(&self) -> bool {
        self.counts_tcp
    }

    /// What tells of all workloads with traffic: their requests, and their connections where these are counted.
    pub fn traffic(&self, of: &Selection) -> String {
        let requests = self.name(HttpMetric::RequestsTotal);
        if !self.counts_tcp {
            return format!("{requests}{}", of.to_promql());
        }
        let opened = TcpMetric::ConnectionsOpenedTotal.name();
        let names = format!("{requests}|{}{opened}", self.prefix);
        let either = Selection::default().and("__name__", "=~", &names);
        either.and_all(of).to_promql()
    }

    /// The requests of a workload as its own proxy reports them: those that a sidecar serves, those that a gateway passes on.
    pub fn own(&self) -> Selection {
        if self.from_gateway {
            Selection::called()
        } else {
            Selection::served()
        }
    }

    /// The labels of that workload: its name and its namespace.
    pub fn own_labels(&self) -> [Label; 2] {
        if self.from_gateway {
            [Label::SourceWorkload, Label::SourceWorkloadNamespace]
        } else {
            [
                Label::DestinationWorkload,
                Label::DestinationWorkloadNamespace,
            ]
        }
    }

    /// What is called in these requests.
    pub fn called_labels(&self) -> [Label; 2] {
        if self.from_gateway {
            [
                Label::DestinationServiceName,
                Label::DestinationServiceNamespace,
            ]
        } else {
            self.own_labels()
        }
    }

    /// Requests per second.
    pub fn request_rate(&self, by: &[Label], of: &Selection, window: &str) -> String {
        sum(by, &self.rate(HttpMetric::RequestsTotal, "", of, window))
    }

    /// Connections, or their bytes, per second.
    pub fn tcp_rate(
        &self,
        metric: TcpMetric,
        by: &[Label],
        of: &Selection,
        window: &str,
    ) -> String {
        let (prefix, name) = (&self.prefix, metric.name());
        sum(
            by,
            &format!("rate({prefix}{name}{}[{window}])", of.to_promql()),
        )
    }

    /// The share of requests without a failure of the server, in percent. Without traffic there is no value; where all
    /// requests fail it is zero.
    pub fn success_rate(&self, by: &[Label], of: &Selection, window: &str) -> String {
        let good = of.clone().and("response_code", "!~", "5..").and(
            "grpc_response_status",
            "!~",
            FAILED_GRPC,
        );
        self.share(by, &good, of, window)
    }

    /// The share of some requests in all, in percent. Without traffic there is no value; where there are none of them it is
    /// zero.
    pub fn share(&self, by: &[Label], some: &Selection, all: &Selection, window: &str) -> String {
        let some = self.request_rate(by, some, window);
        let all = self.request_rate(by, all, window);
        format!("100 * ({some} or 0 * {all}) / {all}")
    }

    /// A quantile of the duration, in milliseconds.
    pub fn duration(&self, quantile: &str, by: &[Label], of: &Selection, window: &str) -> String {
        let rate = self.rate(HttpMetric::RequestDuration, "_bucket", of, window);
        let by: Vec<&str> = by.iter().map(|label| label.name()).chain(["le"]).collect();
        format!(
            "histogram_quantile({quantile}, sum by ({}) ({rate}))",
            by.join(", ")
        )
    }

    /// The rate of a metric, or of a part of a histogram (`_bucket`, `_sum`, `_count`).
    pub fn rate(&self, metric: HttpMetric, part: &str, of: &Selection, window: &str) -> String {
        format!(
            "rate({}{part}{}[{window}])",
            self.name(metric),
            of.to_promql()
        )
    }
}

impl Selection {
    /// Requests as the inbound sidecar of the destination reports them.
    pub fn served() -> Self {
        Self::default().and("reporter", "=", "destination")
    }

    /// Requests as the outbound sidecar of the source reports them.
    pub fn called() -> Self {
        Self::default().and("reporter", "=", "source")
    }

    /// Only requests to this workload; both may be variables of the reader.
    #[must_use]
    pub fn to_workload(self, namespace: &str, workload: &str) -> Self {
        self.and(Label::DestinationWorkloadNamespace.name(), "=", namespace)
            .and(Label::DestinationWorkload.name(), "=", workload)
    }

    /// One more condition.
    #[must_use]
    pub fn and(mut self, label: &str, operator: &str, value: &str) -> Self {
        self.matchers.push(format!("{label}{operator}\"{value}\""));
        self
    }

    /// Only those with a value that the user of a dashboard chose in this variable.
    #[must_use]
    pub fn chosen(self, label: Label, variable: &str) -> Self {
        self.and(label.name(), "=~", &format!("${variable}"))
    }

    /// All conditions of another selection too.
    #[must_use]
    pub fn and_all(mut self, other: &Self) -> Self {
        self.matchers.extend_from_slice(&other.matchers);
        self
    }

    /// The label matchers after a metric's name.
    pub fn to_promql(&self) -> String {
        if self.matchers.is_empty() {
            return String::new();
        }
        format!("{{{}}}", self.matchers.join(","))
    }
}

/// Whether a request with this status code and gRPC status failed by fault of the server, as in [`Queries::success_rate`].
pub fn is_failure(code: &str, grpc_status: &str) -> bool {
    (code.len() == 3 && code.starts_with('5'))
        || FAILED_GRPC.split('|').any(|failed| failed == grpc_status)
}

/// A sum over all labels except these.
pub fn sum(by: &[Label], of: &str) -> String {
    if by.is_empty() {
        return format!("sum({of})");
    }
    let names: Vec<&str> = by.iter().map(|label| label.name()).collect();
    format!("sum by ({}) ({of})", names.join(", "))
}
