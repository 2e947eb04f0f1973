//! What reads the metrics: Prometheus, autoscaling, canary analysis, dashboards, and Prometheus twice over.

mod autoscaling;
mod flagger;
mod grafana;
mod high_availability;
mod kiali;
mod prometheus;
mod queries;
mod rules;

use anyhow::Result;

use crate::bundle::Bundle;
use crate::plan::{Mesh, Plan};
use crate::settings::Native;

pub use queries::{Queries, REQUIRED_BUCKETS, Selection};

/// Adds the readers that make sense for a plan.
///
/// # Errors
/// When an object cannot be written as YAML or JSON.
pub fn add(bundle: &mut Bundle, plan: &Plan) -> Result<()> {
    bundle.yaml("prometheus/prometheus.yaml", &[prometheus::config(plan)])?;
    bundle.yaml("prometheus/rules.yaml", &[rules::rules(plan)])?;
    bundle.text("grafana/mixerless.json", grafana::dashboard(plan)?);
    if !matches!(plan.mesh, Mesh::Envoy { .. }) {
        bundle.yaml(
            "high-availability/prometheus-thanos.yaml",
            &high_availability::documents(plan)?,
        )?;
    }
    // Scaling and releasing a workload takes the metrics of its own sidecars.
    if let Mesh::Istio { native, .. } = plan.mesh {
        bundle.yaml(
            "autoscaling/prometheus-adapter-values.yaml",
            &[autoscaling::adapter(plan)],
        )?;
        bundle.yaml("autoscaling/hpa.yaml", &[autoscaling::hpa(plan)])?;
        bundle.yaml(
            "flagger/metric-templates.yaml",
            &flagger::metric_templates(plan),
        )?;
        bundle.yaml("flagger/canary.yaml", &[flagger::canary(plan)])?;
        if native == Native::Off {
            bundle.yaml("kiali/kiali-values.yaml", &[kiali::values(plan)])?;
        }
    }
    Ok(())
}
