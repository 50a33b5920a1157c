//! How often is too often? The generic cell rate algorithm: one number per client says when it will have nothing on its
//! account any more. Pure: the time comes from outside, and who is counted is not known here.

use std::time::Duration;

/// So many at once, and then one each `step`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    burst: u32,
    /// In nanoseconds.
    step: u64,
}

/// What is left to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    pub requests: u32,
    /// Until everything is left again.
    pub full_in: Duration,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    Passed(Left),
    /// One passes again after this.
    Refused(Duration),
}

impl Quota {
    /// `burst` at once, and then `number` in each `period`. `None`: that is no limit, or one that nobody could keep.
    #[must_use]
    pub fn new(burst: u32, number: u32, period: Duration) -> Option<Self> {
        let step = u64::try_from(period.as_nanos()).ok()?.checked_div(u64::from(number))?;
        // All of a burst must fit into the time that can be counted.
        let counted = step.checked_mul(u64::from(burst)).is_some_and(|span| span <= u64::MAX / 4);
        (burst > 0 && step > 0 && counted).then_some(Self { burst, step })
    }

    #[must_use]
    pub fn burst(self) -> u32 {
        self.burst
    }

    #[must_use]
    pub fn step(self) -> Duration {
        Duration::from_nanos(self.step)
    }

    /// The time after which a client who used up everything has everything again.
    #[must_use]
    pub fn span(self) -> Duration {
        Duration::from_nanos(self.step * u64::from(self.burst))
    }

    /// Judges a request at `now`, both in nanoseconds. `paid` is the client's number: up to that moment its requests are paid for. It
    /// stays as it was when the request is refused.
    pub fn judge(self, paid: &mut u64, now: u64) -> Judged {
        let span = self.step * u64::from(self.burst);
        let next = (*paid).max(now).saturating_add(self.step);
        let debt = next - now;
        if debt > span {
            return Judged::Refused(Duration::from_nanos(debt - span));
        }
        *paid = next;
        let requests = u32::try_from((span - debt) / self.step).unwrap_or(u32::MAX);
        Judged::Passed(Left { requests, full_in: Duration::from_nanos(debt) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: u64 = 1_000_000_000;

    fn quota(burst: u32, number: u32, seconds: u64) -> Quota {
        Quota::new(burst, number, Duration::from_secs(seconds)).expect("a limit")
    }

    #[test]
    fn a_burst_passes_and_then_one_each_step() {
        let quota = quota(3, 1, 2);
        let left = |requests, seconds| Judged::Passed(Left { requests, full_in: Duration::from_secs(seconds) });
        let wait = |millis| Judged::Refused(Duration::from_millis(millis));
        // Milliseconds since the start, and what is said then.
        let table = [
            (0, left(2, 2)),
            (0, left(1, 4)),
            (0, left(0, 6)),
            (0, wait(2_000)),
            (1_999, wait(1)),
            (2_000, left(0, 6)),
            (2_000, wait(2_000)),
            // What was refused costs nothing: two steps are paid back by now, and a half.
            (5_000, left(0, 5)),
            (5_000, wait(1_000)),
            (60_000, left(2, 2)),
        ];
        let mut paid = 0;
        for (number, (at, expected)) in table.into_iter().enumerate() {
            assert_eq!(quota.judge(&mut paid, 100 * SECOND + at * 1_000_000), expected, "line {number}");
        }
    }

    #[test]
    fn what_is_no_limit_is_none() {
        for (burst, number, period) in [(0, 1, 1), (1, 0, 1), (1, 1, 0), (u32::MAX, 1, 1 << 33)] {
            assert_eq!(Quota::new(burst, number, Duration::from_secs(period)), None, "{burst} {number} {period}");
        }
        assert_eq!(quota(20, 1, 2).span(), Duration::from_secs(40));
    }

    proptest! {
        /// The reference is a bucket that is filled as time goes by; both must always say the same.
        #[test]
        fn it_is_a_leaking_bucket(
            burst in 1u32..40,
            number in 1u32..2_000,
            period in 1u64..600,
            pauses in proptest::collection::vec(prop_oneof![Just(0), 0..SECOND, 0..600 * SECOND], 1..200),
        ) {
            let quota = quota(burst, number, period);
            let (step, size) = (u128::from(quota.step), u128::from(quota.step) * u128::from(burst));
            let (mut paid, mut now, mut level) = (0, 3 * SECOND, size);
            for pause in pauses {
                now += pause;
                level = size.min(level + u128::from(pause));
                let expected = if level >= step {
                    level -= step;
                    let requests = u32::try_from(level / step).expect("within the burst");
                    let missing = u64::try_from(size - level).expect("within the span");
                    Judged::Passed(Left { requests, full_in: Duration::from_nanos(missing) })
                } else {
                    Judged::Refused(Duration::from_nanos(u64::try_from(step - level).expect("within a step")))
                };
                prop_assert_eq!(quota.judge(&mut paid, now), expected);
            }
        }
    }
}
