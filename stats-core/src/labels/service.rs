//! Which service a request asked for: its host, name and namespace, from the cluster's metadata,
//! well-known route and cluster names, and the `:authority` header.

use alloc::boxed::Box;
use alloc::string::String;

use crate::bytes::bounded;

/// A service, as the labels `destination_service`, `…_name` and `…_namespace` show it. A field
/// that is not known is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Service<T> {
    /// The host, such as `podinfo.test.svc.cluster.local`.
    pub host: T,
    /// The short name.
    pub name: T,
    /// The namespace.
    pub namespace: T,
}

/// Which fields of a [`Service`] labels show.
pub type ServiceFields = Service<bool>;

impl Service<bool> {
    /// Whether no label shows anything of a service.
    pub const fn is_empty(self) -> bool {
        !self.host && !self.name && !self.namespace
    }
}

impl<'a> Service<&'a [u8]> {
    /// The service with nothing but these fields.
    #[must_use]
    pub fn only(self, fields: ServiceFields) -> Self {
        let keep = |shown: bool, value: &'a [u8]| if shown { value } else { b"" };
        Self {
            host: keep(fields.host, self.host),
            name: keep(fields.name, self.name),
            namespace: keep(fields.namespace, self.namespace),
        }
    }

    /// An owned copy.
    pub fn to_owned(&self) -> Service<Box<[u8]>> {
        Service {
            host: self.host.into(),
            name: self.name.into(),
            namespace: self.namespace.into(),
        }
    }
}

impl Service<Box<[u8]>> {
    /// A view of an owned one.
    pub fn view(&self) -> Service<&[u8]> {
        Service {
            host: &self.host,
            name: &self.name,
            namespace: &self.namespace,
        }
    }
}

/// A service in a cluster's metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamedService {
    /// The host; empty where there is none.
    pub host: String,
    /// The short name; `None` where there is none.
    pub name: Option<String>,
    /// The namespace; empty where there is none.
    pub namespace: String,
}

/// What a cluster tells of the service behind it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ClusterService {
    /// Nothing: the authority names the service.
    #[default]
    Anonymous,
    /// It is one of Istio's catch-alls, and its name is the service's.
    CatchAll(&'static str),
    /// Its metadata names one.
    Named(NamedService),
}

/// Clusters whose name stands for the service.
const CATCH_ALLS: [&str; 5] = [
    "BlackHoleCluster",
    "PassthroughCluster",
    "InboundPassthroughCluster",
    "InboundPassthroughClusterIpv4",
    "InboundPassthroughClusterIpv6",
];

impl ClusterService {
    /// What a cluster of this name tells whose metadata names `service`.
    pub fn new(cluster: &[u8], service: Option<NamedService>) -> Self {
        let catch_all = CATCH_ALLS
            .into_iter()
            .find(|known| known.as_bytes() == cluster);
        match (catch_all, service) {
            (Some(name), _) => Self::CatchAll(name),
            (None, Some(service)) => Self::Named(service),
            (None, None) => Self::Anonymous,
        }
    }

    /// Whether the cluster alone decides the service of a request on a route of this name: then
    /// the `:authority` header need not be read.
    #[inline]
    pub fn decides(&self, route: &[u8]) -> bool {
        matches!(self, Self::Named(service) if !service.host.is_empty())
            && !matches!(route, b"block_all" | b"allow_any")
    }

    /// The service of a request to this cluster on a route of this name.
    ///
    /// `authority` is the request's, or empty where it may not be used.
    pub fn service<'a>(&'a self, route: &[u8], authority: &'a [u8]) -> Service<&'a [u8]> {
        let authority = bounded(authority);
        let named = |name: &'static str| Service {
            host: authority,
            name: name.as_bytes(),
            namespace: &b""[..],
        };
        match (route, self) {
            (b"block_all", _) => named("BlackHoleCluster"),
            (b"allow_any", _) => named("PassthroughCluster"),
            (_, Self::CatchAll(name)) => named(name),
            (_, Self::Named(service)) => {
                let host = match &*service.host {
                    "" => authority,
                    host => host.as_bytes(),
                };
                Service {
                    host,
                    name: match &service.name {
                        Some(name) => name.as_bytes(),
                        None => host.split(|&b| b == b'.').next().unwrap_or_default(),
                    },
                    namespace: service.namespace.as_bytes(),
                }
            }
            (_, Self::Anonymous) => Service {
                host: authority,
                name: authority,
                namespace: b"",
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The service in metadata with these texts.
    #[expect(clippy::unnecessary_wraps, reason = "as metadata may have none")]
    fn metadata(service: &[(&str, &str)]) -> Option<NamedService> {
        let find = |key| service.iter().find(|(known, _)| *known == key);
        let text = |key| find(key).map(|(_, text)| (*text).into());
        Some(NamedService {
            host: text("host").unwrap_or_default(),
            name: text("name"),
            namespace: text("namespace").unwrap_or_default(),
        })
    }

    fn service<'a>(cluster: &'a ClusterService, route: &[u8]) -> [&'a str; 3] {
        let Service {
            host,
            name,
            namespace,
        } = cluster.service(route, b"authority:80");
        [host, name, namespace].map(|bytes| core::str::from_utf8(bytes).expect("text"))
    }

    const PODINFO: [(&str, &str); 3] = [
        ("host", "podinfo.test.svc.cluster.local"),
        ("name", "podinfo"),
        ("namespace", "test"),
    ];

    #[test]
    fn the_clusters_first_service_names_all() {
        let cluster = ClusterService::new(b"outbound|80||podinfo", metadata(&PODINFO));
        assert_eq!(
            service(&cluster, b"default"),
            ["podinfo.test.svc.cluster.local", "podinfo", "test"]
        );
        assert!(cluster.decides(b"default"));
    }

    #[test]
    fn a_service_without_a_name_has_its_hosts_first_label() {
        let cluster = ClusterService::new(b"c", metadata(&PODINFO[..1]));
        assert_eq!(
            service(&cluster, b""),
            ["podinfo.test.svc.cluster.local", "podinfo", ""]
        );
    }

    #[test]
    fn a_service_without_a_host_has_the_authority() {
        let cluster = ClusterService::new(b"c", metadata(&PODINFO[1..]));
        assert!(!cluster.decides(b"default"));
        assert_eq!(service(&cluster, b""), ["authority:80", "podinfo", "test"]);
    }

    #[test]
    fn a_cluster_that_tells_nothing_leaves_it_to_the_authority() {
        for named in [None, metadata(&[])] {
            let cluster = ClusterService::new(b"c", named);
            assert_eq!(service(&cluster, b""), ["authority:80", "authority:80", ""]);
        }
    }

    #[test]
    fn catch_all_clusters_and_routes_name_the_service() {
        let cluster = ClusterService::new(b"InboundPassthroughClusterIpv6", metadata(&PODINFO));
        assert_eq!(
            service(&cluster, b""),
            ["authority:80", "InboundPassthroughClusterIpv6", ""]
        );
        let cluster = ClusterService::new(b"egress", metadata(&PODINFO));
        assert!(!cluster.decides(b"allow_any"));
        assert_eq!(
            service(&cluster, b"allow_any"),
            ["authority:80", "PassthroughCluster", ""]
        );
        assert_eq!(
            service(&ClusterService::Anonymous, b"block_all"),
            ["authority:80", "BlackHoleCluster", ""]
        );
    }
}
