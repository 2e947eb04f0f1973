//! What holds of a workload wherever it was read from.

use stats_core::bytes::MAX_VALUE_BYTES;
use stats_core::peer::workload::Workload;

/// Fails unless all values are bounded and of a kind that is known.
pub fn assert_bounded(workload: &Workload) {
    let Workload { kind, locality, labels, .. } = workload;
    assert!(kind.is_empty() || Workload::known_kind(kind) == Some(kind));
    let fields = [
        &workload.instance,
        &workload.namespace,
        &workload.name,
        &workload.cluster,
        &workload.identity,
        &locality.region,
        &locality.zone,
        &workload.canonical_service,
        &workload.canonical_revision,
        &workload.app,
        &workload.version,
    ];
    let labels = labels.iter().map(|(_, value)| value);
    for value in fields.into_iter().chain(labels) {
        assert!(value.len() <= MAX_VALUE_BYTES, "{} bytes: {value}", value.len());
    }
}
