//! What does somebody see and change of themselves, and how are they forgotten?

use std::fmt;

use super::denied::Found;
use super::shelf::{Kept, Ruled};
use super::store::Kind;
use super::{AccountError, Accounts, Asked, Denied};
use crate::auth::email::{nickname, phone};
use crate::auth::{Email, Role};
use crate::fault::Fault;
use crate::ids::AccountId;
use crate::limits;
use crate::timestamp::Timestamp;

/// What its owner sees of an account.
#[derive(Clone, PartialEq, Eq)]
pub struct Profile {
    pub account: AccountId,
    pub email: String,
    pub nickname: String,
    pub phone: Option<String>,
    pub marketing_since: Option<Timestamp>,
    pub role: Role,
    pub applied_at: Option<Timestamp>,
    pub second_factor: bool,
    pub created_at: Timestamp,
}

/// What is to be different. `Some(None)`: no phone any more.
#[derive(Clone, Default)]
pub struct Change {
    pub nickname: Option<String>,
    pub phone: Option<Option<String>>,
    pub marketing: Option<bool>,
}

// Neither says anything personal where somebody prints it.

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Profile({})", self.account)
    }
}

impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Change")
    }
}

impl Accounts {
    /// `None`: there is no such account, or not any more.
    pub async fn profile(&self, who: AccountId) -> Result<Option<Profile>, AccountError> {
        self.apart(|this| async move {
            let Some(kept) = this.account(&who).await? else { return Ok(None) };
            let record = kept.record;
            Ok(kept.person.map(|person| Profile {
                account: who,
                email: person.email,
                nickname: person.nickname,
                phone: person.phone,
                marketing_since: record.marketing_since,
                role: record.role,
                applied_at: record.applied_at,
                second_factor: record.factor.is_some_and(|factor| factor.confirmed),
                created_at: record.created_at,
            }))
        })
        .await
    }

    /// `true`: this request came before; then the profile is as it is now.
    pub async fn change_profile(
        &self,
        who: AccountId,
        change: Change,
        asked: Asked,
    ) -> Result<(Profile, bool), AccountError> {
        let mut found = Found::default();
        let called = change.nickname.map(|text| found.take("/nickname", nickname(&text), limits::NICKNAME_RULE));
        let number = change.phone.map(|text| match text {
            None => Some(None),
            Some(text) => found.take("/phone", phone(&text), limits::PHONE_RULE).map(Some),
        });
        let (called, number) = match (called, number) {
            (Some(None), _) | (_, Some(None)) => return Err(found.denied().into()),
            (called, number) => (called.flatten(), number.flatten()),
        };
        let this = self.clone();
        self.apart(|accounts| async move {
            let now = accounts.now();
            let rule = |kept: &mut Kept| {
                let Some(person) = &mut kept.person else { return Err(Denied::NotFound) };
                if let Some(called) = &called {
                    person.nickname.clone_from(called);
                }
                if let Some(number) = &number {
                    person.phone.clone_from(number);
                }
                match change.marketing {
                    Some(true) => kept.record.marketing_since = kept.record.marketing_since.or(Some(now)),
                    Some(false) => kept.record.marketing_since = None,
                    None => {}
                }
                Ok(())
            };
            let replayed = accounts.change_once(&who, asked, rule).await?;
            let profile = this.profile(who).await?.ok_or(Denied::NotFound)?;
            Ok((profile, replayed))
        })
        .await
    }

    /// Forgets the person. What the account did stays in the log under its id, which leads to nobody any more.
    ///
    /// What can only be found by the person's address goes first: whoever was interrupted there still has an account, and
    /// asks again. Then the person, and then what the id finds, which is done again by whoever asks again.
    pub async fn erase(&self, who: AccountId, asked: Asked) -> Result<(), AccountError> {
        self.apart(|this| async move {
            let Some(kept) = this.account(&who).await? else { return Err(Denied::NotFound.into()) };
            let mut erased = false;
            if let Some(person) = kept.person {
                this.forget_address(&person.email).await?;
                erased = this.erase_person(&who).await?;
            }
            this.0.cabinet.remove(Kind::Application, who.as_str()).await?;
            this.revoke(who.as_str()).await?;
            this.end_stale(&who).await?;
            if erased {
                this.trail("erased").of(&who).from(asked.from).noted().await;
            }
            Ok(())
        })
        .await
    }

    /// `false`: a twin of this request was faster.
    async fn erase_person(&self, who: &AccountId) -> Result<bool, AccountError> {
        let now = self.now();
        let rule = |kept: &mut Kept| {
            kept.record = kept.record.erased(now);
            kept.person = None;
            Ok(Ruled(true, true))
        };
        match self.change(who, rule).await {
            Err(AccountError::Denied(Denied::NotFound)) => Ok(false),
            other => other,
        }
    }

    /// Sign-ups and counts that are kept under the address.
    async fn forget_address(&self, email: &str) -> Result<(), Fault> {
        if let Some(email) = Email::parse(email) {
            let alias = self.alias(&email);
            loop {
                let waiting = self.0.cabinet.family(Kind::SignUp, &alias, "", limits::LIST_MAX).await?;
                if waiting.is_empty() {
                    break;
                }
                for stored in waiting {
                    self.0.cabinet.remove(Kind::SignUp, &stored.document.key).await?;
                }
            }
            for key in [format!("login:{alias}"), format!("code:login:{alias}"), format!("mail:{alias}")] {
                self.0.cabinet.remove(Kind::Throttle, &key).await?;
            }
        }
        Ok(())
    }
}
