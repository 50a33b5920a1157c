//! What does somebody see and change of themselves, and how are they forgotten?

use std::fmt;

use super::denied::Found;
use super::shelf::Ruled;
use super::store::Kind;
use super::{AccountError, Accounts, Asked, Denied};
use crate::auth::email::{nickname, phone};
use crate::auth::{Email, Role};
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

    pub async fn change_profile(&self, who: AccountId, change: Change) -> Result<Profile, AccountError> {
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
            accounts
                .change(&who, |kept| {
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
                    Ok(Ruled((), true))
                })
                .await?;
            this.profile(who).await?.ok_or_else(|| Denied::NotFound.into())
        })
        .await
    }

    /// Forgets the person. What the account did stays in the log under its id, which leads to nobody any more.
    pub async fn erase(&self, who: AccountId, asked: Asked) -> Result<(), AccountError> {
        self.apart(|this| async move {
            let Some(kept) = this.account(&who).await? else { return Err(Denied::NotFound.into()) };
            let Some(person) = kept.person else { return Ok(()) };
            let now = this.now();
            this.change(&who, |kept| {
                kept.record = kept.record.erased(now);
                kept.person = None;
                Ok(Ruled((), true))
            })
            .await?;
            this.end_others(&who, None).await?;
            this.0.cabinet.remove(Kind::Application, who.as_str()).await?;
            if let Some(email) = Email::parse(&person.email) {
                let alias = this.alias(&email);
                for stored in this.0.cabinet.family(Kind::SignUp, &alias, "", limits::LIST_MAX).await? {
                    this.0.cabinet.remove(Kind::SignUp, &stored.document.key).await?;
                }
                for key in [format!("login:{alias}"), format!("mail:{alias}")] {
                    this.0.cabinet.remove(Kind::Throttle, &key).await?;
                }
            }
            this.trail("erased").of(&who).from(asked.from).noted().await;
            Ok(())
        })
        .await
    }
}
