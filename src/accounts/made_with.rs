//! Are these the keys that the accounts were made with? A check value stands with them: a keyed digest of a constant.
//!
//! People are found by keyed digests. Under another key nobody is found, and to everybody else that looks like an empty
//! house, into which people sign up anew. So a node asks before it answers. Which keys there are is not known here.

use serde::{Deserialize, Serialize};

use super::Accounts;
use super::shelf::{read, written};
use super::store::{Document, Kind, Put, SharedCabinet};
use crate::auth::Seal;
use crate::fault::Fault;
use crate::ids::Hash16;

const KEY: &str = "seal";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MadeWith {
    check: Hash16,
}

impl MadeWith {
    /// The same for every ring whose oldest key is the same.
    fn of(seal: &Seal) -> Self {
        Self { check: Hash16(seal.digest("check", "onsale")) }
    }
}

/// `false`: by another seal. Where nobody has signed up yet, every seal will do.
pub async fn made_with(cabinet: &SharedCabinet, seal: &Seal) -> Result<bool, Fault> {
    let Some(stored) = cabinet.get(Kind::Meta, KEY).await? else { return Ok(true) };
    Ok(read::<MadeWith>(&stored)?.check == MadeWith::of(seal).check)
}

impl Accounts {
    /// Before anybody signs up: from now on the seal is this one.
    pub(super) async fn bind_seal(&self) -> Result<(), Fault> {
        let bind = async || {
            let document = Document::new(Kind::Meta, KEY, written(&MadeWith::of(&self.0.seal))?);
            // Whoever was faster decides.
            if self.0.cabinet.put(document, None).await? == Put::Done
                || made_with(&self.0.cabinet, &self.0.seal).await?
            {
                Ok(())
            } else {
                Err(Fault::internal("the accounts were made with another seal key than this node has"))
            }
        };
        self.1.get_or_try_init(bind).await.copied()
    }
}
