//! Metrics of requests as they begin. An autoscaler needs them: requests that are counted at their end
//! show a load that is over.

use alloc::format;
use alloc::vec::Vec;

use crate::host::{MetricKind, Metrics, SeriesId};
use crate::labels::metrics::ExtraMetric;
use crate::labels::outcome::Outcome;
use crate::labels::service::Service;
use crate::labels::table::{self, Inputs};
use crate::labels::value::neutral;
use crate::labels::{Label as L, Reporter};
use crate::peer::principals::Principals;
use crate::peer::workload::Workload;

/// Metrics of requests as they begin, with the labels of the local workload alone: what is asked for
/// is not known before the end.
pub struct InFlight {
    started: Option<SeriesId>,
    in_flight: Option<SeriesId>,
}

impl InFlight {
    /// Defines those of `metrics` that are of requests as they begin; `None` where none is. Names begin
    /// with `prefix` and a `_`.
    pub fn new(
        host: &mut dyn Metrics,
        prefix: &str,
        metrics: &[ExtraMetric],
        reporter: Reporter,
        local: &Workload,
    ) -> Option<Self> {
        let inputs = Inputs {
            reporter,
            local,
            peer: &Workload::UNKNOWN,
            upstream: local,
            principals: Principals::default(),
            service: Service::default(),
            outcome: Outcome::default(),
        };
        let labels = labels(reporter);
        let values = labels.map(|label| table::value(label, &inputs));
        let values: Vec<_> = values.iter().map(|value| neutral(value)).collect();
        let mut define = |metric: ExtraMetric, kind| {
            if !metrics.contains(&metric) {
                return None;
            }
            let name = format!("{prefix}_{}", metric.name());
            let family = host.family(kind, &name, &labels.map(L::name))?;
            let values: Vec<&str> = values.iter().map(|value| &**value).collect();
            host.series(family, &values)
        };
        let defined = Self {
            started: define(ExtraMetric::RequestsStartedTotal, MetricKind::Counter),
            in_flight: define(ExtraMetric::RequestsInFlight, MetricKind::Gauge),
        };
        (defined.started.is_some() || defined.in_flight.is_some()).then_some(defined)
    }

    /// A request has begun, of which this is the only callback: the proxy answered it before it came
    /// this far.
    #[cold]
    pub fn begin_and_end(&self, host: &mut dyn Metrics) {
        if let Some(started) = self.started {
            host.add(started, 1);
        }
    }

    /// A request has begun.
    pub fn begin(&self, host: &mut impl Metrics) {
        if let Some(started) = self.started {
            host.add(started, 1);
        }
        if let Some(in_flight) = self.in_flight {
            host.gauge_add(in_flight, 1);
        }
    }

    /// A request that had begun is gone.
    pub fn end(&self, host: &mut impl Metrics) {
        if let Some(in_flight) = self.in_flight {
            host.gauge_add(in_flight, -1);
        }
    }
}

/// The labels that show the local workload.
const fn labels(reporter: Reporter) -> [L; 8] {
    match reporter {
        Reporter::Source => [
            L::Reporter,
            L::SourceWorkload,
            L::SourceWorkloadNamespace,
            L::SourceApp,
            L::SourceVersion,
            L::SourceCanonicalService,
            L::SourceCanonicalRevision,
            L::SourceCluster,
        ],
        Reporter::Destination | Reporter::Waypoint => [
            L::Reporter,
            L::DestinationWorkload,
            L::DestinationWorkloadNamespace,
            L::DestinationApp,
            L::DestinationVersion,
            L::DestinationCanonicalService,
            L::DestinationCanonicalRevision,
            L::DestinationCluster,
        ],
    }
}
