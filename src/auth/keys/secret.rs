//! What does a key consist of? Bytes, and a name that tells it from others without giving any of it away.
//!
//! A key is never printed: `Debug` says which one it is. What a key is good for stands in `mod.rs`.

use std::collections::BTreeSet;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::KeyError;
use crate::auth::code;
use crate::clock::Entropy;
use crate::ids::Hash16;
use crate::limits;

/// Bytes that could be a key's, told apart so often are random.
const DISTINCT: usize = 8;
/// Words that stand in examples and in no random text.
const EXAMPLES: [&str; 9] = ["change", "example", "secret", "password", "insert", "your-", "your_", "todo", "default"];
/// Separates the key for sealing from whatever else could be made of the same bytes.
const SEALING: &str = "onsale 2026-11 sealing of personal data";

/// What a file can keep and a token can refer to.
pub trait Material: Clone + PartialEq {
    fn random(entropy: &Entropy) -> Self;
    /// As it stands in a file.
    fn text(&self) -> String;
    fn parse(text: &str) -> Option<Self>;
    /// By which headers and operators refer to it.
    fn id(&self) -> String;
    fn bytes(&self) -> &[u8];
}

/// Bytes that sign or seal.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    bytes: Vec<u8>,
    id: String,
}

impl Secret {
    /// Takes a secret that an operator chose; short ones and examples are refused.
    pub fn chosen(name: &'static str, text: &str) -> Result<Self, KeyError> {
        if text.len() < limits::SECRET_BYTES {
            return Err(KeyError::TooShort { name });
        }
        let plain = text.to_ascii_lowercase();
        if distinct(text.as_bytes()) < DISTINCT || EXAMPLES.iter().any(|word| plain.contains(word)) {
            return Err(KeyError::Example { name });
        }
        Ok(Self::of(text.as_bytes().to_vec()))
    }

    fn of(bytes: Vec<u8>) -> Self {
        let mut id = Hash16::of("key id", &[&bytes]).to_string();
        // Enough to tell keys apart, far too little to guess one.
        id.truncate(8);
        Self { bytes, id }
    }

    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The `kid` of tokens signed with it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The same as a key of exactly 32 bytes, which a cipher wants.
    #[must_use]
    pub fn sealing(&self) -> [u8; 32] {
        blake3::derive_key(SEALING, &self.bytes)
    }
}

impl Material for Secret {
    fn random(entropy: &Entropy) -> Self {
        let mut bytes = vec![0; limits::SECRET_BYTES];
        entropy.fill(&mut bytes);
        Self::of(bytes)
    }

    fn text(&self) -> String {
        self.bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn parse(hex: &str) -> Option<Self> {
        if hex.len() < 2 * limits::SECRET_BYTES || !hex.len().is_multiple_of(2) || !hex.is_ascii() {
            return None;
        }
        let bytes = (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).ok());
        bytes.collect::<Option<Vec<u8>>>().map(Self::of)
    }

    fn id(&self) -> String {
        self.id.clone()
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({})", self.id)
    }
}

/// The seed of an Ed25519 key that signs ticket codes.
#[derive(Clone, PartialEq, Eq)]
pub struct GateKey([u8; 32]);

impl GateKey {
    /// From the configuration: the base64 of 32 bytes.
    pub fn chosen(name: &'static str, text: &str) -> Result<Self, KeyError> {
        Self::parse(text).ok_or(KeyError::BadSeed { name })
    }

    #[must_use]
    pub fn seed(&self) -> &[u8; 32] {
        &self.0
    }
}

impl Material for GateKey {
    fn random(entropy: &Entropy) -> Self {
        let mut seed = [0; 32];
        entropy.fill(&mut seed);
        Self(seed)
    }

    fn text(&self) -> String {
        STANDARD.encode(self.0)
    }

    fn parse(text: &str) -> Option<Self> {
        let seed: [u8; 32] = STANDARD.decode(text.trim()).ok()?.try_into().ok()?;
        (distinct(&seed) >= DISTINCT).then_some(Self(seed))
    }

    fn id(&self) -> String {
        code::key_id(self)
    }

    fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for GateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GateKey({})", self.id())
    }
}

fn distinct(bytes: &[u8]) -> usize {
    bytes.iter().collect::<BTreeSet<_>>().len()
}
