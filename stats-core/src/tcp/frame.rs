//! The header of the TCP exchange on the wire, which stands before all bytes of the application: four
//! bytes that no common protocol begins with, four of length (both big-endian), and so many bytes of a
//! `google.protobuf.Any`. When one is sent, and what is done where none comes, is in
//! [`handshake`](super::handshake).

use alloc::string::String;
use alloc::vec::Vec;

use prost::Message;

use crate::host::LocalProxy;
use crate::http::exchange::{ID_HEADER, METADATA_HEADER};
use crate::peer::wire::{Kind, Struct};

/// What a header begins with.
pub const MAGIC: [u8; 4] = 0x3d23_0467_u32.to_be_bytes();

/// Bytes of a header before its message.
pub const HEAD_BYTES: usize = 8;

/// The most bytes of a header's message; a real one has some 700. What claims to be longer is no header.
/// Less than what proxies buffer of a connection, so that they need not stop in the middle of one.
pub const MAX_BODY_BYTES: usize = 16 * 1024;

/// The type of the message, behind the slash of its URL.
const STRUCT: &str = "google.protobuf.Struct";

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct AnyMessage {
    /// The type of the message, behind a slash.
    #[prost(string, tag = "1")]
    pub type_url: String,
    /// The message.
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}

/// What the first bytes of a connection are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// Those of a header of that many bytes altogether, if what follows decodes.
    Header(usize),
    /// Those of a header so far: there are too few of them to tell.
    Undecided,
    /// The application's.
    Application,
}

/// What these first bytes of a connection are.
pub fn beginning(bytes: &[u8]) -> Beginning {
    let known = bytes.len().min(MAGIC.len());
    if bytes.get(..known) != MAGIC.get(..known) {
        return Beginning::Application;
    }
    let Some([_, _, _, _, length @ ..]) = bytes.first_chunk::<HEAD_BYTES>() else {
        return Beginning::Undecided;
    };
    match u32::from_be_bytes(*length) as usize {
        length if length > MAX_BODY_BYTES => Beginning::Application,
        length => Beginning::Header(HEAD_BYTES + length),
    }
}

/// The header of this proxy.
#[cold]
pub fn encode(proxy: &LocalProxy) -> Vec<u8> {
    let workload = proxy.workload.to_struct(&proxy.owner);
    let fields = Struct::from_iter([
        (METADATA_HEADER, Kind::Struct(workload)),
        (ID_HEADER, Kind::Text(proxy.id.clone())),
    ]);
    let body = AnyMessage {
        type_url: ["type.googleapis.com/", STRUCT].concat(),
        value: fields.encode_to_vec(),
    };
    let body = body.encode_to_vec();
    let mut header = MAGIC.to_vec();
    header.extend((body.len() as u32).to_be_bytes());
    header.extend(body);
    header
}

/// The message of a header; `None` where it is none.
#[inline(never)] // for size, see Cargo.toml
pub fn decode(body: &[u8]) -> Option<Struct> {
    let body = AnyMessage::decode(body).ok()?;
    let (_, kind) = body.type_url.rsplit_once('/')?;
    if kind != STRUCT {
        return None;
    }
    Struct::decode(&*body.value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_decoded_again() {
        let proxy = LocalProxy {
            id: "sidecar~10.0.0.1~podinfo-0.test~test.svc".into(),
            owner: "kubernetes://apis/apps/v1/namespaces/test/deployments/podinfo".into(),
            ..LocalProxy::default()
        };
        let header = encode(&proxy);
        assert_eq!(&header[..4], b"\x3d\x23\x04\x67");
        assert_eq!(beginning(&header), Beginning::Header(header.len()));
        let fields = decode(&header[HEAD_BYTES..]).expect("it decodes");
        assert_eq!(fields.text(ID_HEADER), proxy.id);
        let workload = fields.nested(METADATA_HEADER).expect("it has metadata");
        assert_eq!(workload.text("OWNER"), proxy.owner);
    }

    #[test]
    fn a_message_of_another_type_is_none() {
        for type_url in ["type.googleapis.com/google.protobuf.Value", STRUCT, ""] {
            let any = AnyMessage {
                type_url: type_url.into(),
                value: Vec::new(),
            };
            assert_eq!(decode(&any.encode_to_vec()), None, "{type_url}");
        }
        assert_eq!(decode(b""), None);
        assert_eq!(decode(b"\xff"), None);
    }

    #[test]
    fn the_first_bytes_decide() {
        for undecided in [
            &b""[..],
            b"\x3d",
            b"\x3d\x23\x04\x67",
            b"\x3d\x23\x04\x67\0\0\0",
        ] {
            assert_eq!(beginning(undecided), Beginning::Undecided, "{undecided:?}");
        }
        for application in [
            &b"\0"[..],
            b"\x3d\x23\x04\x66",
            b"=# ",
            b"\x3d\x23\x04\x67\xff\xff\xff\xff",
            b"\x3d\x23\x04\x67\0\0\x40\x01",
        ] {
            assert_eq!(
                beginning(application),
                Beginning::Application,
                "{application:?}"
            );
        }
        assert_eq!(
            beginning(b"\x3d\x23\x04\x67\0\0\0\0GET"),
            Beginning::Header(8)
        );
        assert_eq!(
            beginning(b"\x3d\x23\x04\x67\0\0\x40\0"),
            Beginning::Header(16_392)
        );
    }
}
