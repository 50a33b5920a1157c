//! How does somebody get another password? By showing the old one, or a mailed code.

use super::denied::Found;
use super::record::{Person, Purpose};
use super::shelf::{Kept, Ruled};
use super::{AccountError, Accounts, Asked, Denied};
use crate::auth::{Email, MailCode, Password};
use crate::fault::Fault;
use crate::ids::{AccountId, CredentialId};

impl Accounts {
    /// Sessions other than the one that asks end.
    pub async fn change_password(
        &self,
        who: AccountId,
        session: Option<CredentialId>,
        current: String,
        new: String,
        asked: Asked,
    ) -> Result<(), AccountError> {
        self.apart(|this| async move {
            let (kept, person) = this.living(&who).await?;
            if asked.command.is_some_and(|command| kept.record.done.contains(&command)) {
                return Ok(());
            }
            this.check_address(asked).await?;
            if !this.is_password(&current, kept.record.password.as_deref()).await? {
                this.count_origin(asked).await?;
                return Err(Denied::InvalidCredentials.into());
            }
            let hash = this.fresh_hash(&new, "/new_password", &person).await?;
            let old = kept.record.password;
            this.change(&who, |kept| {
                // Somebody else has changed it since the old one was shown.
                if kept.record.password != old {
                    return Err(Denied::InvalidCredentials);
                }
                kept.record.repeats(asked.command);
                kept.record.password = Some(hash.clone());
                Ok(Ruled((), true))
            })
            .await?;
            this.end_others(&who, session.as_ref().map(CredentialId::as_str)).await?;
            this.trail("password-changed").of(&who).from(asked.from).noted().await;
            Ok(())
        })
        .await
    }

    /// Mails a code to whoever has that address, if anybody does.
    pub async fn forgot_password(&self, email: String, asked: Asked) -> Result<(), AccountError> {
        self.mail_to(email, Purpose::Reset, asked).await
    }

    pub(super) async fn mail_to(&self, email: String, purpose: Purpose, asked: Asked) -> Result<(), AccountError> {
        // Nobody waits for it: an answer that took longer would tell that there is an account.
        let this = self.clone();
        self.0.tracker.spawn(async move {
            if let Err(error) = this.mail_now(&email, purpose, asked).await {
                tracing::warn!(%error, "a code could not be mailed");
            }
        });
        Ok(())
    }

    async fn mail_now(&self, email: &str, purpose: Purpose, asked: Asked) -> Result<(), AccountError> {
        let Some(email) = Email::parse(email) else { return Ok(()) };
        let Some(Kept { id, person: Some(person), .. }) = self.account_of(&email).await? else { return Ok(()) };
        self.mail_code(&id, &person, purpose).await?;
        self.trail("code-mailed").of(&id).from(asked.from).detail(purpose.as_str()).noted().await;
        Ok(())
    }

    /// All sessions end.
    pub async fn reset_password(
        &self,
        email: String,
        code: String,
        new: String,
        asked: Asked,
    ) -> Result<(), AccountError> {
        self.apart(|this| async move {
            let kept = this.addressed(&email, asked).await?;
            let code = MailCode::parse(&code).ok_or(Denied::CodeInvalid)?;
            let person = kept.person.clone().ok_or(Denied::CodeInvalid)?;
            if asked.command.is_some_and(|command| kept.record.done.contains(&command)) {
                return Ok(());
            }
            let hash = this.fresh_hash(&new, "/new_password", &person).await?;
            let expected = this.code_hash(&kept.id, Purpose::Reset, &code);
            let now = this.now();
            let done = this.change(&kept.id, |kept| {
                kept.record.redeem(Purpose::Reset, expected, now)?;
                kept.record.repeats(asked.command);
                kept.record.password = Some(hash.clone());
                kept.record.signed_out_at = Some(now);
                Ok(Ruled((), true))
            });
            this.unless_wrong(done.await, asked).await?;
            this.end_others(&kept.id, None).await?;
            this.open_again(&email).await?;
            this.trail("password-reset").of(&kept.id).from(asked.from).noted().await;
            Ok(())
        })
        .await
    }

    /// The account that somebody means who shows a code; a wrong address is like a wrong code.
    pub(super) async fn addressed(&self, email: &str, asked: Asked) -> Result<Kept, AccountError> {
        self.check_address(asked).await?;
        let found = match Email::parse(email) {
            Some(email) => self.account_of(&email).await?,
            None => None,
        };
        match found {
            Some(kept) => Ok(kept),
            None => {
                self.count_origin(asked).await?;
                Err(Denied::CodeInvalid.into())
            }
        }
    }

    /// A wrong code counts for the network address, too.
    pub(super) async fn unless_wrong(&self, done: Result<(), AccountError>, asked: Asked) -> Result<(), AccountError> {
        if let Err(AccountError::Denied(Denied::CodeInvalid)) = &done {
            self.count_origin(asked).await?;
        }
        done
    }

    /// Failures before a mailed code was shown count no more.
    pub(super) async fn open_again(&self, email: &str) -> Result<(), Fault> {
        let (name, _) = self.name_of(email);
        self.0.cabinet.remove(super::store::Kind::Throttle, &name).await
    }

    async fn fresh_hash(&self, new: &str, pointer: &'static str, person: &Person) -> Result<String, AccountError> {
        let mut found = Found::default();
        match found.password(pointer, Password::new(new, &[&person.email, &person.nickname])) {
            Some(password) => Ok(self.0.passwords.hash(&password).await?),
            None => Err(found.denied().into()),
        }
    }
}
