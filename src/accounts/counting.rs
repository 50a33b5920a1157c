//! How are failures counted, and under whose name? For an address that somebody types, whether or not it has an account, and
//! apart from it for where the request comes from.

use super::shelf::read;
use super::store::Kind;
use super::throttle::Failures;
use super::{AccountError, Accounts, Asked, Denied};
use crate::addresses::neighbourhood;
use crate::auth::Email;
use crate::fault::Fault;

/// What counting a try came to.
#[derive(Clone, Copy)]
pub(super) enum Counted {
    /// `told`: its owner should hear of it.
    Open {
        told: bool,
    },
    Locked,
}

impl Counted {
    pub(super) fn is_locked(&self) -> bool {
        matches!(self, Self::Locked)
    }
}

impl Accounts {
    /// The name under which failures of that address are counted, whether or not it is one.
    pub(super) fn name_of(&self, text: &str) -> (String, Option<Email>) {
        let email = Email::parse(text);
        let name = email.as_ref().map_or_else(|| self.keyed("no-email", text).to_string(), |email| self.alias(email));
        (format!("login:{name}"), email)
    }

    fn origin_key(&self, asked: Asked) -> Option<String> {
        let from = asked.from.map(neighbourhood)?;
        Some(format!("from:{}", self.keyed("origin", &from.to_string())))
    }

    /// Too many failures from there?
    pub(super) async fn check_address(&self, asked: Asked) -> Result<(), AccountError> {
        let Some(key) = self.origin_key(asked) else { return Ok(()) };
        let stored = self.0.cabinet.get(Kind::Throttle, &key).await?;
        let failures: Failures = stored.as_ref().map(read).transpose()?.unwrap_or_default();
        let now = self.now();
        match failures.waits(now) {
            Some(until) => Err(Denied::TooManyFailures { wait: until.since(now) }.into()),
            None => Ok(()),
        }
    }

    /// Counts one before it is known whether it is one.
    pub(super) async fn count_failure(&self, name: &str) -> Result<Counted, Fault> {
        let now = self.now();
        let count = |failures: Failures| match failures.waits(now) {
            Some(_) => (Counted::Locked, None),
            None => {
                let next = failures.one_more(now);
                let forgotten_at = next.forgotten_at();
                (Counted::Open { told: next.is_told() }, Some((next, forgotten_at)))
            }
        };
        self.small(Kind::Throttle, name, count).await
    }

    pub(super) async fn forget_failure(&self, name: &str) -> Result<(), Fault> {
        self.0.cabinet.remove(Kind::Throttle, name).await
    }

    /// Also counts it for the network address.
    pub(super) async fn count_origin(&self, asked: Asked) -> Result<(), Fault> {
        let Some(key) = self.origin_key(asked) else { return Ok(()) };
        let now = self.now();
        let count = |failures: Failures| {
            let next = failures.one_more(now);
            let forgotten_at = next.forgotten_at();
            ((), Some((next, forgotten_at)))
        };
        self.small(Kind::Throttle, &key, count).await
    }

    /// Counts a wrong try where there is nothing to count it with, so that it costs the same.
    pub(super) async fn count_in_vain(&self, email: &str) -> Result<(), Fault> {
        let (name, _) = self.name_of(email);
        let now = self.now();
        let count = |failures: Failures| {
            let next = failures.one_more(now);
            let forgotten_at = next.forgotten_at();
            ((), Some((next, forgotten_at)))
        };
        self.small(Kind::Throttle, &format!("code:{name}"), count).await
    }
}
