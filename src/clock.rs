//! What time is it, and what comes out of the dice? The only file that reads clocks or randomness.
//!
//! Everything else gets a [`Clock`] and an [`Entropy`] from outside, so that a run can be repeated from a seed. This file
//! does not know what the times are used for; the log's own time (`at`) is made in `actors/sequencer.rs`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rand::{RngCore, SeedableRng};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::timestamp::Timestamp;

/// A source of time.
pub trait Clock: Send + Sync + 'static {
    /// What the wall says. May jump; only for stamps that people read and as "database time" of embedded logs.
    fn wall(&self) -> Timestamp;

    /// Time since some fixed moment, counting the time in which the machine or the process was suspended.
    fn elapsed(&self) -> Duration;
}

/// The machine's clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    fn wall(&self) -> Timestamp {
        let nanos = OffsetDateTime::now_utc().unix_timestamp_nanos().div_euclid(1_000_000);
        Timestamp(i64::try_from(nanos).unwrap_or(i64::MAX))
    }

    fn elapsed(&self) -> Duration {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
    }
}

/// Follows tokio's clock, which a test can pause: one simulated hour passes in milliseconds.
#[derive(Clone, Debug)]
pub struct SimulatedClock {
    start: tokio::time::Instant,
    epoch: Timestamp,
}

impl SimulatedClock {
    /// Starts at `epoch`, now.
    #[must_use]
    #[allow(clippy::disallowed_methods, reason = "reads tokio's clock, which tests hold still")]
    pub fn starting_at(epoch: Timestamp) -> Self {
        Self { start: tokio::time::Instant::now(), epoch }
    }
}

impl Clock for SimulatedClock {
    fn wall(&self) -> Timestamp {
        self.epoch.plus(self.elapsed())
    }

    #[allow(clippy::disallowed_methods, reason = "reads tokio's clock, which tests hold still")]
    fn elapsed(&self) -> Duration {
        tokio::time::Instant::now().duration_since(self.start)
    }
}

/// A source of random bits; seeded in simulations.
#[derive(Clone)]
pub struct Entropy(Arc<Mutex<rand::rngs::StdRng>>);

impl Entropy {
    #[must_use]
    #[allow(clippy::disallowed_methods, reason = "the one place that asks the system for randomness")]
    pub fn from_system() -> Self {
        Self(Arc::new(Mutex::new(rand::rngs::StdRng::from_os_rng())))
    }

    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(rand::rngs::StdRng::seed_from_u64(seed))))
    }

    pub fn fill(&self, bytes: &mut [u8]) {
        self.0.lock().fill_bytes(bytes);
    }

    #[must_use]
    pub fn next_u64(&self) -> u64 {
        self.0.lock().next_u64()
    }

    /// A number in `0..bound`; 0 when `bound` is 0.
    #[must_use]
    pub fn below(&self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.next_u64() % bound }
    }

    /// A UUID version 7: sortable by `now`, the rest random.
    #[must_use]
    pub fn uuid(&self, now: Timestamp) -> Uuid {
        let mut random = [0; 10];
        self.fill(&mut random);
        uuid::Builder::from_unix_timestamp_millis(u64::try_from(now.0).unwrap_or(0), &random).into_uuid()
    }

    /// A fresh 128-bit name for a command that came without an idempotency key.
    #[must_use]
    pub fn hash16(&self) -> crate::ids::Hash16 {
        let mut bytes = [0; 16];
        self.fill(&mut bytes);
        crate::ids::Hash16(bytes)
    }
}

impl fmt::Debug for Entropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entropy")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats() {
        let (a, b) = (Entropy::seeded(7), Entropy::seeded(7));
        assert_eq!(a.uuid(Timestamp(5)), b.uuid(Timestamp(5)));
        assert_eq!(a.hash16(), b.hash16());
    }
}
