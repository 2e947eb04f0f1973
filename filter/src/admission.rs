//! Counts the label sets of a proxy, whichever worker or configuration made them, in what VMs of one id
//! share. The proxy never removes a series, so what was counted stays counted.

use stats_core::intern::seed::Seed;

/// How many label sets there are, as eight bytes.
const COUNT: &[u8] = b"mixerless.label_sets";
/// What the key of each label set begins with; the hash of its stat name follows.
const LABEL_SET: &[u8] = b"mixerless.label_set.";
/// How often another worker may come first before a label set is not taken.
const MAX_TRIES: usize = 16;

/// Shared data is set whatever is there.
const ANY_VERSION: u32 = 0;

/// Data that all VMs of one id share, those to come included, each with a version that changes with it.
pub trait SharedData {
    /// The value of a key, and its version.
    fn get(&self, key: &[u8]) -> Option<(&[u8], u32)>;
    /// Sets the value of a key whose version is still this one, or of a new key; whether it did.
    fn set(&self, key: &[u8], value: &[u8], version: u32) -> bool;

    /// The value of a key.
    fn shared(&self, key: &[u8]) -> Option<&[u8]> {
        let (value, _) = self.get(key)?;
        Some(value)
    }

    /// Sets the value of a key.
    fn share(&self, key: &[u8], value: &[u8]) {
        self.set(key, value, ANY_VERSION);
    }
}

/// Whether the label set with this stat name is one of at most `limit`: it was counted before, or is now.
///
/// Two workers that meet the same new label set at once may both count it. Values are hashed without a
/// secret, which all workers would have to share: whoever finds two with one hash gets one set for free.
pub fn admit(shared: &impl SharedData, stat_name: &str, limit: usize) -> bool {
    let hash = Seed::default().hash(stat_name.as_bytes());
    let key = [LABEL_SET, &hash.to_ne_bytes()].concat();
    if shared.get(&key).is_some() {
        return true;
    }
    for _ in 0..MAX_TRIES {
        let (count, version) = match shared.get(COUNT) {
            Some((count, version)) => (count.try_into().map_or(0, u64::from_ne_bytes), version),
            None => (0, 0),
        };
        if count >= limit as u64 {
            return false;
        }
        if shared.set(COUNT, &(count + 1).to_ne_bytes(), version) {
            shared.share(&key, b"");
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::collections::BTreeMap;

    use super::*;

    /// A value, leaked as the host hands over a copy, and its version.
    type Versioned = (&'static [u8], u32);

    /// What workers share.
    #[derive(Default)]
    struct Shared {
        data: RefCell<BTreeMap<Vec<u8>, Versioned>>,
        /// How many more times another worker comes first.
        races: Cell<u32>,
    }

    impl SharedData for Shared {
        fn get(&self, key: &[u8]) -> Option<(&[u8], u32)> {
            self.data.borrow().get(key).copied()
        }

        fn set(&self, key: &[u8], value: &[u8], version: u32) -> bool {
            let mut data = self.data.borrow_mut();
            let (known, now) = data.get(key).copied().unwrap_or_default();
            if self.races.get() > 0 {
                self.races.set(self.races.get() - 1);
                data.insert(key.to_vec(), (known, now + 1));
                return false;
            }
            if version != 0 && version != now {
                return false;
            }
            data.insert(key.to_vec(), (value.to_vec().leak(), now + 1));
            true
        }
    }

    #[test]
    fn so_many_are_taken_and_each_again() {
        let shared = Shared::default();
        let taken = |limit| -> Vec<bool> {
            (0..5)
                .map(|n| admit(&shared, &format!("istio_{n}"), limit))
                .collect()
        };
        assert_eq!(taken(3), [true, true, true, false, false]);
        assert_eq!(taken(3), [true, true, true, false, false]);
        assert_eq!(taken(4), [true, true, true, true, false], "a larger limit");
        assert_eq!(taken(1), [true, true, true, true, false], "a smaller one");
    }

    #[test]
    fn where_another_worker_comes_first_it_is_tried_again() {
        let shared = Shared::default();
        assert!(admit(&shared, "a", 2));
        shared.races.set(3);
        assert!(admit(&shared, "b", 2));
        assert!(!admit(&shared, "c", 2));
    }

    #[test]
    fn no_label_set_is_taken_where_there_may_be_none() {
        assert!(!admit(&Shared::default(), "a", 0));
    }
}
