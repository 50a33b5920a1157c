//! How does a key change without a gap? A ring: one key that signs, and the ones before it, which still verify.

use super::KeyError;
use super::secret::Material;
use crate::limits;

/// Never empty; the current key first, then the others, the newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ring<K>(Vec<K>);

impl<K: Material> Ring<K> {
    #[must_use]
    pub fn of(current: K) -> Self {
        Self(vec![current])
    }

    /// `name` is where the keys before the current one stand, for the message when there are too many.
    pub fn with(current: K, previous: Vec<K>, name: &'static str) -> Result<Self, KeyError> {
        if previous.len() > limits::KEYS_PREVIOUS {
            return Err(KeyError::TooMany { name });
        }
        Ok(Self(std::iter::once(current).chain(previous).collect()))
    }

    /// Signs what is new.
    #[must_use]
    pub fn current(&self) -> &K {
        &self.0[0]
    }

    /// Verify what was signed before.
    #[must_use]
    pub fn previous(&self) -> &[K] {
        &self.0[1..]
    }

    pub fn all(&self) -> impl Iterator<Item = &K> {
        self.0.iter()
    }

    /// The ring with `fresh` in front.
    pub(super) fn rotated(&self, fresh: K) -> Result<Self, KeyError> {
        Self::with(fresh, self.0.clone(), "").map_err(|_| KeyError::Full)
    }

    /// The ring without the previous key of that id. The current one cannot go: nothing would be left to sign with.
    pub(super) fn retired(&self, id: &str) -> Result<Self, KeyError> {
        if self.current().id() == id {
            return Err(KeyError::Current { id: id.to_owned() });
        }
        let kept: Vec<K> = self.0.iter().filter(|key| key.id() != id).cloned().collect();
        if kept.len() == self.0.len() {
            return Err(KeyError::NoSuchKey { id: id.to_owned() });
        }
        Ok(Self(kept))
    }

    pub(super) fn from_texts<'a>(texts: impl Iterator<Item = &'a str>) -> Option<Self> {
        let keys: Vec<K> = texts.map(K::parse).collect::<Option<_>>()?;
        (1..=limits::KEYS_PREVIOUS + 1).contains(&keys.len()).then_some(Self(keys))
    }
}
