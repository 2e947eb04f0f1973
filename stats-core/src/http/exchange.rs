//! The HTTP metadata exchange: two headers by which each side tells the other who it is.
//!
//! Which headers are taken, stripped and injected in each direction is here. What a workload is made of
//! is in [`workload`](crate::peer::workload), the cache of decoded peers in
//! [`cache`](crate::peer::cache).

use alloc::string::String;
use alloc::vec::Vec;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use prost::Message;

use crate::host::{End, HeaderMap, Headers, LocalProxy, PeerState};
use crate::peer::PeerId;
use crate::peer::cache::{MAX_METADATA_BYTES, Peer, PeerCache};
use crate::peer::unknown::UnknownReason;
use crate::peer::wire::Struct;
use crate::peer::workload::Workload;
use crate::record::tables::Peers;

/// Carries the node id of the sender.
pub const ID_HEADER: &str = "x-envoy-peer-metadata-id";
/// Carries the sender's workload: base64 of a `google.protobuf.Struct`.
pub const METADATA_HEADER: &str = "x-envoy-peer-metadata";

/// What the headers of a request or response told.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExchangeResult {
    /// The peer; `None` where it sent no metadata, or none that decodes.
    pub peer: Option<PeerId>,
    /// Whether an id came: a reply may carry ours.
    pub has_id: bool,
    /// Whether metadata came: a reply may carry ours.
    pub has_metadata: bool,
    /// Why there is no peer; [`UnknownReason::None`] also where no headers have been looked at.
    pub reason: UnknownReason,
}

/// This proxy's side of the exchange.
pub struct Exchange {
    own_id: String,
    own_metadata: String,
    additional_labels: Vec<String>,
    peers: PeerCache,
    /// Whether decoded peers are published for other filters.
    publishes: bool,
    /// Whether the last request carried both headers: then the next one is likely to.
    expects_both: bool,
}

impl Exchange {
    /// The exchange of a proxy. `additional_labels` are those that peers send beside the standard
    /// ones, `cache` is where decoded peers are remembered, and `publishes` says whether they are
    /// published for other filters.
    pub fn new(
        proxy: &LocalProxy,
        additional_labels: &[String],
        cache: PeerCache,
        publishes: bool,
    ) -> Self {
        let metadata = proxy.workload.to_exchange(&proxy.owner);
        Self {
            own_id: proxy.id.clone(),
            own_metadata: BASE64.encode(metadata),
            additional_labels: additional_labels.to_vec(),
            peers: cache,
            publishes,
            expects_both: false,
        }
    }

    /// Learns who sent a request and strips both headers, so that the application does not see them.
    #[inline]
    pub fn receive_request(
        &mut self,
        host: &mut (impl Headers + PeerState),
        peers: &mut Peers,
    ) -> ExchangeResult {
        let names = [ID_HEADER, METADATA_HEADER];
        let [id, metadata] = if self.expects_both {
            host.headers(HeaderMap::Request, names)
        } else {
            // Headers that are not there cost least when they are asked for by name.
            names.map(|name| host.header(HeaderMap::Request, name))
        };
        self.expects_both = id.is_some() && metadata.is_some();
        let has_id = id.is_some();
        let (result, peer) = self.look_up(id, metadata, peers, End::Downstream);
        if result.has_metadata {
            host.remove_header(HeaderMap::Request, METADATA_HEADER);
        }
        if has_id {
            host.remove_header(HeaderMap::Request, ID_HEADER);
        }
        publish(host, End::Downstream, peer);
        ExchangeResult { has_id, ..result }
    }

    /// Learns who sent a response and strips both headers, so that the client does not see them. The
    /// id is not looked at: there is no reply to a response.
    #[inline]
    pub fn receive_response(
        &mut self,
        host: &mut (impl Headers + PeerState),
        peers: &mut Peers,
    ) -> ExchangeResult {
        let metadata = host.header(HeaderMap::Response, METADATA_HEADER);
        let (result, peer) = self.look_up(None, metadata, peers, End::Upstream);
        if result.has_metadata {
            host.remove_header(HeaderMap::Response, METADATA_HEADER);
        }
        host.remove_header(HeaderMap::Response, ID_HEADER);
        publish(host, End::Upstream, peer);
        result
    }

    /// What two headers tell; and the peer, where it is to be published.
    #[inline]
    fn look_up(
        &mut self,
        id: Option<&[u8]>,
        metadata: Option<&[u8]>,
        peers: &mut Peers,
        end: End,
    ) -> (ExchangeResult, Option<&Peer>) {
        let Some(metadata) = metadata else {
            let result = ExchangeResult {
                reason: UnknownReason::NoMetadata,
                ..ExchangeResult::default()
            };
            return (result, None);
        };
        let (labels, publishes) = (&self.additional_labels, self.publishes);
        let mut decode = |value: &[u8]| {
            let workload = decode(value, labels)?;
            Some(Peer {
                id: peers.id(&workload, end)?,
                published: if publishes {
                    workload.to_filter_state()
                } else {
                    Vec::new()
                },
            })
        };
        let id = id.unwrap_or(metadata);
        let peer = self.peers.find_or_decode(id, metadata, &mut decode);
        let result = ExchangeResult {
            peer: peer.map(|peer| peer.id),
            has_id: false,
            has_metadata: true,
            reason: match peer {
                Some(_) => UnknownReason::None,
                None if metadata.len() > MAX_METADATA_BYTES => UnknownReason::Oversized,
                None => UnknownReason::Undecodable,
            },
        };
        (result, peer.filter(|_| publishes))
    }

    /// Strips what the application may have sent to an upstream that gets no metadata of this proxy.
    pub fn strip(&self, host: &mut impl Headers) {
        host.remove_header(HeaderMap::Request, ID_HEADER);
        host.remove_header(HeaderMap::Request, METADATA_HEADER);
    }

    /// Injects this proxy's headers into a request, in place of whatever the application may have sent.
    pub fn inject(&self, host: &mut impl Headers) {
        host.set_header(HeaderMap::Request, ID_HEADER, self.own_id.as_bytes());
        host.set_header(
            HeaderMap::Request,
            METADATA_HEADER,
            self.own_metadata.as_bytes(),
        );
    }

    /// Replies to a request: only with what its sender asked for by sending its own.
    ///
    /// What the application may have put into the response itself is replaced, or stripped where
    /// nothing was asked for.
    pub fn reply(&self, host: &mut impl Headers, result: &ExchangeResult) {
        for (asked, name, own) in [
            (result.has_id, ID_HEADER, &self.own_id),
            (result.has_metadata, METADATA_HEADER, &self.own_metadata),
        ] {
            if asked {
                host.set_header(HeaderMap::Response, name, own.as_bytes());
            } else {
                host.remove_header(HeaderMap::Response, name);
            }
        }
    }
}

fn publish(host: &mut impl PeerState, end: End, peer: Option<&Peer>) {
    if let Some(peer) = peer {
        host.publish_peer(end, &peer.published);
    }
}

/// Decodes the value of the metadata header.
#[inline(never)] // for size, see Cargo.toml
fn decode(value: &[u8], additional_labels: &[String]) -> Option<Workload> {
    let bytes = BASE64.decode(value).ok()?;
    let fields = Struct::decode(bytes.as_slice()).ok()?;
    Some(Workload::from_struct(&fields, additional_labels))
}

/// Standard base64; padding is written, and accepted where it is there.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Workload {
        Workload {
            name: name.into(),
            ..Workload::default()
        }
    }

    #[test]
    fn base64_is_decoded_with_and_without_padding_and_garbage_is_refused() {
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
