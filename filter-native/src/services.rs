//! The service behind a cluster. Istio's control plane writes it into the cluster's metadata as a list of
//! structs, which the ABI does not hand out.
//!
//! Clusters of the bootstrap are known with their metadata. Of others the name tells:
//! `outbound|PORT|SUBSET|HOST`, as Istio builds it. What is lost: the namespace of a host that is not of
//! Kubernetes, and the service of an inbound cluster, whose name has no host.

use stats_core::labels::service::NamedService;

use crate::proxy;

/// The service behind the cluster of this name.
pub fn of_cluster(name: &[u8]) -> Option<NamedService> {
    let name = str::from_utf8(name).ok()?;
    let services = &proxy::this().services;
    services.get(name).cloned().or_else(|| of_name(name))
}

fn of_name(name: &str) -> Option<NamedService> {
    let mut parts = name.splitn(4, '|');
    let host = match [(); 4].map(|()| parts.next()) {
        [Some("outbound"), Some(_), Some(_), Some(host)] if !host.is_empty() => host,
        _ => return None,
    };
    let mut labels = host.split('.');
    let namespace = match [(); 3].map(|()| labels.next()) {
        [Some(_), Some(namespace), Some("svc")] => namespace,
        _ => "",
    };
    Some(NamedService {
        host: host.to_owned(),
        // As of metadata without a name: the host up to its first dot.
        name: None,
        namespace: namespace.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(host: &str, namespace: &str) -> NamedService {
        NamedService {
            host: host.into(),
            name: None,
            namespace: namespace.into(),
        }
    }

    #[test]
    fn an_outbound_cluster_is_named_after_its_host() {
        let host = "podinfo.test.svc.cluster.local";
        let name = format!("outbound|9898|v2|{host}");
        assert_eq!(of_name(&name), Some(service(host, "test")));
        let external = Some(service("edition.cnn.com", ""));
        assert_eq!(of_name("outbound|443||edition.cnn.com"), external);
    }

    #[test]
    fn other_names_tell_nothing() {
        for name in [
            "inbound|9898||",
            "outbound|9898||",
            "outbound|x",
            "podinfo",
            "",
        ] {
            assert_eq!(of_name(name), None, "{name}");
        }
    }
}
