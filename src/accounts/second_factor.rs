//! How does somebody set up a second factor, and give it up? Seed, confirmation, recovery codes.

use super::record::Factor;
use super::session::Session;
use super::shelf::{Kept, Ruled, read, written};
use super::store::{Document, Kind, Put};
use super::{AccountError, Accounts, Asked, Denied};
use crate::auth::totp::recovery_codes;
use crate::auth::{Role, TotpSeed};
use crate::clock::Entropy;
use crate::fault::Fault;
use crate::ids::{AccountId, CredentialId, Hash16};
use crate::limits;

/// What an app needs to make codes.
pub struct Enrolment {
    pub secret: String,
    pub uri: String,
    /// This request came before.
    pub replayed: bool,
}

/// What replaces a lost app: each good once. Shown once.
pub struct Confirmed {
    pub recovery: Vec<String>,
    /// This request came before.
    pub replayed: bool,
}

impl Accounts {
    /// Hands out a seed; it counts once a code made from it was shown. Until then the same request gets the same one.
    pub async fn enrol(&self, who: AccountId, password: String, asked: Asked) -> Result<Enrolment, AccountError> {
        self.apart(|this| async move {
            let (kept, person) = this.living(&who).await?;
            this.check_password(&kept, &person, &password, asked).await?;
            let (fresh, done) = (TotpSeed::random(&this.0.entropy), this.done(asked));
            let rule = |kept: &mut Kept| {
                if kept.record.factor().is_some() {
                    return Err(Denied::AlreadyEnrolled);
                }
                let waiting = kept.person.as_ref().and_then(|person| person.seed.as_deref());
                if let Some(seed) = waiting.and_then(TotpSeed::from_bytes).filter(|_| kept.record.factor.is_some())
                    && kept.record.repeats(done)?
                {
                    return Ok(Ruled((seed, true), false));
                }
                kept.record.factor = Some(Factor::handed_out());
                kept.record.remember(done);
                if let Some(person) = &mut kept.person {
                    person.seed = Some(fresh.bytes().to_vec());
                }
                Ok(Ruled((fresh.clone(), false), true))
            };
            let (seed, replayed) = this.change(&who, rule).await?;
            Ok(Enrolment { secret: seed.base32(), uri: seed.otpauth(&person.email), replayed })
        })
        .await
    }

    /// Shows that the seed arrived. The session that asks has shown its second factor with it.
    pub async fn confirm(
        &self,
        who: AccountId,
        session: Option<CredentialId>,
        code: String,
        asked: Asked,
    ) -> Result<Confirmed, AccountError> {
        self.apart(|this| async move {
            let (_, person) = this.living(&who).await?;
            let seed = person.seed.as_deref().and_then(TotpSeed::from_bytes).ok_or(Denied::NotEnrolled)?;
            let recovery = recovery_codes(&this.entropy_of("recovery", &format!("{who}:{}", seed.base32())));
            let step = seed.matched_step(code.trim(), this.now());
            let hashes: Vec<Hash16> = recovery.iter().map(|code| this.recovery_hash(&who, code)).collect();
            let done = this.done(asked);
            let rule = |kept: &mut Kept| {
                let by = kept.record.factor().and_then(|factor| factor.confirmed_by);
                if by.is_some() && by == asked.command && kept.record.repeats(done)? {
                    return Ok(Ruled(true, false));
                }
                // Somebody else has asked for another seed since this one was read.
                let same = kept.person.as_ref().is_some_and(|now| now.seed == person.seed);
                let confirmed = kept.record.confirm(step.filter(|_| same), hashes.clone(), asked.command);
                if let (None, Some(person)) = (&kept.record.factor, &mut kept.person) {
                    person.seed = None;
                }
                kept.record.remember(done.filter(|_| confirmed.is_ok()));
                confirmed.map(|()| Ruled(false, true))
            };
            let replayed = this.change(&who, rule).await?;
            if let Some(session) = &session {
                this.mark_proven(session).await?;
            }
            if !replayed {
                this.trail("second-factor-set-up").of(&who).from(asked.from).noted().await;
            }
            Ok(Confirmed { recovery, replayed })
        })
        .await
    }

    /// Gives the second factor up, where the role can do without. `true`: this request came before.
    pub async fn give_up(
        &self,
        who: AccountId,
        password: String,
        code: String,
        asked: Asked,
    ) -> Result<bool, AccountError> {
        self.apart(|this| async move {
            let (kept, person) = this.living(&who).await?;
            if kept.record.repeats(this.done(asked))? {
                return Ok(true);
            }
            this.check_password(&kept, &person, &password, asked).await?;
            let shown = this.judge(&kept, &code);
            let rule = |kept: &mut Kept| {
                if matches!(kept.record.role, Role::Admin | Role::Seller) {
                    return Err(Denied::FactorNeeded);
                }
                if kept.record.factor().is_none() {
                    return Err(Denied::NotEnrolled);
                }
                kept.record.prove(shown)?;
                kept.record.factor = None;
                if let Some(person) = &mut kept.person {
                    person.seed = None;
                }
                Ok(())
            };
            let replayed = this.change_once(&who, asked, rule).await?;
            if !replayed {
                this.trail("second-factor-given-up").of(&who).from(asked.from).noted().await;
            }
            Ok(replayed)
        })
        .await
    }

    /// From its next refresh on, the tokens of this session say so.
    async fn mark_proven(&self, session: &CredentialId) -> Result<(), Fault> {
        for _ in 0..limits::ACCOUNT_TRIES {
            let Some(stored) = self.0.cabinet.get(Kind::Session, session.as_str()).await? else { return Ok(()) };
            let proven = Session { proven: true, ..read(&stored)? };
            let document = Document { record: written(&proven)?, ..stored.document };
            if self.0.cabinet.put(document, Some(stored.version)).await? == Put::Done {
                return Ok(());
            }
        }
        Err(Fault::unavailable("a session is being changed by others"))
    }

    /// Randomness that is the same for the same words, and nobody's guess without the key.
    fn entropy_of(&self, what: &str, words: &str) -> Entropy {
        let Hash16(bytes) = self.keyed(what, words);
        let mut seed = [0; 8];
        seed.copy_from_slice(&bytes[..8]);
        Entropy::seeded(u64::from_le_bytes(seed))
    }
}
