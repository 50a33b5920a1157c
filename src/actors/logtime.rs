//! What time does the log say it is, and is our lease still good? Two clocks made from heartbeats.
//!
//! The log's time is database time: anchored when the partitions were claimed, carried on by a clock that counts
//! suspension, and drawn towards each heartbeat's answer slowly. It never steps, so neither a wrong node clock nor a
//! jumping database clock ends a hold early. Partitions make it monotonic for themselves (`sequencer.rs`).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::clock::Clock;
use crate::limits;
use crate::planted::{Bug, planted};
use crate::timestamp::Timestamp;

/// How much of the passed time a correction may be: one twentieth.
const SLEW: i64 = 20;

pub struct LogTime {
    clock: Arc<dyn Clock>,
    anchor: Mutex<Anchor>,
}

#[derive(Clone, Copy)]
struct Anchor {
    log: Timestamp,
    elapsed: Duration,
}

impl Anchor {
    fn at(self, elapsed: Duration) -> Timestamp {
        self.log.plus(elapsed.saturating_sub(self.elapsed))
    }
}

impl LogTime {
    pub fn anchored(clock: Arc<dyn Clock>, log: Timestamp) -> Self {
        let elapsed = clock.elapsed();
        Self { clock, anchor: Mutex::new(Anchor { log, elapsed }) }
    }

    pub fn now(&self) -> Timestamp {
        if planted(Bug::ExpireByNodeClock) {
            return self.clock.wall();
        }
        let anchor = *self.anchor.lock();
        anchor.at(self.clock.elapsed())
    }

    /// A heartbeat said `log` at about `elapsed` of our clock.
    pub fn draw_towards(&self, log: Timestamp, elapsed: Duration) {
        let mut anchor = self.anchor.lock();
        let ours = anchor.at(elapsed);
        let passed = i64::try_from(elapsed.saturating_sub(anchor.elapsed).as_millis()).unwrap_or(i64::MAX);
        let most = passed / SLEW;
        let correction = log.0.saturating_sub(ours.0).clamp(-most, most);
        *anchor = Anchor { log: Timestamp(ours.0 + correction), elapsed };
    }
}

/// Good until a moment that each heartbeat moves on.
pub struct Lease {
    clock: Arc<dyn Clock>,
    good_until: AtomicU64,
}

impl Lease {
    /// A lease whose heartbeat was sent at `sent`.
    pub fn since(clock: Arc<dyn Clock>, sent: Duration) -> Self {
        let lease = Self { clock, good_until: AtomicU64::new(0) };
        lease.renew(sent);
        lease
    }

    /// Counted from the sending of the heartbeat: its answer may have been long under way.
    pub fn renew(&self, sent: Duration) {
        let until = (sent + limits::LEASE).saturating_sub(limits::LEASE_MARGIN);
        self.good_until.fetch_max(millis(until), Ordering::AcqRel);
    }

    pub fn end(&self) {
        self.good_until.store(0, Ordering::Release);
    }

    pub fn is_good(&self) -> bool {
        millis(self.clock.elapsed()) < self.good_until.load(Ordering::Acquire)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SimulatedClock;

    async fn pass(duration: Duration) {
        tokio::time::advance(duration).await;
    }

    #[tokio::test(start_paused = true)]
    async fn the_logs_time_never_steps() {
        let clock: Arc<dyn Clock> = Arc::new(SimulatedClock::starting_at(Timestamp(0)));
        let time = LogTime::anchored(clock.clone(), Timestamp(1_000_000));
        pass(Duration::from_secs(1)).await;
        assert_eq!(time.now(), Timestamp(1_001_000));
        // The database's clock was set back by ten minutes: we only slow down.
        time.draw_towards(Timestamp(401_000), clock.elapsed());
        assert_eq!(time.now(), Timestamp(1_000_950));
        pass(Duration::from_secs(1)).await;
        // A small difference is taken over at once.
        time.draw_towards(Timestamp(1_001_960), clock.elapsed());
        assert_eq!(time.now(), Timestamp(1_001_960));
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_counts_from_the_sending() {
        let clock: Arc<dyn Clock> = Arc::new(SimulatedClock::starting_at(Timestamp(0)));
        let lease = Lease::since(clock.clone(), clock.elapsed());
        let good = limits::LEASE.checked_sub(limits::LEASE_MARGIN).unwrap_or_default();
        pass(good.saturating_sub(Duration::from_millis(1))).await;
        assert!(lease.is_good());
        pass(Duration::from_millis(1)).await;
        assert!(!lease.is_good());
    }
}
