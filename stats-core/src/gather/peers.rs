//! Finds the peer on one side of a request or connection, in the configured order of sources. How each
//! source spells a workload is in [`sources`] and [`workload`](crate::peer::workload).

use alloc::vec::Vec;

use crate::host::{End, PeerState};
use crate::intern::seed::Seed;
use crate::peer::PeerId;
use crate::peer::cache::{Peer, PeerCache};
use crate::peer::sources::{self, PeerSource};
use crate::peer::workload::Workload;
use crate::record::tables::Peers;

/// The peers on one side.
///
/// A source is asked only where the ones before it know nothing. Filter state usually comes before the
/// exchange's headers and would be asked for every request. A native filter that sets it also removes
/// the headers, so while headers do come, filter state is asked once after every tick only.
pub struct PeerFinder {
    end: End,
    sources: Vec<PeerSource>,
    /// Whether the exchange's headers are among the sources.
    uses_headers: bool,
    /// Whether this filter exchanges metadata itself.
    exchanges: bool,
    published: PeerCache,
    native: PeerCache,
    /// What baggage or the endpoint's metadata named: each is on one side only.
    named: PeerCache,
    joined: Vec<u8>,
    /// Whether filter state is still to be asked although the exchange knows the peer.
    native_may_be_first: bool,
}

impl PeerFinder {
    /// Finds peers at one `end`, in the order of `sources`; `cache_size` bounds the peers kept of
    /// each. `exchanges` says whether this filter exchanges metadata itself.
    pub fn new(
        seed: Seed,
        end: End,
        sources: &[PeerSource],
        cache_size: usize,
        exchanges: bool,
    ) -> Self {
        let cache = || PeerCache::new(seed, cache_size);
        let is_here = |source: &PeerSource| match source {
            PeerSource::Baggage => end == End::Downstream,
            PeerSource::Endpoint => end == End::Upstream,
            PeerSource::FilterState | PeerSource::Headers => true,
        };
        Self {
            end,
            sources: sources.iter().copied().filter(is_here).collect(),
            uses_headers: sources.contains(&PeerSource::Headers),
            exchanges,
            published: cache(),
            native: cache(),
            named: cache(),
            joined: Vec::new(),
            native_may_be_first: true,
        }
    }

    /// The peer of the current request. `exchanged` is the peer that the exchange in this filter decoded;
    /// where another filter exchanges, the peer that it published is used instead. `baggage` is asked
    /// for the value of that header.
    #[inline]
    pub fn find<'a>(
        &mut self,
        host: &'a (impl PeerState + ?Sized),
        peers: &mut Peers,
        exchanged: Option<PeerId>,
        baggage: impl Fn() -> Option<&'a [u8]>,
    ) -> Option<PeerId> {
        let exchanged = if !self.uses_headers {
            None
        } else if self.exchanges {
            exchanged
        } else {
            self.published(host, peers)
        };
        for at in 0..self.sources.len() {
            let peer = match self.sources.get(at)? {
                PeerSource::FilterState if exchanged.is_some() && !self.native_may_be_first => None,
                PeerSource::FilterState => {
                    let peer = self.native(host, peers);
                    self.native_may_be_first = peer.is_some();
                    peer
                }
                PeerSource::Headers => exchanged,
                PeerSource::Baggage => {
                    let value = baggage();
                    value.and_then(|value| self.named(value, peers, sources::from_baggage))
                }
                PeerSource::Endpoint => {
                    let value = host.endpoint_workload();
                    value.and_then(|value| self.named(value, peers, sources::from_endpoint))
                }
            };
            if peer.is_some() {
                return peer;
            }
        }
        None
    }

    /// Some time has passed.
    pub fn tick(&mut self) {
        self.native_may_be_first = true;
    }

    /// The peer that an exchange filter of this module beside this one decoded.
    fn published(&mut self, host: &(impl PeerState + ?Sized), peers: &mut Peers) -> Option<PeerId> {
        let value = host.published_peer(self.end)?;
        look_up(
            &mut self.published,
            value,
            peers,
            self.end,
            sources::from_published,
        )
    }

    fn native(&mut self, host: &(impl PeerState + ?Sized), peers: &mut Peers) -> Option<PeerId> {
        sources::join_filter_state(host.native_peer(self.end)?, &mut self.joined);
        if self.joined.is_empty() {
            return None;
        }
        look_up(
            &mut self.native,
            &self.joined,
            peers,
            self.end,
            sources::from_joined,
        )
    }

    fn named(
        &mut self,
        value: &[u8],
        peers: &mut Peers,
        decode: fn(&[u8]) -> Option<Workload>,
    ) -> Option<PeerId> {
        look_up(&mut self.named, value, peers, self.end, decode)
    }
}

fn look_up(
    cache: &mut PeerCache,
    value: &[u8],
    peers: &mut Peers,
    end: End,
    decode: fn(&[u8]) -> Option<Workload>,
) -> Option<PeerId> {
    let peer = cache.find_or_decode(value, value, &mut |value| {
        let workload = decode(value)?;
        Some(Peer {
            id: peers.id(&workload, end)?,
            published: Vec::new(),
        })
    });
    peer.map(|peer| peer.id)
}
