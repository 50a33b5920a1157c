//! What stands between a node and the world? A gate that can be shut: for a while (frozen), or for ever (killed).
//!
//! Tasks of a node cannot be stopped from outside, but nothing they do matters unless it gets out: to the log, to the
//! payment provider, or to a client. All of that goes through the gate. What was under way when the node was killed may
//! still land in the log, soon or much later, as a request that had left the machine would.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use onsale::clock::Entropy;
use onsale::events::Record;
use onsale::fault::Fault;
use onsale::ids::{Epoch, NodeId, Partition, Position, StreamId, Version};
use onsale::journal::memory::MemoryJournal;
use onsale::journal::{
    AppendError, Claim, ClaimError, Journal, Loaded, PartitionBatch, PartitionState, Reach, Segment, Snapshot, Verdict,
};
use onsale::timestamp::Timestamp;
use parking_lot::Mutex;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::plan::Plan;
use crate::simulated::pass;
use crate::world::Tally;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Way {
    #[default]
    Open,
    /// SIGSTOP: nothing goes in or out until it is thawed.
    Frozen,
    /// SIGKILL.
    Dead,
}

/// What befalls a node in the middle of its next append, where it hurts most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trap {
    /// Stopped when it is about to be sent.
    Freeze,
    /// Killed while it is under way.
    Kill,
    /// Killed when it is written, and nobody has heard so.
    KillAfter,
}

#[derive(Debug, Default)]
pub struct Gate {
    way: Mutex<Way>,
    trap: Mutex<Option<Trap>>,
    // Wakes in the order of the waiting: a run must repeat.
    changed: Notify,
}

impl Gate {
    fn turn(&self, to: Way) {
        let mut way = self.way.lock();
        if *way != Way::Dead {
            *way = to;
        }
        drop(way);
        self.changed.notify_waiters();
    }

    pub fn freeze(&self) {
        self.turn(Way::Frozen);
    }

    pub fn thaw(&self) {
        self.turn(Way::Open);
    }

    pub fn kill(&self) {
        self.turn(Way::Dead);
    }

    /// Lays a trap, and waits a while for it to snap. False: nothing was appended meanwhile.
    pub async fn trapped(&self, trap: Trap) -> bool {
        *self.trap.lock() = Some(trap);
        let snapped = async {
            while self.is_open() {
                let changed = self.changed.notified();
                if self.is_open() {
                    changed.await;
                }
            }
        };
        let snapped = tokio::time::timeout(Duration::from_secs(2), snapped).await.is_ok();
        *self.trap.lock() = None;
        snapped
    }

    fn snap(&self, trap: Trap) -> bool {
        self.trap.lock().take_if(|laid| *laid == trap).is_some()
    }

    pub fn is_open(&self) -> bool {
        *self.way.lock() == Way::Open
    }

    async fn until(&self, wanted: Way) {
        loop {
            let changed = self.changed.notified();
            if *self.way.lock() == wanted {
                return;
            }
            changed.await;
        }
    }

    /// Waits while frozen, and for ever when dead.
    pub async fn pass(&self) {
        self.until(Way::Open).await;
    }

    pub async fn dead(&self) {
        self.until(Way::Dead).await;
    }

    /// Carries a call of the node's own out and its answer back, if it lives to hear it.
    pub async fn through<T>(&self, call: impl Future<Output = T>) -> T {
        self.pass().await;
        let answer = tokio::select! {
            biased;
            () = self.dead() => std::future::pending().await,
            answer = call => answer,
        };
        self.pass().await;
        answer
    }

    /// A client's call of this node. `None`: the node died before it answered.
    pub async fn visit<T>(&self, call: impl Future<Output = T>) -> Option<T> {
        let answered = async {
            self.pass().await;
            let answer = call.await;
            self.pass().await;
            answer
        };
        tokio::select! {
            biased;
            () = self.dead() => None,
            answer = answered => Some(answer),
        }
    }
}

/// One node's connection to the log.
pub struct Door {
    pub log: MemoryJournal,
    pub gate: Arc<Gate>,
    /// Heartbeats are lost, and nothing else.
    pub cut: Arc<AtomicBool>,
    pub entropy: Entropy,
    pub tally: Arc<Tally>,
    pub damage: bool,
}

impl Door {
    pub fn new(log: MemoryJournal, seed: u64, plan: &Plan, tally: Arc<Tally>) -> Self {
        let entropy = Entropy::seeded(seed);
        Self { log, gate: Arc::default(), cut: Arc::default(), entropy, tally, damage: plan.damage }
    }

    fn happens(&self, percent: u64) -> bool {
        self.damage && self.entropy.below(100) < percent
    }

    /// The node is gone and its append was under way: it comes to nothing, lands a little later, or long after.
    fn orphaned(&self, batches: &[PartitionBatch]) {
        let late = match self.entropy.below(3) {
            0 => return self.tally.count("append died with its node"),
            1 => Duration::from_millis(1 + self.entropy.below(50)),
            _ => Duration::from_millis(self.entropy.below(8_000)),
        };
        let (log, batches, tally) = (self.log.clone(), batches.to_vec(), self.tally.clone());
        tokio::spawn(async move {
            pass(late).await;
            tally.count(match log.append(&batches).await {
                Ok(verdicts) if verdicts.contains(&Verdict::Fenced) => "orphaned append fenced",
                Ok(_) => "orphaned append landed",
                Err(_) => "orphaned append failed",
            });
        });
    }

    fn cut_short(&self, payload: &mut Vec<u8>) {
        if self.happens(10) {
            self.tally.count("snapshot cut short");
            let most = payload.len() as u64;
            payload.truncate(usize::try_from(self.entropy.below(most)).unwrap_or(0));
        }
    }

    /// What becomes of a snapshot that is being saved: `None` if it is lost, or how late it comes.
    fn saved(&self) -> Option<Duration> {
        if self.happens(10) {
            self.tally.count("snapshot lost");
            return None;
        }
        let late = if self.happens(20) { self.entropy.below(3_000) } else { 0 };
        if late > 0 {
            self.tally.count("snapshot late");
        }
        Some(Duration::from_millis(late))
    }
}

#[async_trait]
impl Journal for Door {
    fn partitions(&self) -> u16 {
        self.log.partitions()
    }

    fn engine(&self) -> &'static str {
        self.log.engine()
    }

    async fn claim(&self, node: &NodeId) -> Result<Claim, ClaimError> {
        self.gate.through(self.log.claim(node)).await
    }

    async fn heartbeat(&self, node: &NodeId) -> Result<Timestamp, ClaimError> {
        if self.cut.load(Ordering::SeqCst) {
            return Err(ClaimError::Unavailable("cut off".to_owned()));
        }
        self.gate.through(self.log.heartbeat(node)).await
    }

    async fn release(&self, node: &NodeId) -> Result<(), Fault> {
        self.gate.through(self.log.release(node)).await
    }

    async fn append(&self, batches: &[PartitionBatch]) -> Result<Vec<Verdict>, AppendError> {
        self.gate.pass().await;
        if self.gate.snap(Trap::Freeze) {
            self.tally.count("frozen in an append");
            self.gate.freeze();
            self.gate.pass().await;
        }
        if self.gate.snap(Trap::Kill) {
            self.gate.kill();
        }
        let answer = tokio::select! {
            biased;
            () = self.gate.dead() => {
                self.orphaned(batches);
                std::future::pending().await
            }
            answer = self.log.append(batches) => answer,
        };
        if self.gate.snap(Trap::KillAfter) {
            self.tally.count("killed before it heard of its append");
            self.gate.kill();
        }
        self.gate.pass().await;
        if answer.as_ref().is_ok_and(|verdicts| verdicts.contains(&Verdict::Fenced)) {
            self.tally.count("append fenced");
        }
        answer
    }

    async fn settle(&self, node: &NodeId, partition: Partition, epoch: Epoch) -> Result<Option<PartitionState>, Fault> {
        self.gate.through(self.log.settle(node, partition, epoch)).await
    }

    async fn load(&self, streams: &[StreamId]) -> Result<Vec<Loaded>, Fault> {
        let mut all = self.gate.through(self.log.load(streams)).await?;
        for loaded in &mut all {
            if let Some(snapshot) = &mut loaded.snapshot {
                self.tally.count("snapshot used");
                self.cut_short(&mut snapshot.payload);
            }
        }
        Ok(all)
    }

    async fn read_stream(&self, stream: &StreamId, after: Version, limit: usize) -> Result<Vec<Record>, Fault> {
        self.gate.through(self.log.read_stream(stream, after, limit)).await
    }

    async fn read_partition(&self, partition: Partition, after: Position, limit: usize) -> Result<Vec<Record>, Fault> {
        self.gate.through(self.log.read_partition(partition, after, limit)).await
    }

    async fn latest_of(&self, partition: Partition, prefix: &str, up_to: Position) -> Result<Vec<Record>, Fault> {
        self.gate.through(self.log.latest_of(partition, prefix, up_to)).await
    }

    async fn streams(&self, of: Partition, after: Option<&StreamId>, most: usize) -> Result<Vec<StreamId>, Fault> {
        self.gate.through(self.log.streams(of, after, most)).await
    }

    async fn heads(&self) -> Result<Vec<Position>, Fault> {
        self.gate.through(self.log.heads()).await
    }

    async fn timers(&self, partition: Partition) -> Result<Vec<(StreamId, Timestamp)>, Fault> {
        self.gate.through(self.log.timers(partition)).await
    }

    async fn kinds(&self) -> Result<Vec<(String, u16)>, Fault> {
        self.gate.through(self.log.kinds()).await
    }

    async fn save_snapshot(&self, partition: Partition, snapshot: Snapshot) -> Result<(), Fault> {
        self.gate.pass().await;
        let Some(late) = self.saved() else { return Err(Fault::unavailable("the snapshot was lost")) };
        self.tally.count("snapshot saved");
        let log = self.log.clone();
        if late.is_zero() {
            return log.save_snapshot(partition, snapshot).await;
        }
        tokio::spawn(async move {
            pass(late).await;
            log.save_snapshot(partition, snapshot).await
        });
        Ok(())
    }

    async fn save_segment(&self, partition: Partition, segment: Segment) -> Result<(), Fault> {
        self.gate.pass().await;
        let Some(late) = self.saved() else { return Err(Fault::unavailable("the segment was lost")) };
        self.tally.count("segment saved");
        let log = self.log.clone();
        if late.is_zero() {
            return log.save_segment(partition, segment).await;
        }
        tokio::spawn(async move {
            pass(late).await;
            log.save_segment(partition, segment).await
        });
        Ok(())
    }

    async fn segments(&self, of: &StreamId, schema: u16, from: Version, most: usize) -> Result<Vec<Segment>, Fault> {
        let mut all = self.gate.through(self.log.segments(of, schema, from, most)).await?;
        for segment in &mut all {
            self.tally.count("segment used");
            self.cut_short(&mut segment.payload);
        }
        Ok(all)
    }

    async fn reach(&self, stream: &StreamId, schema: u16) -> Result<Reach, Fault> {
        self.gate.through(self.log.reach(stream, schema)).await
    }

    async fn note(&self, event: Uuid) -> Result<Option<String>, Fault> {
        self.gate.through(self.log.note(event)).await
    }
}
