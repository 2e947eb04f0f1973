//! This proxy's side of the TCP exchange: with whom there is one, and what becomes of a peer's header. When
//! bytes are taken out and put in is in [`handshake`](super::handshake).

use alloc::vec::Vec;

use super::connection::Connection;
use super::frame;
use super::handshake::Chunk;
use crate::config::{Config, PeerConfig};
use crate::host::{End, LocalProxy, TcpHost};
use crate::http::direction::Direction;
use crate::http::exchange::METADATA_HEADER;
use crate::peer::cache::{MAX_METADATA_BYTES, Peer, PeerCache};
use crate::peer::workload::Workload;

/// The cluster of servers of which nothing is known.
const PASS_THROUGH: &[u8] = b"PassthroughCluster";

/// This proxy's side of the TCP exchange.
pub struct ConnectionExchange {
    own: Vec<u8>,
    config: PeerConfig,
    peers: PeerCache,
    /// Whether another filter counts, and has to be told which bytes are not the application's.
    tells: bool,
}

impl ConnectionExchange {
    /// The exchange of a proxy. `tells` says whether another filter counts bytes.
    #[cold]
    pub fn new(proxy: &LocalProxy, config: &Config, tells: bool) -> Self {
        Self {
            own: frame::encode(proxy),
            config: config.peers.clone(),
            peers: PeerCache::new(proxy.seed, config.peers.max_cache_size),
            tells,
        }
    }

    /// The first bytes of a connection are here.
    #[cold]
    pub fn begin(&self, host: &dyn TcpHost, connection: &mut Connection, direction: Direction) {
        let from_client = direction.has_peer(End::Downstream);
        let with_server = direction.has_peer(End::Upstream) && self.is_with(host);
        connection.handshake.begin(from_client, with_server);
    }

    /// A chunk has come from this end, of so many bytes; whether the host is to keep it until more comes.
    #[inline(never)] // for size, see Cargo.toml
    pub fn on_chunk(
        &mut self,
        host: &mut dyn TcpHost,
        connection: &mut Connection,
        from: End,
        size: usize,
        is_last: bool,
    ) -> bool {
        let mut found = None;
        let Self {
            own,
            config,
            peers,
            tells,
        } = self;
        let before = connection.handshake.bytes();
        let edit = {
            let front = |most| host.chunk(from, most);
            let chunk = Chunk {
                size,
                is_last,
                front: &front,
            };
            connection.handshake.chunk(from, &chunk, own, |message| {
                let (is_message, peer) = read(message, peers, &config.additional_labels);
                found = peer;
                is_message
            })
        };
        if edit.drain > 0 || !edit.front.is_empty() {
            host.edit_chunk(from, edit.drain, &edit.front);
        }
        if let Some(peer) = found.filter(|peer| !peer.published.is_empty()) {
            host.publish_peer(from, &peer.published);
        }
        let bytes = connection.handshake.bytes();
        if *tells && bytes != before {
            host.publish_exchanged(bytes);
        }
        edit.waits
    }

    /// Whether the server behind the connection's cluster is known to answer.
    fn is_with(&self, host: &dyn TcpHost) -> bool {
        let names = &self.config.tcp_exchange_clusters;
        if names.is_empty() {
            return false;
        }
        let name = host.cluster_name();
        if name == PASS_THROUGH || !names.iter().any(|entry| is(entry, name)) {
            return false;
        }
        let cluster = host.cluster();
        let is_outside = self.config.skip_external_clusters && cluster.external;
        !cluster.disables_exchange && !is_outside
    }
}

/// Whether a cluster is meant by an entry of the configuration.
fn is(entry: &str, cluster: &[u8]) -> bool {
    match entry.strip_suffix('*') {
        Some(beginning) => cluster.starts_with(beginning.as_bytes()),
        None => cluster == entry.as_bytes(),
    }
}

/// Whether these bytes are the message of a header, and the peer of which it tells.
fn read<'a>(
    message: &[u8],
    peers: &'a mut PeerCache,
    additional_labels: &[alloc::string::String],
) -> (bool, Option<&'a Peer>) {
    if message.len() > MAX_METADATA_BYTES {
        return (frame::decode(message).is_some(), None);
    }
    let mut decode = |message: &[u8]| {
        let fields = frame::decode(message)?;
        let workload = fields.nested(METADATA_HEADER);
        let workload = workload.map(|fields| Workload::from_struct(fields, additional_labels));
        Some(Peer {
            published: workload.map_or_else(Vec::new, |workload| workload.to_filter_state()),
            ..Peer::default()
        })
    };
    let peer = peers.find_or_decode(message, message, &mut decode);
    (peer.is_some(), peer)
}
