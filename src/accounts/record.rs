//! What is known of an account, and what may be done with it? The rules; nothing here waits for anything.
//!
//! A record has nothing personal in it. What is, the person, is kept sealed beside it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Denied;
use crate::auth::Role;
use crate::ids::Hash16;
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
}

impl Factor {
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

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    pub role: Role,
    pub created_at: Timestamp,
    /// In PHC format; `None` after the erasure.
    pub password: Option<String>,
    /// Sessions from before that have ended.
    pub signed_out_at: Option<Timestamp>,
    /// Consent to marketing, since when.
    pub marketing_since: Option<Timestamp>,
    pub applied_at: Option<Timestamp>,
    pub factor: Option<Factor>,
    pub codes: BTreeMap<Purpose, Code>,
    /// Who showed the mail address to be theirs with which code, for whoever did not get the answer.
    pub verified_with: Option<Hash16>,
    /// Commands that were done, latest last, for whoever did not get the answer.
    pub done: Vec<Hash16>,
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
            signed_out_at: None,
            marketing_since: None,
            applied_at: None,
            factor: None,
            codes: BTreeMap::new(),
            verified_with: Some(verified_with),
            done: Vec::new(),
            erased_at: None,
        }
    }

    /// The second factor that somebody has to show who signs in.
    #[must_use]
    pub fn factor(&self) -> Option<&Factor> {
        self.factor.as_ref().filter(|factor| factor.confirmed)
    }

    /// Notes that `command` was done; `true`: it had been before.
    pub fn repeats(&mut self, command: Option<Hash16>) -> bool {
        let Some(command) = command else { return false };
        if self.done.contains(&command) {
            return true;
        }
        self.done.push(command);
        let beyond = self.done.len().saturating_sub(limits::ACCOUNT_COMMANDS);
        self.done.drain(..beyond);
        false
    }

    /// Takes the code for `purpose` out of the record, if this is it. Counts a try that was wrong.
    pub fn redeem(&mut self, purpose: Purpose, hash: Hash16, now: Timestamp) -> Result<(), Denied> {
        let Some(code) = self.codes.get_mut(&purpose) else { return Err(Denied::CodeInvalid) };
        if code.is_open(now) && code.hash == hash {
            self.codes.remove(&purpose);
            return Ok(());
        }
        code.tries = code.tries.saturating_add(1);
        Err(Denied::CodeInvalid)
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

    /// Confirms the seed that was handed out.
    pub fn confirm(&mut self, step: Option<u64>, recovery: Vec<Hash16>) -> Result<(), Denied> {
        let factor = self.factor.as_mut().ok_or(Denied::NotEnrolled)?;
        if factor.confirmed {
            return Err(Denied::AlreadyEnrolled);
        }
        let step = step.filter(|step| *step > factor.step).ok_or(Denied::CodeInvalid)?;
        *factor = Factor { confirmed: true, step, wrong: 0, recovery };
        Ok(())
    }

    /// Nothing that leads to the person stays; that there was an account does.
    #[must_use]
    pub fn erased(&self, now: Timestamp) -> Self {
        Self {
            role: self.role,
            created_at: self.created_at,
            password: None,
            signed_out_at: Some(now),
            marketing_since: None,
            applied_at: None,
            factor: None,
            codes: BTreeMap::new(),
            verified_with: None,
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
        record.factor = Some(Factor { confirmed: false, step: 0, wrong: 0, recovery: vec![] });
        assert!(record.prove(Shown::Wrong).is_ok(), "not before it is confirmed");
        assert_eq!(record.confirm(None, vec![]), Err(Denied::CodeInvalid));
        assert_eq!(record.confirm(Some(100), vec![hash(1), hash(2)]), Ok(()));
        assert_eq!(record.confirm(Some(101), vec![]), Err(Denied::AlreadyEnrolled));
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
    fn a_command_is_known_again_for_a_while() {
        let mut record = record();
        assert!(!record.repeats(None));
        assert!(!record.repeats(Some(hash(1))));
        assert!(record.repeats(Some(hash(1))));
        for number in 2..2 + u8::try_from(limits::ACCOUNT_COMMANDS).expect("few") {
            assert!(!record.repeats(Some(hash(number))));
        }
        assert!(!record.repeats(Some(hash(1))), "long ago");
        assert!(record.done.len() <= limits::ACCOUNT_COMMANDS);
    }

    #[test]
    fn nothing_of_the_person_stays() {
        let mut record = record();
        record.codes.insert(Purpose::Reset, Code::new(hash(1), NOW));
        record.factor = Some(Factor { confirmed: true, step: 1, wrong: 0, recovery: vec![hash(2)] });
        let erased = record.erased(NOW);
        let text = serde_json::to_string(&erased).expect("JSON");
        assert!(!text.contains("phc") && !text.contains("0101") && !text.contains("0202"), "{text}");
    }
}
