//! The expected series of a page.

use std::collections::BTreeMap;

use harness::Page;
use harness::sidecar::REQUEST_COUNTS;
use stats_core::labels::LABELS;

/// The labels of one series, all of them.
pub type Labels = BTreeMap<String, String>;

/// The cluster of every workload without another one.
pub const CLUSTER: &str = "c199d81d4e3104a5d90254b2a210914c8";

/// A successful request in plaintext from an unknown peer, as podinfo's inbound sidecar reports it, with these changes.
pub fn inbound(changes: &[(&str, &str)]) -> Labels {
    let podinfo = [
        ("reporter", "destination"),
        ("source_canonical_revision", "latest"),
        ("destination_workload", "podinfo"),
        ("destination_workload_namespace", "test"),
        ("destination_app", "podinfo"),
        ("destination_service", "podinfo.test.svc.cluster.local"),
        ("destination_service_name", "podinfo"),
        ("destination_service_namespace", "test"),
        ("destination_canonical_service", "podinfo"),
        ("destination_canonical_revision", "latest"),
        ("destination_cluster", CLUSTER),
        ("request_protocol", "http"),
        ("response_flags", "-"),
        ("connection_security_policy", "none"),
        ("response_code", "200"),
        ("grpc_response_status", ""),
    ];
    labels(&[&podinfo, changes])
}

/// A successful request of podinfo in plaintext to an unknown peer of the service podinfo, as the outbound sidecar reports
/// it, with these changes.
pub fn outbound(changes: &[(&str, &str)]) -> Labels {
    let podinfo = [
        ("reporter", "source"),
        ("source_workload", "podinfo"),
        ("source_workload_namespace", "test"),
        ("source_app", "podinfo"),
        ("source_canonical_service", "podinfo"),
        ("source_canonical_revision", "latest"),
        ("source_cluster", CLUSTER),
        ("destination_service", "podinfo.test.svc.cluster.local"),
        ("destination_service_name", "podinfo"),
        ("destination_service_namespace", "test"),
        ("destination_canonical_revision", "latest"),
        ("request_protocol", "http"),
        ("response_flags", "-"),
        ("connection_security_policy", "unknown"),
        ("response_code", "200"),
        ("grpc_response_status", ""),
    ];
    labels(&[&podinfo, changes])
}

/// All standard labels: the later layers over the earlier ones, over `unknown`.
pub fn labels(layers: &[&[(&str, &str)]]) -> Labels {
    let mut labels: Labels = LABELS
        .map(|name| (name.to_owned(), "unknown".to_owned()))
        .into();
    for (name, value) in layers.iter().copied().flatten() {
        let label = labels
            .get_mut(*name)
            .unwrap_or_else(|| panic!("{name} is no standard label"));
        (*value).clone_into(label);
    }
    labels
}

/// Asserts that these requests and no others are on the page, in the counter and in every histogram.
pub fn assert_counted(page: &Page, expected: &[(Labels, u32)]) {
    let expected: Vec<Counted> = expected
        .iter()
        .map(|(labels, count)| (labels.clone(), count.to_string()))
        .collect();
    for name in REQUEST_COUNTS {
        let counted = counted(page, name);
        let missing = without(&expected, &counted);
        let unexpected = without(&counted, &expected);
        assert!(
            missing.is_empty() && unexpected.is_empty(),
            "{name}\nis missing\n{}and has instead\n{}",
            in_brief(&missing, &unexpected),
            in_brief(&unexpected, &missing),
        );
    }
    assert_standard_metrics(page);
}

/// Asserts that the module's metrics have only expected names: labels without a rule would be in the name.
/// Whether a label set had to wait for its series depends on time.
pub fn assert_standard_metrics(page: &Page) {
    let waited = ("istio_pending_label_sets", "gauge");
    for family in page.families.keys().filter(|name| name.contains("istio_")) {
        assert!(
            FAMILIES
                .iter()
                .chain([&waited])
                .any(|(name, _)| name == family),
            "a metric of the name {family}"
        );
    }
}

/// The samples of that name: labels, and the value as Prometheus writes it.
pub fn counted(page: &Page, name: &str) -> Vec<Counted> {
    let samples = page.series(name).into_iter();
    samples
        .map(|sample| {
            (
                sample.labels.iter().cloned().collect(),
                sample.value.to_string(),
            )
        })
        .collect()
}

/// A series' labels and its value.
pub type Counted = (Labels, String);

fn without(series: &[Counted], others: &[Counted]) -> Vec<Counted> {
    series
        .iter()
        .filter(|one| !others.contains(one))
        .cloned()
        .collect()
}

/// One line a series, with only the labels in which it differs from some other.
fn in_brief(series: &[Counted], others: &[Counted]) -> String {
    let all = || series.iter().chain(others).map(|(labels, _)| labels);
    let differs = |name: &str, value: &str| {
        all().count() == 1
            || all().any(|labels| labels.get(name).is_none_or(|other| other != value))
    };
    let mut lines = String::new();
    for (labels, count) in series {
        let labels = labels.iter().filter(|(name, value)| differs(name, value));
        let labels: Vec<String> = labels
            .map(|(name, value)| format!("{name}={value:?}"))
            .collect();
        lines = lines + "  " + count + " of " + &labels.join(" ") + "\n";
    }
    lines
}

/// The metrics of HTTP, and their types.
pub const FAMILIES: [(&str, &str); 5] = [
    ("istio_build", "gauge"),
    ("istio_request_bytes", "histogram"),
    ("istio_request_duration_milliseconds", "histogram"),
    ("istio_requests_total", "counter"),
    ("istio_response_bytes", "histogram"),
];
