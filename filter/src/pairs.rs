//! The format in which a host serializes lists and maps: a count, the two sizes of each pair, then
//! each pair's key and value with a NUL behind each. A list has its elements as keys and nothing as
//! values.

#[cfg(test)]
pub mod encode;

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
    use super::encode::encode;
    use super::*;
    use proptest::prelude::*;

    fn pairs(pairs: &[(&[u8], &[u8])]) -> Vec<u8> {
        encode(pairs.iter().copied())
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

    proptest! {
        #[test]
        fn broken_bytes_are_nothing_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = list::<3>(&bytes);
            let _ = entries(&bytes).count();
        }

        #[test]
        fn a_cut_list_is_no_list(cut in 1_usize..30) {
            let bytes = pairs(&[(b"abc", b""), (b"defg", b""), (b"h", b"")]);
            prop_assert_eq!(list::<3>(&bytes[..bytes.len() - cut]), None);
        }
    }
}
