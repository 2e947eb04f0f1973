//! Hashing for tables whose contents clients and peers choose: keyed, with a seed that the host takes
//! from a source of randomness, so that nobody outside can find contents that collide.

use core::fmt;
use core::hash::{BuildHasher, Hash};

use siphasher::sip::SipHasher13;

/// The key of all hashes of one plugin on one worker.
///
/// SipHash-1-3: a keyed pseudo-random function, where the faster hashes of this size only promise to
/// be hard to attack by chance.
#[derive(Clone, Copy, Default)]
pub struct Seed(u64, u64);

impl Seed {
    /// A seed of 16 random bytes.
    pub const fn new(random: [u8; 16]) -> Self {
        let random = u128::from_ne_bytes(random);
        Self(random as u64, (random >> 64) as u64)
    }

    /// The hash of some content.
    #[inline]
    pub fn hash(self, content: impl Hash) -> u64 {
        self.hash_one(content)
    }
}

impl BuildHasher for Seed {
    type Hasher = SipHasher13;

    fn build_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_keys(self.0, self.1)
    }
}

/// A seed is not for logs.
impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(..)")
    }
}
