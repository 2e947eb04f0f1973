//! Who a workload is: taken from a proxy's own node metadata or from what a peer sent, and encoded for
//! a peer or for the filters beside this one. The messages of the encoding are in [`wire`](super::wire).

use alloc::string::String;
use alloc::vec::Vec;

use prost::Message;

use super::wire::{Kind, Struct};
use crate::bytes::bounded_text;

/// A workload, as Istio describes one. A field that is not known is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Workload {
    /// The instance, for Kubernetes the pod's name.
    pub instance: String,
    /// Its namespace.
    pub namespace: String,
    /// The kind: one that Istio knows, else empty. See [`Workload::known_kind`].
    pub kind: &'static str,
    /// The workload's name, for Kubernetes the deployment's.
    pub name: String,
    /// The cluster's id.
    pub cluster: String,
    /// The SPIFFE identity, where the node's metadata states one.
    pub identity: String,
    /// Where it runs.
    pub locality: Locality,
    /// The canonical service.
    pub canonical_service: String,
    /// The canonical revision.
    pub canonical_revision: String,
    /// The application: see `set_labels`.
    pub app: String,
    /// Its version: see `set_labels`.
    pub version: String,
    /// Labels beyond the standard ones, as and in the order configured.
    pub labels: Vec<(String, String)>,
}

/// The values of [`Workload::FILTER_STATE`], in its order; empty for a key that is not there.
pub type FilterStateValues<'a> = [&'a [u8]; Workload::FILTER_STATE.len()];

/// Where a workload runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Locality {
    /// The region.
    pub region: String,
    /// The availability zone.
    pub zone: String,
}

/// The label of the canonical service.
pub const CANONICAL_NAME: &str = "service.istio.io/canonical-name";
/// The label of the canonical revision.
pub const CANONICAL_REVISION: &str = "service.istio.io/canonical-revision";
/// The canonical revision of a workload of which no version is known.
pub const LATEST: &str = "latest";

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
    /// A workload of which nothing is known.
    pub const UNKNOWN: Self = Self {
        instance: String::new(),
        namespace: String::new(),
        kind: "",
        name: String::new(),
        cluster: String::new(),
        identity: String::new(),
        locality: Locality {
            region: String::new(),
            zone: String::new(),
        },
        canonical_service: String::new(),
        canonical_revision: String::new(),
        app: String::new(),
        version: String::new(),
        labels: Vec::new(),
    };

    /// A workload from the exchange's Struct, or from node metadata, which has the same keys. Other
    /// keys are ignored, and labels other than the standard and the additional ones.
    pub fn from_struct(fields: &Struct, additional_labels: &[String]) -> Self {
        let text = |key| bounded(fields.text(key));
        let mut workload = Self {
            instance: text(key::NAME),
            namespace: text(key::NAMESPACE),
            kind: kind_of_owner(fields.text(key::OWNER)),
            name: text(key::WORKLOAD_NAME),
            cluster: text(key::CLUSTER_ID),
            identity: text(key::IDENTITY),
            locality: Locality {
                region: text(key::REGION),
                zone: text(key::AVAILABILITY_ZONE),
            },
            ..Self::default()
        };
        if let Some(labels) = fields.nested(key::LABELS) {
            workload.set_labels(labels);
            for name in additional_labels {
                let value = bounded(labels.text(name));
                if !value.is_empty() {
                    workload.labels.push((name.clone(), value));
                }
            }
        }
        workload
    }

    /// Sets where it runs.
    pub fn set_locality(&mut self, region: &str, zone: &str) {
        self.locality = Locality {
            region: bounded(region),
            zone: bounded(zone),
        };
    }

    /// Sets what labels tell: the first of several labels that is there, in the order of Istio 1.30. The revision that
    /// injection writes for want of a version is no version: Istio's own filters report `unknown` then.
    fn set_labels(&mut self, labels: &Struct) {
        let first = |keys: [&str; 2], last| {
            let mut texts = keys.map(|key| labels.text(key)).into_iter();
            bounded(texts.find(|text| !text.is_empty()).unwrap_or(last))
        };
        let (name, revision) = (labels.text(CANONICAL_NAME), labels.text(CANONICAL_REVISION));
        let named = if revision == LATEST { "" } else { revision };
        self.canonical_service = bounded(name);
        self.canonical_revision = bounded(revision);
        self.app = first(["app", "app.kubernetes.io/name"], name);
        self.version = first(["version", "app.kubernetes.io/version"], named);
    }

    /// [`Self::to_struct`] in its protobuf encoding.
    pub fn to_exchange(&self, owner: &str) -> Vec<u8> {
        self.to_struct(owner).encode_to_vec()
    }

    /// The exchange's Struct, entries sorted by key. The owner's URL is this proxy's own: a workload keeps
    /// only its kind.
    pub fn to_struct(&self, owner: &str) -> Struct {
        let mut labels = texts([
            (CANONICAL_NAME, &self.canonical_service),
            (CANONICAL_REVISION, &self.canonical_revision),
            ("app", &self.app),
            ("version", &self.version),
        ]);
        self.add_labels(&mut labels);
        let mut fields = texts([
            (key::NAME, &self.instance),
            (key::NAMESPACE, &self.namespace),
            (key::OWNER, owner),
            (key::WORKLOAD_NAME, &self.name),
            (key::CLUSTER_ID, &self.cluster),
            (key::IDENTITY, &self.identity),
            (key::REGION, &self.locality.region),
            (key::AVAILABILITY_ZONE, &self.locality.zone),
        ]);
        if !labels.is_empty() {
            fields.insert(key::LABELS, Kind::Struct(labels));
        }
        fields
    }

    /// The keys of the Struct that other filters find in the filter state
    /// `wasm.{down,up}stream_peer`, and that Istio's native exchange has, but for the labels.
    pub const FILTER_STATE: [&str; 12] = [
        "workload",
        "type",
        "name",
        "cluster",
        "namespace",
        "service",
        "revision",
        "app",
        "version",
        "identity",
        "region",
        "availability_zone",
    ];

    /// The Struct for other filters, in its protobuf encoding.
    pub fn to_filter_state(&self) -> Vec<u8> {
        let mut fields = texts(Self::FILTER_STATE.map(|key| (key, self.filter_state(key))));
        if !self.labels.is_empty() {
            let mut labels = Struct::default();
            self.add_labels(&mut labels);
            fields.insert("labels", Kind::Struct(labels));
        }
        fields.encode_to_vec()
    }

    /// A workload from the Struct that an exchange filter published.
    pub fn from_filter_state(fields: &Struct) -> Self {
        let mut workload = Self::default();
        for key in Self::FILTER_STATE {
            workload.set_filter_state(key, fields.text(key));
        }
        workload
    }

    /// Sets the field of a key of [`Self::FILTER_STATE`].
    pub fn set_filter_state(&mut self, key: &str, value: &str) {
        let field = match key {
            "workload" => &mut self.name,
            "name" => &mut self.instance,
            "cluster" => &mut self.cluster,
            "namespace" => &mut self.namespace,
            "service" => &mut self.canonical_service,
            "revision" => &mut self.canonical_revision,
            "app" => &mut self.app,
            "version" => &mut self.version,
            "identity" => &mut self.identity,
            "region" => &mut self.locality.region,
            "availability_zone" => &mut self.locality.zone,
            "type" => {
                self.kind = Self::known_kind(value).unwrap_or_default();
                return;
            }
            _ => return,
        };
        *field = bounded(value);
    }

    fn filter_state(&self, key: &str) -> &str {
        match key {
            "workload" => &self.name,
            "name" => &self.instance,
            "cluster" => &self.cluster,
            "namespace" => &self.namespace,
            "service" => &self.canonical_service,
            "revision" => &self.canonical_revision,
            "app" => &self.app,
            "version" => &self.version,
            "identity" => &self.identity,
            "region" => &self.locality.region,
            "availability_zone" => &self.locality.zone,
            "type" => self.kind,
            _ => "",
        }
    }

    fn add_labels(&self, to: &mut Struct) {
        for (name, value) in &self.labels {
            to.insert(name, Kind::Text(value.clone()));
        }
    }

    /// The kind by this name, if Istio knows it.
    pub fn known_kind(name: &str) -> Option<&'static str> {
        ["deployment", "pod", "job", "cronjob"]
            .into_iter()
            .find(|known| *known == name)
    }
}

/// The kind of the workload that this URL names (as
/// `kubernetes://apis/apps/v1/namespaces/NS/deployments/NAME`): the second-last segment without the
/// plural's s.
fn kind_of_owner(owner: &str) -> &'static str {
    let plural = owner.rsplit('/').nth(1);
    plural
        .and_then(|plural| Workload::known_kind(plural.strip_suffix('s')?))
        .unwrap_or_default()
}

/// A text cut to what a label value may have, so that what peers send stays bounded in memory.
fn bounded(text: &str) -> String {
    bounded_text(text).into()
}

/// A Struct of those texts that are not empty.
fn texts<const N: usize>(entries: [(&str, &str); N]) -> Struct {
    let entries = entries.into_iter().filter(|(_, text)| !text.is_empty());
    entries
        .map(|(key, text)| (key, Kind::Text(text.into())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn struct_of(entries: &[(&str, &str)], labels: &[(&str, &str)]) -> Struct {
        let texts = |entries: &[(&str, &str)]| -> Struct {
            let entries = entries.iter().map(|(k, v)| (*k, Kind::Text((*v).into())));
            entries.collect()
        };
        let mut fields = texts(entries);
        fields.insert(key::LABELS, Kind::Struct(texts(labels)));
        fields
    }

    #[test]
    fn app_and_version_fall_back_in_istios_order() {
        let read = |labels: &[(&str, &str)]| {
            let workload = Workload::from_struct(&struct_of(&[], labels), &[]);
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
    fn the_revision_of_a_pod_without_a_version_is_no_version() {
        let injected = [("app", "podinfo"), (CANONICAL_REVISION, "latest")];
        let workload = Workload::from_struct(&struct_of(&[], &injected), &[]);
        assert_eq!(workload.canonical_revision, "latest");
        assert_eq!(workload.version, "");
    }

    #[test]
    fn the_kind_is_the_owners_without_the_plural() {
        let owner =
            |kind| alloc::format!("kubernetes://apis/apps/v1/namespaces/test/{kind}/podinfo");
        assert_eq!(kind_of_owner(&owner("deployments")), "deployment");
        assert_eq!(kind_of_owner(&owner("cronjobs")), "cronjob");
        assert_eq!(kind_of_owner(&owner("statefulsets")), "");
        assert_eq!(kind_of_owner("pods"), "");
        assert_eq!(kind_of_owner(""), "");
    }

    #[test]
    fn of_the_other_labels_only_the_configured_ones_travel() {
        let fields = struct_of(&[], &[("team", "a"), ("secret", "b")]);
        let workload = Workload::from_struct(&fields, &["team".into(), "absent".into()]);
        let labels = |bytes: &[u8], key: &str| {
            let fields = Struct::decode(bytes).expect("decodes");
            fields.nested(key).expect("labels").clone()
        };
        let expected = Struct::from_iter([("team", Kind::Text("a".into()))]);
        assert_eq!(labels(&workload.to_exchange(""), key::LABELS), expected);
        assert_eq!(labels(&workload.to_filter_state(), "labels"), expected);
    }

    #[test]
    fn values_of_other_types_and_foreign_keys_are_ignored() {
        let mut fields = struct_of(&[("MESH_ID", "m"), ("PLATFORM_METADATA", "x")], &[]);
        fields.insert("NAME", Kind::Bool(true));
        assert_eq!(Workload::from_struct(&fields, &[]), Workload::default());
    }

    fn any_workload() -> impl Strategy<Value = Workload> {
        prop::collection::vec("[a-z.;=é]{0,8}", 11).prop_map(|texts| {
            let mut texts = texts.into_iter();
            let mut next = || texts.next().unwrap_or_default();
            let mut workload = Workload {
                instance: next(),
                namespace: next(),
                kind: "",
                name: next(),
                cluster: next(),
                identity: next(),
                locality: Locality {
                    region: next(),
                    zone: next(),
                },
                canonical_service: next(),
                canonical_revision: next(),
                app: next(),
                version: next(),
                labels: Vec::new(),
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
            let sent = workload.to_exchange("a/pods/b");
            let read = Struct::decode(&sent[..]).expect("what we sent decodes");
            let expected = Workload { kind: "pod", ..workload };
            prop_assert_eq!(Workload::from_struct(&read, &[]), expected);
        }

        #[test]
        fn a_filter_beside_us_reads_what_was_published(workload in any_workload()) {
            let read = Struct::decode(&workload.to_filter_state()[..]).expect("decodes");
            prop_assert_eq!(Workload::from_filter_state(&read), workload);
        }

        #[test]
        fn no_bytes_from_a_peer_can_do_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(fields) = Struct::decode(&bytes[..]) {
                Workload::from_struct(&fields, &[]);
                Workload::from_filter_state(&fields);
            }
        }
    }
}
