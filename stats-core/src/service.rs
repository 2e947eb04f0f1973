//! Which service a request asked for: its host, name and namespace, from the cluster's metadata,
//! well-known route and cluster names, and the `:authority` header.

use alloc::boxed::Box;
use alloc::string::String;

use crate::proto::{Kind, Struct};
use crate::stat_name::bounded;

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

impl Service<&[u8]> {
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

/// What a cluster tells of the service behind it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Cluster {
    /// Nothing: the authority names the service.
    #[default]
    Anonymous,
    /// It is one of Istio's catch-alls, and its name is the service's.
    CatchAll(String),
    /// The first of the `istio.services` in its metadata.
    Service {
        /// The host; empty where the metadata has none.
        host: String,
        /// The short name; `None` where the metadata has none.
        name: Option<String>,
        /// The namespace; empty where the metadata has none.
        namespace: String,
    },
}

/// Clusters whose name stands for the service.
const CATCH_ALLS: [&str; 5] = [
    "BlackHoleCluster",
    "PassthroughCluster",
    "InboundPassthroughCluster",
    "InboundPassthroughClusterIpv4",
    "InboundPassthroughClusterIpv6",
];

impl Cluster {
    /// Reads a cluster's name and the `istio` part of its metadata.
    pub fn read(name: &[u8], istio: Option<&Struct>) -> Self {
        if let Some(name) = CATCH_ALLS
            .into_iter()
            .find(|known| known.as_bytes() == name)
        {
            return Self::CatchAll(name.into());
        }
        istio.and_then(Self::first_service).unwrap_or_default()
    }

    fn first_service(istio: &Struct) -> Option<Self> {
        let Some(Kind::List(services)) = istio.get("services") else {
            return None;
        };
        let Some(Kind::Struct(service)) = &services.values.first()?.kind else {
            return None;
        };
        Some(Self::Service {
            host: service.text("host").into(),
            name: service
                .contains_key("name")
                .then(|| service.text("name").into()),
            namespace: service.text("namespace").into(),
        })
    }

    /// Whether the cluster alone decides the service of a request on a route of this name: then
    /// the `:authority` header need not be read.
    #[inline]
    pub fn decides(&self, route: &[u8]) -> bool {
        matches!(self, Self::Service { host, .. } if !host.is_empty())
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
            (_, Self::CatchAll(name)) => Service {
                host: authority,
                name: name.as_bytes(),
                namespace: b"",
            },
            (
                _,
                Self::Service {
                    host,
                    name,
                    namespace,
                },
            ) => {
                let host = if host.is_empty() {
                    authority
                } else {
                    host.as_bytes()
                };
                Service {
                    host,
                    name: match name {
                        Some(name) => name.as_bytes(),
                        None => host.split(|&b| b == b'.').next().unwrap_or_default(),
                    },
                    namespace: namespace.as_bytes(),
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
    use crate::proto::{List, Value};

    /// The `istio` part of cluster metadata with one service.
    fn metadata(service: &[(&str, &str)]) -> Struct {
        let fields = service.iter().map(|(k, v)| (*k, Kind::Text((*v).into())));
        let service = Value {
            kind: Some(Kind::Struct(fields.collect())),
        };
        let services = Kind::List(List {
            values: [service].into(),
        });
        Struct::from_iter([("services", services)])
    }

    fn service<'a>(cluster: &'a Cluster, route: &[u8]) -> [&'a str; 3] {
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
        let cluster = Cluster::read(b"outbound|80||podinfo", Some(&metadata(&PODINFO)));
        assert_eq!(
            service(&cluster, b"default"),
            ["podinfo.test.svc.cluster.local", "podinfo", "test"]
        );
        assert!(cluster.decides(b"default"));
    }

    #[test]
    fn a_service_without_a_name_has_its_hosts_first_label() {
        let cluster = Cluster::read(b"c", Some(&metadata(&PODINFO[..1])));
        assert_eq!(
            service(&cluster, b""),
            ["podinfo.test.svc.cluster.local", "podinfo", ""]
        );
    }

    #[test]
    fn a_service_without_a_host_has_the_authority() {
        let cluster = Cluster::read(b"c", Some(&metadata(&PODINFO[1..])));
        assert!(!cluster.decides(b"default"));
        assert_eq!(service(&cluster, b""), ["authority:80", "podinfo", "test"]);
    }

    #[test]
    fn a_cluster_that_tells_nothing_leaves_it_to_the_authority() {
        for istio in [None, Some(&Struct::default()), Some(&metadata(&[]))] {
            let cluster = Cluster::read(b"c", istio);
            assert_eq!(service(&cluster, b""), ["authority:80", "authority:80", ""]);
        }
    }

    #[test]
    fn catch_all_clusters_and_routes_name_the_service() {
        let cluster = Cluster::read(b"InboundPassthroughClusterIpv6", Some(&metadata(&PODINFO)));
        assert_eq!(
            service(&cluster, b""),
            ["authority:80", "InboundPassthroughClusterIpv6", ""]
        );
        let cluster = Cluster::read(b"egress", Some(&metadata(&PODINFO)));
        assert!(!cluster.decides(b"allow_any"));
        assert_eq!(
            service(&cluster, b"allow_any"),
            ["authority:80", "PassthroughCluster", ""]
        );
        assert_eq!(
            service(&Cluster::Anonymous, b"block_all"),
            ["authority:80", "BlackHoleCluster", ""]
        );
    }
}
