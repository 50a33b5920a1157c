//! With which keys is signed and sealed? One ring for each purpose: configured, or made at the first start and kept in the
//! data directory.
//!
//! Each purpose has keys of its own, so that nothing works in another's place. This folder does not know what is signed.
//! `kind` is the purposes, `secret` one key, `ring` its change, `file` the keeping.

mod chosen;
mod error;
mod file;
mod kind;
mod ring;
mod secret;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::Path;

pub use self::chosen::Chosen;
pub use self::error::KeyError;
pub use self::file::{CODE_FILE, FILE, retire, rotate};
pub use self::kind::Kind;
pub use self::ring::Ring;
pub use self::secret::{GateKey, Material, Secret};
use crate::clock::Entropy;

/// Those whose keys stand in `keys.json`.
const SECRETS: [Kind; 4] = [Kind::Access, Kind::Ticket, Kind::Device, Kind::Seal];

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
