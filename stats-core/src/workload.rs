//! Who a workload is: read from this proxy's node metadata or from what a peer sent, written for a
//! peer or for the filters beside us. How it travels is in [`exchange`](crate::exchange).

use alloc::collections::BTreeMap;
use alloc::string::String;

use prost::Message;

use crate::proto::{self, Kind, Node, Struct, Value};
use crate::stat_name::MAX_VALUE_BYTES;

/// A workload, as Istio describes one. A field that is not known is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Workload {
    /// The instance, for Kubernetes the pod's name.
    pub instance: String,
    /// Its namespace.
    pub namespace: String,
    /// The owner's URL, `kubernetes://apis/apps/v1/namespaces/NS/deployments/NAME`.
    pub owner: String,
    /// The workload's name, for Kubernetes the deployment's.
    pub name: String,
    /// The cluster's id.
    pub cluster: String,
    /// The SPIFFE identity, where the node's metadata states one.
    pub identity: String,
    /// The region.
    pub region: String,
    /// The availability zone.
    pub zone: String,
    /// The canonical service.
    pub canonical_service: String,
    /// The canonical revision.
    pub canonical_revision: String,
    /// The application: see [`Workload::read_labels`].
    pub app: String,
    /// Its version: see [`Workload::read_labels`].
    pub version: String,
}

/// The label of the canonical service.
pub const CANONICAL_NAME: &str = "service.istio.io/canonical-name";
/// The label of the canonical revision.
pub const CANONICAL_REVISION: &str = "service.istio.io/canonical-revision";

/// The keys of the exchange's Struct; node metadata has the same.
mod key {
    pub const NAME: &str = "NAME";
    pub const NAMESPACE: &str = "NAMESPACE";
    pub const OWNER: &str = "OWNER";
    pub const WORKLOAD_NAME: &str = "WORKLOAD_NAME";
    pub const CLUSTER_ID: &str = "CLUSTER_ID";
    pub const IDENTITY: &str = "IDENTITY";
    pub const REGION: &str = "REGION";
    pub const AVAILABILITY_ZONE: &str = "AVAILABILITY_ZONE";
    pub const LABELS: &str = "LABELS";
}

impl Workload {
    /// This proxy's own workload: node metadata, and region and zone from the node's locality.
    pub fn from_node(node: &Node) -> Self {
        let mut workload = node
            .metadata
            .as_ref()
            .map(Self::from_struct)
            .unwrap_or_default();
        if let Some(locality) = &node.locality {
            workload.region = bounded(&locality.region);
            workload.zone = bounded(&locality.zone);
        }
        workload
    }

    /// A workload from the exchange's Struct. Keys that are not ours are ignored.
    pub fn from_struct(fields: &Struct) -> Self {
        let text = |key| bounded(proto::text(fields, key));
        let mut workload = Self {
            instance: text(key::NAME),
            namespace: text(key::NAMESPACE),
            owner: text(key::OWNER),
            name: text(key::WORKLOAD_NAME),
            cluster: text(key::CLUSTER_ID),
            identity: text(key::IDENTITY),
            region: text(key::REGION),
            zone: text(key::AVAILABILITY_ZONE),
            ..Self::default()
        };
        if let Some(labels) = proto::nested(fields, key::LABELS) {
            workload.read_labels(labels);
        }
        workload
    }

    /// What the labels tell, in the order of Istio 1.30.
    fn read_labels(&mut self, labels: &Struct) {
        let first = |keys: [&str; 3]| {
            let mut texts = keys.map(|key| proto::text(labels, key)).into_iter();
            bounded(texts.find(|text| !text.is_empty()).unwrap_or_default())
        };
        self.canonical_service = bounded(proto::text(labels, CANONICAL_NAME));
        self.canonical_revision = bounded(proto::text(labels, CANONICAL_REVISION));
        self.app = first(["app", "app.kubernetes.io/name", CANONICAL_NAME]);
        self.version = first(["version", "app.kubernetes.io/version", CANONICAL_REVISION]);
    }

    /// The exchange's Struct in its protobuf encoding, entries sorted by key.
    pub fn to_exchange(&self) -> alloc::vec::Vec<u8> {
        let labels = texts([
            (CANONICAL_NAME, self.canonical_service.as_str()),
            (CANONICAL_REVISION, self.canonical_revision.as_str()),
            ("app", self.app.as_str()),
            ("version", self.version.as_str()),
        ]);
        let mut fields = texts([
            (key::NAME, self.instance.as_str()),
            (key::NAMESPACE, self.namespace.as_str()),
            (key::OWNER, self.owner.as_str()),
            (key::WORKLOAD_NAME, self.name.as_str()),
            (key::CLUSTER_ID, self.cluster.as_str()),
            (key::IDENTITY, self.identity.as_str()),
            (key::REGION, self.region.as_str()),
            (key::AVAILABILITY_ZONE, self.zone.as_str()),
        ]);
        if !labels.is_empty() {
            let kind = Some(Kind::StructValue(Struct { fields: labels }));
            fields.insert(key::LABELS.into(), Value { kind });
        }
        Struct { fields }.encode_to_vec()
    }

    /// The Struct that other filters find in the filter state `wasm.{down,up}stream_peer`.
    pub fn to_filter_state(&self) -> alloc::vec::Vec<u8> {
        let fields = texts([
            ("workload", self.name.as_str()),
            ("type", self.kind()),
            ("name", self.instance.as_str()),
            ("cluster", self.cluster.as_str()),
            ("namespace", self.namespace.as_str()),
            ("service", self.canonical_service.as_str()),
            ("revision", self.canonical_revision.as_str()),
            ("app", self.app.as_str()),
            ("version", self.version.as_str()),
            ("identity", self.identity.as_str()),
            ("region", self.region.as_str()),
            ("availability_zone", self.zone.as_str()),
        ]);
        Struct { fields }.encode_to_vec()
    }

    /// A workload from the filter state that an exchange filter published.
    pub fn from_filter_state(fields: &Struct) -> Self {
        let text = |key| bounded(proto::text(fields, key));
        Self {
            name: text("workload"),
            owner: String::new(),
            instance: text("name"),
            cluster: text("cluster"),
            namespace: text("namespace"),
            canonical_service: text("service"),
            canonical_revision: text("revision"),
            app: text("app"),
            version: text("version"),
            identity: text("identity"),
            region: text("region"),
            zone: text("availability_zone"),
        }
    }

    /// The kind of the workload: the owner's second-last segment without the plural's s, for the
    /// kinds that Istio knows; else nothing.
    pub fn kind(&self) -> &'static str {
        match self.owner.rsplit('/').nth(1) {
            Some("deployments") => "deployment",
            Some("pods") => "pod",
            Some("jobs") => "job",
            Some("cronjobs") => "cronjob",
            _ => "",
        }
    }
}

/// A text cut to what a label value may have, so that what peers send stays bounded in memory.
fn bounded(text: &str) -> String {
    let mut end = text.len().min(MAX_VALUE_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().into()
}

/// Struct entries of those texts that are not empty.
fn texts<const N: usize>(entries: [(&str, &str); N]) -> BTreeMap<String, Value> {
    entries
        .iter()
        .filter(|(_, text)| !text.is_empty())
        .map(|(key, text)| ((*key).into(), proto::text_value(text)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::Locality;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn struct_of(entries: &[(&str, &str)], labels: &[(&str, &str)]) -> Struct {
        let texts = |entries: &[(&str, &str)]| -> BTreeMap<String, Value> {
            entries
                .iter()
                .map(|(k, v)| ((*k).into(), proto::text_value(v)))
                .collect()
        };
        let mut fields = texts(entries);
        let kind = Some(Kind::StructValue(Struct {
            fields: texts(labels),
        }));
        fields.insert(key::LABELS.into(), Value { kind });
        Struct { fields }
    }

    #[test]
    fn app_and_version_fall_back_in_istios_order() {
        let read = |labels: &[(&str, &str)]| {
            let workload = Workload::from_struct(&struct_of(&[], labels));
            (workload.app, workload.version)
        };
        let canonical = [(CANONICAL_NAME, "canon"), (CANONICAL_REVISION, "r1")];
        let recommended = [
            ("app.kubernetes.io/name", "recommended"),
            ("app.kubernetes.io/version", "2"),
        ];
        let plain = [("app", "plain"), ("version", "3")];
        assert_eq!(read(&canonical), ("canon".into(), "r1".into()));
        assert_eq!(
            read(&[canonical, recommended].concat()),
            ("recommended".into(), "2".into())
        );
        assert_eq!(
            read(&[canonical, recommended, plain].concat()),
            ("plain".into(), "3".into())
        );
    }

    #[test]
    fn the_kind_is_the_owners_without_the_plural() {
        let kind = |owner: &str| {
            Workload {
                owner: owner.into(),
                ..Workload::default()
            }
            .kind()
        };
        let owner =
            |kind| alloc::format!("kubernetes://apis/apps/v1/namespaces/test/{kind}/podinfo");
        assert_eq!(kind(&owner("deployments")), "deployment");
        assert_eq!(kind(&owner("cronjobs")), "cronjob");
        assert_eq!(kind(&owner("statefulsets")), "");
        assert_eq!(kind("pods"), "");
        assert_eq!(kind(""), "");
    }

    #[test]
    fn region_and_zone_come_from_the_nodes_locality() {
        let node = Node {
            id: "id".into(),
            metadata: Some(struct_of(&[("NAME", "podinfo-0")], &[])),
            locality: Some(Locality {
                region: "eu".into(),
                zone: "eu-1".into(),
            }),
        };
        let workload = Workload::from_node(&node);
        assert_eq!(
            (&*workload.instance, &*workload.region, &*workload.zone),
            ("podinfo-0", "eu", "eu-1")
        );
    }

    #[test]
    fn values_of_other_types_and_foreign_keys_are_ignored() {
        let mut fields = struct_of(&[("MESH_ID", "m"), ("PLATFORM_METADATA", "x")], &[]);
        let number = Some(Kind::NumberValue(1.0));
        fields.fields.insert("NAME".into(), Value { kind: number });
        assert_eq!(Workload::from_struct(&fields), Workload::default());
    }

    fn any_workload() -> impl Strategy<Value = Workload> {
        prop::collection::vec("[a-z.;=é]{0,8}", 12).prop_map(|texts| {
            let mut texts = texts.into_iter();
            let mut next = || texts.next().unwrap_or_default();
            let mut workload = Workload {
                instance: next(),
                namespace: next(),
                owner: next(),
                name: next(),
                cluster: next(),
                identity: next(),
                region: next(),
                zone: next(),
                canonical_service: next(),
                canonical_revision: next(),
                app: next(),
                version: next(),
            };
            // An empty one falls back to its canonical label on the other side.
            if workload.app.is_empty() {
                workload.app.clone_from(&workload.canonical_service);
            }
            if workload.version.is_empty() {
                workload.version.clone_from(&workload.canonical_revision);
            }
            workload
        })
    }

    proptest! {
        #[test]
        fn a_peer_reads_what_was_sent(workload in any_workload()) {
            let sent = workload.to_exchange();
            let read = Struct::decode(&sent[..]).expect("what we sent decodes");
            prop_assert_eq!(Workload::from_struct(&read), workload);
        }

        #[test]
        fn a_filter_beside_us_reads_what_was_published(workload in any_workload()) {
            let read = Struct::decode(&workload.to_filter_state()[..]).expect("decodes");
            let expected = Workload { owner: String::new(), ..workload };
            prop_assert_eq!(Workload::from_filter_state(&read), expected);
        }

        #[test]
        fn no_bytes_from_a_peer_can_do_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(fields) = Struct::decode(&bytes[..]) {
                Workload::from_struct(&fields);
                Workload::from_filter_state(&fields);
            }
            let _: Vec<u8> = Workload::default().to_exchange();
        }
    }
}
