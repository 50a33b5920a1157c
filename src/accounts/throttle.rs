//! How long must somebody wait who failed so often? Slows down, then locks for a while; also how many mails one address
//! may be sent.
//!
//! An account and a network address are counted apart. What a failure is, and whether waiting is told to anybody, is not
//! known here.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::limits;
use crate::timestamp::Timestamp;

/// Failures in a row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failures {
    pub count: u32,
    pub last: Timestamp,
}

impl Failures {
    /// How long after the latest failure nothing is tried.
    #[must_use]
    pub fn pause(&self) -> Duration {
        let Some(beyond) = self.count.checked_sub(limits::FAILURES_FREE) else { return Duration::ZERO };
        let doubled = limits::FAILURE_PAUSE.checked_mul(1_u32.checked_shl(beyond).unwrap_or(u32::MAX));
        doubled.unwrap_or(limits::FAILURE_LOCK).min(limits::FAILURE_LOCK)
    }

    /// Until when, if that is still to come.
    #[must_use]
    pub fn waits(&self, now: Timestamp) -> Option<Timestamp> {
        let pause = self.pause();
        let until = self.last.plus(pause);
        // A clock that was set back must not make the pause longer than it is.
        // Without a pause nobody waits: the latest may have been noted by somebody who looked at the clock a moment later.
        (!pause.is_zero() && now < until && until <= now.plus(limits::FAILURE_LOCK)).then_some(until)
    }

    #[must_use]
    pub fn one_more(&self, now: Timestamp) -> Self {
        let before = if self.forgotten_at() <= now { 0 } else { self.count };
        Self { count: before.saturating_add(1), last: now }
    }

    /// From then on they count no more.
    #[must_use]
    pub fn forgotten_at(&self) -> Timestamp {
        self.last.plus(limits::FAILURES_REMEMBERED)
    }

    /// Has this very failure made the pause so long that its victim should hear of it?
    #[must_use]
    pub fn is_told(&self) -> bool {
        self.count == limits::FAILURES_TOLD
    }
}

/// Mails to one address within a while.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mails {
    pub count: u32,
    pub since: Timestamp,
}

impl Mails {
    /// One more, if that is not too many.
    #[must_use]
    pub fn one_more(&self, now: Timestamp) -> Option<Self> {
        if now >= self.ends_at() || now < self.since {
            return Some(Self { count: 1, since: now });
        }
        (self.count < limits::MAILS_AN_HOUR).then(|| Self { count: self.count + 1, since: self.since })
    }

    #[must_use]
    pub fn ends_at(&self) -> Timestamp {
        self.since.plus(Duration::from_secs(3_600))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn failed(times: u32) -> Failures {
        (0..times).fold(Failures::default(), |failures, _| failures.one_more(NOW))
    }

    #[test]
    fn ten_are_free_then_it_slows_down_and_locks() {
        let table =
            [(0, 0), (9, 0), (10, 1), (11, 2), (12, 4), (16, 64), (19, 512), (20, 900), (21, 900), (5_000, 900)];
        for (times, seconds) in table {
            assert_eq!(failed(times).pause(), Duration::from_secs(seconds), "{times}");
        }
        assert!(failed(9).waits(NOW).is_none());
        assert!(failed(9).waits(NOW.minus(Duration::from_millis(1))).is_none(), "two at once");
        assert_eq!(failed(10).waits(NOW), Some(NOW.plus(Duration::from_secs(1))));
        assert_eq!(failed(10).waits(NOW.plus(Duration::from_secs(1))), None);
        assert_eq!((1..40).filter(|times| failed(*times).is_told()).count(), 1, "one mail, not one a failure");
    }

    #[test]
    fn failures_are_forgotten_and_clocks_may_jump() {
        let later = failed(30).forgotten_at();
        assert_eq!(failed(30).one_more(later).count, 1);
        assert_eq!(failed(30).one_more(later.minus(Duration::from_millis(1))).count, 31);
        assert_eq!(failed(30).waits(NOW.minus(Duration::from_secs(86_400))), None, "set back by a day");
    }

    #[test]
    fn an_address_gets_so_many_mails_an_hour() {
        let mut mails = Mails::default();
        for number in 1..=limits::MAILS_AN_HOUR {
            mails = mails.one_more(NOW).expect("allowed");
            assert_eq!(mails.count, number);
        }
        assert_eq!(mails.one_more(NOW), None);
        assert_eq!(mails.one_more(mails.ends_at()).map(|mails| mails.count), Some(1));
    }
}
