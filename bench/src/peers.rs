//! Peers as they introduce themselves: as many different ones as a benchmark wants.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use stats_core::peer::workload::{Locality, Workload};

/// The values of both headers of the `n`th peer, id and metadata, of the size that a pod of Istio's
/// sends.
pub fn headers(n: usize) -> (String, String) {
    headers_of(&workload(n))
}

/// The same of a peer that makes up labels as long as they can be.
pub fn forged_headers(n: usize) -> (String, String) {
    let long = |label: &str| format!("{label}-{n}-{}", "x".repeat(512));
    headers_of(&Workload {
        namespace: long("namespace"),
        name: long("name"),
        cluster: long("cluster"),
        canonical_service: long("service"),
        canonical_revision: long("revision"),
        app: long("app"),
        version: long("version"),
        ..workload(n)
    })
}

fn workload(n: usize) -> Workload {
    let name = format!("cart-{n}");
    let pod = format!("{name}-6f8d4c7b9-x2x5z");
    Workload {
        instance: pod,
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
    }
}

fn headers_of(workload: &Workload) -> (String, String) {
    let pod = &workload.instance;
    let owner = "kubernetes://apis/apps/v1/namespaces/shop/deployments/cart";
    let metadata = STANDARD.encode(workload.to_exchange(owner));
    (
        format!("sidecar~10.1.2.3~{pod}.shop~shop.svc.cluster.local"),
        metadata,
    )
}
