//! Which keys did the operator configure? One for each purpose, and the ones before it.

use std::collections::BTreeMap;

use super::{GateKey, KeyError, Kind, Ring, Secret};

/// What an operator configured; the rest comes from the data directory.
#[derive(Clone, Debug, Default)]
pub struct Chosen {
    pub(super) secrets: BTreeMap<Kind, Ring<Secret>>,
    pub(super) codes: Option<Ring<GateKey>>,
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
