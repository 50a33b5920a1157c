//! Where are the numbers of all clients kept? In a table of fixed size: whoever comes with millions of addresses fills no memory.
//!
//! A client's number stands in one of the eight places of its set. Whose number has passed costs no place, since forgetting it
//! changes nothing; when all eight are in use, the one who owes least is forgotten, which lets that client do more and nobody
//! less. Which set that is depends on a hash with a secret of the process, so nobody can aim.

use parking_lot::Mutex;

use super::gcra::{Judged, Quota};
use crate::limits;

#[derive(Clone, Copy, Default)]
struct Place {
    who: u64,
    /// The client's number in [`Quota::judge`].
    paid: u64,
}

type Set = [Place; limits::THROTTLE_WAYS];

pub(super) struct Table(Box<[Mutex<Set>]>);

impl Table {
    /// `sets` must be a power of two.
    pub fn new(sets: usize) -> Self {
        Self((0..sets).map(|_| Mutex::default()).collect())
    }

    /// Judges a request of the client that is called `who`, at `now` in nanoseconds.
    pub fn judge(&self, who: u64, quota: Quota, now: u64) -> Judged {
        let at = usize::try_from(who >> 32).unwrap_or(0) & (self.0.len() - 1);
        let mut set = self.0[at].lock();
        let own = set.iter().position(|place| place.who == who);
        // Whoever owes least; that is a place of nobody, if there is one.
        let free = || (0..set.len()).min_by_key(|&index| set[index].paid).unwrap_or(0);
        match own {
            Some(index) => quota.judge(&mut set[index].paid, now),
            None => {
                let index = free();
                let mut place = Place { who, paid: 0 };
                let judged = quota.judge(&mut place.paid, now);
                set[index] = place;
                judged
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn quota() -> Quota {
        Quota::new(3, 1, Duration::from_secs(1)).expect("a limit")
    }

    fn passes(judged: Judged) -> bool {
        matches!(judged, Judged::Passed(_))
    }

    #[test]
    fn a_flood_of_others_takes_no_memory_and_makes_nobody_worse_off() {
        let table = Table::new(4);
        let now = 1_000_000_000;
        let bytes = table.0.len() * size_of::<Mutex<Set>>();
        for who in 0..100_000_u64 {
            assert!(passes(table.judge(who.wrapping_mul(0x9e37_79b9_7f4a_7c15), quota(), now)), "{who} is new");
        }
        assert_eq!(table.0.len() * size_of::<Mutex<Set>>(), bytes);
    }

    #[test]
    fn who_owes_most_is_forgotten_last() {
        let table = Table::new(1);
        let now = 1_000_000_000;
        while passes(table.judge(7, quota(), now)) {}
        for other in 100..100_000 {
            assert!(passes(table.judge(other, quota(), now)));
        }
        assert!(!passes(table.judge(7, quota(), now)), "a flood of others is no way out");
    }

    proptest! {
        /// As long as the clients of a set find room there, each is judged as if it were alone.
        #[test]
        fn clients_do_not_disturb_each_other(
            asked in proptest::collection::vec((0..limits::THROTTLE_WAYS as u64, 0u64..2_000_000_000), 1..300),
        ) {
            let table = Table::new(1);
            let mut alone: HashMap<u64, u64> = HashMap::new();
            let mut now = 1_000_000_000;
            for (who, pause) in asked {
                now += pause;
                let expected = quota().judge(alone.entry(who).or_default(), now);
                prop_assert_eq!(table.judge(who + 1, quota(), now), expected);
            }
        }
    }
}
