//! The pairs of a host, encoded: for tests, and for the benchmark that is a host. A module never sends
//! any.

/// Pairs as the host serializes them.
pub fn encode<'a>(pairs: impl IntoIterator<Item = (&'a [u8], &'a [u8])> + Clone) -> Vec<u8> {
    let size = |size: usize| (size as u32).to_ne_bytes();
    let mut bytes = size(pairs.clone().into_iter().count()).to_vec();
    for (key, value) in pairs.clone() {
        bytes.extend([size(key.len()), size(value.len())].concat());
    }
    for (key, value) in pairs {
        bytes.extend([key, b"\0", value, b"\0"].concat());
    }
    bytes
}
