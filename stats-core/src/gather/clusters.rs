//! The clusters that requests went to, and what their metadata says. What a service is made of is in
//! [`service`](crate::labels::service).

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::bytes::same;
use crate::host::{ClusterFacts, Connections};
use crate::intern::index::HashIndex;
use crate::intern::seed::Seed;
use crate::labels::service::ClusterService;
use crate::record::tables::{ServiceId, Tables};

/// What the clusters' metadata said when it was last looked at.
///
/// The control plane may change it under the same name, so each cluster is looked at again once
/// after every tick.
pub struct Clusters {
    seed: Seed,
    index: HashIndex,
    known: Vec<Cluster>,
    /// The position that was found last: often the next one too.
    last: usize,
    now: u32,
}

/// The most clusters that are remembered.
const LIMIT: usize = 10_000;

/// A cluster, as it was last looked at.
#[derive(Clone)]
pub struct Cluster {
    name: Box<[u8]>,
    looked_at: u32,
    /// What it tells of the service behind it.
    pub service: ClusterService,
    /// The number of that service, where the cluster alone [decides](ClusterService::decides) it.
    pub decided: Option<ServiceId>,
    /// Whether no metadata is sent to peers behind it.
    pub disables_exchange: bool,
    /// Whether it is outside of the mesh, or the pass-through cluster.
    pub external: bool,
}

impl Clusters {
    /// No cluster.
    pub fn new(seed: Seed) -> Self {
        Self {
            seed,
            index: HashIndex::default(),
            known: Vec::new(),
            last: 0,
            now: 0,
        }
    }

    /// Some time has passed.
    pub fn tick(&mut self) {
        self.now = self.now.wrapping_add(1);
    }

    /// The current request's cluster, which has this name; empty for none.
    #[inline]
    pub fn find(
        &mut self,
        host: &dyn Connections,
        tables: &mut Tables,
        name: &[u8],
    ) -> Option<&Cluster> {
        let last = self.known.get(self.last);
        if !last.is_some_and(|last| last.looked_at == self.now && same(&last.name, name)) {
            self.last = self.look_up(host, tables, name);
        }
        self.known.get(self.last)
    }

    /// The position of the cluster with this name, which is known and up to date from here on.
    fn look_up(&mut self, host: &dyn Connections, tables: &mut Tables, name: &[u8]) -> usize {
        let hash = self.seed.hash(name);
        let known = |at: u32| self.known.get(at as usize);
        let is = |at: u32| known(at).is_some_and(|known| same(&known.name, name));
        let at = self.index.find(hash, is);
        if let Some(at) = at
            && known(at).is_some_and(|known| known.looked_at == self.now)
        {
            return at as usize;
        }
        let cluster = Cluster::look_at(host, tables, name, self.now);
        match at.and_then(|at| Some((at, self.known.get_mut(at as usize)?))) {
            Some((at, known)) => {
                *known = cluster;
                at as usize
            }
            None => self.add(hash, cluster),
        }
    }

    #[cold]
    fn add(&mut self, hash: u64, cluster: Cluster) -> usize {
        if self.known.len() >= LIMIT {
            // Clusters come and go with the control plane; the few in use are back at once.
            self.known.clear();
            self.index = HashIndex::default();
        }
        let at = self.known.len();
        self.known.push(cluster);
        self.index.insert(hash, at as u32);
        at
    }
}

impl Cluster {
    #[cold]
    fn look_at(host: &dyn Connections, tables: &mut Tables, name: &[u8], now: u32) -> Self {
        let facts = match name {
            b"" => ClusterFacts::default(),
            _ => host.cluster(),
        };
        let service = ClusterService::new(name, facts.service);
        let decided = service
            .decides(b"")
            .then(|| tables.service(service.service(b"", b"")));
        Self {
            name: name.into(),
            looked_at: now,
            service,
            decided,
            disables_exchange: facts.disables_exchange,
            external: facts.external || name == b"PassthroughCluster",
        }
    }
}
