//! With which keys is signed and sealed? One ring for each purpose: configured, or made at the first start and kept in the
//! data directory.
//!
//! Each purpose has keys of its own, so that nothing works in another's place. This folder does not know what is signed.
//! `secret` is one key, `ring` its change, `file` the keeping.

mod file;
mod ring;
mod secret;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use serde::{Deserialize, Serialize};

pub use self::file::{CODE_FILE, FILE, retire, rotate};
pub use self::ring::Ring;
pub use self::secret::{GateKey, Material, Secret};
use crate::clock::Entropy;
use crate::limits;

#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("{path}: {source}")]
    File { path: String, source: std::io::Error },
    #[error("{path} is not a file of keys")]
    Malformed { path: String },
    #[error("{path} can be read by others than its owner; set its mode to 0600")]
    TooOpen { path: String },
    #[error("{name} must have at least {} characters", limits::SECRET_BYTES)]
    TooShort { name: &'static str },
    #[error("{name} looks like an example; use random characters")]
    Example { name: &'static str },
    #[error("{one} and {other} share a key; each purpose needs keys of its own, and each key stands there once")]
    Same { one: &'static str, other: &'static str },
    #[error("{name} must be the base64 of 32 random bytes")]
    BadSeed { name: &'static str },
    #[error("{name}: at most {} keys before the current one", limits::KEYS_PREVIOUS)]
    TooMany { name: &'static str },
    #[error("there are {} keys before the current one already; retire one first", limits::KEYS_PREVIOUS)]
    Full,
    #[error("{name} is set, but not the key that replaced it")]
    NoCurrent { name: &'static str },
    #[error("{id} is the current key; rotate first, then it can be retired")]
    Current { id: String },
    #[error("there is no previous key {id}")]
    NoSuchKey { id: String },
    #[error("the data directory has no {kind} key yet; it is made when a node starts")]
    NotMade { kind: &'static str },
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident $name:literal $option:literal $previous:literal;)+) => {
        /// What a key is for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Kind {
            $($(#[$doc])* $kind),+
        }

        impl Kind {
            pub const ALL: &'static [Self] = &[$(Self::$kind),+];

            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$kind => $name),+ }
            }

            /// Where an operator sets it, and the ones before it.
            #[must_use]
            pub fn option(self) -> &'static str {
                match self { $(Self::$kind => $option),+ }
            }

            #[must_use]
            pub fn previous_option(self) -> &'static str {
                match self { $(Self::$kind => $previous),+ }
            }
        }
    };
}

kinds! {
    /// Access tokens.
    #[serde(rename = "access")]
    Access "access" "auth.access_key" "auth.access_key_previous";
    /// Stream tickets.
    #[serde(rename = "tickets")]
    Ticket "ticket" "auth.ticket_key" "auth.ticket_key_previous";
    /// Tokens of a store's devices.
    #[serde(rename = "device")]
    Device "device" "auth.device_key" "auth.device_key_previous";
    /// Personal data.
    #[serde(rename = "seal")]
    Seal "seal" "auth.seal_key" "auth.seal_key_previous";
    /// Ticket codes, which gates check offline.
    #[serde(rename = "ticket-code")]
    TicketCode "ticket-code" "auth.ticket_code_key" "auth.ticket_code_key_previous";
}

/// Those whose keys stand in `keys.json`.
const SECRETS: [Kind; 4] = [Kind::Access, Kind::Ticket, Kind::Device, Kind::Seal];

/// What an operator configured; the rest comes from the data directory.
#[derive(Clone, Debug, Default)]
pub struct Chosen {
    secrets: BTreeMap<Kind, Ring<Secret>>,
    codes: Option<Ring<GateKey>>,
}

impl Chosen {
    /// Takes the key of a kind and, separated by commas, the ones before it. Empty: not configured.
    pub fn add(&mut self, kind: Kind, current: &str, previous: &str) -> Result<(), KeyError> {
        let older = previous.split(',').map(str::trim).filter(|text| !text.is_empty());
        if current.is_empty() {
            let name = kind.previous_option();
            return if older.count() == 0 { Ok(()) } else { Err(KeyError::NoCurrent { name }) };
        }
        let (name, older_name) = (kind.option(), kind.previous_option());
        if kind == Kind::TicketCode {
            let older = older.map(|text| GateKey::chosen(older_name, text)).collect::<Result<_, _>>()?;
            self.codes = Some(Ring::with(GateKey::chosen(name, current)?, older, older_name)?);
        } else {
            let older = older.map(|text| Secret::chosen(older_name, text)).collect::<Result<_, _>>()?;
            self.secrets.insert(kind, Ring::with(Secret::chosen(name, current)?, older, older_name)?);
        }
        Ok(())
    }

    /// Was this kind configured?
    #[must_use]
    pub fn has(&self, kind: Kind) -> bool {
        if kind == Kind::TicketCode { self.codes.is_some() } else { self.secrets.contains_key(&kind) }
    }
}

/// All keys of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    pub access: Ring<Secret>,
    pub tickets: Ring<Secret>,
    pub device: Ring<Secret>,
    pub seal: Ring<Secret>,
    /// Sign ticket codes; gates hold the public halves.
    pub codes: Ring<GateKey>,
}

impl Keys {
    /// What was chosen, and the rest from the data directory, where whatever is missing is made.
    pub fn open(chosen: Chosen, directory: &Path, entropy: &Entropy) -> Result<Self, KeyError> {
        let Chosen { mut secrets, codes } = chosen;
        let missing: Vec<Kind> = SECRETS.into_iter().filter(|kind| !secrets.contains_key(kind)).collect();
        if !missing.is_empty() {
            let mut kept = file::secrets(directory, &missing, entropy)?;
            secrets.extend(missing.iter().filter_map(|kind| kept.remove(kind).map(|ring| (*kind, ring))));
        }
        let codes = codes.map_or_else(|| file::codes(directory, entropy), Ok)?;
        let mut take = |kind: Kind| secrets.remove(&kind).ok_or(KeyError::NotMade { kind: kind.name() });
        let keys = Self {
            access: take(Kind::Access)?,
            tickets: take(Kind::Ticket)?,
            device: take(Kind::Device)?,
            seal: take(Kind::Seal)?,
            codes,
        };
        keys.distinct()?;
        Ok(keys)
    }

    /// From the data directory alone.
    pub fn load_or_create(directory: &Path, entropy: &Entropy) -> Result<Self, KeyError> {
        Self::open(Chosen::default(), directory, entropy)
    }

    #[must_use]
    pub fn random(entropy: &Entropy) -> Self {
        let secret = || Ring::of(Secret::random(entropy));
        let codes = Ring::of(GateKey::random(entropy));
        Self { access: secret(), tickets: secret(), device: secret(), seal: secret(), codes }
    }

    /// The ids of a kind's keys, the current one first.
    #[must_use]
    pub fn ids(&self, kind: Kind) -> Vec<String> {
        match self.secrets(kind) {
            Some(ring) => ring.all().map(Material::id).collect(),
            None => self.codes.all().map(Material::id).collect(),
        }
    }

    /// `None`: ticket codes have seeds instead.
    fn secrets(&self, kind: Kind) -> Option<&Ring<Secret>> {
        match kind {
            Kind::Access => Some(&self.access),
            Kind::Ticket => Some(&self.tickets),
            Kind::Device => Some(&self.device),
            Kind::Seal => Some(&self.seal),
            Kind::TicketCode => None,
        }
    }

    /// A key that two purposes share would let one's tokens work in the other's place.
    fn distinct(&self) -> Result<(), KeyError> {
        let rings = SECRETS.iter().filter_map(|kind| self.secrets(*kind).map(|ring| (*kind, ring)));
        let secrets = rings.flat_map(|(kind, ring)| ring.all().map(move |key| (kind, key.bytes())));
        let codes = self.codes.all().map(|key| (Kind::TicketCode, Material::bytes(key)));
        let mut seen: HashMap<&[u8], Kind> = HashMap::new();
        for (kind, bytes) in secrets.chain(codes) {
            if let Some(before) = seen.insert(bytes, kind) {
                return Err(KeyError::Same { one: before.option(), other: kind.option() });
            }
        }
        Ok(())
    }
}
