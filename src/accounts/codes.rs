//! Who shows a code that we mailed, and who gets one? Both without a word about who has an account.

use serde::{Deserialize, Serialize};

use super::record::{Code, Person, Purpose};
use super::shelf::{Kept, Ruled};
use super::store::Kind;
use super::throttle::Mails;
use super::{AccountError, Accounts, Asked, Denied, letters};
use crate::auth::{Email, MailCode};
use crate::fault::Fault;
use crate::ids::{AccountId, Hash16};
use crate::limits;

/// A request that was taken, kept for whoever did not get its answer.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Taken {
    body: Option<Hash16>,
}

impl Accounts {
    /// Mails a code to whoever has that address. `true`: this request came before, and nobody gets a second mail.
    pub(super) async fn mail_to(&self, email: String, purpose: Purpose, asked: Asked) -> Result<bool, AccountError> {
        self.apart(|this| async move {
            if this.taken_before(asked).await? {
                return Ok(true);
            }
            // Nobody waits for it: an answer that took longer would tell that there is an account.
            let behind = this.clone();
            this.0.tracker.spawn(async move {
                if let Err(error) = behind.mail_now(&email, purpose, asked).await {
                    tracing::warn!(%error, "a code could not be mailed");
                }
            });
            Ok(false)
        })
        .await
    }

    /// Known whether or not there is an account.
    async fn taken_before(&self, asked: Asked) -> Result<bool, AccountError> {
        let Some(done) = self.done(asked) else { return Ok(false) };
        let expires_at = self.now().plus(limits::KEY_MEMORY);
        let look = |taken: Taken| match taken.body {
            None => (None, Some((Taken { body: Some(done.body) }, expires_at))),
            Some(body) => (Some(body == done.body), None),
        };
        match self.small(Kind::Throttle, &format!("taken:{}", done.command), look).await? {
            None => Ok(false),
            Some(true) => Ok(true),
            Some(false) => Err(Denied::KeyReused.into()),
        }
    }

    async fn mail_now(&self, email: &str, purpose: Purpose, asked: Asked) -> Result<(), AccountError> {
        let Some(email) = Email::parse(email) else { return Ok(()) };
        let Some(Kept { id, person: Some(person), .. }) = self.account_of(&email).await? else { return Ok(()) };
        self.mail_code(&id, &person, purpose).await?;
        self.trail("code-mailed").of(&id).from(asked.from).detail(purpose.as_str()).noted().await;
        Ok(())
    }

    /// Mails a code for that purpose to an account, and remembers it.
    pub(super) async fn mail_code(
        &self,
        id: &AccountId,
        person: &Person,
        purpose: Purpose,
    ) -> Result<(), AccountError> {
        self.mail_code_where(id, person, purpose, |_| true).await
    }

    /// As [`Self::mail_code`], where the account as it is when the code is written still wants one: of two who ask at the same
    /// moment, the second would make the code worthless that the first one has mailed.
    pub(super) async fn mail_code_where(
        &self,
        id: &AccountId,
        person: &Person,
        purpose: Purpose,
        wanted: impl Fn(&Kept) -> bool + Send + Sync,
    ) -> Result<(), AccountError> {
        let Some(email) = Email::parse(&person.email) else { return Ok(()) };
        if !self.may_mail(&email).await? {
            return Ok(());
        }
        let code = MailCode::random(&self.0.entropy);
        let (hash, now) = (self.code_hash(id, purpose, &code), self.now());
        let written = self.change(id, |kept| {
            let wanted = wanted(kept);
            if wanted {
                kept.record.codes.insert(purpose, Code::new(hash, now));
            }
            Ok(Ruled(wanted, wanted))
        });
        if written.await? {
            // A full queue is counted there; whoever waits in vain asks again.
            let _taken = self.0.post.send(letters::code(&email, purpose, &code));
        }
        Ok(())
    }

    /// Counts a mail to that address, unless it had too many. Nobody learns which.
    pub(super) async fn may_mail(&self, email: &Email) -> Result<bool, Fault> {
        let now = self.now();
        let key = format!("mail:{}", self.alias(email));
        let one_more = |mails: Mails| match mails.one_more(now) {
            Some(next) => {
                let ends_at = next.ends_at();
                (true, Some((next, ends_at)))
            }
            None => (false, None),
        };
        self.small(Kind::Throttle, &key, one_more).await
    }

    /// The account of whoever shows this code, which stays good; or whose request this has been before. A wrong code
    /// costs the same where there is no account, and none to count it with: one write.
    pub(super) async fn shown(
        &self,
        email: &str,
        code: &str,
        purpose: Purpose,
        asked: Asked,
    ) -> Result<Kept, AccountError> {
        self.check_address(asked).await?;
        let found = match Email::parse(email) {
            Some(email) => self.account_of(&email).await?,
            None => None,
        };
        let mut counted = false;
        if let Some(kept) = found {
            if kept.record.repeats(self.done(asked))? {
                return Ok(kept);
            }
            if let Some(code) = MailCode::parse(code) {
                let (expected, now) = (self.code_hash(&kept.id, purpose, &code), self.now());
                let fits = |kept: &mut Kept| kept.record.fits(purpose, expected, now).map(|()| Ruled((), false));
                match self.change(&kept.id, fits).await {
                    Ok(()) => return Ok(kept),
                    Err(AccountError::Denied(_)) => counted = kept.record.codes.contains_key(&purpose),
                    Err(fault) => return Err(fault),
                }
            }
        }
        self.wrong_code(email, counted, asked).await
    }

    /// `counted`: something was written already.
    pub(super) async fn wrong_code<T>(&self, email: &str, counted: bool, asked: Asked) -> Result<T, AccountError> {
        if !counted {
            self.count_in_vain(email).await?;
        }
        self.count_origin(asked).await?;
        Err(Denied::CodeInvalid.into())
    }

    /// The keyed hash that a code for that purpose must have.
    pub(super) fn code_hash(&self, id: &AccountId, purpose: Purpose, code: &MailCode) -> Hash16 {
        self.keyed(&format!("{}:{id}", purpose.as_str()), code.as_str())
    }
}
