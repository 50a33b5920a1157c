//! How does somebody get another password? By showing the old one, or a mailed code.
//!
//! What counts is one write. What follows it, the end of other sessions, is done again by whoever repeats the request.

use super::denied::Found;
use super::record::{Person, Purpose};
use super::{AccountError, Accounts, Asked, Denied};
use crate::auth::{MailCode, Password};
use crate::fault::Fault;
use crate::ids::{AccountId, CredentialId};

impl Accounts {
    /// Sessions other than the one that asks end. `true`: this request came before.
    pub async fn change_password(
        &self,
        who: AccountId,
        session: Option<CredentialId>,
        current: String,
        new: String,
        asked: Asked,
    ) -> Result<bool, AccountError> {
        self.apart(|this| async move {
            let (kept, person) = this.living(&who).await?;
            let mut replayed = kept.record.repeats(this.done(asked))?;
            if !replayed {
                this.check_password(&kept, &person, &current, asked).await?;
                let hash = this.fresh_hash(&new, &person).await?;
                let old = kept.record.password;
                let rule = |kept: &mut super::shelf::Kept| {
                    // Somebody else has changed it since the old one was shown.
                    if kept.record.password != old {
                        return Err(Denied::InvalidCredentials);
                    }
                    kept.record.password = Some(hash.clone());
                    kept.record.sign_out(session.as_ref());
                    Ok(())
                };
                replayed = this.change_once(&who, asked, rule).await?;
            }
            this.end_stale(&who).await?;
            if !replayed {
                this.trail("password-changed").of(&who).from(asked.from).noted().await;
            }
            Ok(replayed)
        })
        .await
    }

    /// Mails a code to whoever has that address, if anybody does. `true`: this request came before.
    pub async fn forgot_password(&self, email: String, asked: Asked) -> Result<bool, AccountError> {
        self.mail_to(email, Purpose::Reset, asked).await
    }

    /// All sessions end. `true`: this request came before.
    pub async fn reset_password(
        &self,
        email: String,
        code: String,
        new: String,
        asked: Asked,
    ) -> Result<bool, AccountError> {
        self.apart(|this| async move {
            // What nobody may have is told before anybody is looked for.
            new_password(&new, &[&email])?;
            let kept = this.shown(&email, &code, Purpose::Reset, asked).await?;
            let mut replayed = kept.record.repeats(this.done(asked))?;
            if !replayed {
                let person = kept.person.clone().ok_or(Denied::CodeInvalid)?;
                let hash = this.fresh_hash(&new, &person).await?;
                let expected = MailCode::parse(&code).map(|code| this.code_hash(&kept.id, Purpose::Reset, &code));
                let (expected, now) = (expected.ok_or(Denied::CodeInvalid)?, this.now());
                let rule = |kept: &mut super::shelf::Kept| {
                    kept.record.redeem(Purpose::Reset, expected, now)?;
                    kept.record.password = Some(hash.clone());
                    kept.record.sign_out(None);
                    Ok(())
                };
                replayed = this.change_once(&kept.id, asked, rule).await?;
            }
            this.end_stale(&kept.id).await?;
            this.open_again(&email).await?;
            if !replayed {
                this.trail("password-reset").of(&kept.id).from(asked.from).noted().await;
            }
            Ok(replayed)
        })
        .await
    }

    /// Is it theirs who are signed in? Counted like a login: a stolen session must not guess for ever.
    pub(super) async fn check_password(
        &self,
        kept: &super::shelf::Kept,
        person: &Person,
        password: &str,
        asked: Asked,
    ) -> Result<(), AccountError> {
        self.check_address(asked).await?;
        let (name, _) = self.name_of(&person.email);
        let counted = self.count_failure(&name).await?;
        let right = self.is_password(password, kept.record.password.as_deref()).await?;
        if right && !counted.is_locked() {
            return Ok(self.forget_failure(&name).await?);
        }
        Err(self.failed(Some(kept), &counted, asked).await?)
    }

    /// Failures before a mailed code was shown count no more.
    pub(super) async fn open_again(&self, email: &str) -> Result<(), Fault> {
        let (name, _) = self.name_of(email);
        self.forget_failure(&name).await
    }

    async fn fresh_hash(&self, new: &str, person: &Person) -> Result<String, AccountError> {
        let password = new_password(new, &[&person.email, &person.nickname])?;
        Ok(self.0.passwords.hash(&password).await?)
    }
}

fn new_password(new: &str, about: &[&str]) -> Result<Password, Denied> {
    let mut found = Found::default();
    found.password("/new_password", Password::new(new, about)).ok_or_else(|| found.denied())
}
