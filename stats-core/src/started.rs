//! Metrics of requests as they begin: for an autoscaler, what has ended comes too late.

use alloc::string::String;

use crate::config::Config;
use crate::dimensions::{Facts, Label as L, Outcome, Principals, Protocol, Reporter};
use crate::host::{MetricId, MetricKind, Metrics};
use crate::metrics::ExtraMetric;
use crate::service::Service;
use crate::stat_name;
use crate::workload::Workload;

/// Metrics of requests as they begin, with the labels of the local workload alone: what is asked for
/// is not known before the end.
pub struct Started {
    total: Option<MetricId>,
    in_flight: Option<MetricId>,
}

impl Started {
    /// Defines what is configured; nothing, where nothing is.
    pub fn new(
        host: &dyn Metrics,
        config: &Config,
        reporter: Reporter,
        local: &Workload,
    ) -> Option<Self> {
        let labels = match reporter {
            Reporter::Source => [
                L::SourceWorkload,
                L::SourceWorkloadNamespace,
                L::SourceApp,
                L::SourceVersion,
                L::SourceCanonicalService,
                L::SourceCanonicalRevision,
                L::SourceCluster,
            ],
            Reporter::Destination | Reporter::Waypoint => [
                L::DestinationWorkload,
                L::DestinationWorkloadNamespace,
                L::DestinationApp,
                L::DestinationVersion,
                L::DestinationCanonicalService,
                L::DestinationCanonicalRevision,
                L::DestinationCluster,
            ],
        };
        let facts = Facts {
            reporter,
            local,
            peer: &Workload::UNKNOWN,
            upstream: local,
            principals: Principals::default(),
            service: Service::default(),
            outcome: Outcome {
                protocol: Protocol::Http,
                response_code: 0,
                response_flags: 0,
                grpc_status: None,
            },
        };
        let define = |metric: ExtraMetric, kind| {
            if !config.extra_metrics.contains(&metric) {
                return None;
            }
            let mut name = String::new();
            for label in [L::Reporter].into_iter().chain(labels) {
                stat_name::push_label(&mut name, label.name(), &facts.value(label));
            }
            for part in [&config.stat_prefix, "_", metric.name()] {
                name.push_str(part);
            }
            host.define(kind, &name)
        };
        let started = Self {
            total: define(ExtraMetric::RequestsStartedTotal, MetricKind::Counter),
            in_flight: define(ExtraMetric::RequestsInFlight, MetricKind::Gauge),
        };
        (started.total.is_some() || started.in_flight.is_some()).then_some(started)
    }

    /// A request has begun.
    pub fn begin(&self, host: &impl Metrics) {
        if let Some(total) = self.total {
            host.record(total, 1);
        }
        if let Some(in_flight) = self.in_flight {
            host.change(in_flight, 1);
        }
    }

    /// A request that had begun has ended.
    pub fn end(&self, host: &impl Metrics) {
        if let Some(in_flight) = self.in_flight {
            host.change(in_flight, -1);
        }
    }
}
