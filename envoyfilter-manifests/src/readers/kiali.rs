//! Kiali's settings.

use serde_json::json;

use crate::bundle::Document;
use crate::installation::Installation;

/// Values of Kiali's Helm charts.
pub fn values(installation: &Installation) -> Document {
    Document::new(
        "Values of Kiali's Helm chart (kiali-server), and likewise the `spec` of its resource Kiali. It reads istio_* with\n\
         the standard labels, which is what the module makes; only Prometheus' address needs saying.",
        json!({
            "external_services": {
                "prometheus": {
                    "thanos_proxy": {
                        "enabled": false,
                        "retention_period": "7d",
                        "scrape_interval": installation.scrape_interval,
                    },
                    "url": installation.prometheus_url,
                },
            },
        }),
    )
    .note(
        "thanos_proxy:",
        "With ../high-availability: true, and as url http://thanos-query.NAMESPACE:9090. Kiali cannot ask Thanos what it\n\
         asks Prometheus about itself, so it is told.",
    )
}
