//! What is known of an account, and what may be done with it? The rules; nothing here waits for anything.
//!
//! A record has nothing personal in it. What is, the person, is kept sealed beside it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Denied;
use crate::auth::Role;
use crate::ids::{CredentialId, Hash16};
use crate::limits;
use crate::timestamp::Timestamp;

/// What a mailed code is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    Verify,
    Reset,
    Unlock,
}

impl Purpose {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Reset => "reset",
            Self::Unlock => "unlock",
        }
    }
}

/// A code that was mailed: good once, for a while, and for a few tries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Code {
    /// A keyed hash.
    pub hash: Hash16,
    pub expires_at: Timestamp,
    pub tries: u32,
}

impl Code {
    #[must_use]
    pub fn new(hash: Hash16, now: Timestamp) -> Self {
        Self { hash, expires_at: now.plus(limits::MAIL_CODE_TIME), tries: 0 }
    }

    #[must_use]
    pub fn is_open(&self, now: Timestamp) -> bool {
        now < self.expires_at && self.tries < limits::MAIL_CODE_TRIES
    }
}

/// A second factor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Factor {
    /// `false`: a seed was handed out, and nobody has shown yet that it arrived.
    pub confirmed: bool,
    /// The last step whose code was accepted; none is accepted twice.
    pub step: u64,
    /// Wrong codes in a row.
    pub wrong: u32,
    /// Keyed hashes of the recovery codes that were not used yet.
    pub recovery: Vec<Hash16>,
    /// The command that confirmed it, which may hear its answer again.
    pub confirmed_by: Option<Hash16>,
}

impl Factor {
    /// A seed that was just handed out.
    #[must_use]
    pub fn handed_out() -> Self {
        Self { confirmed: false, step: 0, wrong: 0, recovery: Vec::new(), confirmed_by: None }
    }

    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.wrong >= limits::TOTP_TRIES
    }
}

/// What somebody shows as a second factor, judged as far as it can be without the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// The code of this step.
    Step(u64),
    /// Perhaps a recovery code.
    Recovery(Hash16),
    Wrong,
}

/// A command that was done, known again by whoever did not get the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Done {
    pub command: Hash16,
    /// A keyed hash: bodies may hold passwords.
    pub body: Hash16,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    pub role: Role,
    pub created_at: Timestamp,
    /// In PHC format; `None` after the erasure.
    pub password: Option<String>,
    /// Counts what ends sessions: those that began under an earlier number are over. A number and not a time, because
    /// nodes disagree about times.
    pub epoch: u32,
    /// The one session that the latest such change has spared.
    pub spared: Option<String>,
    /// Consent to marketing, since when.
    pub marketing_since: Option<Timestamp>,
    pub applied_at: Option<Timestamp>,
    pub factor: Option<Factor>,
    pub codes: BTreeMap<Purpose, Code>,
    /// Who showed the mail address to be theirs with which code, for whoever did not get the answer.
    pub verified_with: Option<Hash16>,
    /// A keyed hash of the request that signed up.
    pub begun_by: Hash16,
    /// Commands that were done, latest last.
    pub done: Vec<Done>,
    pub erased_at: Option<Timestamp>,
}

/// Without the hash of the password.
impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { role, created_at, factor, codes, done, erased_at, .. } = self;
        write!(f, "Record({role:?}, {created_at}, {factor:?}, {codes:?}, {done:?}, {erased_at:?})")
    }
}

impl Record {
    #[must_use]
    pub fn new(password: String, verified_with: Hash16, now: Timestamp) -> Self {
        Self {
            role: Role::Member,
            created_at: now,
            password: Some(password),
            epoch: 0,
            spared: None,
            marketing_since: None,
            applied_at: None,
            factor: None,
            codes: BTreeMap::new(),
            verified_with: Some(verified_with),
            begun_by: Hash16::default(),
            done: Vec::new(),
            erased_at: None,
        }
    }

    /// The second factor that somebody has to show who signs in.
    #[must_use]
    pub fn factor(&self) -> Option<&Factor> {
        self.factor.as_ref().filter(|factor| factor.confirmed)
    }

    /// Was this very command done before? One of its name with another body is refused.
    pub fn repeats(&self, command: Option<Done>) -> Result<bool, Denied> {
        let known = command.and_then(|new| self.done.iter().find(|done| done.command == new.command).zip(Some(new)));
        match known {
            None => Ok(false),
            Some((done, new)) if done.body == new.body => Ok(true),
            Some(_) => Err(Denied::KeyReused),
        }
    }

    /// Does an application to become a seller wait?
    #[must_use]
    pub fn waits(&self) -> bool {
        self.role == Role::Member && self.applied_at.is_some()
    }

    /// Notes that `command` was done.
    pub fn remember(&mut self, command: Option<Done>) {
        self.done.extend(command);
        let beyond = self.done.len().saturating_sub(limits::ACCOUNT_COMMANDS);
        self.done.drain(..beyond);
    }

    /// From now on all sessions are over but `spared`.
    pub fn sign_out(&mut self, spared: Option<&CredentialId>) {
        self.epoch = self.epoch.saturating_add(1);
        self.spared = spared.map(CredentialId::to_string);
    }

    /// Does the session of that name, which began under that number, go on?
    #[must_use]
    pub fn keeps(&self, session: &str, epoch: u32) -> bool {
        self.erased_at.is_none() && (epoch == self.epoch || self.spared.as_deref() == Some(session))
    }

    /// Is this the code for `purpose`? Counts a try that was wrong.
    pub fn fits(&mut self, purpose: Purpose, hash: Hash16, now: Timestamp) -> Result<(), Denied> {
        let Some(code) = self.codes.get_mut(&purpose) else { return Err(Denied::CodeInvalid) };
        if code.is_open(now) && code.hash == hash {
            return Ok(());
        }
        code.tries = code.tries.saturating_add(1);
        Err(Denied::CodeInvalid)
    }

    /// Takes the code for `purpose` out of the record, if this is it.
    pub fn redeem(&mut self, purpose: Purpose, hash: Hash16, now: Timestamp) -> Result<(), Denied> {
        self.fits(purpose, hash, now)?;
        self.codes.remove(&purpose);
        Ok(())
    }

    /// Accepts what was shown as a second factor, each step and each recovery code once.
    pub fn prove(&mut self, shown: Shown) -> Result<(), Denied> {
        let Some(factor) = self.factor.as_mut().filter(|factor| factor.confirmed) else { return Ok(()) };
        if factor.is_locked() {
            return Err(Denied::InvalidCredentials);
        }
        let fits = match shown {
            Shown::Step(step) if step > factor.step => {
                factor.step = step;
                true
            }
            Shown::Recovery(hash) => {
                let known = factor.recovery.iter().position(|known| *known == hash);
                known.map(|place| factor.recovery.swap_remove(place)).is_some()
            }
            Shown::Step(_) | Shown::Wrong => false,
        };
        factor.wrong = if fits { 0 } else { factor.wrong + 1 };
        if fits { Ok(()) } else { Err(Denied::InvalidCredentials) }
    }

    /// Confirms the seed that was handed out. After too many wrong codes that one is good no more: a stolen session must
    /// not find the code by trying, and lock its owner out.
    pub fn confirm(&mut self, step: Option<u64>, recovery: Vec<Hash16>, by: Option<Hash16>) -> Result<(), Denied> {
        let factor = self.factor.as_mut().ok_or(Denied::NotEnrolled)?;
        if factor.confirmed {
            return Err(Denied::AlreadyEnrolled);
        }
        let Some(step) = step else {
            factor.wrong += 1;
            if factor.is_locked() {
                self.factor = None;
            }
            return Err(Denied::CodeInvalid);
        };
        *factor = Factor { confirmed: true, step, wrong: 0, recovery, confirmed_by: by };
        Ok(())
    }

    /// Nothing that leads to the person stays; that there was an account does.
    #[must_use]
    pub fn erased(&self, now: Timestamp) -> Self {
        Self {
            role: self.role,
            created_at: self.created_at,
            password: None,
            epoch: self.epoch.saturating_add(1),
            spared: None,
            marketing_since: None,
            applied_at: None,
            factor: None,
            codes: BTreeMap::new(),
            verified_with: None,
            begun_by: Hash16::default(),
            done: Vec::new(),
            erased_at: Some(now),
        }
    }
}

/// What is personal. Its text never leaves the process unsealed but to its owner.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    pub email: String,
    pub nickname: String,
    pub phone: Option<String>,
    /// The seed of the second factor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<Vec<u8>>,
}

impl std::fmt::Debug for Person {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Person")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn record() -> Record {
        Record::new("phc".into(), Hash16([9; 16]), NOW)
    }

    fn hash(byte: u8) -> Hash16 {
        Hash16([byte; 16])
    }

    #[test]
    fn a_mailed_code_is_good_once_for_a_while_and_a_few_tries() {
        let with = |tries| {
            let mut record = record();
            record.codes.insert(Purpose::Reset, Code { tries, ..Code::new(hash(1), NOW) });
            record
        };
        let late = NOW.plus(limits::MAIL_CODE_TIME);
        let table = [
            ("the code", 0, Purpose::Reset, 1, NOW, true),
            ("at the last moment", 0, Purpose::Reset, 1, late.minus(Duration::from_millis(1)), true),
            ("too late", 0, Purpose::Reset, 1, late, false),
            ("another", 0, Purpose::Reset, 2, NOW, false),
            ("for something else", 0, Purpose::Unlock, 1, NOW, false),
            ("after too many tries", limits::MAIL_CODE_TRIES, Purpose::Reset, 1, NOW, false),
        ];
        for (what, tries, purpose, code, now, good) in table {
            let mut record = with(tries);
            assert_eq!(record.redeem(purpose, hash(code), now).is_ok(), good, "{what}");
            assert!(!good || record.redeem(purpose, hash(code), now).is_err(), "{what}: once");
        }
        let mut guessed = with(0);
        for _ in 0..limits::MAIL_CODE_TRIES {
            assert!(guessed.redeem(Purpose::Reset, hash(2), NOW).is_err());
        }
        assert!(guessed.redeem(Purpose::Reset, hash(1), NOW).is_err(), "the right one comes too late");
    }

    #[test]
    fn a_step_is_accepted_once_and_five_wrong_codes_lock() {
        let mut record = record();
        assert!(record.prove(Shown::Wrong).is_ok(), "no second factor, nothing to prove");
        record.factor = Some(Factor::handed_out());
        assert!(record.prove(Shown::Wrong).is_ok(), "not before it is confirmed");
        assert_eq!(record.confirm(None, vec![], None), Err(Denied::CodeInvalid));
        assert_eq!(record.confirm(Some(100), vec![hash(1), hash(2)], None), Ok(()));
        assert_eq!(record.confirm(Some(101), vec![], None), Err(Denied::AlreadyEnrolled));
        let no = Err(Denied::InvalidCredentials);
        let table = [
            ("the step of the confirmation", Shown::Step(100), no.clone()),
            ("the next", Shown::Step(101), Ok(())),
            ("again", Shown::Step(101), no.clone()),
            ("an earlier one", Shown::Step(99), no.clone()),
            ("a recovery code", Shown::Recovery(hash(2)), Ok(())),
            ("again", Shown::Recovery(hash(2)), no.clone()),
            ("no code of ours", Shown::Recovery(hash(7)), no.clone()),
            ("wrong", Shown::Wrong, no.clone()),
            ("wrong", Shown::Wrong, no.clone()),
            ("wrong", Shown::Wrong, no.clone()),
            ("the right one, locked", Shown::Step(200), no.clone()),
            ("a good recovery code, locked", Shown::Recovery(hash(1)), no),
        ];
        for (what, shown, expected) in table {
            assert_eq!(record.prove(shown), expected, "{what}");
        }
        assert!(record.factor().is_some_and(Factor::is_locked));
    }

    #[test]
    fn a_seed_is_confirmed_by_its_code_and_not_by_trying() {
        let mut record = record();
        assert_eq!(record.confirm(Some(9), vec![], None), Err(Denied::NotEnrolled));
        record.factor = Some(Factor::handed_out());
        for _ in 0..limits::TOTP_TRIES {
            assert_eq!(record.confirm(None, vec![], None), Err(Denied::CodeInvalid));
        }
        assert_eq!(record.confirm(Some(9), vec![], None), Err(Denied::NotEnrolled), "the right one comes too late");
    }

    #[test]
    fn a_command_is_known_again_for_a_while_and_only_with_its_body() {
        let mut record = record();
        let done = |command, body| Some(Done { command: hash(command), body: hash(body) });
        assert_eq!(record.repeats(None), Ok(false));
        assert_eq!(record.repeats(done(1, 1)), Ok(false));
        record.remember(done(1, 1));
        record.remember(None);
        assert_eq!(record.repeats(done(1, 1)), Ok(true));
        assert_eq!(record.repeats(done(1, 2)), Err(Denied::KeyReused));
        for number in 2..2 + u8::try_from(limits::ACCOUNT_COMMANDS).expect("few") {
            record.remember(done(number, 1));
        }
        assert_eq!(record.repeats(done(1, 1)), Ok(false), "long ago");
        assert_eq!(record.done.len(), limits::ACCOUNT_COMMANDS);
    }

    #[test]
    fn a_session_ends_with_its_epoch_unless_it_was_spared() {
        let mut record = record();
        assert!(record.keeps("se_1", 0) && !record.keeps("se_1", 7));
        record.sign_out(Some(&CredentialId::new("se_1")));
        assert!(record.keeps("se_1", 0) && !record.keeps("se_2", 0) && record.keeps("se_3", 1));
        record.sign_out(Some(&CredentialId::new("se_3")));
        assert!(!record.keeps("se_1", 0) && record.keeps("se_3", 1));
        record.sign_out(None);
        assert!(!record.keeps("se_3", 1) && record.keeps("se_4", 3));
        assert!(!record.erased(NOW).keeps("se_4", 4), "nobody comes back from an erasure");
    }

    #[test]
    fn nothing_of_the_person_stays() {
        let mut record = record();
        record.codes.insert(Purpose::Reset, Code::new(hash(1), NOW));
        record.factor = Some(Factor { confirmed: true, recovery: vec![hash(2)], ..Factor::handed_out() });
        let erased = record.erased(NOW);
        let text = serde_json::to_string(&erased).expect("JSON");
        assert!(!text.contains("phc") && !text.contains("0101") && !text.contains("0202"), "{text}");
    }
}
