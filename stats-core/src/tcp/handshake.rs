//! The TCP exchange on one connection: which bytes of it are taken out, and where the own header is put
//! in. A state machine that is fed chunks of both ways; it calls no host and decodes nothing.
//!
//! A header is looked for among the first bytes from whoever may send one. Whatever is not one, from the
//! first byte on, is the application's and passes as it came.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::mem;

use super::frame::{Beginning, HEAD_BYTES, MAX_BODY_BYTES, beginning};
use crate::host::{End, ExchangeBytes};

/// The exchange on one connection. The default takes part in none.
#[derive(Clone, Debug, Default)]
pub struct Handshake {
    /// The two ways of the connection, by the end that the bytes come from.
    ways: [HalfConnection; 2],
    /// Whether the client has sent its header, and may get an answer.
    has_heard_client: bool,
    /// How many bytes from the client the host keeps.
    kept: usize,
    /// What has been taken out of, and put into the connection to the client.
    bytes: ExchangeBytes,
}

/// One way of a connection.
#[derive(Clone, Debug, Default)]
struct HalfConnection {
    /// Whether the first bytes may still be a header.
    looks: bool,
    /// Whether the own header may still go in front of what the application sends.
    speaks: bool,
    /// The first bytes, where they are too few to tell and the host does not keep them.
    held: Vec<u8>,
}

/// Bytes that have come over one way of a connection.
#[derive(Clone, Copy)]
pub struct Chunk<'a> {
    /// How many there are. The host keeps those from the client while the handshake
    /// [waits](Edit::waits): then they are in the next chunk too.
    pub size: usize,
    /// Whether no more follow.
    pub is_last: bool,
    /// The first of them: as many as that, or all of fewer.
    pub front: &'a dyn Fn(usize) -> &'a [u8],
}

/// What is to be done with a chunk. By default it passes as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edit<'a> {
    /// How many bytes of its front are to be taken away.
    pub drain: usize,
    /// What is then to be put in front of it.
    pub front: Cow<'a, [u8]>,
    /// Whether the host is to keep the chunk until more comes.
    pub waits: bool,
}

/// What the first bytes have turned out to be.
enum Found {
    /// It takes more to tell.
    Nothing,
    /// A header that ends after that many bytes of the chunk.
    Header(usize),
    /// The application's.
    Application,
}

impl Handshake {
    /// A connection begins: whether a client may introduce itself, and whether the server is known to
    /// answer who does.
    pub fn begin(&mut self, from_client: bool, with_server: bool) {
        let [client, server] = &mut self.ways;
        (client.looks, client.speaks) = (from_client, with_server);
        (server.looks, server.speaks) = (with_server, from_client);
    }

    /// Whether all that comes from this end from here on passes as it is.
    pub fn is_over(&self, from: End) -> bool {
        let way = self.way(from);
        !way.looks && !way.speaks
    }

    /// Whether the host keeps bytes from the client.
    pub fn keeps_client(&self) -> bool {
        self.kept > 0
    }

    /// What the host has kept of the client's bytes passes: no header has come in time.
    pub fn give_up_on_client(&mut self) {
        let [client, _] = &mut self.ways;
        client.looks = false;
        self.kept = 0;
    }

    /// Bytes of the connection to the client so far that are not, or may not be, its application's.
    pub fn bytes(&self) -> ExchangeBytes {
        ExchangeBytes {
            received: self.bytes.received + self.kept as u64,
            ..self.bytes
        }
    }

    /// A chunk has come from this end. `own` is this proxy's header, and `is_message` says whether a
    /// header's message is one.
    pub fn chunk<'o>(
        &mut self,
        from: End,
        chunk: &Chunk<'_>,
        own: &'o [u8],
        is_message: impl FnOnce(&[u8]) -> bool,
    ) -> Edit<'o> {
        let mut edit = Edit::default();
        if from == End::Downstream {
            // A proxy counts what it kept once more with what has come behind it.
            self.bytes.received += mem::take(&mut self.kept) as u64;
        }
        let way = match (&mut self.ways, from) {
            ([client, _], End::Downstream) => client,
            ([_, server], End::Upstream) => server,
        };
        if way.looks {
            match way.look(chunk, is_message) {
                Found::Nothing if from == End::Downstream => {
                    edit.waits = true;
                    self.kept = chunk.size;
                    return edit;
                }
                Found::Nothing => {
                    // What is written cannot be kept by a proxy, so it is kept here.
                    way.held.extend((chunk.front)(chunk.size));
                    edit.drain = chunk.size;
                    return edit;
                }
                Found::Header(bytes) => {
                    edit.drain = bytes;
                    way.held = Vec::new();
                    if from == End::Downstream {
                        self.has_heard_client = true;
                        self.bytes.received += bytes as u64;
                    }
                }
                Found::Application => edit.front = mem::take(&mut way.held).into(),
            }
            way.looks = false;
        }
        let of_application = edit.front.len() + chunk.size.saturating_sub(edit.drain);
        if way.speaks && of_application > 0 {
            way.speaks = false;
            if from == End::Downstream {
                edit.front = in_front(own, &edit.front);
            } else if self.has_heard_client {
                edit.front = in_front(own, &edit.front);
                self.bytes.sent = own.len() as u64;
            }
        }
        edit
    }

    fn way(&self, from: End) -> &HalfConnection {
        let [client, server] = &self.ways;
        match from {
            End::Downstream => client,
            End::Upstream => server,
        }
    }
}

impl HalfConnection {
    fn look(&self, chunk: &Chunk<'_>, is_message: impl FnOnce(&[u8]) -> bool) -> Found {
        if self.held.is_empty() {
            return found(chunk.front, 0, chunk.is_last, is_message);
        }
        let mut joined = self.held.clone();
        joined.extend((chunk.front)(
            (HEAD_BYTES + MAX_BODY_BYTES).saturating_sub(self.held.len()),
        ));
        let front = |most: usize| joined.get(..most).unwrap_or(&joined);
        found(&front, self.held.len(), chunk.is_last, is_message)
    }
}

/// What the first bytes are, of which so many have come `before` this chunk.
fn found<'a>(
    front: &dyn Fn(usize) -> &'a [u8],
    before: usize,
    is_last: bool,
    is_message: impl FnOnce(&[u8]) -> bool,
) -> Found {
    match beginning(front(HEAD_BYTES)) {
        Beginning::Undecided if !is_last => Found::Nothing,
        Beginning::Undecided | Beginning::Application => Found::Application,
        Beginning::Header(length) => match front(length).get(HEAD_BYTES..length) {
            None if !is_last => Found::Nothing,
            Some(message) if is_message(message) => Found::Header(length - before),
            None | Some(_) => Found::Application,
        },
    }
}

fn in_front<'a>(first: &'a [u8], second: &[u8]) -> Cow<'a, [u8]> {
    if second.is_empty() {
        first.into()
    } else {
        [first, second].concat().into()
    }
}

#[cfg(test)]
mod tests;
