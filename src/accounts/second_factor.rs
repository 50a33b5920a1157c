//! How does somebody set up a second factor, and give it up? Seed, confirmation, recovery codes.

use super::record::Factor;
use super::session::Session;
use super::shelf::{Ruled, read, written};
use super::store::{Document, Kind};
use super::{AccountError, Accounts, Asked, Denied};
use crate::auth::totp::recovery_codes;
use crate::auth::{Role, TotpSeed};
use crate::clock::Entropy;
use crate::fault::Fault;
use crate::ids::{AccountId, CredentialId, Hash16};

/// What an app needs to make codes. Shown once.
pub struct Enrolment {
    pub secret: String,
    pub uri: String,
}

/// What replaces a lost app: each good once. Shown once.
pub struct Confirmed {
    pub recovery: Vec<String>,
    /// This request came before.
    pub replayed: bool,
}

impl Accounts {
    /// Hands out a seed; it counts once a code made from it was shown.
    pub async fn enrol(&self, who: AccountId, password: String, asked: Asked) -> Result<Enrolment, AccountError> {
        self.apart(|this| async move {
            let (kept, person) = this.living(&who).await?;
            this.check_password(&password, kept.record.password.as_deref(), asked).await?;
            // The same request gets the same seed.
            let seed = match asked.command {
                Some(command) => TotpSeed::random(&this.entropy_of("totp", &format!("{who}:{command}"))),
                None => TotpSeed::random(&this.0.entropy),
            };
            let bytes = seed.bytes().to_vec();
            this.change(&who, |kept| {
                if kept.record.factor().is_some() {
                    return Err(Denied::AlreadyEnrolled);
                }
                kept.record.factor = Some(Factor { confirmed: false, step: 0, wrong: 0, recovery: Vec::new() });
                if let Some(person) = &mut kept.person {
                    person.seed = Some(bytes.clone());
                }
                Ok(Ruled((), true))
            })
            .await?;
            Ok(Enrolment { secret: seed.base32(), uri: seed.otpauth(&person.email) })
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
            let (kept, person) = this.living(&who).await?;
            let seed = person.seed.as_deref().and_then(TotpSeed::from_bytes).ok_or(Denied::NotEnrolled)?;
            let recovery = recovery_codes(&this.entropy_of("recovery", &format!("{who}:{}", seed.base32())));
            if asked.command.is_some_and(|command| kept.record.done.contains(&command)) {
                return Ok(Confirmed { recovery, replayed: true });
            }
            let step = seed.matched_step(code.trim(), this.now());
            let hashes: Vec<Hash16> = recovery.iter().map(|code| this.recovery_hash(&who, code)).collect();
            this.change(&who, |kept| {
                kept.record.confirm(step, hashes.clone())?;
                kept.record.repeats(asked.command);
                Ok(Ruled((), true))
            })
            .await?;
            if let Some(session) = &session {
                this.mark_proven(session).await?;
            }
            this.trail("second-factor-set-up").of(&who).from(asked.from).noted().await;
            Ok(Confirmed { recovery, replayed: false })
        })
        .await
    }

    /// Gives the second factor up, where the role can do without.
    pub async fn give_up(
        &self,
        who: AccountId,
        password: String,
        code: String,
        asked: Asked,
    ) -> Result<(), AccountError> {
        self.apart(|this| async move {
            let (kept, _) = this.living(&who).await?;
            if asked.command.is_some_and(|command| kept.record.done.contains(&command)) {
                return Ok(());
            }
            if matches!(kept.record.role, Role::Admin | Role::Seller) {
                return Err(Denied::FactorNeeded.into());
            }
            this.check_password(&password, kept.record.password.as_deref(), asked).await?;
            let shown = this.judge(&kept, &code);
            this.change(&who, |kept| {
                if kept.record.factor().is_none() {
                    return Err(Denied::NotEnrolled);
                }
                kept.record.prove(shown)?;
                kept.record.repeats(asked.command);
                kept.record.factor = None;
                if let Some(person) = &mut kept.person {
                    person.seed = None;
                }
                Ok(Ruled((), true))
            })
            .await?;
            this.trail("second-factor-given-up").of(&who).from(asked.from).noted().await;
            Ok(())
        })
        .await
    }

    async fn check_password(&self, password: &str, phc: Option<&str>, asked: Asked) -> Result<(), AccountError> {
        self.check_address(asked).await?;
        if self.is_password(password, phc).await? {
            return Ok(());
        }
        self.count_origin(asked).await?;
        Err(Denied::InvalidCredentials.into())
    }

    /// From its next refresh on, the tokens of this session say so.
    async fn mark_proven(&self, session: &CredentialId) -> Result<(), Fault> {
        let Some(stored) = self.0.cabinet.get(Kind::Session, session.as_str()).await? else { return Ok(()) };
        let proven = Session { proven: true, ..read(&stored)? };
        let document = Document { record: written(&proven)?, ..stored.document };
        // Whoever was faster has refreshed; the next sign-in shows the factor anyway.
        self.0.cabinet.put(document, Some(stored.version)).await.map(drop)
    }

    /// Randomness that is the same for the same words, and nobody's guess without the key.
    fn entropy_of(&self, what: &str, words: &str) -> Entropy {
        let Hash16(bytes) = self.keyed(what, words);
        let mut seed = [0; 8];
        seed.copy_from_slice(&bytes[..8]);
        Entropy::seeded(u64::from_le_bytes(seed))
    }
}
