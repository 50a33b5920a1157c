//! How long until the next try? Twice as long each time, up to a bound, and never quite the same.

use std::time::Duration;

use crate::clock::Entropy;
use crate::limits;

/// Counts tries. Half to all of the pause, so that those who failed together do not come back together.
#[derive(Default)]
pub struct Backoff {
    tries: u32,
}

impl Backoff {
    pub fn next(&mut self, entropy: &Entropy, most: Duration) -> Duration {
        let whole = limits::PROCESS_BACKOFF.saturating_mul(1 << self.tries.min(16)).min(most);
        self.tries = self.tries.saturating_add(1);
        let half = u64::try_from(whole.as_millis() / 2).unwrap_or(u64::MAX);
        Duration::from_millis(half + entropy.below(half + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_their_bound() {
        let entropy = Entropy::seeded(1);
        let mut backoff = Backoff::default();
        let most = limits::PROCESS_BACKOFF_MAX;
        let pauses: Vec<Duration> = (0..12).map(|_| backoff.next(&entropy, most)).collect();
        assert!(pauses[0] <= limits::PROCESS_BACKOFF && pauses[0] >= limits::PROCESS_BACKOFF / 2);
        assert!(pauses.iter().all(|pause| *pause <= most) && pauses[11] >= most / 2);
    }
}
