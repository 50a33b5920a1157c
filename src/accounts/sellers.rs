//! How does a member become a seller, or anything else? An application and an admin's word; other roles by an operator.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::shelf::{Kept, Ruled, read, written};
use super::store::{Document, Kind, Put};
use super::{AccountError, Accounts, Asked, Denied};
use crate::auth::{Email, Role};
use crate::ids::AccountId;
use crate::timestamp::Timestamp;

/// All applications belong together, so that admins can list them.
const SELLERS: &str = "sellers";

/// An application that waits.
#[derive(Clone, PartialEq, Eq)]
pub struct Application {
    pub account: AccountId,
    pub nickname: String,
    pub applied_at: Timestamp,
}

impl fmt::Debug for Application {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Application({})", self.account)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Waiting {
    applied_at: Timestamp,
}

impl Accounts {
    /// Since when the application waits; applying again changes nothing. `true`: this request came before.
    pub async fn apply(&self, who: AccountId, asked: Asked) -> Result<(Timestamp, bool), AccountError> {
        self.apart(|this| async move {
            let (now, done) = (this.now(), this.done(asked));
            let rule = |kept: &mut Kept| {
                let known = kept.record.applied_at;
                if let (Some(at), true) = (known, kept.record.repeats(done)?) {
                    return Ok(Ruled((at, true), false));
                }
                if kept.record.role != Role::Member {
                    return Err(Denied::AlreadySeller);
                }
                kept.record.applied_at = known.or(Some(now));
                kept.record.remember(done);
                Ok(Ruled((known.unwrap_or(now), false), known.is_none() || done.is_some()))
            };
            let (applied_at, replayed) = this.change(&who, rule).await?;
            let document = Document {
                family: Some(SELLERS.to_owned()),
                ..Document::new(Kind::Application, who.as_str(), written(&Waiting { applied_at })?)
            };
            let new = this.0.cabinet.put(document, None).await? == Put::Done;
            // Approved or erased meanwhile: whoever did it may have looked before this was there.
            let waits = this.account(&who).await?.is_some_and(|kept| kept.person.is_some() && kept.record.waits());
            if !waits {
                this.0.cabinet.remove(Kind::Application, who.as_str()).await?;
            } else if new {
                this.trail("applied-as-seller").of(&who).from(asked.from).noted().await;
            }
            Ok((applied_at, replayed))
        })
        .await
    }

    /// Applications that wait, by account, those after `after`.
    pub async fn applications(&self, after: String, most: usize) -> Result<Vec<Application>, AccountError> {
        self.apart(|this| async move {
            let mut found = Vec::new();
            for stored in this.0.cabinet.family(Kind::Application, SELLERS, &after, most).await? {
                let id = AccountId::new(stored.document.key.as_str());
                let Waiting { applied_at } = read(&stored)?;
                let person = this.account(&id).await?.and_then(|kept| kept.person);
                let nickname = person.map(|person| person.nickname).unwrap_or_default();
                found.push(Application { account: id, nickname, applied_at });
            }
            Ok(found)
        })
        .await
    }

    /// Makes a seller of somebody who applied; doing so again changes nothing. `true`: this request came before.
    pub async fn approve(&self, who: AccountId, by: AccountId, asked: Asked) -> Result<bool, AccountError> {
        self.apart(|this| async move {
            let done = this.done(asked);
            let rule = |kept: &mut Kept| {
                if kept.record.repeats(done)? {
                    return Ok(Ruled((true, false), false));
                }
                let changed = match kept.record.role {
                    Role::Seller => false,
                    Role::Member if kept.record.waits() => true,
                    _ => return Err(Denied::NotApplied),
                };
                kept.record.role = Role::Seller;
                kept.record.remember(done);
                Ok(Ruled((false, changed), changed || done.is_some()))
            };
            let outcome = this.change(&who, rule).await;
            if matches!(outcome, Ok(_) | Err(AccountError::Denied(Denied::NotFound))) {
                this.0.cabinet.remove(Kind::Application, who.as_str()).await?;
            }
            let (replayed, changed) = outcome?;
            if changed {
                this.trail("approved-as-seller").of(&who).by(&by).from(asked.from).noted().await;
            }
            Ok(replayed)
        })
        .await
    }

    /// Gives an account another role, as operators do. Tokens that say the old one are good no more, and an application
    /// of before is over.
    pub async fn set_role(&self, email: String, role: Role) -> Result<AccountId, AccountError> {
        self.apart(|this| async move {
            let email = Email::parse(&email).ok_or(Denied::NotFound)?;
            let id = this.account_of(&email).await?.ok_or(Denied::NotFound)?.id;
            let rule = |kept: &mut Kept| {
                kept.record.role = role;
                kept.record.applied_at = None;
                kept.record.sign_out(None);
                Ok(Ruled((), true))
            };
            this.change(&id, rule).await?;
            this.0.cabinet.remove(Kind::Application, id.as_str()).await?;
            this.end_stale(&id).await?;
            this.trail("role-set").of(&id).detail(role.as_str()).noted().await;
            Ok(id)
        })
        .await
    }
}
