//! What label sets are made of, by number: peers, principals, services, results of expressions. Only
//! what labels show gets a number of its own.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::evaluated::Evaluated;
use crate::bytes::{bounded, same};
use crate::config::MAX_CONDITIONS;
use crate::host::End;
use crate::intern::seed::Seed;
use crate::intern::{Id, Interner};
use crate::labels::Reporter;
use crate::labels::operation::Operations;
use crate::labels::service::Service;
use crate::labels::visible::Visible;
use crate::peer::PeerId;
use crate::peer::fields::Fields;
use crate::peer::principals::{Detail, Principals};
use crate::peer::workload::Workload;

/// Both principals of a connection, as far as labels show them.
pub type PrincipalTexts = Principals<Box<[u8]>>;
/// The number of a connection's principals.
pub type PrincipalsId = Id<PrincipalTexts>;
/// The number of a service, as far as labels show it.
pub type ServiceId = Id<Service<Box<[u8]>>>;
/// The number of what the user's expressions evaluated to.
pub type EvaluatedId = Id<Evaluated>;

/// The tables of one direction of a plugin.
pub struct Tables {
    /// Peers.
    pub peers: Peers,
    /// Principals of connections.
    pub principals: Interner<PrincipalTexts>,
    /// Services.
    pub services: Interner<Service<Box<[u8]>>>,
    /// Results of the user's expressions.
    pub evaluated: Interner<Evaluated>,
    /// Templates of operations.
    pub operations: Operations,
    visible: Visible,
    /// Room for principals of which labels show a part only.
    room: Principals<Vec<u8>>,
}

/// Peers by number.
pub struct Peers {
    workloads: Interner<Workload>,
    /// The fields that labels show of a peer at each end.
    downstream: Fields,
    upstream: Fields,
}

impl Tables {
    /// Tables of at most `limit` entries each, of what is `visible` to a reporter.
    pub fn new(
        seed: Seed,
        limit: usize,
        reporter: Reporter,
        visible: Visible,
        operations: Operations,
    ) -> Self {
        let (downstream, upstream) = match reporter {
            Reporter::Destination => (visible.peer, Fields::default()),
            Reporter::Source => (Fields::default(), visible.peer),
            Reporter::Waypoint => (visible.peer, visible.upstream),
        };
        Self {
            peers: Peers {
                workloads: Interner::new(seed, limit),
                downstream,
                upstream,
            },
            principals: Interner::new(seed, limit),
            services: Interner::new(seed, limit),
            // What dropped requests leave here takes the place of none.
            evaluated: Interner::new(seed, limit.saturating_add(MAX_CONDITIONS)),
            operations,
            visible,
            room: Principals::default(),
        }
    }

    /// What labels show.
    pub fn visible(&self) -> &Visible {
        &self.visible
    }

    /// The number of two principals.
    #[inline]
    pub fn principals(&mut self, principals: Principals<&[u8]>) -> PrincipalsId {
        let Principals {
            peer: of_peer,
            local: of_local,
        } = &mut self.room;
        let detail = self.visible.principals;
        let peer = detail.peer.of(bounded(principals.peer), of_peer);
        let local = detail.local.of(bounded(principals.local), of_local);
        let id = self.principals.id(
            Principals { peer, local },
            |known| same(&known.peer, peer) && same(&known.local, local),
            || Principals {
                peer: peer.into(),
                local: local.into(),
            },
        );
        if id != PrincipalsId::NO_ROOM {
            return id;
        }
        // Whether both ends have one still shows past the limit.
        let presence = |principal| Detail::Presence.of(principal, &mut Vec::new()).into();
        self.principals.part(Principals {
            peer: presence(peer),
            local: presence(local),
        })
    }

    /// The number of a service.
    #[inline]
    pub fn service(&mut self, service: Service<&[u8]>) -> ServiceId {
        let service = service.only(self.visible.service);
        self.services.id(
            service,
            |known| known.view() == service,
            || service.to_owned(),
        )
    }
}

impl Peers {
    /// The number of a peer at one end; `None` for a workload that tells nothing.
    #[cold]
    pub fn id(&mut self, workload: &Workload, end: End) -> Option<PeerId> {
        if *workload == Workload::UNKNOWN {
            return None;
        }
        let shown = workload.only(match end {
            End::Downstream => self.downstream,
            End::Upstream => self.upstream,
        });
        let is = |known: &Workload| *known == shown;
        Some(self.workloads.id(&shown, is, || shown.clone()))
    }

    /// The workload of a number, as far as labels show it.
    pub fn get(&self, id: PeerId) -> Option<&Workload> {
        self.workloads.get(id)
    }
}
