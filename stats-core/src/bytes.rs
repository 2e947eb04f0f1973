//! Comparing and hashing of short byte strings in words of eight. On wasm the standard library's
//! comparison goes byte by byte and its hashes multiply to 128 bits, which takes a dozen
//! instructions; both run over every request's names.

use core::hash::{BuildHasherDefault, Hasher};

/// Whether both are the same.
#[inline]
pub fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    // Four words at once: for a peer's metadata this loop is most of what a request costs here.
    let (a_blocks, a) = a.as_chunks::<32>();
    let (b_blocks, b) = b.as_chunks::<32>();
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        if differs(a, b, 0) | differs(a, b, 8) | differs(a, b, 16) | differs(a, b, 24) != 0 {
            return false;
        }
    }
    let (a_words, a_rest) = a.as_chunks::<8>();
    let (b_words, b_rest) = b.as_chunks::<8>();
    let mut words = a_words.iter().zip(b_words);
    words.all(|(a, b)| u64::from_ne_bytes(*a) == u64::from_ne_bytes(*b))
        && tail(a, a_rest) == tail(b, b_rest)
}

/// The bits in which the words at a place of two blocks differ.
#[inline]
fn differs(a: &[u8; 32], b: &[u8; 32], at: usize) -> u64 {
    word(a, at) ^ word(b, at)
}

#[inline]
fn word(block: &[u8; 32], at: usize) -> u64 {
    match block[at..].first_chunk() {
        Some(word) => u64::from_ne_bytes(*word),
        None => 0,
    }
}

/// The last eight bytes, or all of fewer.
#[inline]
fn tail(all: &[u8], rest: &[u8]) -> u64 {
    match all.last_chunk::<8>() {
        Some(last) => u64::from_ne_bytes(*last),
        None => small(rest),
    }
}

/// Fewer than eight bytes as a number.
#[inline]
fn small(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Makes [`Words`].
pub type Hashing = BuildHasherDefault<Words>;

/// A hash of words: rotated, mixed in, multiplied. As weak as it is quick: tables must be bounded,
/// as they are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Words(u64);

/// Of the fractional part of the golden ratio: its bits follow no pattern.
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

impl Hasher for Words {
    // Would be inlined once for each field of what is hashed.
    #[inline(never)]
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.write_u64(u64::from_ne_bytes(*word));
        }
        self.write_u64(tail(bytes, rest));
    }

    #[inline]
    fn write_u8(&mut self, number: u8) {
        self.write_u64(number.into());
    }

    #[inline]
    fn write_u32(&mut self, number: u32) {
        self.write_u64(number.into());
    }

    #[inline]
    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(23) ^ number).wrapping_mul(MULTIPLIER);
    }

    #[inline]
    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    #[inline]
    fn finish(&self) -> u64 {
        // The upper bits depend on all of the input, and tables look at the lower ones.
        self.0 ^ self.0 >> 32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use alloc::format;
    use alloc::vec::Vec;
    use core::hash::BuildHasher;

    #[test]
    fn equality_looks_at_every_byte() {
        for length in 0..100 {
            let value: Vec<u8> = (0..length).collect();
            assert!(same(&value, &value.clone()));
            for at in 0..value.len() {
                let mut other = value.clone();
                other[at] ^= 1;
                assert!(!same(&value, &other));
            }
            if let Some((_, shorter)) = value.split_last() {
                assert!(!same(&value, shorter));
            }
        }
    }

    #[test]
    fn names_that_are_alike_have_hashes_that_are_not() {
        let names = (0..10_000).map(|n| format!("service-{n}.example.com"));
        let hashes: BTreeSet<u64> = names
            .map(|name| Hashing::default().hash_one(name))
            .collect();
        assert_eq!(hashes.len(), 10_000);
        let places: BTreeSet<u64> = hashes.iter().map(|hash| hash % 16_384).collect();
        // What a random function leaves of 10,000 in 16,384 places, by 1 - exp(-10,000 / 16,384).
        assert!((7200..7700).contains(&places.len()), "{}", places.len());
    }

    #[test]
    fn a_zero_byte_more_is_another_content() {
        let hashes: BTreeSet<u64> = (0..20)
            .map(|length| Hashing::default().hash_one(&[0_u8; 20][..length]))
            .collect();
        assert_eq!(hashes.len(), 20);
    }
}
