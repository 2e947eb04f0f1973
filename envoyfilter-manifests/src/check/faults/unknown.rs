//! Workloads that are unknown in the labels: the proxy's own, and its peers.

use std::collections::BTreeMap;

use stats_core::labels::UNKNOWN;
use stats_core::peer::unknown::UnknownReason;

use super::Expectations;
use crate::check::finding::{Fault, Finding};
use crate::check::page::{ScrapedPage, ScrapedSample};

impl Expectations {
    pub(super) fn unknown_self(&self, page: &ScrapedPage) -> Option<Finding> {
        let oneself = |sample: &ScrapedSample| match sample.label("reporter") {
            "source" => sample.label("source_workload") == UNKNOWN,
            _ => sample.label("destination_workload") == UNKNOWN,
        };
        let (unknown, all) = self.count(page, |_| true, oneself);
        if unknown == 0.0 {
            return None;
        }
        Some(Finding::new(
            Fault::UnknownSelf,
            format!(
                "The proxy does not know its own workload in {unknown} of {all} requests: \
                 its node has no metadata NAME, NAMESPACE, WORKLOAD_NAME, LABELS."
            ),
            "Istio's injector writes it. In a bootstrap of your own, write the section `node` as envoy/bootstrap.yaml of \
             `mixerless manifests` has it.",
        ))
    }

    pub(super) fn unknown_peers(&self, page: &ScrapedPage) -> Option<Finding> {
        let problem: Vec<String> = [self.unknown_sources(page), self.unknown_destinations(page)]
            .into_iter()
            .flatten()
            .collect();
        if problem.is_empty() {
            return None;
        }
        let problem: Vec<String> = problem
            .into_iter()
            .chain(self.stated_reasons(page))
            .collect();
        Some(Finding::new(
            Fault::UnknownPeers,
            problem.join(" "),
            "For peers of the mesh: see that they have a sidecar, that the module (or Istio's own metadata exchange) is in it for \
             that direction, and that no gateway between takes x-envoy-peer-metadata away. For peers outside, unknown is right.",
        ))
    }

    fn unknown_sources(&self, page: &ScrapedPage) -> Option<String> {
        let inbound = |sample: &ScrapedSample| sample.label("reporter") == "destination";
        let unknown = |sample: &ScrapedSample| sample.label("source_workload") == UNKNOWN;
        let plain = |sample: &ScrapedSample| {
            unknown(sample) && sample.label("connection_security_policy") == "none"
        };
        let (callers, all) = self.count(page, inbound, unknown);
        let (plain, _) = self.count(page, inbound, plain);
        if callers == 0.0 {
            return None;
        }
        let reason = if plain > 0.0 {
            format!("{plain} of them came without mutual TLS, so most likely from outside the mesh")
        } else {
            "they came with mutual TLS, so most likely from a proxy that does not exchange metadata"
                .to_owned()
        };
        Some(format!(
            "The source of {callers} of {all} requests is unknown; {reason}."
        ))
    }

    fn unknown_destinations(&self, page: &ScrapedPage) -> Option<String> {
        let sent = |sample: &ScrapedSample| sample.label("reporter") == "source";
        let unknown = |sample: &ScrapedSample| sample.label("destination_workload") == UNKNOWN;
        let outside = |sample: &ScrapedSample| {
            let service = sample.label("destination_service_name");
            unknown(sample) && matches!(service, "PassthroughCluster" | "BlackHoleCluster")
        };
        let unanswered =
            |sample: &ScrapedSample| unknown(sample) && sample.label("response_flags") != "-";
        let (called, all) = self.count(page, sent, unknown);
        let (outside, _) = self.count(page, sent, outside);
        let (unanswered, _) = self.count(page, sent, unanswered);
        if called == 0.0 {
            return None;
        }
        let reason = if outside > 0.0 {
            format!("{outside} of them went out of the mesh, where services send no metadata")
        } else if unanswered > 0.0 {
            format!("{unanswered} of them got no answer from the other side")
        } else {
            "most likely the other side has no sidecar, or one that does not exchange metadata"
                .to_owned()
        };
        Some(format!(
            "The destination of {called} of {all} requests is unknown; {reason}."
        ))
    }

    /// The reasons in the label `peer_unknown_reason`, if the module is configured to add it.
    fn stated_reasons(&self, page: &ScrapedPage) -> Option<String> {
        let mut reasons: BTreeMap<&str, f64> = BTreeMap::new();
        for sample in page.of(&self.requests()) {
            let reason = sample.label(UnknownReason::LABEL);
            if !reason.is_empty() && reason != UnknownReason::None.name() {
                *reasons.entry(reason).or_default() += sample.value;
            }
        }
        let reasons: Vec<String> = reasons
            .iter()
            .map(|(reason, count)| format!("{reason} ({count})"))
            .collect();
        (!reasons.is_empty()).then(|| format!("The module's own reasons: {}.", reasons.join(", ")))
    }
}
