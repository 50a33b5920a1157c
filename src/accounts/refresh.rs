//! How does a session go on, and how does it end?

use super::session::{Session, Shown, Turn};
use super::shelf::{read, written};
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
            let record = &account.record;
            if !record.keeps(shown.session, session.epoch) {
                return Err(Denied::RefreshInvalid.into());
            }
            match session.turn(shown.number, asked.command, self.now()) {
                Turn::Over => return Err(Denied::RefreshInvalid.into()),
                Turn::KeyReused => return Err(Denied::KeyReused.into()),
                Turn::Again => return Ok(self.tokens(shown.session, &session, record, true)?),
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
                        return Ok(self.tokens(shown.session, &next, record, false)?);
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

    /// Ends all sessions of an account. `true`: this request came before.
    pub async fn logout_all(&self, id: AccountId, asked: Asked) -> Result<bool, AccountError> {
        self.apart(|this| async move {
            let rule = |kept: &mut super::shelf::Kept| {
                kept.record.sign_out(None);
                Ok(())
            };
            let replayed = this.change_once(&id, asked, rule).await?;
            this.end_stale(&id).await?;
            if !replayed {
                this.trail("signed-out-everywhere").of(&id).from(asked.from).noted().await;
            }
            Ok(replayed)
        })
        .await
    }

    /// Ends the sessions that the account does not keep any more. None of them could be refreshed; now also the tokens
    /// that they have are dead. Doing so again changes nothing.
    pub(super) async fn end_stale(&self, id: &AccountId) -> Result<(), Fault> {
        let Some(kept) = self.account(id).await? else { return Ok(()) };
        for (key, session) in self.live_sessions(id).await? {
            if !kept.record.keeps(&key, session.epoch) {
                self.end(&key).await?;
            }
        }
        Ok(())
    }

    /// Those that have not ended, in the order of their names.
    pub(super) async fn live_sessions(&self, id: &AccountId) -> Result<Vec<(String, Session)>, Fault> {
        let (mut after, mut live) = (String::new(), Vec::new());
        loop {
            let page = self.0.cabinet.family(Kind::Session, id.as_str(), &after, limits::LIST_MAX).await?;
            let Some(last) = page.last() else { return Ok(live) };
            after.clone_from(&last.document.key);
            for stored in page {
                let session: Session = read(&stored)?;
                if !session.ended {
                    live.push((stored.document.key, session));
                }
            }
        }
    }

    /// The session is over, and so is what was signed for it: that first, since only what has not ended is looked at again
    /// by whoever repeats this.
    pub(super) async fn end(&self, key: &str) -> Result<(), Fault> {
        self.revoke(key).await?;
        for _ in 0..limits::ACCOUNT_TRIES {
            let Some(stored) = self.0.cabinet.get(Kind::Session, key).await? else { return Ok(()) };
            let session: Session = read(&stored)?;
            if session.ended {
                return Ok(());
            }
            let expires_at = Some(self.now().plus(limits::SESSION_ENDED));
            let ended = Session { ended: true, ..session };
            let document = Document { record: written(&ended)?, expires_at, ..stored.document };
            if self.0.cabinet.put(document, Some(stored.version)).await? == Put::Done {
                return Ok(());
            }
        }
        Err(Fault::unavailable("a session is being changed by others"))
    }
}
