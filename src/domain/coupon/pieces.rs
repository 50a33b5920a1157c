//! How does a map grow to millions of entries without a pause? In pieces, each of which grows alone and at another moment.
//!
//! One large map that doubles moves all of its entries at once: with half a million of them that is a pause which
//! everybody who waits for the coupon would feel. Fixed keys: the rules draw no randomness. Rules only look things up in it;
//! nothing depends on the order of its entries.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash};

type Fixed = BuildHasherDefault<DefaultHasher>;

/// A power of two.
const PIECES: usize = 64;

#[derive(Clone, Debug)]
pub struct Pieces<K: Eq + Hash, V>(Vec<HashMap<K, V, Fixed>>);

impl<K: Eq + Hash, V> Default for Pieces<K, V> {
    /// Nothing yet, and no memory for it: most states that are made are of coupons that do not exist.
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// The same entries, whether or not there was memory for others before.
impl<K: Eq + Hash, V: PartialEq> PartialEq for Pieces<K, V> {
    fn eq(&self, other: &Self) -> bool {
        let len = |pieces: &Self| pieces.0.iter().map(HashMap::len).sum::<usize>();
        len(self) == len(other) && self.0.iter().flatten().all(|(key, value)| other.get(key) == Some(value))
    }
}

impl<K: Eq + Hash, V: Eq> Eq for Pieces<K, V> {}

impl<K: Eq + Hash, V> Pieces<K, V> {
    pub fn get(&self, key: &K) -> Option<&V> {
        self.0.get(piece(key))?.get(key)
    }

    pub fn insert(&mut self, key: K, value: V) {
        self.of(&key).insert(key, value);
    }

    pub fn remove(&mut self, key: &K) {
        self.of(key).remove(key);
    }

    pub fn entry(&mut self, key: K) -> Entry<'_, K, V> {
        self.of(&key).entry(key)
    }

    fn of(&mut self, key: &K) -> &mut HashMap<K, V, Fixed> {
        if self.0.is_empty() {
            self.0.resize_with(PIECES, HashMap::default);
        }
        &mut self.0[piece(key)]
    }
}

/// The upper half of the hash: a map places its entries by the lower bits, and marks them by the topmost ones.
fn piece<K: Hash>(key: &K) -> usize {
    let hash = Fixed::default().hash_one(key) >> 32;
    usize::try_from(hash).unwrap_or_default() % PIECES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_map_and_no_piece_is_much_larger_than_the_others() {
        let mut pieces = Pieces::default();
        assert_eq!(pieces.get(&7), None);
        for n in 0..64_000_u64 {
            pieces.insert(n, n + 1);
        }
        *pieces.entry(5).or_insert(0) += 10;
        pieces.remove(&6);
        assert_eq!([5, 6, 7, 63_999].map(|n| pieces.get(&n).copied()), [Some(16), None, Some(8), Some(64_000)]);
        let mut empty = Pieces::default();
        empty.insert(1, 1);
        assert_ne!(empty, Pieces::default());
        empty.remove(&1);
        assert_eq!(empty, Pieces::default());
        let sizes: Vec<usize> = pieces.0.iter().map(HashMap::len).collect();
        assert!(sizes.iter().all(|size| (800..1_200).contains(size)), "{sizes:?}");
    }
}
