//! The HTTP metadata exchange: two headers by which each side tells the other who it is.
//!
//! What to read, remove and send for each direction is here, and the bounded cache of decoded
//! peers. What a workload is made of is in [`workload`](crate::workload).

use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::{Cell, OnceCell};
use core::hash::BuildHasher;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use prost::Message;

use crate::bytes::{Hashing, same};
use crate::config::Config;
use crate::host::{HeaderMap, Headers};
use crate::places::Places;
use crate::proto::Struct;
use crate::workload::Workload;

/// Carries the node id of the sender.
pub const ID_HEADER: &str = "x-envoy-peer-metadata-id";
/// Carries the sender's workload: base64 of a `google.protobuf.Struct`.
pub const METADATA_HEADER: &str = "x-envoy-peer-metadata";
/// The most bytes of a metadata header that are looked at; a real one has some 500. A larger one
/// means an unknown peer.
pub const MAX_METADATA_BYTES: usize = 8 * 1024;

/// A decoded peer. Streams and the cache share it.
#[derive(Debug, Default)]
pub struct Peer {
    /// Who it is.
    pub workload: Workload,
    /// The number of its workload in label sets; unset until its first request ends.
    pub(crate) number: Cell<Option<u32>>,
    published: OnceCell<Vec<u8>>,
}

impl Peer {
    fn new(workload: Workload) -> Self {
        Self {
            workload,
            number: Cell::new(None),
            published: OnceCell::new(),
        }
    }

    /// Its workload as other filters find it in filter state, encoded once.
    #[inline(never)] // for size, see Cargo.toml
    pub fn published(&self) -> &[u8] {
        self.published
            .get_or_init(|| self.workload.to_filter_state())
    }
}

/// Why a peer is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum UnknownReason {
    /// It is known.
    #[default]
    None,
    /// It did not introduce itself: no sidecar, or one that does not exchange metadata.
    NoMetadata,
    /// What it sent does not decode.
    Undecodable,
    /// What it sent is larger than [`MAX_METADATA_BYTES`].
    Oversized,
    /// No answer came from upstream.
    NoResponse,
}

impl UnknownReason {
    /// The label's name.
    pub const LABEL: &'static str = "peer_unknown_reason";

    /// The label's value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "-",
            Self::NoMetadata => "no_metadata",
            Self::Undecodable => "undecodable",
            Self::Oversized => "oversized",
            Self::NoResponse => "no_response",
        }
    }
}

/// What a request's headers told.
#[derive(Debug, Default)]
pub struct Received {
    /// The peer; `None` where it did not introduce itself, or not in a way that decodes.
    pub peer: Option<Rc<Peer>>,
    /// An id came: an answer may carry ours.
    pub id: bool,
    /// Metadata came: an answer may carry ours.
    pub metadata: bool,
    /// Why there is no peer; `None` also where nothing was received at all.
    pub reason: UnknownReason,
}

/// What headers say about their sender, unread.
#[derive(Clone, Copy, Debug)]
pub struct Introduction<'a> {
    /// The value of [`ID_HEADER`].
    pub id: Option<&'a [u8]>,
    metadata: Option<&'a [u8]>,
}

/// This proxy's side of the exchange.
pub struct Exchange {
    own_id: String,
    own_metadata: String,
    additional_labels: Vec<String>,
    peers: PeerCache,
    /// Whether the last request's sender introduced itself: then the next one's is likely to.
    expects_introduction: bool,
}

impl Exchange {
    /// An exchange that introduces itself as `id` and with `own`, a workload as
    /// [`Workload::to_exchange`] writes it.
    pub fn new(id: &str, own: &[u8], config: &Config) -> Self {
        Self {
            own_id: id.into(),
            own_metadata: BASE64.encode(own),
            additional_labels: config.additional_labels.clone(),
            peers: PeerCache::new(config.max_peer_cache_size),
            expects_introduction: false,
        }
    }

    /// Reads both headers of a request.
    pub fn introduction<'a>(&mut self, host: &'a impl Headers) -> Introduction<'a> {
        let names = [ID_HEADER, METADATA_HEADER];
        let [id, metadata] = if self.expects_introduction {
            host.headers(HeaderMap::Request, names)
        } else {
            // Headers that are not there cost least when they are asked for by name.
            names.map(|name| host.header(HeaderMap::Request, name))
        };
        self.expects_introduction = id.is_some() && metadata.is_some();
        Introduction { id, metadata }
    }

    /// Learns who sent a request and removes both headers, so that the application does not see
    /// them.
    pub fn receive_request(
        &mut self,
        host: &impl Headers,
        introduction: Introduction<'_>,
    ) -> Received {
        let mut received = self.receive(host, HeaderMap::Request, introduction);
        received.id = introduction.id.is_some();
        if received.id {
            host.remove_header(HeaderMap::Request, ID_HEADER);
        }
        received
    }

    /// Reads both headers of a response and removes them, so that the client does not see them. The
    /// id has nothing to tell here: nobody answers a response.
    pub fn receive_response(&mut self, host: &impl Headers) -> Received {
        let introduction = Introduction {
            id: None,
            metadata: host.header(HeaderMap::Response, METADATA_HEADER),
        };
        let received = self.receive(host, HeaderMap::Response, introduction);
        host.remove_header(HeaderMap::Response, ID_HEADER);
        received
    }

    fn receive(
        &mut self,
        host: &impl Headers,
        map: HeaderMap,
        Introduction { id, metadata }: Introduction<'_>,
    ) -> Received {
        let Some(metadata) = metadata else {
            return Received {
                reason: UnknownReason::NoMetadata,
                ..Received::default()
            };
        };
        let labels = &self.additional_labels;
        let decode = |value: &[u8]| decode(value, labels);
        let id = id.unwrap_or(metadata);
        let peer = self.peers.find_or_decode(id, metadata, &decode);
        host.remove_header(map, METADATA_HEADER);
        Received {
            reason: match peer {
                Some(_) => UnknownReason::None,
                None if metadata.len() > MAX_METADATA_BYTES => UnknownReason::Oversized,
                None => UnknownReason::Undecodable,
            },
            peer,
            id: false,
            metadata: true,
        }
    }

    /// Removes what the application may have sent to the upstream, where this proxy does not
    /// introduce itself.
    pub fn withhold(&self, host: &impl Headers) {
        host.remove_header(HeaderMap::Request, ID_HEADER);
        host.remove_header(HeaderMap::Request, METADATA_HEADER);
    }

    /// Introduces this proxy to the upstream, in place of whatever the application may have sent.
    pub fn send(&self, host: &impl Headers) {
        host.set_header(HeaderMap::Request, ID_HEADER, self.own_id.as_bytes());
        host.set_header(
            HeaderMap::Request,
            METADATA_HEADER,
            self.own_metadata.as_bytes(),
        );
    }

    /// Answers a request: only with what it asked for by sending its own.
    ///
    /// What the application may have put there itself is replaced, or removed where nothing was
    /// asked for.
    pub fn answer(&self, host: &impl Headers, received: &Received) {
        for (asked, name, own) in [
            (received.id, ID_HEADER, &self.own_id),
            (received.metadata, METADATA_HEADER, &self.own_metadata),
        ] {
            if asked {
                host.set_header(HeaderMap::Response, name, own.as_bytes());
            } else {
                host.remove_header(HeaderMap::Response, name);
            }
        }
    }
}

/// Decoded peers, at most so many.
///
/// An id is chosen by whoever sends it, so an entry is only ever served for exactly the value it
/// was decoded from. The entry that makes room is the first one that was not used since the hand
/// last passed it (the CLOCK algorithm), so that a flood of new ids does not displace the peers in
/// use at once.
pub struct PeerCache {
    capacity: usize,
    /// Where the entry of an id is, by the id's hash: the value decides, so a collision costs no
    /// more than a decode.
    places: Places,
    entries: Vec<Entry>,
    hand: usize,
    /// The entry that was found last: often the next one too.
    last: u32,
}

struct Entry {
    id_hash: u64,
    value: Vec<u8>,
    peer: Option<Rc<Peer>>,
    used: bool,
}

impl PeerCache {
    /// A cache of up to `capacity` peers; zero turns it off.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity,
            places: Places::default(),
            entries: Vec::new(),
            hand: 0,
            last: 0,
        }
    }

    /// The peer of this id and value, through `decode` where they are new together. A value that
    /// does not decode, or that tells nothing, is remembered as such.
    #[inline]
    pub fn find_or_decode(
        &mut self,
        id: &[u8],
        value: &[u8],
        decode: &dyn Fn(&[u8]) -> Option<Workload>,
    ) -> Option<Rc<Peer>> {
        if let Some(entry) = self.entry(self.last, value) {
            return entry.peer.clone();
        }
        let id_hash = Hashing::default().hash_one(id);
        if let Some(at) = self.places.find(id_hash, |_| true)
            && let Some(entry) = self.entry(at, value)
        {
            let peer = entry.peer.clone();
            self.last = at;
            return peer;
        }
        self.decode(id_hash, value, decode)
    }

    #[cold]
    fn decode(
        &mut self,
        id_hash: u64,
        value: &[u8],
        decode: &dyn Fn(&[u8]) -> Option<Workload>,
    ) -> Option<Rc<Peer>> {
        if value.len() > MAX_METADATA_BYTES {
            return None;
        }
        let workload = decode(value).filter(|workload| *workload != Workload::UNKNOWN);
        let peer = workload.map(|workload| Rc::new(Peer::new(workload)));
        self.insert(Entry {
            id_hash,
            value: value.to_vec(),
            peer: peer.clone(),
            used: false,
        });
        peer
    }

    /// The entry at this place, if it was decoded from this value.
    #[inline]
    fn entry(&mut self, at: u32, value: &[u8]) -> Option<&Entry> {
        let entry = self.entries.get_mut(at as usize)?;
        if !same(&entry.value, value) {
            return None;
        }
        entry.used = true;
        Some(entry)
    }

    fn insert(&mut self, entry: Entry) {
        if self.capacity == 0 {
            return;
        }
        let id_hash = entry.id_hash;
        if let Some(at) = self.places.find(id_hash, |_| true)
            && let Some(old) = self.entries.get_mut(at as usize)
        {
            *old = entry;
            return;
        }
        let at = if self.entries.len() < self.capacity {
            self.entries.len()
        } else {
            self.next_victim()
        };
        let Ok(place) = u32::try_from(at) else {
            return;
        };
        match self.entries.get_mut(at) {
            Some(old) => {
                self.places.remove(old.id_hash, place);
                *old = entry;
            }
            None => self.entries.push(entry),
        }
        self.places.insert(id_hash, place);
    }

    /// Moves the hand to the next entry that was not used, taking the mark off those it passes.
    fn next_victim(&mut self) -> usize {
        loop {
            let at = self.hand;
            self.hand = (at + 1) % self.entries.len().max(1);
            match self.entries.get_mut(at) {
                Some(entry) if entry.used => entry.used = false,
                _ => return at,
            }
        }
    }
}

/// Decodes the value of the metadata header.
#[inline(never)] // for size, see Cargo.toml
fn decode(value: &[u8], additional_labels: &[String]) -> Option<Workload> {
    let bytes = BASE64.decode(value).ok()?;
    let fields = Struct::decode(bytes.as_slice()).ok()?;
    Some(Workload::from_struct(&fields, additional_labels))
}

/// Standard base64; padding is written, and read where it is there.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    fn named(name: &str) -> Workload {
        Workload {
            name: name.into(),
            ..Workload::default()
        }
    }

    /// Looks up a peer whose value is its name, counting decodes.
    fn find(cache: &mut PeerCache, id: &str, value: &str, decodes: &mut usize) -> Option<String> {
        let count = Cell::new(0);
        let peer = cache.find_or_decode(id.as_bytes(), value.as_bytes(), &|value| {
            count.set(count.get() + 1);
            Some(named(core::str::from_utf8(value).ok()?))
        });
        *decodes += count.get();
        peer.map(|peer| peer.workload.name.clone())
    }

    #[test]
    fn a_known_id_and_value_are_not_decoded_again() {
        let (mut cache, mut decodes) = (PeerCache::new(2), 0);
        for _ in 0..3 {
            assert_eq!(
                find(&mut cache, "id", "v", &mut decodes).as_deref(),
                Some("v")
            );
        }
        assert_eq!(decodes, 1);
    }

    #[test]
    fn a_forged_id_gets_what_it_sent_and_not_the_cached_peer() {
        let (mut cache, mut decodes) = (PeerCache::new(2), 0);
        find(&mut cache, "id", "honest", &mut decodes);
        assert_eq!(
            find(&mut cache, "id", "forged", &mut decodes).as_deref(),
            Some("forged")
        );
        assert_eq!(
            find(&mut cache, "id", "honest", &mut decodes).as_deref(),
            Some("honest")
        );
    }

    #[test]
    fn the_cache_is_bounded_and_keeps_what_is_used() {
        let (mut cache, mut decodes) = (PeerCache::new(3), 0);
        find(&mut cache, "busy", "b", &mut decodes);
        for n in 0..100 {
            find(&mut cache, &n.to_string(), "v", &mut decodes);
            find(&mut cache, "busy", "b", &mut decodes);
        }
        assert_eq!(decodes, 101, "the busy peer was decoded once");
        assert_eq!(cache.entries.len(), 3);
        assert_eq!(cache.places.count(), 3);
    }

    #[test]
    fn capacity_zero_turns_the_cache_off() {
        let (mut cache, mut decodes) = (PeerCache::new(0), 0);
        find(&mut cache, "id", "v", &mut decodes);
        find(&mut cache, "id", "v", &mut decodes);
        assert_eq!((decodes, cache.entries.len()), (2, 0));
    }

    #[test]
    fn values_that_begin_alike_are_kept_apart() {
        let (mut cache, mut decodes) = (PeerCache::new(2), 0);
        let alike = "v".repeat(2000);
        for _ in 0..3 {
            for value in [alike.clone() + "1", alike.clone() + "2"] {
                assert_eq!(find(&mut cache, &value, &value, &mut decodes), Some(value));
            }
        }
        assert_eq!(decodes, 2);
    }

    #[test]
    fn a_peer_that_says_nothing_is_nobody() {
        let mut cache = PeerCache::new(1);
        let nothing = |_: &[u8]| Some(Workload::UNKNOWN);
        assert!(cache.find_or_decode(b"id", b"", &nothing).is_none());
    }

    #[test]
    fn an_oversized_value_is_an_unknown_peer() {
        let (mut cache, mut decodes) = (PeerCache::new(2), 0);
        let value = "v".repeat(MAX_METADATA_BYTES + 1);
        assert_eq!(find(&mut cache, "id", &value, &mut decodes), None);
        assert_eq!(decodes, 0);
    }

    #[test]
    fn base64_is_read_with_and_without_padding_and_garbage_is_nobody() {
        let padded = BASE64.encode(named("a").to_exchange(""));
        assert!(padded.ends_with('='), "this length needs padding");
        assert_eq!(decode(padded.as_bytes(), &[]), Some(named("a")));
        assert_eq!(
            decode(padded.trim_end_matches('=').as_bytes(), &[]),
            Some(named("a"))
        );
        for garbage in [&b"%%%"[..], b"AAAA", b"\xff", b"=", b"/////w"] {
            assert_eq!(decode(garbage, &[]), None, "{garbage:?}");
        }
    }
}
