//! How is personal data kept so that a stolen database says nothing? Sealed with AES-256-GCM, and found by keyed digests.
//!
//! A sealed value names its key, so that older ones stay readable after a rotation, and is bound to what it is *about*
//! (which row, which column): moved elsewhere it does not open. Digests and code hashes come from the *oldest* key that is
//! known, because they are compared with stored ones: a rotation must not change them. So the oldest key is never
//! dropped while rows found by its digests exist. Where keys come from is not known here.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use crate::clock::Entropy;

const KEY_ID_BYTES: usize = 4;
const TAG_BYTES: usize = 16;
// Each use has a key of its own, derived from the key of the configuration. These texts must never change.
const FOR_SEALING: &str = "onsale 2026-11 accounts: sealing";
const FOR_IDS: &str = "onsale 2026-11 accounts: key ids";
const FOR_DIGESTS: &str = "onsale 2026-11 accounts: digests";
const FOR_CODES: &str = "onsale 2026-11 accounts: codes";

/// Seals, opens and digests.
pub struct Seal {
    /// The first seals; all open.
    keys: Vec<Key>,
    digests: [u8; 32],
    codes: [u8; 32],
}

struct Key {
    id: [u8; KEY_ID_BYTES],
    key: LessSafeKey,
}

impl Key {
    fn of(bytes: &[u8; 32]) -> Self {
        let digest = blake3::derive_key(FOR_IDS, bytes);
        let unbound = UnboundKey::new(&AES_256_GCM, &blake3::derive_key(FOR_SEALING, bytes));
        let key = LessSafeKey::new(unbound.expect("32 bytes are a key of AES-256"));
        Self { id: [digest[0], digest[1], digest[2], digest[3]], key }
    }
}

impl Seal {
    /// `previous` are the keys before, the latest first: its last one is the oldest.
    #[must_use]
    pub fn new(current: &[u8; 32], previous: &[[u8; 32]]) -> Self {
        let oldest = previous.last().unwrap_or(current);
        Self {
            keys: std::iter::once(current).chain(previous).map(Key::of).collect(),
            digests: blake3::derive_key(FOR_DIGESTS, oldest),
            codes: blake3::derive_key(FOR_CODES, oldest),
        }
    }

    /// Key id, nonce, ciphertext, tag. The same text is never sealed into the same bytes.
    #[must_use]
    pub fn seal(&self, plain: &[u8], about: &str, entropy: &Entropy) -> Vec<u8> {
        let key = &self.keys[0];
        let mut nonce = [0; NONCE_LEN];
        entropy.fill(&mut nonce);
        let mut content = plain.to_vec();
        let aad = Aad::from(about.as_bytes());
        let sealed = key.key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut content);
        sealed.expect("a row is shorter than the 64 GiB that the cipher takes");
        [key.id.as_slice(), &nonce, &content].concat()
    }

    /// What was sealed about this. `None`: changed, about something else, or by a key that is not known any more.
    #[must_use]
    pub fn open(&self, sealed: &[u8], about: &str) -> Option<Vec<u8>> {
        if sealed.len() < KEY_ID_BYTES + NONCE_LEN + TAG_BYTES {
            return None;
        }
        let (id, rest) = sealed.split_at(KEY_ID_BYTES);
        let (nonce, content) = rest.split_at(NONCE_LEN);
        // Two keys may have one id, once in four thousand million.
        self.keys.iter().filter(|key| key.id == id).find_map(|key| {
            let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
            let mut content = content.to_vec();
            let plain = key.key.open_in_place(nonce, Aad::from(about.as_bytes()), &mut content).ok()?;
            Some(plain.to_vec())
        })
    }

    /// Was it sealed with another key than today's? Then it is sealed anew when it is next written.
    #[must_use]
    pub fn outdated(&self, sealed: &[u8]) -> bool {
        !sealed.starts_with(&self.keys[0].id)
    }

    /// By which a text is found again without being kept: an e-mail address, a telephone number. The caller brings the
    /// text into its normal form; `what` keeps kinds apart.
    #[must_use]
    pub fn digest(&self, what: &str, text: &str) -> [u8; 16] {
        keyed(&self.digests, what, text)
    }

    /// By which a code is recognised without being kept. `about` says whose it is and what for.
    #[must_use]
    pub fn code_hash(&self, about: &str, code: &str) -> [u8; 16] {
        keyed(&self.codes, about, code)
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seal({} keys)", self.keys.len())
    }
}

fn keyed(key: &[u8; 32], what: &str, text: &str) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new_keyed(key);
    // The length first: "ab" about "c" is not "a" about "bc".
    hasher.update(&(what.len() as u64).to_le_bytes()).update(what.as_bytes()).update(text.as_bytes());
    let mut short = [0; 16];
    hasher.finalize_xof().fill(&mut short);
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OLD: [u8; 32] = [1; 32];
    const MIDDLE: [u8; 32] = [2; 32];
    const NEW: [u8; 32] = [3; 32];

    fn entropy() -> Entropy {
        Entropy::seeded(8)
    }

    proptest! {
        #[test]
        fn only_the_untouched_opens_and_only_where_it_belongs(
            plain in proptest::collection::vec(any::<u8>(), 0..200),
            about in "[a-z:0-9가-힣]{0,20}",
            other in "[a-z:0-9가-힣]{0,20}",
            place in any::<proptest::sample::Index>(),
            flip in 1..=255_u8,
            cut in any::<proptest::sample::Index>(),
        ) {
            let seal = Seal::new(&NEW, &[]);
            let sealed = seal.seal(&plain, &about, &entropy());
            prop_assert_eq!(sealed.len(), plain.len() + KEY_ID_BYTES + NONCE_LEN + TAG_BYTES);
            prop_assert_eq!(seal.open(&sealed, &about), Some(plain.clone()));
            prop_assert_eq!(seal.open(&sealed, &other).is_some(), about == other);
            let mut changed = sealed.clone();
            changed[place.index(sealed.len())] ^= flip;
            prop_assert_eq!(seal.open(&changed, &about), None);
            prop_assert_eq!(seal.open(&sealed[..cut.index(sealed.len())], &about), None);
            prop_assert_eq!(Seal::new(&OLD, &[MIDDLE]).open(&sealed, &about), None);
            if plain.len() >= 4 {
                prop_assert!(!sealed.windows(plain.len()).any(|window| window == plain));
            }
        }

        #[test]
        fn a_rotation_opens_what_was_and_finds_what_was(plain in proptest::collection::vec(any::<u8>(), 0..50), text in ".{0,20}") {
            let (first, second) = (Seal::new(&OLD, &[]), Seal::new(&MIDDLE, &[OLD]));
            let third = Seal::new(&NEW, &[MIDDLE, OLD]);
            for earlier in [&first, &second] {
                let sealed = earlier.seal(&plain, "a", &entropy());
                prop_assert_eq!(third.open(&sealed, "a"), Some(plain.clone()));
                prop_assert!(third.outdated(&sealed) && !earlier.outdated(&sealed));
                prop_assert_eq!(earlier.digest("email", &text), third.digest("email", &text));
                prop_assert_eq!(earlier.code_hash("verify", &text), third.code_hash("verify", &text));
            }
            prop_assert_eq!(first.open(&third.seal(&plain, "a", &entropy()), "a"), None);
            prop_assert_ne!(first.digest("email", &text), Seal::new(&NEW, &[]).digest("email", &text));
        }
    }

    #[test]
    fn kinds_and_uses_are_kept_apart() {
        let seal = Seal::new(&NEW, &[]);
        let all = [
            seal.digest("email", "x"),
            seal.digest("phone", "x"),
            seal.digest("emailx", ""),
            seal.digest("", "emailx"),
            seal.code_hash("email", "x"),
        ];
        for (index, one) in all.iter().enumerate() {
            assert!(all.iter().skip(index + 1).all(|other| one != other));
        }
        let twice = [seal.seal(b"x", "a", &entropy()), seal.seal(b"x", "a", &Entropy::seeded(9))];
        assert_ne!(twice[0], twice[1]);
        assert_eq!(format!("{seal:?}"), "Seal(1 keys)");
    }

    /// Rows are found by these for years: whatever changes them loses accounts.
    #[test]
    fn digests_stay_as_they_are() {
        let seal = Seal::new(&NEW, &[]);
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let got = [
            hex(&seal.digest("email", "kim@example.com")),
            hex(&seal.code_hash("verify:1", "01234567")),
            hex(&seal.keys[0].id),
        ];
        assert_eq!(got, ["1ff982d88b9fd84a7ed3cc3714f1b720", "9210337fd759f809f1fbfd2df9177438", "ac44bf85"]);
    }
}
