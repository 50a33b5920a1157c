//! How are typed records kept as documents? Reading, and changing one by a rule until nobody else was faster.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::record::{Done, Person, Record};
use super::store::{Document, Kind, Put, Revocation, Stored};
use super::{AccountError, Accounts, Asked, Denied};
use crate::auth::Email;
use crate::fault::Fault;
use crate::ids::AccountId;
use crate::limits;
use crate::timestamp::Timestamp;

/// An account as it is kept.
pub(super) struct Kept {
    pub id: AccountId,
    pub record: Record,
    /// `None`: erased.
    pub person: Option<Person>,
    version: u64,
    alias: Option<String>,
}

/// What a rule made of a record: it is written unless nothing changed.
pub(super) struct Ruled<T>(pub T, pub bool);

pub(super) fn read<T: DeserializeOwned>(stored: &Stored) -> Result<T, Fault> {
    // The error's text would quote the record.
    serde_json::from_str(&stored.document.record)
        .map_err(|_| Fault::internal(format!("a record of kind {} cannot be read", stored.document.kind.as_str())))
}

pub(super) fn written<T: Serialize>(record: &T) -> Result<String, Fault> {
    serde_json::to_string(record).map_err(|_| Fault::internal("a record cannot be written"))
}

impl Accounts {
    /// The unique name by which an address is found: a keyed hash.
    pub(super) fn alias(&self, email: &Email) -> String {
        crate::ids::Hash16(self.0.seal.digest("email", &email.key())).to_string()
    }

    pub(super) fn seal_person(&self, id: &AccountId, person: &Person) -> Result<Vec<u8>, Fault> {
        Ok(self.0.seal.seal(written(person)?.as_bytes(), id.as_str(), &self.0.entropy))
    }

    pub(super) fn open_person(&self, id: &AccountId, sealed: &[u8]) -> Result<Person, Fault> {
        let plain = self.0.seal.open(sealed, id.as_str());
        let person = plain.and_then(|plain| serde_json::from_slice(&plain).ok());
        person.ok_or_else(|| Fault::internal("a person cannot be unsealed: is a seal key missing?"))
    }

    fn kept(&self, stored: Stored) -> Result<Kept, Fault> {
        let record = read(&stored)?;
        let Stored { document, version } = stored;
        let id = AccountId::new(document.key);
        let person = document.sealed.map(|sealed| self.open_person(&id, &sealed)).transpose()?;
        Ok(Kept { id, record, person, version, alias: document.alias })
    }

    pub(super) async fn account(&self, id: &AccountId) -> Result<Option<Kept>, Fault> {
        self.0.cabinet.get(Kind::Account, id.as_str()).await?.map(|stored| self.kept(stored)).transpose()
    }

    pub(super) async fn account_of(&self, email: &Email) -> Result<Option<Kept>, Fault> {
        let found = self.0.cabinet.by_alias(Kind::Account, &self.alias(email)).await?;
        found.map(|stored| self.kept(stored)).transpose()
    }

    /// The account of somebody who is signed in, not erased.
    pub(super) async fn living(&self, id: &AccountId) -> Result<(Kept, Person), AccountError> {
        let kept = self.account(id).await?.ok_or(Denied::NotFound)?;
        let person = kept.person.clone().ok_or(Denied::NotFound)?;
        Ok((kept, person))
    }

    async fn put_account(&self, kept: &Kept) -> Result<Put, Fault> {
        let mut document = Document::new(Kind::Account, kept.id.as_str(), written(&kept.record)?);
        document.sealed = kept.person.as_ref().map(|person| self.seal_person(&kept.id, person)).transpose()?;
        document.alias = kept.person.is_some().then(|| kept.alias.clone()).flatten();
        self.0.cabinet.put(document, Some(kept.version)).await
    }

    /// The command that a request is, as records know it.
    pub(super) fn done(&self, asked: Asked) -> Option<Done> {
        let body = self.keyed("body", &asked.body.to_string());
        asked.command.map(|command| Done { command, body })
    }

    /// Changes an account once per command; `true`: this one was done before, and nothing was changed now.
    pub(super) async fn change_once(
        &self,
        id: &AccountId,
        asked: Asked,
        rule: impl Fn(&mut Kept) -> Result<(), Denied>,
    ) -> Result<bool, AccountError> {
        let done = self.done(asked);
        self.change(id, |kept| {
            if kept.record.repeats(done)? {
                return Ok(Ruled(true, false));
            }
            rule(kept)?;
            kept.record.remember(done);
            Ok(Ruled(false, true))
        })
        .await
    }

    /// Changes an account by a rule. A denial may change it, too: a wrong try counts. Nothing is decided upon what
    /// somebody else has changed meanwhile, and nothing is changed of whom was erased.
    pub(super) async fn change<T>(
        &self,
        id: &AccountId,
        rule: impl Fn(&mut Kept) -> Result<Ruled<T>, Denied>,
    ) -> Result<T, AccountError> {
        for _ in 0..limits::ACCOUNT_TRIES {
            let (mut kept, _) = self.living(id).await?;
            let before = kept.record.clone();
            let (outcome, changed) = match rule(&mut kept) {
                Ok(Ruled(value, changed)) => (Ok(value), changed),
                Err(denied) => (Err(denied.into()), kept.record != before),
            };
            if !changed || self.put_account(&kept).await? == Put::Done {
                return outcome;
            }
        }
        Err(Fault::unavailable("an account is being changed by others").into())
    }

    /// Changes a small record by a rule, or makes it; `None`: it stays as it is.
    pub(super) async fn small<R, T>(
        &self,
        kind: Kind,
        key: &str,
        rule: impl Fn(R) -> (T, Option<(R, Timestamp)>),
    ) -> Result<T, Fault>
    where
        R: Default + Serialize + DeserializeOwned,
    {
        for _ in 0..limits::ACCOUNT_TRIES {
            let stored = self.0.cabinet.get(kind, key).await?;
            let version = stored.as_ref().map(|stored| stored.version);
            let record = stored.as_ref().map(read).transpose()?.unwrap_or_default();
            let (outcome, next) = rule(record);
            let Some((next, expires_at)) = next else { return Ok(outcome) };
            let document = Document { expires_at: Some(expires_at), ..Document::new(kind, key, written(&next)?) };
            if self.0.cabinet.put(document, version).await? == Put::Done {
                return Ok(outcome);
            }
        }
        Err(Fault::unavailable("a count is being changed by others"))
    }

    /// What was signed for `credential` until now is good no more: here at once, elsewhere soon.
    pub(super) async fn revoke(&self, credential: &str) -> Result<(), Fault> {
        let now = self.now();
        let until = Some(now.plus(limits::SESSION_REVOKED));
        let revocation = Revocation { credential: credential.to_owned(), at: now, until };
        self.0.cabinet.revoke(revocation).await?;
        self.0.revoked.note(credential, now, until);
        Ok(())
    }
}
