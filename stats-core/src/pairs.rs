//! The format in which a host serializes lists and maps: a count, the two sizes of each pair, then
//! each pair's key and value with a NUL behind each. A list has its elements as keys and nothing as
//! values.

use crate::bytes::same;

/// The elements of a list, if there are exactly `N`.
pub fn list<const N: usize>(mut bytes: &[u8]) -> Option<[&[u8]; N]> {
    if take_size(&mut bytes)? != N {
        return None;
    }
    let (sizes, mut texts) = bytes.split_at_checked(N.checked_mul(8)?)?;
    let (sizes, _) = sizes.as_chunks::<8>();
    let mut elements = [&bytes[..0]; N];
    for (element, mut sizes) in elements
        .iter_mut()
        .zip(sizes.iter().map(<[u8; 8]>::as_slice))
    {
        let (size, nothing) = (take_size(&mut sizes)?, take_size(&mut sizes)?);
        if nothing != 0 {
            return None;
        }
        *element = texts.get(..size)?;
        // Behind the element and behind the nothing that it is paired with.
        texts = texts.get(size.checked_add(2)?..)?;
    }
    Some(elements)
}

/// The values of the keys with these names, of each name the first. Nothing where the bytes are no
/// map.
///
/// A request's headers come through here, so keys are told apart by their sizes first: by way of
/// [`entries`] it would take a tenth more instructions of each inbound request.
pub fn values<'a, const N: usize>(bytes: &'a [u8], names: [&str; N]) -> [Option<&'a [u8]>; N] {
    let mut values = [None; N];
    let mut wanted = N;
    let mut rest = bytes;
    let sizes = take_size(&mut rest)
        .and_then(|count| count.checked_mul(8))
        .and_then(|size| rest.split_at_checked(size));
    let Some((sizes, mut texts)) = sizes else {
        return values;
    };
    let (sizes, _) = sizes.as_chunks::<8>();
    for mut sizes in sizes.iter().map(<[u8; 8]>::as_slice) {
        let (Some(key), Some(value)) = (take_size(&mut sizes), take_size(&mut sizes)) else {
            break;
        };
        // A NUL is behind each of the two.
        let size = key.saturating_add(value).saturating_add(2);
        let Some((pair, next)) = texts.split_at_checked(size) else {
            break;
        };
        texts = next;
        for (name, found) in names.iter().zip(&mut values) {
            if key == name.len() && found.is_none() && same(&pair[..key], name.as_bytes()) {
                *found = pair.get(key + 1..key + 1 + value);
                wanted -= 1;
            }
        }
        if wanted == 0 {
            break;
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

#[inline]
fn take_size(bytes: &mut &[u8]) -> Option<usize> {
    let (size, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    usize::try_from(u32::from_ne_bytes(*size)).ok()
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
