//! The clusters that requests went to, and what their metadata says, looked at once and remembered.
//! What a service is made of is in [`service`](crate::service).

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::hash::BuildHasher;

use prost::Message;

use crate::attributes;
use crate::bytes::{Hashing, same};
use crate::host::Attributes;
use crate::places::Places;
use crate::proto::{Kind, Metadata, Struct};
use crate::service::Cluster;

/// What the clusters' metadata said when it was last looked at.
///
/// The control plane may change it under the same name, so each cluster is looked at again once
/// after every tick.
#[derive(Default)]
pub struct Clusters {
    places: Places,
    known: Vec<KnownCluster>,
    /// The cluster that was found last: often the next one too.
    last: usize,
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
    #[inline]
    pub fn find(&mut self, host: &dyn Attributes, name: &[u8]) -> &mut KnownCluster {
        let last = self.known.get(self.last);
        if !last.is_some_and(|last| last.looked_at == self.now && same(&last.name, name)) {
            self.last = self.look(host, name);
        }
        // There is one at each place that `look` returns.
        &mut self.known[self.last]
    }

    /// The place of the cluster with this name, which is known and up to date from here on.
    fn look(&mut self, host: &dyn Attributes, name: &[u8]) -> usize {
        let hash = Hashing::default().hash_one(name);
        let Self { places, known, .. } = self;
        let is = |at: u32| {
            known
                .get(at as usize)
                .is_some_and(|known| same(&known.name, name))
        };
        let at = places.find(hash, is).map(|at| at as usize);
        if let Some(at) = at
            && known[at].looked_at == self.now
        {
            return at;
        }
        let metadata = match name {
            b"" => b"",
            _ => host
                .attribute(attributes::CLUSTER_METADATA)
                .unwrap_or_default(),
        };
        match at {
            Some(at) if *known[at].metadata == *metadata => {
                known[at].looked_at = self.now;
                at
            }
            Some(at) => {
                known[at] = KnownCluster::read(name, metadata, self.now);
                at
            }
            None => {
                if known.len() >= LIMIT {
                    // Clusters come and go with the control plane; the few in use are back at once.
                    known.clear();
                    *places = Places::default();
                }
                let at = known.len();
                known.push(KnownCluster::read(name, metadata, self.now));
                places.insert(hash, at as u32);
                at
            }
        }
    }
}

impl KnownCluster {
    fn read(name: &[u8], bytes: &[u8], now: u32) -> Self {
        let metadata = Metadata::decode(bytes).unwrap_or_default();
        let istio = metadata.istio();
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
    matches!(
        fields.and_then(|fields| fields.get(key)),
        Some(Kind::Bool(true))
    )
}
