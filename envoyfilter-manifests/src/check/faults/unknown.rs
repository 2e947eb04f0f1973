//! Workloads that are unknown in the labels: the proxy's own, and its peers.

use std::collections::BTreeMap;

use stats_core::labels::UNKNOWN;
use stats_core::peer::unknown::UnknownReason;

use super::Expectations;
use crate::check::finding::{Fault, Finding};
use crate::check::observation::Observation;
use crate::scrape::ScrapedSample;

impl Expectations {
    pub(super) fn unknown_self(&self, observed: &Observation) -> Option<Finding> {
        let oneself = |sample: &ScrapedSample| match sample.label("reporter") {
            "source" => sample.label("source_workload") == UNKNOWN,
            _ => sample.label("destination_workload") == UNKNOWN,
        };
        let (unknown, all) = self.count(observed, |_| true, oneself);
        if !self.matters(unknown, all) {
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

    /// Peers of the mesh of which nothing is known.
    pub(super) fn unknown_peers(&self, observed: &Observation) -> Option<Finding> {
        let callers = |sample: &ScrapedSample| {
            unknown_source(sample) && sample.label("connection_security_policy") != "none"
        };
        let called = |sample: &ScrapedSample| {
            unknown_destination(sample) && !is_outside(sample) && is_answered(sample)
        };
        let mut problem = Vec::new();
        let (some, all) = self.count(observed, is_served, callers);
        if self.matters(some, all) {
            problem.push(format!(
                "The source of {some} of {all} requests is unknown; they came with mutual TLS, so most likely from a proxy that \
                 does not exchange metadata."
            ));
        }
        let (some, all) = self.count(observed, is_sent, called);
        if self.matters(some, all) {
            problem.push(format!(
                "The destination of {some} of {all} requests is unknown; most likely the other side has no sidecar, or one that \
                 does not exchange metadata."
            ));
        }
        if problem.is_empty() {
            return None;
        }
        problem.extend(self.stated_reasons(observed));
        Some(Finding::new(
            Fault::UnknownPeers,
            problem.join(" "),
            "See that these peers have a sidecar, that the module (or Istio's own metadata exchange) is in it for that direction, \
             and that no gateway between takes x-envoy-peer-metadata away.",
        ))
    }

    /// Peers without a sidecar, of which nothing can be known.
    pub(super) fn peers_outside(&self, observed: &Observation) -> Option<Finding> {
        let callers = |sample: &ScrapedSample| {
            unknown_source(sample) && sample.label("connection_security_policy") == "none"
        };
        let called = |sample: &ScrapedSample| {
            unknown_destination(sample) && is_outside(sample) && is_answered(sample)
        };
        let mut problem = Vec::new();
        let (some, all) = self.count(observed, is_served, callers);
        if self.matters(some, all) {
            problem.push(format!(
                "{some} of {all} requests came without mutual TLS and without metadata, so most likely from outside the mesh: \
                 their source is unknown."
            ));
        }
        let (some, all) = self.count(observed, is_sent, called);
        if self.matters(some, all) {
            problem.push(format!(
                "{some} of {all} requests went out of the mesh, where services send no metadata: their destination is unknown."
            ));
        }
        if problem.is_empty() {
            return None;
        }
        problem.extend(self.stated_reasons(observed));
        Some(Finding::new(
            Fault::PeersOutside,
            problem.join(" "),
            "Nothing, if they are outside. A client of the mesh needs a sidecar; with one that only lacks mutual TLS, see that the \
             module is in it.",
        ))
    }

    /// Whoever did not answer could not say who it is.
    pub(super) fn no_answer(&self, observed: &Observation) -> Option<Finding> {
        let silent = |sample: &ScrapedSample| unknown_destination(sample) && !is_answered(sample);
        let (some, all) = self.count(observed, is_sent, silent);
        if !self.matters(some, all) {
            return None;
        }
        let mut flags: BTreeMap<&str, f64> = BTreeMap::new();
        let requests = self.requests();
        for sample in observed
            .counted(&requests)
            .filter(|sample| is_sent(sample) && silent(sample))
        {
            *flags.entry(sample.label("response_flags")).or_default() += sample.value;
        }
        Some(Finding::new(
            Fault::NoAnswer,
            format!(
                "{some} of {all} requests got no answer from the other side, which could then not say who it is; response flags: {}.",
                listed(&flags)
            ),
            "The metrics are right. See why the service does not answer: Envoy's documentation explains the flags.",
        ))
    }

    /// The reasons in the label `peer_unknown_reason`, if the module is configured to add it.
    fn stated_reasons(&self, observed: &Observation) -> Option<String> {
        let mut reasons: BTreeMap<&str, f64> = BTreeMap::new();
        let requests = self.requests();
        for sample in observed.counted(&requests) {
            let reason = sample.label(UnknownReason::LABEL);
            if !reason.is_empty() && reason != UnknownReason::None.name() {
                *reasons.entry(reason).or_default() += sample.value;
            }
        }
        (!reasons.is_empty()).then(|| format!("The module's own reasons: {}.", listed(&reasons)))
    }
}

fn is_served(sample: &ScrapedSample) -> bool {
    sample.label("reporter") == "destination"
}

fn is_sent(sample: &ScrapedSample) -> bool {
    sample.label("reporter") == "source"
}

fn unknown_source(sample: &ScrapedSample) -> bool {
    sample.label("source_workload") == UNKNOWN
}

fn unknown_destination(sample: &ScrapedSample) -> bool {
    sample.label("destination_workload") == UNKNOWN
}

fn is_outside(sample: &ScrapedSample) -> bool {
    let service = sample.label("destination_service_name");
    matches!(service, "PassthroughCluster" | "BlackHoleCluster")
}

/// A proxy that answers itself, or gets no answer, says why in the response flags.
fn is_answered(sample: &ScrapedSample) -> bool {
    match sample.label("response_flags") {
        "-" => true,
        // The client went away, before or after the answer began.
        "DC" => sample.label("response_code") != "0",
        _ => false,
    }
}

fn listed(counts: &BTreeMap<&str, f64>) -> String {
    let counts: Vec<String> = counts
        .iter()
        .map(|(name, count)| format!("{name} ({count})"))
        .collect();
    counts.join(", ")
}
