//! The principals of a connection: the SPIFFE ids in the certificates of its two ends.

use alloc::vec::Vec;

/// One of each end of a connection; for a principal, empty where there is no certificate or no SPIFFE
/// id in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Principals<T> {
    /// The other end's.
    pub peer: T,
    /// This end's.
    pub local: T,
}

/// How much of a principal the labels show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// Nothing.
    #[default]
    Nothing,
    /// Whether there is one.
    Presence,
    /// The namespace in it.
    Namespace,
    /// All of it.
    Whole,
}

impl Detail {
    /// Shows at least this much.
    pub fn raise(&mut self, to: Self) {
        *self = (*self).max(to);
    }

    /// A principal of which labels show the same as of this one, and that has no more in it than they
    /// show. `room` is for one that has to be written anew.
    #[inline]
    pub fn of<'a>(self, principal: &'a [u8], room: &'a mut Vec<u8>) -> &'a [u8] {
        match self {
            Self::Whole => principal,
            _ if principal.is_empty() => b"",
            Self::Nothing => b"",
            Self::Presence => b"-",
            Self::Namespace => namespace_only(principal, room),
        }
    }
}

/// A principal with the same namespace and nothing else.
#[inline(never)] // for size, see Cargo.toml
fn namespace_only<'a>(principal: &[u8], room: &'a mut Vec<u8>) -> &'a [u8] {
    let namespace = spiffe_namespace(principal);
    if namespace.is_empty() {
        return b"-";
    }
    room.clear();
    for part in [&b"/ns/"[..], namespace, b"/"] {
        room.extend_from_slice(part);
    }
    room
}

/// `NS` in `spiffe://DOMAIN/ns/NS/sa/ACCOUNT`, or nothing.
pub fn spiffe_namespace(principal: &[u8]) -> &[u8] {
    let mut segments = principal
        .split(|&b| b == b'/')
        .skip_while(|segment| *segment != b"ns");
    match (segments.next(), segments.next(), segments.next()) {
        (Some(_), Some(namespace), Some(_)) => namespace,
        _ => b"",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_namespace_is_the_segment_between_ns_and_another() {
        assert_eq!(spiffe_namespace(b"spiffe://td/ns/test/sa/default"), b"test");
        assert_eq!(spiffe_namespace(b"spiffe://td/ns/test"), b"");
        assert_eq!(spiffe_namespace(b"spiffe://td/sa/default"), b"");
        assert_eq!(spiffe_namespace(b""), b"");
    }

    #[test]
    fn less_detail_shows_the_same_of_what_it_is_for() {
        let mut room = Vec::new();
        for principal in [
            &b""[..],
            b"spiffe://td/ns/test/sa/a",
            b"spiffe://td",
            b"ns/x",
        ] {
            let short = Detail::Namespace.of(principal, &mut room);
            assert_eq!(spiffe_namespace(short), spiffe_namespace(principal));
            assert_eq!(short.is_empty(), principal.is_empty());
            let short = Detail::Presence.of(principal, &mut room);
            assert_eq!(short.is_empty(), principal.is_empty());
            assert_eq!(Detail::Nothing.of(principal, &mut room), b"");
            assert_eq!(Detail::Whole.of(principal, &mut room), principal);
        }
    }
}
