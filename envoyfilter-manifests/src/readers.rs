//! What reads the metrics: Prometheus, autoscaling, canary analysis, dashboards, and Prometheus twice over.

mod alerts;
mod autoscaling;
mod flagger;
mod grafana;
mod high_availability;
mod kiali;
mod prometheus;
mod prometheus_operator;
mod queries;
mod rules;

use anyhow::Result;

use crate::bundle::Bundle;
use crate::installation::{Installation, Platform};
use crate::settings::Native;

pub use queries::{Queries, REQUIRED_BUCKETS, Selection, is_failure};

/// Adds the readers that make sense for an installation.
///
/// # Errors
/// When an object cannot be written as YAML or JSON.
pub fn add(bundle: &mut Bundle, installation: &Installation) -> Result<()> {
    bundle.yaml(
        "prometheus/prometheus.yaml",
        &[prometheus::config(installation)],
    )?;
    bundle.yaml("prometheus/rules.yaml", &[rules::rules(installation)])?;
    bundle.yaml("prometheus/alerts.yaml", &[alerts::alerts(installation)])?;
    for (file, dashboard) in grafana::dashboards(installation)? {
        bundle.text(&file, dashboard);
    }
    if !matches!(installation.platform, Platform::Envoy { .. }) {
        bundle.yaml(
            "prometheus-operator/pod-monitor.yaml",
            &[prometheus_operator::pod_monitor(installation)],
        )?;
        bundle.yaml(
            "prometheus-operator/prometheus-rule.yaml",
            &[prometheus_operator::prometheus_rule(installation)],
        )?;
        bundle.yaml(
            "high-availability/prometheus-thanos.yaml",
            &high_availability::documents(installation)?,
        )?;
    }
    // Scaling and releasing a workload takes the metrics of its own sidecars.
    if let Platform::Istio { native, .. } = installation.platform {
        if installation.scales {
            scaling(bundle, installation)?;
        }
        if native != Native::SideBySide {
            bundle.yaml("kiali/kiali-values.yaml", &[kiali::values(installation)])?;
        }
    }
    Ok(())
}

fn scaling(bundle: &mut Bundle, installation: &Installation) -> Result<()> {
    bundle.yaml(
        "autoscaling/prometheus-adapter-values.yaml",
        &[autoscaling::adapter(installation)],
    )?;
    bundle.yaml("autoscaling/hpa.yaml", &[autoscaling::hpa(installation)])?;
    bundle.yaml(
        "autoscaling/scaled-object.yaml",
        &[autoscaling::scaled_object(installation)],
    )?;
    bundle.yaml(
        "flagger/metric-templates.yaml",
        &flagger::metric_templates(installation),
    )?;
    bundle.yaml("flagger/canary.yaml", &[flagger::canary(installation)])
}
