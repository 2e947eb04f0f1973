//! The bytes that pass on a TCP connection, for as long as an exchange may be among them.

use super::facts::{ConnectionFacts, End};

/// Looks at the bytes of the current TCP connection as they come, and changes them.
pub trait Chunks {
    /// The first bytes of the chunk that has come from this end: as many as that, or all of fewer.
    fn chunk(&self, from: End, most: usize) -> &[u8];

    /// Takes so many bytes away from its front, and then puts others there.
    fn edit_chunk(&mut self, from: End, drain: usize, front: &[u8]);

    /// Lets what is kept of the client's bytes pass, without another call for it.
    fn pass_chunk(&mut self);

    /// Tells the filters beside this one which bytes the host counts too many.
    fn publish_exchanged(&mut self, bytes: ExchangeBytes);

    /// What an exchange filter of this module told with [`Self::publish_exchanged`].
    fn exchanged(&self) -> ExchangeBytes;
}

/// Bytes of a TCP connection that the host counts, and that are an exchange's and no application's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExchangeBytes {
    /// Among those from the client.
    pub received: u64,
    /// Among those to the client.
    pub sent: u64,
}

impl ExchangeBytes {
    /// As other filters find them.
    pub fn to_bytes(self) -> [u8; 16] {
        let both = u128::from(self.sent) << 64 | u128::from(self.received);
        both.to_le_bytes()
    }

    /// From what [`Self::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let both = u128::from_le_bytes(bytes.try_into().ok()?);
        Some(Self {
            received: both as u64,
            sent: (both >> 64) as u64,
        })
    }
}

impl ConnectionFacts<'_> {
    /// The same without the bytes that are an exchange's.
    #[must_use]
    pub fn without(self, exchanged: ExchangeBytes) -> Self {
        Self {
            received_bytes: self.received_bytes.saturating_sub(exchanged.received),
            sent_bytes: self.sent_bytes.saturating_sub(exchanged.sent),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_filters_find_what_was_told() {
        let bytes = ExchangeBytes {
            received: 700,
            sent: u64::MAX,
        };
        assert_eq!(ExchangeBytes::from_bytes(&bytes.to_bytes()), Some(bytes));
        assert_eq!(ExchangeBytes::from_bytes(b"short"), None);
    }
}
