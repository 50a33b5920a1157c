//! When is each unit of work meant to start? The timetable of an open loop, in whole numbers; it knows no clock.

use std::num::NonZeroU32;
use std::time::Duration;

/// So many starts a second, evenly, the first one at 0.
#[derive(Clone, Copy, Debug)]
pub struct Timetable(NonZeroU32);

const NANOS: u128 = 1_000_000_000;

impl Timetable {
    #[must_use]
    pub fn new(rate: NonZeroU32) -> Self {
        Self(rate)
    }

    /// The intended start of the n-th unit, counted from 0.
    #[must_use]
    pub fn due(self, n: u64) -> Duration {
        let nanos = u128::from(n) * NANOS / u128::from(self.0.get());
        Duration::new(u64::try_from(nanos / NANOS).unwrap_or(u64::MAX), (nanos % NANOS) as u32)
    }

    /// How many units are due at `elapsed`: those with `due(n) <= elapsed`.
    #[must_use]
    pub fn due_by(self, elapsed: Duration) -> u64 {
        // due(n) rounds down, so the first n that is not due yet is the smallest with n·10⁹ ≥ (elapsed + 1)·rate.
        let bound = (elapsed.as_nanos() + 1) * u128::from(self.0.get());
        u64::try_from(bound.div_ceil(NANOS)).unwrap_or(u64::MAX)
    }

    /// How many units a run of that length is made of: those with `due(n) < length`.
    #[must_use]
    pub fn planned(self, length: Duration) -> u64 {
        length.checked_sub(Duration::from_nanos(1)).map_or(0, |last| self.due_by(last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(rate: u32) -> Timetable {
        Timetable::new(NonZeroU32::new(rate).expect("not zero"))
    }

    #[test]
    fn starts_are_even_and_begin_at_once() {
        let table = [(1, 0, 0), (1, 3, 3_000_000_000), (200, 1, 5_000_000), (3, 1, 333_333_333), (3, 3, 1_000_000_000)];
        for (rate, n, nanos) in table {
            assert_eq!(at(rate).due(n), Duration::from_nanos(nanos), "{rate} {n}");
        }
        for (rate, seconds, units) in [(200, 10, 2_000), (1, 1, 1), (7, 3, 21), (5, 0, 0)] {
            assert_eq!(at(rate).planned(Duration::from_secs(seconds)), units, "{rate} {seconds}");
        }
    }

    proptest! {
        #[test]
        fn what_is_due_agrees_with_when_it_is_due(rate in 1_u32..2_000_000, nanos in 0_u64..100_000_000_000) {
            let elapsed = Duration::from_nanos(nanos);
            let count = at(rate).due_by(elapsed);
            prop_assert!(count == 0 || at(rate).due(count - 1) <= elapsed);
            prop_assert!(at(rate).due(count) > elapsed);
        }
    }
}
