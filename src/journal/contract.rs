//! What is asked of a log, and what does it answer? The trait that every backend implements; what it MUST do stands at the
//! top of the folder.

use std::sync::Arc;

use async_trait::async_trait;
use uuid::Uuid;

use super::{Loaded, Reach, Segment, Snapshot};
use crate::events::{Chain, Kind, Record};
use crate::fault::Fault;
use crate::ids::{Epoch, NodeId, Partition, Position, StreamId, Version};
use crate::planted::{Bug, planted};
use crate::timestamp::Timestamp;

pub type SharedJournal = Arc<dyn Journal>;

/// The records of one command, over one or more streams of one partition. Written whole or not at all.
#[derive(Clone, Debug, Default)]
pub struct Unit {
    /// In position order; positions, versions and chains are filled in.
    pub records: Vec<Record>,
    /// What changes in the table of deadlines with this unit.
    pub timers: Vec<TimerChange>,
    /// Free text that a person gave as a reason: kept apart from the log, keyed by the event id of the unit's last
    /// record, so that it can be erased.
    pub note: Option<String>,
}

/// The stream's deadline from this unit on; `None` when it has none any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimerChange {
    pub stream: StreamId,
    pub due: Option<Timestamp>,
}

/// Units for one partition, with what the writer believes about it.
#[derive(Clone, Debug)]
pub struct PartitionBatch {
    pub partition: Partition,
    pub epoch: Epoch,
    pub expected_head: Position,
    /// Not empty; positions go on from `expected_head` without gaps.
    pub units: Vec<Unit>,
}

/// What became of one partition's batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Written,
    /// Epoch or head are not what the writer believed: somebody else writes here. Nothing was written.
    Fenced,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Nothing was written, and nothing will be.
    #[error("the log refused the batch: {0}")]
    Rejected(String),
    /// Nothing was written, and the content is not to blame: the log could not be reached, or cannot write just now.
    #[error("the log cannot be reached: {0}")]
    NotSent(String),
    /// It may have been written, or may still be.
    #[error("the outcome of the append is unknown: {0}")]
    Unknown(String),
}

/// A partition as its owner finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionState {
    pub partition: Partition,
    pub epoch: Epoch,
    pub head: Position,
    /// Of the record at `head`: `at`, chain and event id. Zero when the partition is empty.
    pub last_at: Timestamp,
    pub chain: Chain,
    pub last_event: Option<Uuid>,
}

/// All partitions, taken over by one node.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The log's idea of the time, read while the claim was made.
    pub now: Timestamp,
    pub partitions: Vec<PartitionState>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// Another node serves this log.
    #[error("another node is serving this log: {holder}")]
    Held { holder: String },
    #[error("the log is not available: {0}")]
    Unavailable(String),
}

/// The log.
#[async_trait]
pub trait Journal: Send + Sync + 'static {
    /// Partitions of this log; fixed when it was created.
    fn partitions(&self) -> u16;

    /// Which engine, for messages: `memory`, `sqlite`, `postgres`.
    fn engine(&self) -> &'static str;

    /// Takes all partitions: raises each epoch by one, under a lease that other nodes respect.
    async fn claim(&self, node: &NodeId) -> Result<Claim, ClaimError>;

    /// Renews the lease and tells the log's time. After a lost connection it takes the lock again, if nobody else did.
    async fn heartbeat(&self, node: &NodeId) -> Result<Timestamp, ClaimError>;

    /// Gives the lease back at once, so that the next node need not wait.
    async fn release(&self, node: &NodeId) -> Result<(), Fault>;

    /// One transaction for all batches; verdicts in the order of the batches.
    async fn append(&self, batches: &[PartitionBatch]) -> Result<Vec<Verdict>, AppendError>;

    /// Ends every doubt about a partition: raises its epoch if `node` still owns it at `epoch` or above (an earlier try
    /// whose answer was lost may have raised it), which waits for older transactions and fences them. `None`: the
    /// partition is not ours any more.
    async fn settle(&self, node: &NodeId, partition: Partition, epoch: Epoch) -> Result<Option<PartitionState>, Fault>;

    /// The streams' newest snapshots and beginnings of tails, in the order asked for. Unknown streams give empty ones.
    async fn load(&self, streams: &[StreamId]) -> Result<Vec<Loaded>, Fault>;

    /// Records of a stream with a version above `after`, at most `limit`, in order.
    async fn read_stream(&self, stream: &StreamId, after: Version, limit: usize) -> Result<Vec<Record>, Fault>;

    /// Records of a partition with a position above `after`, at least one unit and about `limit` records, cut at the end
    /// of a unit, in order. Empty: nothing there yet.
    async fn read_partition(&self, partition: Partition, after: Position, limit: usize) -> Result<Vec<Record>, Fault>;

    /// The newest record of each stream whose name starts with `prefix`, as of position `up_to`, in stream order.
    async fn latest_of(&self, partition: Partition, prefix: &str, up_to: Position) -> Result<Vec<Record>, Fault>;

    /// Names of the partition's streams after `after`, in order, at most `most` of them.
    async fn streams(&self, of: Partition, after: Option<&StreamId>, most: usize) -> Result<Vec<StreamId>, Fault>;

    /// Durable heads of all partitions, in partition order.
    async fn heads(&self) -> Result<Vec<Position>, Fault>;

    /// Every deadline of a partition.
    async fn timers(&self, partition: Partition) -> Result<Vec<(StreamId, Timestamp)>, Fault>;

    /// Every kind and version that the log holds, for the check at start-up.
    async fn kinds(&self) -> Result<Vec<(String, u16)>, Fault>;

    /// Keeps a snapshot; an older one of the stream is replaced, a newer one stays. Segments that it makes superfluous
    /// go, in the same transaction.
    async fn save_snapshot(&self, partition: Partition, snapshot: Snapshot) -> Result<(), Fault>;

    /// Keeps a segment, whole or not at all; the first one with this schema and `after` stays.
    async fn save_segment(&self, partition: Partition, segment: Segment) -> Result<(), Fault>;

    /// Segments of that schema which begin at `from` or later, at most `most`, in order. Whether each begins where the
    /// one before ended is for the caller to see.
    async fn segments(&self, of: &StreamId, schema: u16, from: Version, most: usize) -> Result<Vec<Segment>, Fault>;

    /// How far snapshot and segments of that schema go, without reading them.
    async fn reach(&self, stream: &StreamId, schema: u16) -> Result<Reach, Fault>;

    /// The note of a unit, by the event id of its last record.
    async fn note(&self, event: Uuid) -> Result<Option<String>, Fault>;
}

/// The kinds of `found` that this build cannot read, as a message for the operator; `None` when it can read them all.
#[must_use]
pub fn unreadable_kinds(found: &[(String, u16)], known: &[Kind]) -> Option<String> {
    let bad: Vec<String> = found
        .iter()
        .filter(|(name, version)| !known.iter().any(|kind| kind.name == name && *version <= kind.version))
        .map(|(name, version)| format!("{name} version {version}"))
        .collect();
    if planted(Bug::SkipUnknownEvent) {
        return None;
    }
    (!bad.is_empty()).then(|| bad.join(", "))
}
