//! Finds the peer of a request, in the configured order of sources. How each source spells a workload
//! is in [`sources`](crate::sources) and [`workload`](crate::workload).

use alloc::rc::Rc;
use alloc::vec::Vec;

use crate::attributes;
use crate::config::Config;
use crate::exchange::{Peer, PeerCache};
use crate::host::{Attributes, HeaderMap, Headers};
use crate::sources::{self, PeerSource};

/// The filter state `wasm.downstream_peer`, by the name under which it is declared.
pub const DOWNSTREAM_PEER: &str = "downstream_peer";
/// The filter state `wasm.upstream_peer`.
pub const UPSTREAM_PEER: &str = "upstream_peer";

/// One side of a request: where its peer is found when the exchange in this filter did not learn it.
pub struct Side {
    /// The filter state that our own exchange publishes, as a property.
    published: &'static str,
    /// The filter state that Istio's native exchange sets, as an attribute.
    native: &'static str,
    /// The source that only this side has.
    own: PeerSource,
}

/// The caller's side.
pub const DOWNSTREAM: Side = Side {
    published: DOWNSTREAM_PEER,
    native: "filter_state\0downstream_peer",
    own: PeerSource::Baggage,
};

/// The called's side.
pub const UPSTREAM: Side = Side {
    published: UPSTREAM_PEER,
    native: "filter_state\0upstream_peer",
    own: PeerSource::Endpoint,
};

/// Finds the peer on one side of a request, in the configured order of sources.
///
/// A source is asked only where the ones before it know nothing. One that comes before the headers
/// would be asked for every request, although whether some other filter provides peers is a matter
/// of the filter chain: while headers do arrive, which such a filter would have removed, it is asked
/// once after every tick.
pub struct Discovery {
    side: Side,
    sources: Vec<PeerSource>,
    exchanged: bool,
    published: PeerCache,
    native: PeerCache,
    own: PeerCache,
    scratch: Vec<u8>,
    /// Whether filter state is still to be asked although the headers know the peer.
    native_may_be_first: bool,
}

impl Discovery {
    /// Finds peers on `side`; `exchanged` says whether this filter exchanges metadata itself.
    pub fn new(config: &Config, side: Side, exchanged: bool) -> Self {
        let cache = || PeerCache::new(config.max_peer_cache_size);
        let sources = config.peer_sources.iter().copied();
        let has = |source: &PeerSource| {
            !matches!(source, PeerSource::Baggage | PeerSource::Endpoint) || *source == side.own
        };
        Self {
            sources: sources.filter(has).collect(),
            side,
            exchanged,
            published: cache(),
            native: cache(),
            own: cache(),
            scratch: Vec::new(),
            native_may_be_first: true,
        }
    }

    /// The peer of the current request. `learned` is what the exchange in this filter told; where it
    /// is in another, what that published counts as the headers' word.
    pub fn find(
        &mut self,
        host: &(impl Headers + Attributes),
        learned: Option<&Rc<Peer>>,
    ) -> Option<Rc<Peer>> {
        let published = if self.exchanged {
            None
        } else {
            self.published(host)
        };
        let learned = learned.or(published.as_ref());
        for at in 0..self.sources.len() {
            let peer = match self.sources.get(at)? {
                PeerSource::FilterState if learned.is_some() && !self.native_may_be_first => None,
                PeerSource::FilterState => {
                    let peer = self.filter_state(host);
                    self.native_may_be_first = peer.is_some();
                    peer
                }
                PeerSource::Headers => learned.cloned(),
                PeerSource::Baggage => host
                    .header(HeaderMap::Request, sources::BAGGAGE_HEADER)
                    .and_then(|value| {
                        self.own
                            .find_or_decode(value, value, &sources::from_baggage)
                    }),
                PeerSource::Endpoint => host
                    .attribute(attributes::UPSTREAM_HOST_METADATA)
                    .and_then(|value| {
                        self.own
                            .find_or_decode(value, value, &sources::from_endpoint)
                    }),
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

    /// What an exchange filter of ours beside this one learned.
    fn published(&mut self, host: &impl Attributes) -> Option<Rc<Peer>> {
        let value = host.attribute(self.side.published)?;
        self.published
            .find_or_decode(value, value, &sources::from_published)
    }

    fn filter_state(&mut self, host: &impl Attributes) -> Option<Rc<Peer>> {
        sources::normalize_filter_state(host.attribute(self.side.native)?, &mut self.scratch);
        if self.scratch.is_empty() {
            return None;
        }
        let value = &*self.scratch;
        self.native
            .find_or_decode(value, value, &sources::from_normalized)
    }
}
