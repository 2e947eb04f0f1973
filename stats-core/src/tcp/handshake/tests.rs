//! Whatever comes, in whatever pieces: the application's bytes arrive, and no others.

use alloc::vec::Vec;
use core::cell::RefCell;

use proptest::prelude::*;

use super::super::frame;
use super::*;
use crate::host::LocalProxy;

const OWN: &[u8] = b"<the own header>";

/// A connection that a proxy carries with a [`Handshake`] in front of its copying.
#[derive(Default)]
struct Carried {
    handshake: Handshake,
    /// What the host keeps of the client's bytes.
    kept: Vec<u8>,
    /// What has come out at the server, and at the client.
    out: [Vec<u8>; 2],
    /// What the host has counted: what it read from the client, what it kept each time anew, and what it
    /// wrote to it.
    counted: ExchangeBytes,
    /// The messages of the headers that were found.
    found: RefCell<Vec<Vec<u8>>>,
}

impl Carried {
    fn new(from_client: bool, with_server: bool) -> Self {
        let mut carried = Self::default();
        carried.handshake.begin(from_client, with_server);
        carried
    }

    fn chunk(&mut self, from: End, bytes: &[u8], is_last: bool) {
        let mut bytes = match from {
            End::Downstream => {
                self.kept.extend(bytes);
                self.counted.received += self.kept.len() as u64;
                mem::take(&mut self.kept)
            }
            End::Upstream => bytes.to_vec(),
        };
        if !self.handshake.is_over(from) {
            let front = |most: usize| bytes.get(..most).unwrap_or(&bytes);
            let chunk = Chunk {
                size: bytes.len(),
                is_last,
                front: &front,
            };
            let edit = self.handshake.chunk(from, &chunk, OWN, |message| {
                self.found.borrow_mut().push(message.to_vec());
                frame::decode(message).is_some()
            });
            if edit.waits {
                assert!(!is_last, "nothing is kept for ever");
                self.kept = bytes;
                assert_eq!(self.of_application().received, 0, "nothing is known yet");
                return;
            }
            bytes.splice(..edit.drain, edit.front.iter().copied());
        }
        if from == End::Upstream {
            self.counted.sent += bytes.len() as u64;
        }
        self.out[from as usize].extend(bytes);
    }

    /// What the host has counted without what is the exchange's.
    fn of_application(&self) -> ExchangeBytes {
        let exchanged = self.handshake.bytes();
        ExchangeBytes {
            received: self.counted.received - exchanged.received,
            sent: self.counted.sent - exchanged.sent,
        }
    }
}

fn header() -> Vec<u8> {
    frame::encode(&LocalProxy {
        id: "sidecar~10.0.0.1~podinfo-0.test~test.svc".into(),
        ..LocalProxy::default()
    })
}

#[test]
fn a_client_that_introduces_itself_is_answered_in_front_of_the_first_bytes() {
    let mut carried = Carried::new(true, false);
    carried.chunk(End::Downstream, &[&header(), &b"query"[..]].concat(), false);
    assert!(
        !carried.handshake.is_over(End::Upstream),
        "nothing is sent first"
    );
    carried.chunk(End::Upstream, b"answer", false);
    carried.chunk(End::Upstream, b" more", true);
    assert_eq!(carried.out[0], b"query");
    assert_eq!(carried.out[1], [OWN, b"answer more"].concat());
    assert_eq!(*carried.found.borrow(), [&header()[HEAD_BYTES..]]);
}

#[test]
fn a_client_that_does_not_gets_no_answer() {
    let mut carried = Carried::new(true, false);
    carried.chunk(End::Downstream, b"query", false);
    assert!(carried.handshake.is_over(End::Downstream));
    carried.chunk(End::Upstream, b"answer", false);
    assert!(carried.handshake.is_over(End::Upstream));
    assert_eq!(carried.out, [b"query".to_vec(), b"answer".to_vec()]);
}

#[test]
fn a_server_that_speaks_first_does_not_wait_for_a_header() {
    let mut carried = Carried::new(true, false);
    carried.chunk(End::Upstream, b"220 ready", false);
    carried.chunk(End::Downstream, &header(), false);
    carried.chunk(End::Downstream, b"QUIT", true);
    carried.chunk(End::Upstream, b"221 bye", true);
    assert_eq!(carried.out[0], b"QUIT");
    assert_eq!(carried.out[1], b"220 ready221 bye");
    assert_eq!(carried.found.borrow().len(), 1, "the client is known");
}

#[test]
fn a_server_known_to_answer_gets_a_header_in_front_of_the_first_bytes() {
    let mut carried = Carried::new(false, true);
    carried.chunk(End::Downstream, b"", false);
    assert_eq!(carried.out[0], b"", "not before the application speaks");
    carried.chunk(End::Downstream, b"query", false);
    carried.chunk(End::Upstream, &header(), false);
    carried.chunk(End::Upstream, b"answer", true);
    assert_eq!(carried.out[0], [OWN, b"query"].concat());
    assert_eq!(carried.out[1], b"answer");
    let expected = ExchangeBytes {
        received: 5,
        sent: 6,
    };
    assert_eq!(carried.of_application(), expected);
}

#[test]
fn a_server_that_does_not_answer_is_not_disturbed() {
    for answer in [&b"plain"[..], b"\x3d\x23", b""] {
        let mut carried = Carried::new(false, true);
        carried.chunk(End::Downstream, b"query", true);
        carried.chunk(End::Upstream, answer, false);
        carried.chunk(End::Upstream, b"", true);
        assert_eq!(carried.out[1], answer);
    }
}

#[test]
fn half_a_header_is_the_applications_when_no_more_comes() {
    let header = header();
    for cut in 1..header.len() {
        let mut carried = Carried::new(true, false);
        carried.chunk(End::Downstream, &header[..cut], false);
        assert_eq!(carried.out[0], b"");
        carried.chunk(End::Downstream, b"", true);
        assert_eq!(carried.out[0], header[..cut]);
        assert_eq!(*carried.found.borrow(), [b""; 0]);
    }
}

#[test]
fn what_has_been_kept_for_too_long_passes() {
    let mut carried = Carried::new(true, false);
    carried.chunk(End::Downstream, b"=", false);
    assert!(carried.handshake.keeps_client());
    carried.handshake.give_up_on_client();
    assert!(!carried.handshake.keeps_client());
    carried.chunk(End::Downstream, b"#", false);
    assert_eq!(carried.out[0], b"=#");
}

#[test]
fn a_plugin_that_takes_no_part_sees_nothing() {
    let handshake = Handshake::default();
    assert!(handshake.is_over(End::Downstream) && handshake.is_over(End::Upstream));
}

/// What a sender begins with.
#[derive(Clone, Debug)]
enum Opening {
    Header,
    Garbage(Vec<u8>),
    Absurd(u32),
    Nothing,
}

impl Opening {
    fn bytes(&self) -> Vec<u8> {
        let claimed = |length: u32| [frame::MAGIC, length.to_be_bytes()].concat();
        match self {
            Self::Header => header(),
            Self::Garbage(message) => {
                // A field that no message has: it decodes as nothing.
                let mut bytes = claimed(message.len() as u32 + 1);
                bytes.push(0xff);
                bytes.extend(message);
                bytes
            }
            Self::Absurd(length) => claimed(MAX_BODY_BYTES as u32 + 1 + length % (1 << 30)),
            Self::Nothing => Vec::new(),
        }
    }

    /// What the other side's application is to get of it.
    fn passed(&self) -> Vec<u8> {
        match self {
            Self::Header => Vec::new(),
            _ => self.bytes(),
        }
    }
}

fn opening() -> impl Strategy<Value = Opening> {
    prop_oneof![
        3 => Just(Opening::Header),
        1 => prop::collection::vec(any::<u8>(), 0..50).prop_map(Opening::Garbage),
        1 => any::<u32>().prop_map(Opening::Absurd),
        2 => Just(Opening::Nothing),
    ]
}

/// What one side sends: how it begins, what its application says, and in pieces of which sizes.
fn side() -> impl Strategy<Value = (Opening, Vec<u8>, Vec<usize>)> {
    let text = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..100),
        // What begins like a header, but for a part of it.
        (0..HEAD_BYTES, any::<u8>()).prop_map(|(cut, byte)| {
            let mut bytes = header()[..cut].to_vec();
            bytes.push(byte);
            bytes
        }),
    ];
    (opening(), text, prop::collection::vec(0..40_usize, 1..60))
}

/// The pieces of what is sent, the last one empty: the sender closes.
fn pieces(bytes: &[u8], sizes: &[usize]) -> Vec<Vec<u8>> {
    let (mut rest, mut pieces) = (bytes, Vec::new());
    for size in sizes {
        let (piece, more) = rest.split_at((*size).min(rest.len()));
        pieces.push(piece.to_vec());
        rest = more;
    }
    pieces.push(rest.to_vec());
    pieces
}

proptest! {
    /// Both sides send whatever they like, in pieces of whatever sizes and in whatever order.
    #[test]
    fn any_split_of_any_stream_is_the_same_to_both_applications(
        client in side(),
        server in side(),
        (from_client, with_server) in any::<(bool, bool)>(),
        order in prop::collection::vec(any::<bool>(), 0..130),
    ) {
        let sent = [&client, &server].map(|(opening, text, _)| {
            let mut bytes = opening.bytes();
            bytes.extend(text);
            bytes
        });
        let mut waiting = [
            pieces(&sent[0], &client.2).into_iter(),
            pieces(&sent[1], &server.2).into_iter(),
        ];
        let mut carried = Carried::new(from_client, with_server);
        let all_of_both = [true, false].map(|turn| [turn; 130]).concat();
        for turn in order.into_iter().chain(all_of_both) {
            let from = if turn { End::Downstream } else { End::Upstream };
            let pieces = &mut waiting[from as usize];
            if let Some(piece) = pieces.next() {
                carried.chunk(from, &piece, pieces.len() == 0);
            }
        }
        let heard = [from_client, with_server];
        let ends = [&client, &server].map(|(opening, text, _)| (opening, text));
        let mut of_application = [0, 0];
        for (at, (opening, text)) in ends.into_iter().enumerate() {
            let mut expected = if heard[at] { opening.passed() } else { opening.bytes() };
            expected.extend(text);
            of_application[at] = expected.len() as u64;
            let out = carried.out[at].strip_prefix(OWN).unwrap_or(&carried.out[at]);
            prop_assert_eq!(out, &*expected);
        }
        let counted = carried.of_application();
        prop_assert_eq!([counted.received, counted.sent], of_application);
        let introduced = carried.out.each_ref().map(|out| out.starts_with(OWN));
        prop_assert_eq!(introduced[0], with_server && of_application[0] > 0);
        if introduced[1] {
            prop_assert!(from_client && matches!(client.0, Opening::Header));
        }
        let real = carried.found.borrow().iter().filter(|found| **found == header()[HEAD_BYTES..]).count();
        let sent_headers = [&client.0, &server.0].into_iter().zip(heard);
        let expected = sent_headers.filter(|(opening, heard)| *heard && matches!(opening, Opening::Header));
        prop_assert_eq!(real, expected.count(), "the same peers, whatever the pieces");
    }
}
