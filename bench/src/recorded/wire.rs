//! Lists and pairs as the proxy serializes them, and the elements of an expression that is a list.

/// The elements of a list, split at the commas that are its own.
pub fn elements(list: &str) -> Vec<&str> {
    let (mut depth, mut quoted) = (0_u32, false);
    let is_end = |c| {
        match c {
            '\'' => quoted = !quoted,
            '(' | '[' | '{' if !quoted => depth += 1,
            ')' | ']' | '}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0 && !quoted
    };
    list.split(is_end).map(str::trim).collect()
}

/// A list as the proxy serializes it: pairs of an element and nothing.
pub fn list(elements: &[&[u8]]) -> Vec<u8> {
    let nothing = &b""[..];
    pairs(elements.iter().map(|element| (*element, nothing)))
}

/// Pairs as the proxy serializes them.
pub fn pairs<'a>(pairs: impl ExactSizeIterator<Item = (&'a [u8], &'a [u8])> + Clone) -> Vec<u8> {
    let size = |size: usize| (size as u32).to_ne_bytes();
    let mut bytes = size(pairs.len()).to_vec();
    for (key, value) in pairs.clone() {
        bytes.extend([size(key.len()), size(value.len())].concat());
    }
    for (key, value) in pairs {
        bytes.extend([key, b"\0", value, b"\0"].concat());
    }
    bytes
}
