//! The clusters that requests went to, and what their metadata says, looked at once and remembered.
//! What a service is made of is in [`service`](crate::service).

use alloc::boxed::Box;
use core::hash::BuildHasher;

use hashbrown::HashTable;
use prost::Message;

use crate::attributes;
use crate::bytes::{Hashing, same};
use crate::host::Attributes;
use crate::proto::{Kind, Metadata, Struct};
use crate::service::Cluster;

/// What the clusters' metadata said when it was last looked at.
///
/// The control plane may change it under the same name, so each cluster is looked at again once
/// after every tick.
#[derive(Default)]
pub struct Clusters {
    known: HashTable<KnownCluster>,
    now: u32,
}

/// The most clusters that are remembered.
const LIMIT: usize = 10_000;

/// A cluster, as it was last looked at.
pub struct KnownCluster {
    name: Box<[u8]>,
    looked_at: u32,
    metadata: Box<[u8]>,
    /// What it tells of the service behind it.
    pub cluster: Cluster,
    /// Whether peers behind it are not to be introduced to (`istio.disable_mx`).
    pub disables_exchange: bool,
    /// Whether it is outside of the mesh: `istio.external`, or the pass-through cluster.
    pub external: bool,
    /// Whether it was asked for from an outbound listener.
    pub outbound: bool,
    /// The number of the service that the cluster alone decides, once it has one.
    pub service: Option<u32>,
}

impl Clusters {
    /// Some time has passed.
    pub fn tick(&mut self) {
        self.now = self.now.wrapping_add(1);
    }

    /// The current request's cluster, which has this name; empty for none.
    pub fn find(&mut self, host: &impl Attributes, name: &[u8]) -> &mut KnownCluster {
        let Self { known, now } = self;
        let now = *now;
        let hash = |name: &[u8]| Hashing::default().hash_one(name);
        let is = |known: &KnownCluster| same(&known.name, name);
        let look = || match name {
            b"" => b"",
            _ => host
                .attribute(attributes::CLUSTER_METADATA)
                .unwrap_or_default(),
        };
        if known.len() >= LIMIT && known.find(hash(name), is).is_none() {
            // Clusters come and go with the control plane; the few in use are back at once.
            known.clear();
        }
        let known = known.entry(hash(name), is, |known| hash(&known.name));
        let known = known.or_insert_with(|| KnownCluster::read(name, look(), now));
        let known = known.into_mut();
        if known.looked_at != now {
            let metadata = look();
            if *known.metadata == *metadata {
                known.looked_at = now;
            } else {
                *known = KnownCluster::read(name, metadata, now);
            }
        }
        known
    }
}

impl KnownCluster {
    fn read(name: &[u8], bytes: &[u8], now: u32) -> Self {
        let metadata = Metadata::decode(bytes).unwrap_or_default();
        let istio = metadata.filter_metadata.get("istio");
        Self {
            name: name.into(),
            looked_at: now,
            metadata: bytes.into(),
            cluster: Cluster::read(name, istio),
            disables_exchange: is_true(istio, "disable_mx"),
            external: is_true(istio, "external") || name == b"PassthroughCluster",
            outbound: false,
            service: None,
        }
    }
}

fn is_true(fields: Option<&Struct>, key: &str) -> bool {
    let value = fields.and_then(|fields| fields.fields.get(key));
    matches!(
        value.and_then(|value| value.kind.as_ref()),
        Some(Kind::BoolValue(true))
    )
}
