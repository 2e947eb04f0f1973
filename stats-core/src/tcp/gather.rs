//! Gathers the facts of a connection: who the peer is, and which service it was opened to.

use crate::gather::clusters::Clusters;
use crate::gather::peers::PeerFinder;
use crate::host::{ConnectionFacts, Connections, End, TcpHost};
use crate::http::direction::Direction;
use crate::labels::outcome::{Outcome, Protocol};
use crate::peer::PeerId;
use crate::peer::principals::Principals;
use crate::record::facts::Facts;
use crate::record::tables::{PrincipalsId, ServiceId, Tables};

/// Gathers facts of connections in one direction.
pub struct ConnectionGatherer {
    direction: Direction,
    downstream: PeerFinder,
    upstream: PeerFinder,
    clusters: Clusters,
}

impl ConnectionGatherer {
    /// Gathers in one direction, with a finder of peers for each end.
    pub fn new(
        direction: Direction,
        finder: impl Fn(End) -> PeerFinder,
        clusters: Clusters,
    ) -> Self {
        Self {
            direction,
            downstream: finder(End::Downstream),
            upstream: finder(End::Upstream),
            clusters,
        }
    }

    /// Some time has passed: what may change is asked for again when it is next needed.
    pub fn tick(&mut self) {
        self.downstream.tick();
        self.upstream.tick();
        self.clusters.tick();
    }

    /// The facts of a connection of which so much is `known`.
    #[inline(never)] // for size, see Cargo.toml
    pub fn facts(
        &mut self,
        host: &dyn TcpHost,
        tables: &mut Tables,
        known: &ConnectionFacts<'_>,
    ) -> Facts {
        let (peer, upstream) = self.direction.peers(|end| self.peer(host, tables, end));
        Facts {
            peer,
            upstream,
            principals: self.principals(host, tables, known),
            service: self.service(host, tables, known),
            outcome: outcome(known),
            ..Facts::default()
        }
    }

    /// Whether the peers have sent anything. What introduces a peer comes before all bytes of its
    /// application, so whoever is not known from here on never will be.
    pub fn has_heard(&self, known: &ConnectionFacts<'_>) -> bool {
        let silent_client = self.direction.has_peer(End::Downstream) && known.received_bytes == 0;
        let silent_server = self.direction.has_peer(End::Upstream) && known.sent_bytes == 0;
        !silent_client && !silent_server
    }

    fn peer(&mut self, host: &dyn TcpHost, tables: &mut Tables, end: End) -> Option<PeerId> {
        let finder = match end {
            End::Downstream => &mut self.downstream,
            End::Upstream => &mut self.upstream,
        };
        finder.find(host, &mut tables.peers, None, || None)
    }

    /// The principals of the connection that labels show.
    fn principals(
        &self,
        host: &dyn Connections,
        tables: &mut Tables,
        known: &ConnectionFacts<'_>,
    ) -> PrincipalsId {
        if tables.visible().principals == Principals::default() {
            return PrincipalsId::default();
        }
        tables.principals(match self.direction.principals() {
            End::Downstream => host.downstream_principals(),
            End::Upstream => known.upstream,
        })
    }

    /// The service that a connection was opened to: the cluster's, for no header names one.
    fn service(
        &mut self,
        host: &dyn Connections,
        tables: &mut Tables,
        known: &ConnectionFacts<'_>,
    ) -> ServiceId {
        if tables.visible().service.is_empty() {
            return ServiceId::default();
        }
        let cluster = self.clusters.find(host, tables, known.cluster);
        cluster.map_or_else(ServiceId::default, |cluster| {
            tables.service(cluster.service.service(known.route, b""))
        })
    }
}

/// How a connection has ended, as far as it is `known`.
pub fn outcome(known: &ConnectionFacts<'_>) -> Outcome {
    Outcome {
        protocol: Protocol::Tcp,
        response_flags: known.response_flags,
        ..Outcome::default()
    }
}
