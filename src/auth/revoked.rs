//! What was taken back before it ran out? Credentials (sessions, device tokens) and, by moment, all that an account had.
//!
//! A list in memory, asked with every token and every heartbeat of a stream. Who fills it, and from where, is not known here.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;

use super::device;
use super::principal::Principal;
use crate::ids::{AccountId, CredentialId};
use crate::timestamp::Timestamp;

/// How the names of sessions begin.
pub const SESSION_PREFIX: &str = "se_";

/// What is revoked, as this node knows it. Cheap to clone.
#[derive(Clone, Default)]
pub struct Revoked(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// Is there anything to look at? Most nodes never revoke anything, and the hot path asks a thousand times a second.
    any: AtomicBool,
    lists: RwLock<Lists>,
}

#[derive(Default)]
struct Lists {
    /// With the moment from which it does not matter any more: whatever it could open has run out by then.
    credentials: HashMap<CredentialId, Option<Timestamp>>,
    /// What was given out up to the first moment is dead; the second as above.
    accounts: HashMap<AccountId, (Timestamp, Option<Timestamp>)>,
}

impl fmt::Debug for Revoked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Revoked({})", self.len())
    }
}

impl Revoked {
    /// Notes a revocation: of a session or device token, or of everything that an account was given up to `at`. From `until`
    /// on it may be forgotten. The same one again changes nothing.
    pub fn note(&self, credential: &str, at: Timestamp, until: Option<Timestamp>) {
        let mut lists = self.0.lists.write();
        if [SESSION_PREFIX, device::PREFIX].iter().any(|prefix| credential.starts_with(prefix)) {
            lists.credentials.insert(CredentialId::new(credential), until);
        } else {
            let noted = lists.accounts.entry(AccountId::new(credential)).or_insert((at, until));
            if at > noted.0 {
                *noted = (at, until);
            }
        }
        self.0.any.store(true, Ordering::Release);
    }

    /// Is this principal's credential dead?
    #[must_use]
    pub fn covers(&self, who: &Principal) -> bool {
        if !self.0.any.load(Ordering::Acquire) {
            return false;
        }
        let lists = self.0.lists.read();
        who.session.as_ref().is_some_and(|session| lists.credentials.contains_key(session))
            || lists.accounts.get(&who.account).is_some_and(|(at, _)| who.issued <= *at)
    }

    /// Is this very credential on the list?
    #[must_use]
    pub fn lists(&self, credential: &CredentialId) -> bool {
        self.0.lists.read().credentials.contains_key(credential)
    }

    /// Forgets what cannot matter any more.
    pub fn forget(&self, now: Timestamp) {
        let mut lists = self.0.lists.write();
        let matters = |until: &Option<Timestamp>| until.is_none_or(|until| until > now);
        lists.credentials.retain(|_, until| matters(until));
        lists.accounts.retain(|_, (_, until)| matters(until));
        self.0.any.store(!lists.credentials.is_empty() || !lists.accounts.is_empty(), Ordering::Release);
    }

    /// How many revocations are known.
    #[must_use]
    pub fn len(&self) -> usize {
        let lists = self.0.lists.read();
        lists.credentials.len() + lists.accounts.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Role;

    fn who(account: &str, session: Option<&str>, issued: i64) -> Principal {
        let operator = Principal::operator(AccountId::new(account), Role::Member, None, Timestamp(issued));
        Principal { session: session.map(CredentialId::new), ..operator }
    }

    #[test]
    fn a_credential_dies_alone_and_an_account_with_all_it_had() {
        let revoked = Revoked::default();
        let table =
            [who("ac_1", Some("se_1"), 5), who("ac_1", Some("se_2"), 6), who("ac_1", None, 5), who("ac_2", None, 1)];
        let covered = || table.clone().map(|who| revoked.covers(&who));
        assert_eq!(covered(), [false; 4]);
        revoked.note("se_1", Timestamp(9), None);
        assert_eq!(covered(), [true, false, false, false]);
        revoked.note("ac_1", Timestamp(5), None);
        assert_eq!(covered(), [true, false, true, false], "what was given out up to that moment");
        revoked.note("ac_1", Timestamp(6), None);
        revoked.note("ac_1", Timestamp(2), None);
        assert_eq!(covered(), [true, true, true, false], "the latest one counts, however late the older ones come");
        assert_eq!(revoked.len(), 2);
    }

    #[test]
    fn what_has_run_out_is_forgotten_and_what_has_no_end_stays() {
        let revoked = Revoked::default();
        revoked.note("se_1", Timestamp(1), Some(Timestamp(10)));
        revoked.note("ac_1", Timestamp(1), Some(Timestamp(20)));
        revoked.note("dt_1", Timestamp(1), None);
        for (now, left) in [(9, 3), (10, 2), (20, 1), (i64::MAX, 1)] {
            revoked.forget(Timestamp(now));
            assert_eq!(revoked.len(), left, "{now}");
        }
        assert!(revoked.lists(&CredentialId::new("dt_1")) && revoked.covers(&who("dt_1", Some("dt_1"), 0)));
        assert!(!revoked.covers(&who("ac_1", Some("se_1"), 0)));
    }
}
