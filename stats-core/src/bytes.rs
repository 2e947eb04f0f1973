//! Byte strings that clients and peers choose: compared in words, and bounded.

/// The most bytes of a label's value, and of what is kept for one. SPIFFE ids and host names in use are
/// far shorter.
pub const MAX_VALUE_BYTES: usize = 512;

/// At most [`MAX_VALUE_BYTES`] bytes of a value.
pub fn bounded(value: &[u8]) -> &[u8] {
    value.get(..MAX_VALUE_BYTES).unwrap_or(value)
}

/// At most [`MAX_VALUE_BYTES`] bytes of a text, whole characters only.
pub fn bounded_text(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_VALUE_BYTES))
        .unwrap_or_default()
}

/// Whether both are the same.
///
/// On wasm `==` compares byte by byte: with it, a steady inbound request takes 18,200
/// WebAssembly instructions, and 4,700 with this.
#[inline]
pub fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    // Four words at once: a peer's metadata is some 500 bytes.
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

/// The bits in which two blocks differ in the word at a position.
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

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

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
}
