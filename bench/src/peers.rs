//! Peers as they introduce themselves: as many different ones as a benchmark wants.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use stats_core::peer::workload::{Locality, Workload};

/// The values of both headers of the `n`th peer, id and metadata, of the size that a pod of Istio's
/// sends.
pub fn headers(n: usize) -> (String, String) {
    let name = format!("cart-{n}");
    let pod = format!("{name}-6f8d4c7b9-x2x5z");
    let workload = Workload {
        instance: pod.clone(),
        namespace: "shop".into(),
        name: name.clone(),
        cluster: "c199d81d4e3104a5d90254b2a210914c8".into(),
        locality: Locality {
            region: "eu-central-1".into(),
            zone: "eu-central-1a".into(),
        },
        canonical_service: name.clone(),
        canonical_revision: "v2".into(),
        app: name.clone(),
        version: "v2".into(),
        ..Workload::default()
    };
    let owner = format!("kubernetes://apis/apps/v1/namespaces/shop/deployments/{name}");
    let metadata = STANDARD.encode(workload.to_exchange(&owner));
    (
        format!("sidecar~10.1.2.3~{pod}.shop~shop.svc.cluster.local"),
        metadata,
    )
}
