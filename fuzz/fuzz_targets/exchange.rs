//! Whatever a client and a server send over TCP, and in whatever pieces: both get each other's bytes, but
//! for the headers of the exchange.
//!
//! `cargo xtask fuzz` runs it for a while; `cargo fuzz run exchange` as long as one likes. The corpus has
//! what a fuzzer would not find: whole headers.

#![no_main]

use std::mem;

use libfuzzer_sys::fuzz_target;
use stats_core::host::End;
use stats_core::tcp::frame::{self, Beginning};
use stats_core::tcp::handshake::{Chunk, Handshake};

const OWN: &[u8] = b"<the own header>";

/// One way of a connection.
#[derive(Default)]
struct Carried {
    sent: Vec<u8>,
    kept: Vec<u8>,
    out: Vec<u8>,
    headers: usize,
}

// The first byte says who takes part. Then come pieces: a byte with the side and whether it is the last
// one, a byte of length, and the piece.
fuzz_target!(|input: &[u8]| {
    let Some((parts, mut rest)) = input.split_first() else {
        return;
    };
    let heard = [parts & 1 != 0, parts & 2 != 0];
    let mut handshake = Handshake::default();
    handshake.begin(heard[0], heard[1]);
    let mut ways = [Carried::default(), Carried::default()];
    while let [kind, length, more @ ..] = rest {
        let (piece, after) = more.split_at(more.len().min(usize::from(*length) * 8));
        rest = after;
        let from = if kind & 1 == 0 { End::Downstream } else { End::Upstream };
        carry(&mut handshake, &mut ways[from as usize], from, piece, false);
    }
    for from in [End::Downstream, End::Upstream] {
        carry(&mut handshake, &mut ways[from as usize], from, b"", true);
    }
    for (way, heard) in ways.iter().zip(heard) {
        let expected = match frame::beginning(&way.sent) {
            Beginning::Header(length) if heard && is_header(&way.sent, length) => &way.sent[length..],
            _ => &way.sent[..],
        };
        assert_eq!(way.headers, usize::from(expected.len() < way.sent.len()));
        let out = way.out.strip_prefix(OWN).unwrap_or(&way.out);
        assert!(out == expected || way.out == expected);
    }
});

fn is_header(sent: &[u8], length: usize) -> bool {
    let message = sent.get(frame::HEAD_BYTES..length);
    message.and_then(frame::decode).is_some()
}

fn carry(handshake: &mut Handshake, way: &mut Carried, from: End, piece: &[u8], is_last: bool) {
    way.sent.extend(piece);
    let mut bytes = mem::take(&mut way.kept);
    bytes.extend(piece);
    let front = |most: usize| bytes.get(..most).unwrap_or(&bytes);
    let chunk = Chunk { size: bytes.len(), is_last, front: &front };
    let mut headers = 0;
    let edit = handshake.chunk(from, &chunk, OWN, |message| {
        let decoded = frame::decode(message).is_some();
        headers += usize::from(decoded);
        decoded
    });
    way.headers += headers;
    if edit.waits {
        assert!(!is_last && from == End::Downstream);
        way.kept = bytes;
        return;
    }
    bytes.splice(..edit.drain, edit.front.iter().copied());
    way.out.extend(bytes);
}
