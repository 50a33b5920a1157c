//! What does a stream in memory take? The node's memory before and after, over the streams that it says are in memory.

use std::time::Duration;

use super::line::{Line, Parts};
use super::machine::Watched;
use super::report::Measured;
use super::target::Target;
use crate::clock::{Clock, SystemClock};
use crate::limits;
use crate::telemetry::ACTORS_AWAKE;

/// The node counts its streams that often; a little more, to be told of the newest state.
const COUNTED: Duration = Duration::from_millis(limits::HEARTBEAT.as_millis() as u64 + 250);

/// Less than that is no fall.
const FALL: u64 = 1 << 20;

/// The node's memory at a moment, and how many streams were in it.
#[derive(Clone, Copy, Debug)]
pub struct Footprint {
    bytes: u64,
    awake: u64,
}

impl Footprint {
    /// In a moment; `None`: the node does not tell, or not to us.
    pub async fn take(target: &Target, watched: &Watched) -> Option<Self> {
        tokio::time::sleep(COUNTED).await;
        let awake = awake(target).await?;
        Some(Self { bytes: watched.memory("node")?, awake })
    }

    /// Waits until no more streams are in memory than there were, or until they should have left; then until memory stops
    /// falling, since what they leave goes back some time after them: the node keeps actors for the next streams until
    /// its next sweeps, and an allocator keeps pages for a while.
    pub async fn asleep(self, target: &Target, watched: &Watched) -> Option<Self> {
        let end = SystemClock.elapsed() + limits::BENCH_ASLEEP;
        loop {
            let now = Self::take(target, watched).await?;
            if now.awake <= self.awake || SystemClock.elapsed() >= end {
                return now.settled(target, watched).await;
            }
        }
    }

    async fn settled(self, target: &Target, watched: &Watched) -> Option<Self> {
        let mut least = self;
        let mut fell = SystemClock.elapsed();
        loop {
            let now = Self::take(target, watched).await?;
            if now.bytes + FALL < least.bytes {
                (least, fell) = (now, SystemClock.elapsed());
            } else if SystemClock.elapsed().saturating_sub(fell) >= limits::BENCH_SETTLED {
                return Some(now);
            }
        }
    }

    /// What came since `self`.
    pub fn tell(self, after: Self, measured: &mut Measured) {
        measured.figure("node memory before", mebibytes(self.bytes), "MiB");
        measured.figure("node memory after", mebibytes(after.bytes), "MiB");
        measured.figure("streams in memory", after.awake as f64, "");
        let woken = after.awake.saturating_sub(self.awake);
        if woken > 0 {
            let each = after.bytes.saturating_sub(self.bytes) as f64 / woken as f64 / 1_024.0;
            measured.figure("memory per stream", each, "KiB");
        }
    }

    /// The end of a wait until they are asleep.
    pub fn tell_asleep(self, measured: &mut Measured) {
        measured.figure("streams in memory, idle", self.awake as f64, "");
        measured.figure("node memory, idle", mebibytes(self.bytes), "MiB");
    }
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

async fn awake(target: &Target) -> Option<u64> {
    let mut line = Line::new(target.address);
    let reply = line.get("/metrics", Parts::default()).await.ok().filter(|reply| reply.status == 200)?;
    gauge(std::str::from_utf8(reply.body).ok()?, ACTORS_AWAKE)
}

/// A line such as `onsale_actors_awake 12`.
fn gauge(text: &str, name: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    value.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gauge_is_found_among_others() {
        let text =
            "# HELP onsale_actors_awake Actors\n# TYPE onsale_actors_awake gauge\nonsale_actors_awake 50012\nx 1\n";
        assert_eq!(gauge(text, "onsale_actors_awake"), Some(50_012));
        assert_eq!((gauge(text, "onsale_actors"), gauge(text, "y"), gauge("x many", "x")), (None, None, None));
    }

    #[test]
    fn only_actors_that_woke_in_between_share_the_growth() {
        let (before, after) = (Footprint { bytes: 10 << 20, awake: 4 }, Footprint { bytes: 20 << 20, awake: 1_028 });
        let mut measured = Measured::default();
        before.tell(after, &mut measured);
        let each = measured.figures.iter().find(|figure| figure.name == "memory per stream").expect("told");
        assert!((each.value - 10.0).abs() < 1e-9, "{measured:?}");
        let mut none = Measured::default();
        after.tell(before, &mut none);
        assert!(none.figures.iter().all(|figure| figure.name != "memory per stream"), "{none:?}");
    }
}
