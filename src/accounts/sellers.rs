//! How does a member become a seller, or anything else? An application and an admin's word; other roles by an operator.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::shelf::{Ruled, read, written};
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
    /// Since when the application waits; applying again changes nothing.
    pub async fn apply(&self, who: AccountId, asked: Asked) -> Result<Timestamp, AccountError> {
        self.apart(|this| async move {
            let now = this.now();
            let applied_at = this
                .change(&who, |kept| {
                    if kept.record.role != Role::Member {
                        return Err(Denied::AlreadySeller);
                    }
                    let known = kept.record.applied_at;
                    kept.record.applied_at = known.or(Some(now));
                    Ok(Ruled(known.unwrap_or(now), known.is_none()))
                })
                .await?;
            let document = Document {
                family: Some(SELLERS.to_owned()),
                ..Document::new(Kind::Application, who.as_str(), written(&Waiting { applied_at })?)
            };
            if this.0.cabinet.put(document, None).await? == Put::Done {
                this.trail("applied-as-seller").of(&who).from(asked.from).noted().await;
            }
            Ok(applied_at)
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

    /// Makes a seller of somebody who applied; doing so again changes nothing.
    pub async fn approve(&self, who: AccountId, by: AccountId, asked: Asked) -> Result<(), AccountError> {
        self.apart(|this| async move {
            let changed = this
                .change(&who, |kept| match (kept.person.is_some(), kept.record.role, kept.record.applied_at) {
                    (false, ..) => Err(Denied::NotFound),
                    (true, Role::Seller, _) => Ok(Ruled(false, false)),
                    (true, Role::Member, Some(_)) => {
                        kept.record.role = Role::Seller;
                        Ok(Ruled(true, true))
                    }
                    (true, ..) => Err(Denied::NotApplied),
                })
                .await?;
            this.0.cabinet.remove(Kind::Application, who.as_str()).await?;
            if changed {
                this.trail("approved-as-seller").of(&who).by(&by).from(asked.from).noted().await;
            }
            Ok(())
        })
        .await
    }

    /// Gives an account another role, as operators do. Tokens that say the old one are good no more.
    pub async fn set_role(&self, email: String, role: Role) -> Result<AccountId, AccountError> {
        self.apart(|this| async move {
            let email = Email::parse(&email).ok_or(Denied::NotFound)?;
            let kept = this.account_of(&email).await?.ok_or(Denied::NotFound)?;
            let id = kept.id;
            this.change(&id, |kept| {
                let changed = kept.record.role != role;
                kept.record.role = role;
                Ok(Ruled((), changed))
            })
            .await?;
            this.sign_out(&id).await?;
            this.trail("role-set").of(&id).detail(role.as_str()).noted().await;
            Ok(id)
        })
        .await
    }
}
