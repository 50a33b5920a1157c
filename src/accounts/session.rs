//! Is this refresh token the latest one of its session? Each is good for one refresh; a second use of an older one means
//! that two hold it, and ends the session for both.
//!
//! A token is `<session>.<number>.<proof>`: the proof is a keyed hash of the other two, so nothing secret is stored, and
//! who asks again with the same idempotency key because the answer was lost gets the same token again.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::Hash16;
use crate::limits;
use crate::timestamp::Timestamp;

/// What is kept of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    pub account: String,
    pub created_at: Timestamp,
    /// Was a second factor shown?
    pub proven: bool,
    /// The number of the latest refresh token.
    pub number: u64,
    /// When that one was made, and for which command.
    pub turned_at: Timestamp,
    pub turned_by: Option<Hash16>,
    /// A keyed hash of the request that began it.
    pub begun_by: Hash16,
    /// The account's number of that time (`Record::epoch`).
    pub epoch: u32,
    pub ended: bool,
}

/// What a token says of itself, before anybody believes it.
#[derive(Clone, PartialEq, Eq)]
pub struct Shown<'t> {
    pub session: &'t str,
    pub number: u64,
    pub proof: &'t str,
}

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shown({}, {})", self.session, self.number)
    }
}

/// What a token that is ours comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The session as it is from now on.
    Next(Session),
    /// The same request as the last time: the same answer.
    Again,
    /// An older one was shown: somebody else has the newer one.
    Reused,
    /// A new one under the key of the last time: keys name one request. Otherwise a thief who knows the key that a client
    /// uses for all of them could be taken for its repetition.
    KeyReused,
    /// Over, or too old.
    Over,
}

impl<'t> Shown<'t> {
    #[must_use]
    pub fn parse(token: &'t str) -> Option<Self> {
        if token.len() > limits::TOKEN_BYTES {
            return None;
        }
        let mut parts = token.split('.');
        let (session, number, proof) = (parts.next()?, parts.next()?, parts.next()?);
        let plain = parts.next().is_none() && number.bytes().all(|b| b.is_ascii_digit());
        Some(Self { session, number: number.parse().ok()?, proof }).filter(|_| plain)
    }
}

impl Session {
    /// Not used for that long, it ends; and after so long whatever was done.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.turned_at.plus(limits::SESSION_IDLE).min(self.created_at.plus(limits::SESSION_TIME))
    }

    /// What becomes of the session when its token with that number is shown (and is ours).
    #[must_use]
    pub fn turn(&self, number: u64, command: Option<Hash16>, now: Timestamp) -> Turn {
        if self.ended || now >= self.expires_at() {
            return Turn::Over;
        }
        if number == self.number {
            if command.is_some() && command == self.turned_by {
                return Turn::KeyReused;
            }
            let next = Self { number: number + 1, turned_at: now, turned_by: command, ..self.clone() };
            return Turn::Next(next);
        }
        let repeated = command.is_some() && command == self.turned_by && number + 1 == self.number;
        if repeated && now < self.turned_at.plus(limits::SESSION_REPEAT) { Turn::Again } else { Turn::Reused }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn session() -> Session {
        Session {
            account: "ac_1".into(),
            created_at: NOW,
            proven: false,
            number: 0,
            turned_at: NOW,
            turned_by: None,
            begun_by: Hash16::default(),
            epoch: 0,
            ended: false,
        }
    }

    fn after(seconds: u64) -> Timestamp {
        NOW.plus(Duration::from_secs(seconds))
    }

    #[test]
    fn each_token_is_good_for_one_refresh() {
        let key = Some(Hash16([1; 16]));
        let Turn::Next(second) = session().turn(0, key, after(5)) else { panic!("the first turn") };
        assert_eq!((second.number, second.turned_at, second.turned_by), (1, after(5), key));
        let table = [
            ("the new one", 1, None, after(6), None),
            ("the new one under the old key", 1, key, after(6), Some(Turn::KeyReused)),
            ("the old one", 0, None, after(6), Some(Turn::Reused)),
            ("the old one under the same key", 0, key, after(6), Some(Turn::Again)),
            ("under another key", 0, Some(Hash16([2; 16])), after(6), Some(Turn::Reused)),
            ("under the same key much later", 0, key, after(5).plus(limits::SESSION_REPEAT), Some(Turn::Reused)),
            ("one from the future", 7, None, after(6), Some(Turn::Reused)),
        ];
        for (what, number, command, now, expected) in table {
            match (second.turn(number, command, now), expected) {
                (Turn::Next(next), None) => assert_eq!(next.number, 2, "{what}"),
                (turn, expected) => assert_eq!(Some(turn), expected, "{what}"),
            }
        }
    }

    #[test]
    fn sessions_end() {
        let idle = NOW.plus(limits::SESSION_IDLE);
        assert_eq!(session().turn(0, None, idle), Turn::Over);
        assert!(matches!(session().turn(0, None, idle.minus(Duration::from_millis(1))), Turn::Next(_)));
        let old = NOW.plus(limits::SESSION_TIME);
        let busy = Session { turned_at: old.minus(Duration::from_secs(1)), ..session() };
        assert_eq!(busy.turn(0, None, old), Turn::Over);
        assert_eq!(Session { ended: true, ..session() }.turn(0, None, NOW), Turn::Over);
    }

    #[test]
    fn only_tokens_of_our_shape_are_looked_at() {
        assert_eq!(Shown::parse("se_1.7.abc"), Some(Shown { session: "se_1", number: 7, proof: "abc" }));
        let long = "x".repeat(5_000);
        for junk in ["", "se_1", "se_1.7", "se_1.x.abc", "se_1.+7.abc", "se_1.7.abc.d", "se_1.-1.a", &long] {
            assert_eq!(Shown::parse(junk), None, "{junk:.20}");
        }
    }

    proptest::proptest! {
        /// Two hold the same token, and turn the ones they have in any order: as soon as both have turned, it is over.
        #[test]
        fn two_who_hold_one_token_never_both_go_on(turns in proptest::collection::vec(proptest::bool::ANY, 1..40)) {
            let (mut session, mut tokens, mut turned) = (session(), [0, 0], [false, false]);
            for (second, holder) in (1..).zip(turns) {
                let holder = usize::from(holder);
                match session.turn(tokens[holder], None, after(second)) {
                    Turn::Next(next) => {
                        proptest::prop_assert!(!turned[1 - holder], "the other one has gone on");
                        (tokens[holder], turned[holder], session) = (next.number, true, next);
                    }
                    Turn::Reused => session.ended = true,
                    Turn::Over => proptest::prop_assert!(session.ended),
                    other => proptest::prop_assert!(false, "{other:?}"),
                }
            }
            let live = tokens.map(|token| matches!(session.turn(token, None, after(50)), Turn::Next(_)));
            proptest::prop_assert!(turned == [false, false] || live != [true, true], "two live lines");
        }
    }
}
