//! The node of a sidecar's bootstrap, as Istio's injector writes it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// A workload with a sidecar. An empty field is left out of the node's metadata.
#[derive(Clone, Debug)]
pub struct ProxyNode {
    /// The pod's name.
    pub pod: String,
    /// The pod's namespace.
    pub namespace: String,
    /// The workload's name, also that of its deployment.
    pub workload: String,
    /// The service account, which names the workload in its certificate.
    pub service_account: String,
    /// The Kubernetes cluster.
    pub cluster: String,
    /// The proxy's version.
    pub istio_version: String,
    /// Locality: region.
    pub region: String,
    /// Locality: zone.
    pub zone: String,
    /// The pod's labels.
    pub labels: BTreeMap<String, String>,
}

impl ProxyNode {
    /// A deployment of one pod with the label `app` and those that injection adds. `latest` stands for a version that
    /// is not known.
    pub fn new(namespace: &str, workload: &str) -> Self {
        let labels = [
            ("app", workload),
            ("service.istio.io/canonical-name", workload),
            ("service.istio.io/canonical-revision", "latest"),
        ];
        Self {
            pod: format!("{workload}-6f8d4c7b9-x2x5z"),
            namespace: namespace.to_owned(),
            workload: workload.to_owned(),
            service_account: "default".to_owned(),
            cluster: "c199d81d4e3104a5d90254b2a210914c8".to_owned(),
            istio_version: "1.30.0".to_owned(),
            region: "eu-central-1".to_owned(),
            zone: "eu-central-1a".to_owned(),
            labels: labels
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
        }
    }

    /// The workload of the expected page: `podinfo` in the namespace `test`.
    pub fn podinfo() -> Self {
        Self::new("test", "podinfo")
    }

    /// With one more label, or another value for one.
    #[must_use]
    pub fn label(mut self, name: &str, value: &str) -> Self {
        self.labels.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The SPIFFE id that the workload's certificate carries.
    pub fn identity(&self) -> String {
        format!(
            "spiffe://cluster.local/ns/{}/sa/{}",
            self.namespace, self.service_account
        )
    }

    /// The node's id, which is the peer id in the exchange.
    pub fn id(&self) -> String {
        let Self { pod, namespace, .. } = self;
        format!("sidecar~10.1.2.3~{pod}.{namespace}~{namespace}.svc.cluster.local")
    }

    /// The `node` section of a bootstrap.
    pub fn to_json(&self) -> Value {
        let Self {
            namespace,
            workload,
            ..
        } = self;
        let owner = match workload.as_str() {
            "" => String::new(),
            _ => format!("kubernetes://apis/apps/v1/namespaces/{namespace}/deployments/{workload}"),
        };
        let mut metadata = json!({
            "NAME": self.pod,
            "NAMESPACE": namespace,
            "OWNER": owner,
            "WORKLOAD_NAME": workload,
            "CLUSTER_ID": self.cluster,
            "ISTIO_VERSION": self.istio_version,
            "MESH_ID": "cluster.local",
            "LABELS": self.labels,
        });
        if let Some(fields) = metadata.as_object_mut() {
            fields.retain(|_, value| value != "");
        }
        json!({
            "id": self.id(),
            "cluster": format!("{workload}.{namespace}"),
            "locality": { "region": self.region, "zone": self.zone },
            "metadata": metadata,
        })
    }
}
