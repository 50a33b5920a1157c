//! What is new in the log? One tail per node, for everything that follows it (live topics, projections, sagas).
//!
//! A commit wakes followers; what they then read comes from a bounded window of recent records, or from the log when
//! they are further behind. The window holds exactly what was committed, so both give the same. Those who are far behind
//! read the log in chunks that begin at fixed places, so that many followers at about the same place cost one reading.
//! This file does not know who follows, nor what the records mean, nor how the head became known: the lane reports what it
//! committed, and on a node that writes nothing `poll.rs` reports what it found.

mod window;

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::futures::OwnedNotified;
use tokio::sync::{Notify, OnceCell, watch};

use self::window::Window;
use super::poll::Bell;
use crate::events::{Chain, Record};
use crate::fault::Fault;
use crate::ids::{LogPosition, Partition, Position, StreamId, Version};
use crate::journal::SharedJournal;
use crate::{limits, telemetry};

/// Which heads have risen since somebody was told last?
pub struct Risen {
    follow: Follow,
    told: Vec<Position>,
}

impl Risen {
    /// Heads that have risen, once there are any; each is told once.
    pub async fn next(&mut self) -> Vec<LogPosition> {
        loop {
            let moved = self.follow.moved();
            let mut risen = Vec::new();
            for (partition, told) in (0..).map(Partition).zip(&mut self.told) {
                let head = self.follow.head(partition);
                if head > *told {
                    *told = head;
                    risen.push(LogPosition { partition, position: head });
                }
            }
            if !risen.is_empty() {
                return risen;
            }
            moved.await;
        }
    }
}

/// As long as this is held, a partition that others write is read as soon as there is something.
pub struct Interest {
    _waits: watch::Receiver<Position>,
}

/// The node's tail reader. Cheap to clone.
#[derive(Clone)]
pub struct Follow {
    inner: Arc<Inner>,
}

struct Inner {
    journal: SharedJournal,
    tails: Vec<Tail>,
    /// Woken whenever any head rises.
    moved: Arc<Notify>,
    chunks: Mutex<Chunks>,
    /// Others write this log, and somebody here looks at it again and again. `None`: whatever is committed is reported.
    polled: Option<Arc<Bell>>,
}

/// The records from one fixed place of a partition to the next, and to the end of the unit there.
type Chunk = Arc<[Arc<Record>]>;

/// Chunks that were read lately, the newest last; one that is being read is waited for, not read again.
type Chunks = VecDeque<((Partition, u64), Arc<OnceCell<Chunk>>)>;

/// Why a chunk is not kept.
enum NotKept {
    /// The log ends within it.
    Partial(Chunk),
    Failed(Fault),
}

/// The recent end of one partition.
struct Tail {
    window: Mutex<Window>,
    /// Set after the window, so that whoever was woken by it finds the records.
    head: watch::Sender<Position>,
}

impl Follow {
    /// `heads` are the durable heads of all partitions at this moment. Whatever is committed from then on is reported.
    #[must_use]
    pub fn new(journal: SharedJournal, heads: &[Position]) -> Self {
        Self::made(journal, heads, None)
    }

    /// The tail of a log that other nodes write; `bell` wakes who looks at it.
    #[must_use]
    pub fn polled(journal: SharedJournal, heads: &[Position], bell: Arc<Bell>) -> Self {
        Self::made(journal, heads, Some(bell))
    }

    fn made(journal: SharedJournal, heads: &[Position], polled: Option<Arc<Bell>>) -> Self {
        let tail = |head: &Position| Tail { window: Mutex::default(), head: watch::Sender::new(*head) };
        let tails = heads.iter().map(tail).collect();
        Self { inner: Arc::new(Inner { journal, tails, moved: Arc::default(), chunks: Mutex::default(), polled }) }
    }

    /// Called by the lane after a commit, in position order.
    pub fn committed(&self, partition: Partition, records: Vec<Arc<Record>>) {
        let (Ok(tail), Some(last)) = (self.tail(partition), records.last()) else { return };
        let head = last.position;
        tail.window.lock().push(records);
        tail.raise(head);
        self.inner.moved.notify_waiters();
    }

    /// The durable head moved without records at hand (after a settled doubt).
    pub fn head_is(&self, partition: Partition, head: Position) {
        if let Ok(tail) = self.tail(partition) {
            tail.raise(head);
            self.inner.moved.notify_waiters();
        }
    }

    /// Looks at the log now, where others write it: afterwards the heads are at least what they were when this was called.
    /// A log that cannot be read just now leaves them as they were.
    pub async fn refresh(&self) {
        if let Some(bell) = &self.inner.polled {
            bell.rung().await;
        }
    }

    /// Says that somebody follows this partition, for as long as it is held.
    pub fn interest(&self, partition: Partition) -> Result<Interest, Fault> {
        Ok(Interest { _waits: self.tail(partition)?.head.subscribe() })
    }

    /// Does anybody wait for news of this partition?
    #[must_use]
    pub fn is_awaited(&self, partition: Partition) -> bool {
        self.tail(partition).is_ok_and(|tail| tail.head.receiver_count() > 0)
    }

    /// Ends when any head rises after this call, whether or not somebody waits on it by then.
    pub fn moved(&self) -> OwnedNotified {
        self.inner.moved.clone().notified_owned()
    }

    /// From now on.
    #[must_use]
    pub fn risen(&self) -> Risen {
        let told = (0..self.partitions()).map(|partition| self.head(Partition(partition))).collect();
        Risen { follow: self.clone(), told }
    }

    /// How many partitions there are.
    #[must_use]
    pub fn partitions(&self) -> u16 {
        u16::try_from(self.inner.tails.len()).unwrap_or(u16::MAX)
    }

    /// The durable head that followers may read up to.
    #[must_use]
    pub fn head(&self, partition: Partition) -> Position {
        self.tail(partition).map_or(Position(0), |tail| *tail.head.borrow())
    }

    /// Waits until followers may read `position`; for ever if the partition does not exist.
    pub async fn reached(&self, partition: Partition, position: Position) {
        let Ok(tail) = self.tail(partition) else { return std::future::pending().await };
        if tail.head.subscribe().wait_for(|head| *head >= position).await.is_err() {
            std::future::pending().await
        }
    }

    /// Records after `after`, cut at the end of a unit, in order; waits until there is one.
    pub async fn next(&self, partition: Partition, after: Position) -> Result<Vec<Arc<Record>>, Fault> {
        let tail = self.tail(partition)?;
        // `wait_for` looks at the present head before it waits: a commit that came a moment ago is not slept through.
        let waited = tail.head.subscribe().wait_for(|head| *head > after).await.map(|head| *head);
        waited.map_err(|_| Fault::internal("the tail of the log was closed"))?;
        self.read(partition, after).await
    }

    /// As `next`, but answers an empty list when there is nothing new.
    pub async fn read(&self, partition: Partition, after: Position) -> Result<Vec<Arc<Record>>, Fault> {
        let tail = self.tail(partition)?;
        let head = *tail.head.borrow();
        if after >= head {
            return Ok(Vec::new());
        }
        let recent = tail.window.lock().after(after);
        if !recent.is_empty() {
            return Ok(recent);
        }
        let chunk = self.chunk(partition, after, head).await?;
        let found = chunk.iter().filter(|record| record.position > after && record.position <= head);
        let found: Vec<Arc<Record>> = found.cloned().collect();
        if found.is_empty() {
            let detail = "the log ends before its head".to_owned();
            return Err(Fault::Damaged { partition, position: after.next(), detail });
        }
        Ok(found)
    }

    /// A stream's records after version `after`, at most so many, if all of them are at hand. Nobody reads the log for this.
    #[must_use]
    pub fn recent_of(&self, at: Partition, stream: &StreamId, after: Version, most: usize) -> Option<Vec<Arc<Record>>> {
        self.tail(at).ok()?.window.lock().of_stream(stream, after, most)
    }

    /// The chunk in which the record after `after` stands.
    async fn chunk(&self, partition: Partition, after: Position, head: Position) -> Result<Chunk, Fault> {
        let number = after.0 / limits::READ_BATCH as u64;
        let cell = {
            let mut chunks = self.inner.chunks.lock();
            match chunks.iter().find(|(key, _)| *key == (partition, number)) {
                Some((_, cell)) => cell.clone(),
                None => {
                    if chunks.len() == limits::FOLLOW_CHUNKS {
                        chunks.pop_front();
                    }
                    let cell = Arc::new(OnceCell::new());
                    chunks.push_back(((partition, number), cell.clone()));
                    cell
                }
            }
        };
        match cell.get_or_try_init(|| self.read_chunk(partition, number, head)).await {
            Ok(chunk) => Ok(chunk.clone()),
            Err(NotKept::Partial(chunk)) => Ok(chunk),
            Err(NotKept::Failed(fault)) => Err(fault),
        }
    }

    async fn read_chunk(&self, partition: Partition, number: u64, head: Position) -> Result<Chunk, NotKept> {
        metrics::counter!(telemetry::FOLLOW_MISSES).increment(1);
        let start = Position(number * limits::READ_BATCH as u64);
        // With the record before the first one: the chain goes on from it.
        let (from, limit) = match start.0 {
            0 => (start, limits::READ_BATCH),
            _ => (Position(start.0 - 1), limits::READ_BATCH + 1),
        };
        let end = Position(start.0 + limits::READ_BATCH as u64);
        let mut records: Vec<Record> = Vec::new();
        let mut last = from;
        // A reading ends where a unit does, which may be before the end of the chunk.
        while last < end.min(head) {
            let read = self.inner.journal.read_partition(partition, last, limit).await;
            let mut more = read.map_err(NotKept::Failed)?;
            // The log may already show what no lane has reported: others read up to the head, so does this one.
            more.retain(|record| record.position <= head);
            let Some(at) = more.last().map(|record| record.position) else { break };
            records.extend(more);
            last = at;
        }
        // Zero bytes before the first record; else the chain of the first one read is taken as it is.
        let previous = (from == Position(0)).then(Chain::default);
        check(partition, from, previous, &records).map_err(NotKept::Failed)?;
        let whole = last >= end;
        let chunk = records.into_iter().filter(|record| record.position > start).map(Arc::new).collect();
        if whole { Ok(chunk) } else { Err(NotKept::Partial(chunk)) }
    }

    fn tail(&self, partition: Partition) -> Result<&Tail, Fault> {
        let tail = self.inner.tails.get(usize::from(partition.0));
        tail.ok_or_else(|| Fault::internal(format!("this log has no partition {partition}")))
    }
}

impl Tail {
    fn raise(&self, head: Position) {
        self.head.send_if_modified(|known| {
            let rises = head > *known;
            if rises {
                *known = head;
            }
            rises
        });
    }
}

/// What the log gave must go on from `after` without a gap, and each chain must follow from the one before; from
/// `previous` that of the first one, where it is known.
pub(super) fn check(
    partition: Partition,
    after: Position,
    mut previous: Option<Chain>,
    records: &[Record],
) -> Result<(), Fault> {
    let damaged = |position: Position, detail: &str| Fault::Damaged { partition, position, detail: detail.to_owned() };
    let mut expected = after.next();
    for record in records {
        if record.position != expected {
            return Err(damaged(expected, &format!("the log goes on with position {}", record.position)));
        }
        if previous.is_some_and(|previous| record.chain_after(&previous) != record.chain) {
            return Err(damaged(expected, "the chain does not follow from the record before"));
        }
        previous = Some(record.chain);
        expected = expected.next();
    }
    match records.last() {
        Some(_) => Ok(()),
        None => Err(damaged(expected, "the log ends before its head")),
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

    /// A log of `units` units of two records each, and its tail, which begins at the log's start.
    fn log_of(units: u64) -> (Vec<Record>, Builder) {
        let mut builder = Builder::new(P);
        let records = (0..units).flat_map(|n| builder.records(vec![fact(&order_in(P, n)); 2])).collect();
        (records, builder)
    }

    fn follow(rows: Vec<Record>, head: u64) -> Follow {
        let clock = Arc::new(SimulatedClock::starting_at(Timestamp(0)));
        Follow::new(Arc::new(MemoryJournal::found(1, clock, rows)), &[Position(head)])
    }

    fn shared(rows: &[Record]) -> Vec<Arc<Record>> {
        rows.iter().cloned().map(Arc::new).collect()
    }

    fn positions(records: &[Arc<Record>]) -> Vec<u64> {
        records.iter().map(|record| record.position.0).collect()
    }

    #[tokio::test]
    async fn the_window_and_the_log_give_the_same() {
        let (rows, _) = log_of(10);
        let tail = follow(rows.clone(), 12);
        tail.committed(P, shared(&rows[12..]));
        for after in (0..=20).step_by(2) {
            let found = tail.read(P, Position(after)).await.expect("a sound log");
            assert_eq!(positions(&found), (after + 1..=20).collect::<Vec<_>>(), "after {after}");
        }
        assert_eq!(tail.head(P), Position(20));
        assert!(tail.read(P, Position(21)).await.expect("no fault").is_empty(), "beyond the head is nothing");
    }

    #[tokio::test]
    async fn a_follower_far_behind_reads_everything_once() {
        let count = limits::FOLLOW_RECENT as u64;
        let (rows, _) = log_of(count);
        let tail = follow(rows.clone(), 0);
        for unit in rows.chunks(2) {
            tail.committed(P, shared(unit));
        }
        let oldest = tail.inner.tails[0].window.lock().records.front().map(|first| first.position);
        assert_eq!(oldest, Some(Position(count + 1)), "the window is bounded");
        let mut seen = Vec::new();
        while seen.len() < rows.len() {
            let found = tail.next(P, Position(seen.len() as u64)).await.expect("a sound log");
            assert!(found.last().is_some_and(|last| last.unit_last));
            seen.extend(positions(&found));
        }
        assert_eq!(seen, (1..=2 * count).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn nothing_beyond_the_head_is_shown() {
        let (rows, _) = log_of(3);
        let tail = follow(rows, 4);
        assert_eq!(positions(&tail.read(P, Position(0)).await.expect("a sound log")), [1, 2, 3, 4]);
        tail.head_is(P, Position(6));
        assert_eq!(positions(&tail.next(P, Position(4)).await.expect("a sound log")), [5, 6]);
        tail.head_is(P, Position(2));
        assert_eq!(tail.head(P), Position(6), "a durable head never falls");
    }

    #[tokio::test]
    async fn records_that_no_lane_reported_come_from_the_log() {
        let (rows, _) = log_of(4);
        let tail = follow(rows.clone(), 0);
        tail.committed(P, shared(&rows[..2]));
        tail.head_is(P, Position(4));
        tail.committed(P, shared(&rows[4..]));
        let mut seen = Vec::new();
        while seen.len() < 8 {
            let after = Position(seen.len() as u64);
            seen.extend(positions(&tail.next(P, after).await.expect("a sound log")));
        }
        assert_eq!(seen, (1..=8).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_commit_is_never_slept_through() {
        let (rows, _) = log_of(2);
        let tail = follow(rows.clone(), 0);
        let first = tail.next(P, Position(0));
        tokio::pin!(first);
        // Polled once, so it waits; or not at all, so the commit comes before it looks. Both must wake.
        assert!(futures::poll!(first.as_mut()).is_pending());
        let unpolled = tail.next(P, Position(0));
        tail.committed(P, shared(&rows[..2]));
        let limit = Duration::from_secs(60);
        for waiter in [tokio::time::timeout(limit, first).await, tokio::time::timeout(limit, unpolled).await] {
            assert_eq!(positions(&waiter.expect("woken").expect("a sound log")), [1, 2]);
        }
        let waiting = tail.next(P, Position(2));
        tokio::pin!(waiting);
        assert!(futures::poll!(waiting.as_mut()).is_pending(), "nothing new: it goes on waiting");
    }

    #[tokio::test]
    async fn damage_is_told_with_its_position() {
        let (rows, _) = log_of(4);
        let damaged = |rows: Vec<Record>| async move {
            match follow(rows, 8).read(P, Position(0)).await {
                Err(Fault::Damaged { position, .. }) => Some(position.0),
                _ => None,
            }
        };
        assert_eq!(damaged(rows.clone()).await, None);
        let mut missing = rows.clone();
        missing.remove(4);
        assert_eq!(damaged(missing).await, Some(5));
        let mut flipped = rows.clone();
        flipped[2].payload[0] ^= 1;
        assert_eq!(damaged(flipped).await, Some(3));
        // A head beyond the rows: lost ones are no end.
        assert_eq!(damaged(Vec::new()).await, Some(1));
        let short = follow(rows[..6].to_vec(), 8);
        assert_eq!(positions(&short.read(P, Position(0)).await.expect("sound so far")), [1, 2, 3, 4, 5, 6]);
        assert!(matches!(short.read(P, Position(6)).await, Err(Fault::Damaged { position: Position(7), .. })));
    }

    /// Units of all lengths, also longer than a chunk: from every end of a unit, a follower gets on to the head.
    #[tokio::test]
    async fn long_units_cross_the_ends_of_chunks() {
        let mut builder = Builder::new(P);
        let mut ends = Vec::new();
        let rows: Vec<Record> = [300, 900, 2_000, 1, 799, 1_000, 7]
            .into_iter()
            .enumerate()
            .flat_map(|(n, length)| {
                let unit = builder.records(vec![fact(&order_in(P, n as u64)); length]);
                ends.push(unit[length - 1].position);
                unit
            })
            .collect();
        let head = rows.len() as u64;
        let tail = follow(rows, head);
        for start in ends.iter().copied().chain([Position(0)]).filter(|start| start.0 < head) {
            let (mut at, mut seen) = (start, 0);
            while at.0 < head {
                let read = tail.read(P, at).await.expect("a sound log");
                assert_eq!(read[0].position, at.next(), "from {start}");
                assert!(read[read.len() - 1].unit_last, "from {start}");
                (at, seen) = (read[read.len() - 1].position, seen + read.len() as u64);
            }
            assert_eq!(seen, head - start.0);
        }
    }
}
