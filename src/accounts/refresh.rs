//! How does a session go on, and how does it end?

use super::session::{Session, Shown, Turn};
use super::shelf::{Ruled, read, written};
use super::store::{Document, Kind, Put};
use super::{AccountError, Accounts, Asked, Denied, SignedIn};
use crate::fault::Fault;
use crate::ids::AccountId;
use crate::limits;

impl Accounts {
    pub async fn refresh(&self, token: String, asked: Asked) -> Result<SignedIn, AccountError> {
        self.apart(|this| async move { this.turn(&token, asked).await }).await
    }

    async fn turn(&self, token: &str, asked: Asked) -> Result<SignedIn, AccountError> {
        let shown = Shown::parse(token).ok_or(Denied::RefreshInvalid)?;
        if self.refresh_token(shown.session, shown.number) != token {
            return Err(Denied::RefreshInvalid.into());
        }
        for _ in 0..limits::ACCOUNT_TRIES {
            let stored = self.0.cabinet.get(Kind::Session, shown.session).await?.ok_or(Denied::RefreshInvalid)?;
            let session: Session = read(&stored)?;
            let id = AccountId::new(session.account.as_str());
            let account = self.account(&id).await?.ok_or(Denied::RefreshInvalid)?;
            if Self::signed_out(&account.record, session.created_at) {
                return Err(Denied::RefreshInvalid.into());
            }
            let role = account.record.role;
            match session.turn(shown.number, asked.command, self.now()) {
                Turn::Over => return Err(Denied::RefreshInvalid.into()),
                Turn::Again => return Ok(self.tokens(shown.session, &session, role, true)?),
                Turn::Reused => {
                    self.end(shown.session).await?;
                    self.trail("refresh-token-reused").of(&id).from(asked.from).noted().await;
                    return Err(Denied::RefreshInvalid.into());
                }
                Turn::Next(next) => {
                    let document = Document {
                        record: written(&next)?,
                        expires_at: Some(next.expires_at()),
                        ..stored.document.clone()
                    };
                    if self.0.cabinet.put(document, Some(stored.version)).await? == Put::Done {
                        return Ok(self.tokens(shown.session, &next, role, false)?);
                    }
                    // A twin was faster: then this is a second use, unless it is the same request.
                }
            }
        }
        Err(Fault::unavailable("a session is being changed by others").into())
    }

    /// Ends one session: by its refresh token, or as what a signed-in person has.
    pub async fn logout(&self, session: Option<String>, token: Option<String>) -> Result<(), AccountError> {
        self.apart(|this| async move {
            let named = token
                .as_deref()
                .and_then(Shown::parse)
                .filter(|shown| token.as_deref() == Some(this.refresh_token(shown.session, shown.number).as_str()));
            if token.is_some() && named.is_none() {
                return Err(Denied::RefreshInvalid.into());
            }
            for key in named.map(|shown| shown.session.to_owned()).into_iter().chain(session) {
                this.end(&key).await?;
            }
            Ok(())
        })
        .await
    }

    /// Ends all sessions of an account.
    pub async fn logout_all(&self, id: AccountId, asked: Asked) -> Result<(), AccountError> {
        self.apart(|this| async move {
            this.sign_out(&id).await?;
            this.trail("signed-out-everywhere").of(&id).from(asked.from).noted().await;
            Ok(())
        })
        .await
    }

    pub(super) async fn sign_out(&self, id: &AccountId) -> Result<(), AccountError> {
        let now = self.now();
        self.change(id, |kept| {
            kept.record.signed_out_at = Some(now);
            Ok(Ruled((), true))
        })
        .await?;
        self.end_others(id, None).await
    }

    /// All but one, which made the change that the others must not survive.
    pub(super) async fn end_others(&self, id: &AccountId, own: Option<&str>) -> Result<(), AccountError> {
        let mut after = String::new();
        loop {
            let page = self.0.cabinet.family(Kind::Session, id.as_str(), &after, limits::LIST_MAX).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after.clone_from(&last.document.key);
            for stored in page {
                if own != Some(stored.document.key.as_str()) && !read::<Session>(&stored)?.ended {
                    self.end(&stored.document.key).await?;
                }
            }
        }
    }

    /// The session is over, and so is what was signed for it.
    pub(super) async fn end(&self, key: &str) -> Result<(), Fault> {
        for _ in 0..limits::ACCOUNT_TRIES {
            let Some(stored) = self.0.cabinet.get(Kind::Session, key).await? else { return Ok(()) };
            let session: Session = read(&stored)?;
            if session.ended {
                break;
            }
            let ended = Session { ended: true, ..session };
            let document = Document { record: written(&ended)?, ..stored.document };
            if self.0.cabinet.put(document, Some(stored.version)).await? == Put::Done {
                break;
            }
        }
        self.revoke(key).await
    }
}
