//! How does an old seal key get out of use? What it sealed is sealed anew, one document after the other, beside nodes at
//! work. When a key may go is not known here.

use super::Accounts;
use super::store::{Document, Kind, Put, Stored};
use crate::fault::Fault;
use crate::ids::AccountId;
use crate::limits;

/// Those of which a part is sealed.
const SEALED: [Kind; 2] = [Kind::SignUp, Kind::Account];

impl Accounts {
    /// Seals anew whatever another key than today's sealed; how many there were.
    pub async fn reseal(&self) -> Result<u64, Fault> {
        let mut resealed = 0;
        // Sign-ups first: one that becomes an account meanwhile is met again there.
        for kind in SEALED {
            let mut after = String::new();
            loop {
                let page = self.0.cabinet.page(kind, &after, limits::RESEAL_PAGE).await?;
                let Some(last) = page.last() else { break };
                after.clone_from(&last.document.key);
                for stored in page {
                    resealed += u64::from(self.reseal_one(stored).await?);
                }
            }
        }
        Ok(resealed)
    }

    async fn reseal_one(&self, mut stored: Stored) -> Result<bool, Fault> {
        for _ in 0..limits::ACCOUNT_TRIES {
            let Stored { document, version } = stored;
            let Some(sealed) = document.sealed.as_deref().filter(|sealed| self.0.seal.outdated(sealed)) else {
                return Ok(false);
            };
            let (kind, key) = (document.kind, document.key.clone());
            let id = AccountId::new(key.as_str());
            let sealed = self.seal_person(&id, &self.open_person(&id, sealed)?)?;
            if self.0.cabinet.put(Document { sealed: Some(sealed), ..document }, Some(version)).await? == Put::Done {
                return Ok(true);
            }
            // Somebody changed it, and perhaps sealed it with an older key again: it is looked at once more.
            match self.0.cabinet.get(kind, &key).await? {
                Some(changed) => stored = changed,
                None => return Ok(false),
            }
        }
        Err(Fault::unavailable("an account is being changed by others"))
    }
}
