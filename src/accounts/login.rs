//! Who may come in? Password, second factor, and a session with its first tokens.
//!
//! An unknown person, a wrong password and a locked account get the same answer after the same work. A try is counted
//! before it is judged, so that many at once are not each the first; what concerns real accounts alone is written when
//! the answer is on its way.
//!
//! A session is looked at once more after it was written: whatever ends sessions has either seen it, or is seen here.

use super::counting::Counted;
use super::record::{Factor, Person, Purpose, Record, Shown};
use super::session::Session;
use super::shelf::{Kept, Ruled, read, written};
use super::store::{Document, Kind, Put};
use super::{AccountError, Accounts, Asked, Denied};
use crate::auth::password::outdated;
use crate::auth::totp::recovery_code;
use crate::auth::{Password, Principal, TotpSeed};
use crate::fault::Fault;
use crate::ids::{AccountId, CredentialId, Hash16};
use crate::limits;

pub struct Login {
    pub email: String,
    pub password: String,
    /// Six digits, or a recovery code.
    pub totp: Option<String>,
}

/// The tokens of a session.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedIn {
    pub access: String,
    pub refresh: String,
    /// This request came before.
    pub replayed: bool,
}

impl Accounts {
    pub async fn login(&self, login: Login, asked: Asked) -> Result<SignedIn, AccountError> {
        self.apart(|this| async move { this.come_in(login, asked).await }).await
    }

    async fn come_in(&self, login: Login, asked: Asked) -> Result<SignedIn, AccountError> {
        let command = asked.command.unwrap_or_else(|| self.0.entropy.hash16());
        let session = format!("se_{command}");
        let begun_by = self.keyed("login", &asked.body.to_string());
        self.check_address(asked).await?;
        let (name, email) = self.name_of(&login.email);
        let waits = self.count_failure(&name).await?;
        // Counted like any try: whoever knows somebody's key must not find the password by trying which body is the same.
        if asked.command.is_some()
            && !waits.is_locked()
            && let Some(signed_in) = self.came_in_before(&session, begun_by, asked).await?
        {
            self.forget_failure(&name).await?;
            return Ok(signed_in);
        }
        let kept = match &email {
            Some(email) => self.account_of(email).await?,
            None => None,
        };
        let phc = kept.as_ref().and_then(|kept| kept.record.password.as_deref());
        let right = self.is_password(&login.password, phc).await?;
        let locked = |kept: &Kept| kept.record.factor().is_some_and(Factor::is_locked);
        let kept = match kept {
            Some(kept) if right && !waits.is_locked() && !locked(&kept) => kept,
            other => return Err(self.failed(other.as_ref(), &waits, asked).await?),
        };
        if kept.record.factor().is_some() {
            let Some(text) = &login.totp else {
                self.forget_failure(&name).await?;
                return Err(Denied::TotpRequired.into());
            };
            let shown = self.judge(&kept, text);
            let proved = self.change(&kept.id, |kept| kept.record.prove(shown).map(|()| Ruled((), true))).await;
            if let Err(error) = proved {
                self.tell_of_lock(&kept.id).await?;
                self.trail("second-factor-failed").of(&kept.id).from(asked.from).noted().await;
                return Err(error);
            }
        }
        self.forget_failure(&name).await?;
        self.renew_hash(&kept, &login.password).await?;
        let signed_in = self.open_session(&session, &kept, begun_by, asked).await?;
        self.trail("signed-in").of(&kept.id).from(asked.from).noted().await;
        Ok(signed_in)
    }

    /// The same work whatever is compared: also for what cannot be anybody's password.
    pub(super) async fn is_password(&self, text: &str, phc: Option<&str>) -> Result<bool, Fault> {
        let given = Password::given(text);
        let phc = phc.filter(|_| given.is_some());
        let Some(password) = given.or_else(|| Password::given("nobody")) else { return Ok(false) };
        self.0.passwords.verify(&password, phc).await
    }

    /// Nobody waits for what is written of a real account only: the time would tell that it is one. What was not even
    /// counted is not written down either.
    pub(super) async fn failed(
        &self,
        kept: Option<&Kept>,
        counted: &Counted,
        asked: Asked,
    ) -> Result<AccountError, Fault> {
        self.count_origin(asked).await?;
        if let (Some(kept), Counted::Open { told }) = (kept, *counted) {
            let (this, id, person) = (self.clone(), kept.id.clone(), kept.person.clone());
            self.0.tracker.spawn(async move {
                this.trail("sign-in-failed").of(&id).from(asked.from).noted().await;
                if let Some(person) = person.filter(|_| told) {
                    this.mail_in_peace(&id, &person).await;
                }
            });
        }
        Ok(Denied::InvalidCredentials.into())
    }

    /// A mail that cannot be made must not tell by another answer that there is an account.
    async fn mail_in_peace(&self, id: &AccountId, person: &Person) {
        if let Err(error) = self.mail_code(id, person, Purpose::Unlock).await {
            tracing::warn!(%error, "a mail about a locked account could not be made");
        }
    }

    /// The fifth wrong code locks the account; its owner is told how to open it.
    pub(super) async fn tell_of_lock(&self, id: &AccountId) -> Result<(), Fault> {
        let now = self.now();
        // Several wrong codes at once: one of them tells, and its code stays good.
        let untold = move |kept: &Kept| {
            let locked = kept.record.factor().is_some_and(|factor| factor.wrong == limits::TOTP_TRIES);
            locked && !kept.record.codes.get(&Purpose::Unlock).is_some_and(|code| code.is_open(now))
        };
        if let Some(kept) = self.account(id).await?.filter(untold)
            && let Some(person) = &kept.person
            && let Err(error) = self.mail_code_where(id, person, Purpose::Unlock, untold).await
        {
            tracing::warn!(%error, "a mail about a locked account could not be made");
        }
        Ok(())
    }

    /// What a text comes to as a second factor.
    pub(super) fn judge(&self, kept: &Kept, text: &str) -> Shown {
        let text = text.trim();
        let seed = kept.person.as_ref().and_then(|person| person.seed.as_deref()).and_then(TotpSeed::from_bytes);
        let digits = text.len() == limits::TOTP_DIGITS && text.bytes().all(|b| b.is_ascii_digit());
        match seed {
            Some(seed) if digits => seed.matched_step(text, self.now()).map_or(Shown::Wrong, Shown::Step),
            Some(_) => Shown::Recovery(self.recovery_hash(&kept.id, text)),
            None => Shown::Wrong,
        }
    }

    pub(super) fn recovery_hash(&self, id: &AccountId, code: &str) -> Hash16 {
        let plain = recovery_code(code).unwrap_or_default();
        self.keyed(&format!("recovery:{id}"), &plain)
    }

    /// Hashes made with less effort than we take today are made anew while the password is at hand.
    async fn renew_hash(&self, kept: &Kept, password: &str) -> Result<(), AccountError> {
        let old = kept.record.password.as_deref().filter(|phc| outdated(phc));
        let (Some(old), Some(password)) = (old, Password::given(password)) else { return Ok(()) };
        let hash = self.0.passwords.hash(&password).await?;
        self.change(&kept.id, |kept| {
            let same = kept.record.password.as_deref() == Some(old);
            if same {
                kept.record.password = Some(hash.clone());
            }
            Ok(Ruled((), same))
        })
        .await
    }

    async fn open_session(
        &self,
        key: &str,
        judged: &Kept,
        begun_by: Hash16,
        asked: Asked,
    ) -> Result<SignedIn, AccountError> {
        let (now, id) = (self.now(), &judged.id);
        let session = Session {
            account: id.as_str().to_owned(),
            created_at: now,
            proven: judged.record.factor().is_some(),
            number: 0,
            turned_at: now,
            turned_by: None,
            begun_by,
            epoch: judged.record.epoch,
            ended: false,
        };
        let document = Document {
            family: Some(id.as_str().to_owned()),
            expires_at: Some(session.expires_at()),
            ..Document::new(Kind::Session, key, written(&session)?)
        };
        if self.0.cabinet.put(document, None).await? == Put::Conflict {
            // A twin of this request was faster.
            return self.came_in_before(key, begun_by, asked).await?.ok_or_else(|| Denied::KeyReused.into());
        }
        self.end_beyond(id, key).await?;
        let record = self.account(id).await?.map(|kept| kept.record);
        match record.filter(|now| now.keeps(key, session.epoch) && now.factor().is_some() == session.proven) {
            Some(record) => Ok(self.tokens(key, &session, &record, false)?),
            // What was judged, the password or the factor, is not what counts any more.
            None => {
                self.end(key).await?;
                Err(Denied::InvalidCredentials.into())
            }
        }
    }

    /// Ends the oldest sessions, but not `own`, of whoever has too many.
    async fn end_beyond(&self, id: &AccountId, own: &str) -> Result<(), Fault> {
        let mut live = self.live_sessions(id).await?;
        live.retain(|(key, _)| key != own);
        live.sort_by_key(|(_, session)| session.turned_at);
        let beyond = (live.len() + 1).saturating_sub(limits::SESSIONS_PER_ACCOUNT);
        for (key, _) in live.into_iter().take(beyond) {
            self.end(&key).await?;
        }
        Ok(())
    }

    async fn came_in_before(
        &self,
        key: &str,
        begun_by: Hash16,
        asked: Asked,
    ) -> Result<Option<SignedIn>, AccountError> {
        let Some(stored) = self.0.cabinet.get(Kind::Session, key).await? else { return Ok(None) };
        let session: Session = read(&stored)?;
        if session.begun_by != begun_by {
            self.count_origin(asked).await?;
            return Err(Denied::KeyReused.into());
        }
        if session.number > 0 || session.ended || self.now() >= session.created_at.plus(limits::ACCESS_TIME) {
            // Whoever has used its tokens has had the answer.
            return Err(Denied::InvalidCredentials.into());
        }
        let account = self.account(&AccountId::new(session.account.as_str())).await?;
        let record = account.map(|kept| kept.record).filter(|record| record.keeps(key, session.epoch));
        let record = record.ok_or(Denied::InvalidCredentials)?;
        Ok(Some(self.tokens(key, &session, &record, true)?))
    }

    /// The tokens of a session as it stands: the same each time. A factor that was given up since it was shown proves
    /// nothing.
    pub(super) fn tokens(
        &self,
        key: &str,
        session: &Session,
        record: &Record,
        replayed: bool,
    ) -> Result<SignedIn, Fault> {
        let principal = Principal {
            account: AccountId::new(session.account.as_str()),
            role: record.role,
            store: None,
            session: Some(CredentialId::new(key)),
            proven: session.proven && record.factor().is_some(),
            issued: session.turned_at,
        };
        let access = self.0.signer.for_session(&principal, limits::ACCESS_TIME, session.turned_at);
        let access = access.map_err(|error| Fault::internal(error.to_string()))?;
        Ok(SignedIn { access, refresh: self.refresh_token(key, session.number), replayed })
    }

    pub(super) fn refresh_token(&self, key: &str, number: u64) -> String {
        format!("{key}.{number}.{}", self.keyed("refresh", &format!("{key}.{number}")))
    }
}
