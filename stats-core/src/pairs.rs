//! The format in which a host serializes lists and maps: a count, the two sizes of each pair, then
//! each pair's key and value with a NUL behind each. A list has its elements as keys and nothing as
//! values.

use crate::bytes::same;

/// The elements of a list, if there are exactly `N`.
#[inline]
pub fn list<const N: usize>(bytes: &[u8]) -> Option<[&[u8]; N]> {
    let (count, rest) = bytes.split_first_chunk()?;
    if size(*count) != N {
        return None;
    }
    let (sizes, mut texts) = rest.split_at_checked(N.checked_mul(8)?)?;
    let mut elements = [&bytes[..0]; N];
    for (element, [key, nothing]) in elements.iter_mut().zip(of_each(sizes)) {
        if size(*nothing) != 0 {
            return None;
        }
        let key = size(*key);
        *element = texts.get(..key)?;
        // Behind the element and behind the nothing that it is paired with.
        texts = texts.get(key.checked_add(2)?..)?;
    }
    Some(elements)
}

/// The values of the keys with these names, of each name the first. Nothing where the bytes are no
/// map.
///
/// A request's headers come through here, and most are of no interest: only where a key has the size
/// of a name is it looked at. By way of [`entries`] it would take a tenth more instructions of each
/// inbound request.
pub fn values<'a, const N: usize>(bytes: &'a [u8], names: [&str; N]) -> [Option<&'a [u8]>; N] {
    let mut values = [None; N];
    let Some((count, rest)) = bytes.split_first_chunk() else {
        return values;
    };
    let sizes = size(*count).checked_mul(8);
    let Some((sizes, texts)) = sizes.and_then(|sizes| rest.split_at_checked(sizes)) else {
        return values;
    };
    // A bit for each size that a name has.
    let bit = |size: usize| 1_u64 << (size % 64);
    let wanted = names.iter().fold(0, |bits, name| bits | bit(name.len()));
    // Sizes are of 32 bits: no memory holds enough of them to overflow this.
    let mut at = 0_u64;
    for [key, value] in of_each(sizes) {
        let (key, value) = (size(*key), size(*value));
        let start = at;
        // A NUL is behind each of the two.
        at += key as u64 + value as u64 + 2;
        if wanted & bit(key) == 0 {
            continue;
        }
        let (Ok(start), Ok(end)) = (usize::try_from(start), usize::try_from(at)) else {
            break;
        };
        let Some(pair) = texts.get(start..end) else {
            break;
        };
        for (name, found) in names.iter().zip(&mut values) {
            if key == name.len() && found.is_none() && same(&pair[..key], name.as_bytes()) {
                *found = pair.get(key + 1..key + 1 + value);
            }
        }
    }
    values
}

/// The entries of a map, as far as they are whole.
pub fn entries(bytes: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut sizes = bytes;
    let count = take_size(&mut sizes).unwrap_or_default();
    let mut texts = count
        .checked_mul(8)
        .and_then(|size| sizes.get(size..))
        .unwrap_or_default();
    let count = if texts.is_empty() { 0 } else { count };
    (0..count).map_while(move |_| {
        let (key, value) = (take_size(&mut sizes)?, take_size(&mut sizes)?);
        Some((take_text(&mut texts, key)?, take_text(&mut texts, value)?))
    })
}

fn take_size(bytes: &mut &[u8]) -> Option<usize> {
    let (first, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(size(*first))
}

/// A size as the host writes it.
#[inline]
fn size(bytes: [u8; 4]) -> usize {
    u32::from_ne_bytes(bytes) as usize
}

/// The sizes of each pair's key and value.
#[inline]
fn of_each(sizes: &[u8]) -> &[[[u8; 4]; 2]] {
    sizes.as_chunks().0.as_chunks().0
}

fn take_text<'a>(bytes: &mut &'a [u8], size: usize) -> Option<&'a [u8]> {
    let text = bytes.get(..size)?;
    *bytes = bytes.get(size.checked_add(1)?..)?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn pairs(pairs: &[(&[u8], &[u8])]) -> Vec<u8> {
        let size = |n: usize| u32::try_from(n).unwrap().to_ne_bytes();
        let mut bytes = size(pairs.len()).to_vec();
        for (key, value) in pairs {
            bytes.extend(size(key.len()));
            bytes.extend(size(value.len()));
        }
        for (key, value) in pairs {
            bytes.extend([key, &b"\0"[..], value, b"\0"].concat());
        }
        bytes
    }

    #[test]
    fn a_list_has_its_elements() {
        let bytes = pairs(&[(b"abc", b""), (b"", b""), (b"\0\0", b"")]);
        assert_eq!(list::<3>(&bytes), Some([&b"abc"[..], b"", b"\0\0"]));
        assert_eq!(list::<2>(&bytes), None);
        assert_eq!(list::<4>(&bytes), None);
    }

    #[test]
    fn a_map_has_its_entries() {
        let map = [(&b"a"[..], &b"1"[..]), (b"", b""), (b"b", b"22")];
        assert!(entries(&pairs(&map)).eq(map));
        assert_eq!(entries(&pairs(&[])).count(), 0);
        assert_eq!(entries(b"").count(), 0);
    }

    #[test]
    fn a_map_has_the_first_value_of_each_name() {
        let map = [
            (&b"a"[..], &b"1"[..]),
            (b"b", b"22"),
            (b"c", b""),
            (b"b", b"3"),
        ];
        let bytes = pairs(&map);
        assert_eq!(values(&bytes, ["b", "x"]), [Some(&b"22"[..]), None]);
        assert_eq!(values(&bytes, ["c", "a"]), [Some(&b""[..]), Some(b"1")]);
        assert_eq!(values(b"", ["a"]), [None]);
    }

    proptest! {
        #[test]
        fn values_are_those_of_the_entries(
            map in prop::collection::vec(("[ab]{0,2}", "[xy]{0,3}"), 0..6),
            cut in 0_usize..4,
        ) {
            let map: Vec<(&[u8], &[u8])> = map
                .iter()
                .map(|(key, value)| (key.as_bytes(), value.as_bytes()))
                .collect();
            let bytes = pairs(&map);
            let bytes = &bytes[..bytes.len() - cut];
            let first = |name: &str| {
                entries(bytes).find(|(key, _)| *key == name.as_bytes()).map(|(_, value)| value)
            };
            prop_assert_eq!(values(bytes, ["a", "bb"]), [first("a"), first("bb")]);
        }

        #[test]
        fn broken_bytes_are_nothing_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = list::<3>(&bytes);
            let _ = entries(&bytes).count();
            let _ = values(&bytes, ["a", ""]);
        }

        #[test]
        fn a_cut_list_is_no_list(cut in 1_usize..30) {
            let bytes = pairs(&[(b"abc", b""), (b"defg", b""), (b"h", b"")]);
            prop_assert_eq!(list::<3>(&bytes[..bytes.len() - cut]), None);
        }
    }
}
