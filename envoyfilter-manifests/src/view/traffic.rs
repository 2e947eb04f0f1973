//! Who calls whom: a graph of workloads, from rates under Istio's labels. Not here: what of it is shown.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use stats_core::labels::metrics::HttpMetric;
use stats_core::labels::{Label, OVERFLOW, UNKNOWN};

use crate::readers::is_failure;
use crate::scrape::ScrapedSample;

/// A side of a call.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallParty {
    /// Its namespace; empty where that is not known.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: PartyKind,
}

/// What a side of a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PartyKind {
    /// A workload.
    Workload,
    /// A service, of which no workload has answered who it is.
    Service,
    /// A client that did not say who it is.
    Unknown,
    /// What the module counted beyond its limit of series.
    Overflow,
}

/// The traffic from one side to another, per second.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CallTraffic {
    /// Requests.
    pub requests: f64,
    /// Requests that the server failed.
    pub failed: f64,
    /// Requests of which is known whether they had mutual TLS, and those that had.
    pub secured: (f64, f64),
    /// Requests by response code and response flags.
    pub outcomes: BTreeMap<(String, String), f64>,
    /// Requests that took at most so long.
    pub buckets: BTreeMap<BucketBound, f64>,
    /// Bytes of TCP connections, in both directions.
    pub tcp_bytes: f64,
}

/// All calls.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrafficGraph {
    /// The calls, from and to.
    pub calls: BTreeMap<(CallParty, CallParty), CallTraffic>,
}

/// The upper bound of a histogram's bucket, in milliseconds; infinite for the last.
#[derive(Clone, Copy, Debug)]
pub struct BucketBound(pub f64);

impl BucketBound {
    /// The last bucket's.
    pub const INFINITE: Self = Self(f64::INFINITY);
}

impl TrafficGraph {
    /// The graph of these rates. A call that both its sides report is taken from the client's, which has waited for it; only
    /// the server's knows of mutual TLS.
    pub fn of(rates: &[ScrapedSample], prefix: &str) -> Self {
        let mut sides: BTreeMap<(CallParty, CallParty), [CallTraffic; 2]> = BTreeMap::new();
        for sample in rates {
            let Some(metric) = sample.name.strip_prefix(prefix) else {
                continue;
            };
            let call = (CallParty::source(sample), CallParty::destination(sample));
            let at_server = usize::from(sample.label(Label::Reporter.name()) != "source");
            let [client, server] = sides.entry(call).or_default();
            let side = if at_server == 1 { server } else { client };
            side.add_sample(metric, sample);
        }
        let calls = sides.into_iter().map(|(call, [client, server])| {
            let secured = server.secured;
            let reported_by_client = client.requests > 0.0 || client.tcp_bytes > 0.0;
            let traffic = if reported_by_client { client } else { server };
            (call, CallTraffic { secured, ..traffic })
        });
        Self {
            calls: calls.collect(),
        }
    }

    /// All sides.
    pub fn parties(&self) -> impl Iterator<Item = &CallParty> {
        let both = self.calls.keys().flat_map(|(from, to)| [from, to]);
        both.collect::<std::collections::BTreeSet<_>>().into_iter()
    }

    /// What is sent to a side.
    pub fn served_by(&self, party: &CallParty) -> CallTraffic {
        let mut served = CallTraffic::default();
        for ((_, to), traffic) in &self.calls {
            if to == party {
                served.add(traffic);
            }
        }
        served
    }
}

impl CallParty {
    fn source(sample: &ScrapedSample) -> Self {
        Self::new(
            sample.label(Label::SourceWorkloadNamespace.name()),
            sample.label(Label::SourceWorkload.name()),
        )
    }

    fn destination(sample: &ScrapedSample) -> Self {
        let namespace = sample.label(Label::DestinationWorkloadNamespace.name());
        let workload = sample.label(Label::DestinationWorkload.name());
        let service = sample.label(Label::DestinationServiceName.name());
        if matches!(workload, "" | UNKNOWN) && !matches!(service, "" | UNKNOWN) {
            let namespace = sample.label(Label::DestinationServiceNamespace.name());
            return Self {
                kind: PartyKind::Service,
                ..Self::new(namespace, service)
            };
        }
        Self::new(namespace, workload)
    }

    fn new(namespace: &str, name: &str) -> Self {
        let kind = match name {
            "" | UNKNOWN => PartyKind::Unknown,
            OVERFLOW => PartyKind::Overflow,
            _ => PartyKind::Workload,
        };
        let known = !matches!(namespace, UNKNOWN | OVERFLOW);
        Self {
            namespace: if known {
                namespace.to_owned()
            } else {
                String::new()
            },
            name: if name.is_empty() { UNKNOWN } else { name }.to_owned(),
            kind,
        }
    }
}

impl CallTraffic {
    /// Adds the traffic of another call.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.failed += other.failed;
        self.secured.0 += other.secured.0;
        self.secured.1 += other.secured.1;
        self.tcp_bytes += other.tcp_bytes;
        for (outcome, requests) in &other.outcomes {
            *self.outcomes.entry(outcome.clone()).or_default() += requests;
        }
        for (bound, requests) in &other.buckets {
            *self.buckets.entry(*bound).or_default() += requests;
        }
    }

    /// The share of requests that failed, in percent; `None` without requests.
    pub fn failed_percent(&self) -> Option<f64> {
        percent(self.failed, self.requests)
    }

    /// The share of requests with mutual TLS, in percent; `None` where that is not known.
    pub fn mutual_tls_percent(&self) -> Option<f64> {
        percent(self.secured.1, self.secured.0)
    }

    /// A quantile of the duration, in milliseconds, as Prometheus computes it: linear within a bucket; where it is beyond the
    /// last bound, that bound.
    pub fn quantile(&self, quantile: f64) -> Option<f64> {
        let all = *self.buckets.get(&BucketBound::INFINITE)?;
        if all <= 0.0 {
            return None;
        }
        let rank = quantile * all;
        let mut lower = (0.0, 0.0);
        for (bound, requests) in &self.buckets {
            if *bound == BucketBound::INFINITE {
                break;
            }
            let BucketBound(bound) = *bound;
            if *requests >= rank && *requests > lower.1 {
                return Some(lower.0 + (bound - lower.0) * (rank - lower.1) / (requests - lower.1));
            }
            lower = (bound, *requests);
        }
        Some(lower.0)
    }

    fn add_sample(&mut self, metric: &str, sample: &ScrapedSample) {
        let value = sample.value;
        if metric == HttpMetric::RequestsTotal.name() {
            let code = sample.label(Label::ResponseCode.name());
            let grpc = sample.label(Label::GrpcResponseStatus.name());
            let flags = sample.label(Label::ResponseFlags.name());
            self.requests += value;
            if is_failure(code, grpc) {
                self.failed += value;
            }
            match sample.label(Label::ConnectionSecurityPolicy.name()) {
                "mutual_tls" => {
                    self.secured.0 += value;
                    self.secured.1 += value;
                }
                "none" => self.secured.0 += value,
                _ => {}
            }
            let code = if grpc.is_empty() {
                code.to_owned()
            } else {
                format!("{code}, gRPC {grpc}")
            };
            *self.outcomes.entry((code, flags.to_owned())).or_default() += value;
        } else if metric.strip_suffix("_bucket") == Some(HttpMetric::RequestDuration.name()) {
            if let Ok(bound) = sample.label("le").parse() {
                *self.buckets.entry(BucketBound(bound)).or_default() += value;
            }
        } else if matches!(metric, "tcp_sent_bytes_total" | "tcp_received_bytes_total") {
            self.tcp_bytes += value;
        }
    }
}

impl Ord for BucketBound {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for BucketBound {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for BucketBound {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for BucketBound {}

fn percent(part: f64, all: f64) -> Option<f64> {
    (all > 0.0).then(|| 100.0 * part / all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scrape::ScrapedPage;

    fn graph(page: &str) -> TrafficGraph {
        TrafficGraph::of(&ScrapedPage::parse(page).samples, "istio_")
    }

    #[test]
    fn the_client_says_how_long_and_the_server_says_how_secure() {
        let call = "source_workload=\"a\",source_workload_namespace=\"x\",destination_workload=\"b\",destination_workload_namespace=\"y\"";
        let graph = graph(&format!(
            "istio_requests_total{{reporter=\"source\",{call},response_code=\"503\",connection_security_policy=\"unknown\"}} 2\n\
             istio_requests_total{{reporter=\"source\",{call},response_code=\"200\",connection_security_policy=\"unknown\"}} 6\n\
             istio_requests_total{{reporter=\"destination\",{call},response_code=\"200\",connection_security_policy=\"mutual_tls\"}} 6\n\
             istio_request_duration_milliseconds_bucket{{reporter=\"source\",{call},le=\"10\"}} 4\n\
             istio_request_duration_milliseconds_bucket{{reporter=\"source\",{call},le=\"20\"}} 8\n\
             istio_request_duration_milliseconds_bucket{{reporter=\"source\",{call},le=\"+Inf\"}} 8\n\
             istio_request_duration_milliseconds_bucket{{reporter=\"destination\",{call},le=\"+Inf\"}} 6\n"
        ));
        assert_eq!(graph.calls.len(), 1);
        let traffic = graph.calls.values().next().unwrap();
        assert_eq!(traffic.requests.to_string(), "8");
        assert_eq!(traffic.failed_percent(), Some(25.0));
        assert_eq!(traffic.mutual_tls_percent(), Some(100.0));
        assert_eq!(traffic.quantile(0.75), Some(15.0));
    }

    #[test]
    fn a_service_that_does_not_say_who_it_is_is_shown_as_a_service() {
        let graph = graph(
            "istio_requests_total{reporter=\"source\",source_workload=\"a\",source_workload_namespace=\"x\",\
             destination_workload=\"unknown\",destination_service_name=\"PassthroughCluster\",response_code=\"200\"} 1\n",
        );
        let (_, to) = graph.calls.keys().next().unwrap();
        assert_eq!(
            (to.kind, to.name.as_str()),
            (PartyKind::Service, "PassthroughCluster")
        );
    }

    #[test]
    fn a_quantile_beyond_the_last_bound_is_that_bound_and_without_requests_there_is_none() {
        let mut traffic = CallTraffic {
            buckets: [(BucketBound(5.0), 1.0), (BucketBound::INFINITE, 4.0)].into(),
            ..CallTraffic::default()
        };
        assert_eq!(traffic.quantile(0.99), Some(5.0));
        traffic.buckets = [(BucketBound(5.0), 0.0), (BucketBound::INFINITE, 0.0)].into();
        assert_eq!(traffic.quantile(0.99), None);
    }
}
