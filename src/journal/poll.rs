//! What is new in a log that other nodes write? Looks at its heads ten times a second, and at once where somebody hints.
//!
//! A hint says where to look and nothing else: whatever is shown was read from the log, gapless and with its chain, so a
//! hint that is late, lost, repeated or a lie changes only how soon something is seen. Partitions for which nobody waits
//! are not read: only their heads are known. Where hints come from is not known here.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::StreamExt;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::SharedJournal;
use super::follow::{Follow, check};
use crate::clock::Clock;
use crate::events::{Chain, Record};
use crate::fault::Fault;
use crate::ids::{LogPosition, Partition, Position};
use crate::planted::{Bug, planted};
use crate::{limits, telemetry};

/// Asks for a look at the heads, and tells when one has been made.
#[derive(Debug)]
pub struct Bell {
    ring: Notify,
    /// Looks that were begun.
    begun: AtomicU64,
    /// Looks that have ended, well or not.
    ended: watch::Sender<u64>,
}

impl Default for Bell {
    fn default() -> Self {
        Self { ring: Notify::new(), begun: AtomicU64::new(0), ended: watch::Sender::new(0) }
    }
}

impl Bell {
    /// Waits for the end of a look that begins after this call; not for ever.
    pub(super) async fn rung(&self) {
        let mut ended = self.ended.subscribe();
        let wanted = self.begun.load(Ordering::SeqCst) + 1;
        self.ring.notify_one();
        // Whoever waited in vain goes on with what is known.
        let _late = tokio::time::timeout(limits::READ_WAIT, ended.wait_for(|looks| *looks >= wanted)).await;
    }
}

/// Where hints are left. Cheap to clone; however many come, each partition is kept once.
#[derive(Clone, Default)]
pub struct Hints {
    inner: Arc<Hinted>,
}

#[derive(Default)]
struct Hinted {
    partitions: Mutex<BTreeSet<Partition>>,
    left: Notify,
}

impl Hints {
    fn leave(&self, partition: Partition) {
        self.inner.partitions.lock().insert(partition);
        self.inner.left.notify_one();
    }

    fn take(&self) -> BTreeSet<Partition> {
        std::mem::take(&mut self.inner.partitions.lock())
    }
}

/// What made somebody look.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Round,
    Hint,
}

/// The one who looks.
pub struct Poll {
    journal: SharedJournal,
    follow: Follow,
    clock: Arc<dyn Clock>,
    bell: Arc<Bell>,
    hints: Hints,
    /// By partition: the last record that was read, and its chain.
    known: Vec<Mutex<(Position, Chain)>>,
}

impl Poll {
    /// Begins at the heads of now. [`Self::run`] must run for the tail to move.
    pub async fn open(journal: SharedJournal, clock: Arc<dyn Clock>) -> Result<Self, Fault> {
        let heads = journal.heads().await?;
        let bell = Arc::new(Bell::default());
        let follow = Follow::polled(journal.clone(), &heads, bell.clone());
        let known = heads.iter().map(|_| Mutex::default()).collect();
        Ok(Self { journal, follow, clock, bell, hints: Hints::default(), known })
    }

    #[must_use]
    pub fn follow(&self) -> Follow {
        self.follow.clone()
    }

    /// Takes a hint: this partition may have come as far as that. `false`: that is known already, or cannot be.
    pub fn hinting(&self) -> impl Fn(LogPosition) -> bool + Send + Sync + 'static {
        let (follow, hints) = (self.follow.clone(), self.hints.clone());
        move |hint| {
            let news = hint.partition.0 < follow.partitions() && hint.position > follow.head(hint.partition);
            if news {
                if planted(Bug::HintBelieved) {
                    follow.head_is(hint.partition, hint.position);
                }
                hints.leave(hint.partition);
            }
            news
        }
    }

    /// Until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let mut round = interval(limits::FOLLOW_POLL);
        round.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut well = true;
        loop {
            let by = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.bell.ring.notified() => By::Round,
                _ = round.tick() => By::Round,
                () = self.hints.inner.left.notified() => By::Hint,
            };
            let looked = match by {
                By::Round => self.look().await,
                By::Hint => self.pull(self.hints.take(), by).await,
            };
            match looked {
                Ok(()) => well = true,
                Err(fault) if well => {
                    well = false;
                    tracing::warn!(%fault, "the log cannot be followed; watchers wait");
                }
                Err(_) => {}
            }
        }
    }

    /// One look at all heads.
    async fn look(&self) -> Result<(), Fault> {
        let look = self.bell.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let looked = self.look_now().await;
        self.bell.ended.send_replace(look);
        looked
    }

    async fn look_now(&self) -> Result<(), Fault> {
        let heads = self.journal.heads().await?;
        let mut awaited = BTreeSet::new();
        for (partition, head) in (0..).map(Partition).zip(heads) {
            if head > self.follow.head(partition) {
                if self.follow.is_awaited(partition) {
                    awaited.insert(partition);
                } else {
                    self.follow.head_is(partition, head);
                }
            }
        }
        self.pull(awaited, By::Round).await
    }

    async fn pull(&self, partitions: BTreeSet<Partition>, by: By) -> Result<(), Fault> {
        let pulls = partitions.into_iter().filter(|partition| self.follow.is_awaited(*partition));
        let pulls = futures::stream::iter(pulls.map(|partition| self.pull_one(partition, by)));
        let pulled: Vec<_> = pulls.buffer_unordered(limits::FOLLOW_PULLS).collect().await;
        pulled.into_iter().collect()
    }

    /// A batch of one partition; if there is more, it is the next one's turn before that comes.
    async fn pull_one(&self, partition: Partition, by: By) -> Result<(), Fault> {
        let after = self.follow.head(partition);
        let records = self.journal.read_partition(partition, after, limits::READ_BATCH).await?;
        let Some(last) = records.last() else { return Ok(()) };
        let end = (last.position, last.chain);
        let known = *self.known[usize::from(partition.0)].lock();
        let previous = (known.0 == after).then_some(known.1);
        check(partition, after, previous, &records)?;
        *self.known[usize::from(partition.0)].lock() = end;
        self.measure(last, by);
        if records.len() >= limits::READ_BATCH {
            self.hints.leave(partition);
        }
        self.follow.committed(partition, records.into_iter().map(Arc::new).collect());
        Ok(())
    }

    /// The clocks are those of two machines: a difference between them shows here.
    fn measure(&self, last: &Record, by: By) {
        let millis = self.clock.wall().0.saturating_sub(last.recorded_at.0).max(0);
        let by = if by == By::Hint { "hint" } else { "poll" };
        let seconds = f64::from(u32::try_from(millis).unwrap_or(u32::MAX)) / 1_000.0;
        metrics::histogram!(telemetry::FOLLOW_LAG, "by" => by).record(seconds);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::SimulatedClock;
    use crate::journal::conformance::{Builder, fact, order_in};
    use crate::journal::memory::MemoryJournal;
    use crate::timestamp::Timestamp;

    const P: Partition = Partition(0);

    async fn poll_of(records: &[Record]) -> (Arc<MemoryJournal>, Poll) {
        let clock = Arc::new(SimulatedClock::starting_at(Timestamp(0)));
        let journal = Arc::new(MemoryJournal::found(2, clock.clone(), records.to_vec()));
        let poll = Poll::open(journal.clone(), clock).await.expect("a log");
        (journal, poll)
    }

    fn units(builder: &mut Builder, count: u64) -> Vec<Record> {
        (0..count).flat_map(|n| builder.records(vec![fact(&order_in(P, n)); 2])).collect()
    }

    #[tokio::test]
    async fn only_what_somebody_waits_for_is_read_and_the_head_is_known_of_all() {
        let mut builder = Builder::new(P);
        let (journal, poll) = poll_of(&units(&mut builder, 2)).await;
        let follow = poll.follow();
        assert_eq!(follow.head(P), Position(4), "what was there before is known");
        journal.found_more(units(&mut builder, 1));
        poll.look().await.expect("a look");
        assert_eq!((follow.head(P), poll.known[0].lock().0), (Position(6), Position(0)), "nobody waits");
        let waiting = follow.next(P, Position(6));
        tokio::pin!(waiting);
        assert!(futures::poll!(waiting.as_mut()).is_pending());
        journal.found_more(units(&mut builder, 1));
        poll.look().await.expect("a look");
        assert_eq!(poll.known[0].lock().0, Position(8));
        assert_eq!(waiting.await.expect("records").len(), 2);
    }

    #[tokio::test]
    async fn a_hint_is_a_reason_to_look_and_never_what_is_shown() {
        let mut builder = Builder::new(P);
        let (journal, poll) = poll_of(&units(&mut builder, 1)).await;
        let (follow, hint) = (poll.follow(), poll.hinting());
        let at = |partition, position| LogPosition { partition: Partition(partition), position: Position(position) };
        assert!(!hint(at(0, 2)), "known");
        assert!(!hint(at(2, 9)), "there is no such partition");
        let waiting = follow.next(P, Position(2));
        tokio::pin!(waiting);
        assert!(futures::poll!(waiting.as_mut()).is_pending());
        assert!(hint(at(0, u64::MAX)), "a lie");
        poll.pull(poll.hints.take(), By::Hint).await.expect("nothing there");
        assert_eq!(follow.head(P), Position(2), "a lie moves nothing");
        journal.found_more(units(&mut builder, 1));
        assert!(hint(at(0, 3)), "less than there is");
        poll.pull(poll.hints.take(), By::Hint).await.expect("a unit");
        assert_eq!((follow.head(P), waiting.await.expect("records").len()), (Position(4), 2));
        assert!(poll.hints.take().is_empty());
    }

    #[tokio::test]
    async fn a_refresh_sees_what_was_there_when_it_was_asked_for() {
        let mut builder = Builder::new(P);
        let (journal, poll) = poll_of(&units(&mut builder, 1)).await;
        let (follow, stop) = (poll.follow(), CancellationToken::new());
        let running = tokio::spawn(poll.run(stop.clone()));
        for units_now in 2..6 {
            journal.found_more(units(&mut builder, 1));
            follow.refresh().await;
            assert_eq!(follow.head(P), Position(2 * units_now));
        }
        stop.cancel();
        running.await.expect("it ends");
        assert!(tokio::time::timeout(Duration::from_secs(60), Follow::new(journal, &[]).refresh()).await.is_ok());
    }

    #[tokio::test]
    async fn a_gap_and_a_wrong_chain_stop_the_tail() {
        for spoil in
            [(|more: &mut Vec<Record>| drop(more.remove(0))) as fn(&mut Vec<Record>), |more: &mut Vec<Record>| {
                more[0].payload[0] ^= 1
            }]
        {
            let mut builder = Builder::new(P);
            let (journal, poll) = poll_of(&units(&mut builder, 1)).await;
            let follow = poll.follow();
            let waiting = follow.next(P, Position(2));
            tokio::pin!(waiting);
            assert!(futures::poll!(waiting.as_mut()).is_pending());
            journal.found_more(units(&mut builder, 1));
            poll.look().await.expect("sound so far");
            let next = follow.next(P, Position(4));
            tokio::pin!(next);
            assert!(futures::poll!(next.as_mut()).is_pending());
            let mut more = units(&mut builder, 2);
            spoil(&mut more);
            journal.found_more(more);
            assert!(matches!(poll.look().await, Err(Fault::Damaged { position: Position(5), .. })));
            assert_eq!(follow.head(P), Position(4), "nothing of it is shown");
        }
    }
}
