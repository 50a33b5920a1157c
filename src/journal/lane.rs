//! How do units become durable together? One task and one connection: group commit over many partitions.
//!
//! The lane takes everything that waits, writes it in one transaction, and while that commits the next batch gathers. No
//! timer: an idle system commits at once, a busy one in large batches. It owns the chain of each partition and settles
//! every doubt before it goes on. Who waits for what is the sequencers' business; the lane reports through [`Reports`].

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::follow::Follow;
use super::{AppendError, PartitionBatch, PartitionState, SharedJournal, Unit, Verdict};
use crate::clock::Clock;
use crate::events::{Chain, Record};
use crate::fault::Fault;
use crate::ids::{Epoch, NodeId, Partition, Position, StreamId};
use crate::limits;
use crate::telemetry;
use crate::timestamp::Timestamp;

/// A unit on its way to the log.
#[derive(Debug)]
pub struct Queued {
    pub partition: Partition,
    /// Units of an older generation were built on something that never became true; the lane drops them.
    pub generation: u64,
    pub unit: Unit,
    pub bytes: usize,
}

impl Queued {
    /// Position of the unit's last record.
    #[must_use]
    pub fn last(&self) -> Position {
        self.unit.records.last().map_or(Position(0), |record| record.position)
    }
}

/// A partition's deadlines, as rows.
pub type Timers = Vec<(StreamId, Timestamp)>;

/// The one unit that was refused for good: the last position it would have had, and why.
pub type Guilty = (Position, Fault);

/// Who hears what became of the units.
pub trait Reports: Send + Sync + 'static {
    fn is_current(&self, partition: Partition, generation: u64) -> bool;
    /// Everything up to `position` is durable.
    fn committed(&self, partition: Partition, position: Position);
    /// Units up to `doubtful` may be written; everything behind them is not and never will be.
    fn suspended(&self, partition: Partition, doubtful: Position);
    /// What the log says is final; units beyond `state.head` are not written.
    fn resumed(&self, state: &PartitionState, timers: Timers, guilty: Option<Guilty>);
    /// Another node writes here.
    fn lost(&self, partition: Partition, doubt: Fault);
}

/// What the lane believes about a partition.
#[derive(Clone, Copy, Debug)]
struct Belief {
    epoch: Epoch,
    head: Position,
    chain: Chain,
}

impl From<&PartitionState> for Belief {
    fn from(state: &PartitionState) -> Self {
        Self { epoch: state.epoch, head: state.head, chain: state.chain }
    }
}

pub struct Lane {
    journal: SharedJournal,
    follow: Follow,
    reports: Arc<dyn Reports>,
    node: NodeId,
    clock: Arc<dyn Clock>,
    beliefs: Vec<Belief>,
    queue: mpsc::Receiver<Queued>,
    /// Taken from the queue, but beyond the bounds of the batch before.
    waiting: VecDeque<Queued>,
}

impl Lane {
    #[must_use]
    pub fn new(
        journal: SharedJournal,
        follow: Follow,
        reports: Arc<dyn Reports>,
        node: NodeId,
        clock: Arc<dyn Clock>,
        partitions: &[PartitionState],
        queue: mpsc::Receiver<Queued>,
    ) -> Self {
        let beliefs = partitions.iter().map(Belief::from).collect();
        Self { journal, follow, reports, node, clock, beliefs, queue, waiting: VecDeque::new() }
    }

    /// Runs until every sender is gone and everything queued is settled.
    pub async fn run(mut self) {
        let mut taken = Vec::new();
        loop {
            if self.waiting.is_empty() && self.queue.recv_many(&mut taken, limits::BATCH_EVENTS).await == 0 {
                return;
            }
            while taken.len() + self.waiting.len() < limits::BATCH_EVENTS
                && let Ok(queued) = self.queue.try_recv()
            {
                taken.push(queued);
            }
            self.waiting.extend(taken.drain(..));
            let batches = self.gather();
            if !batches.is_empty() {
                self.write(batches).await;
            }
        }
    }

    /// The next transaction: as much as fits, in the order of the queue, grouped by partition in ascending order.
    fn gather(&mut self) -> Vec<PartitionBatch> {
        let mut batches: BTreeMap<Partition, PartitionBatch> = BTreeMap::new();
        let (mut events, mut bytes) = (0, 0);
        while let Some(queued) = self.waiting.front() {
            let fits = events + queued.unit.records.len() <= limits::BATCH_EVENTS
                && bytes + queued.bytes <= limits::BATCH_BYTES;
            if !fits && events > 0 {
                break;
            }
            let Some(queued) = self.waiting.pop_front() else { break };
            if !self.reports.is_current(queued.partition, queued.generation) {
                continue;
            }
            events += queued.unit.records.len();
            bytes += queued.bytes;
            let belief = self.beliefs[usize::from(queued.partition.0)];
            let batch = batches.entry(queued.partition).or_insert_with(|| PartitionBatch {
                partition: queued.partition,
                epoch: belief.epoch,
                expected_head: belief.head,
                units: Vec::new(),
            });
            batch.units.push(queued.unit);
        }
        metrics::histogram!(telemetry::LANE_BATCH_EVENTS).record(f64::from(u32::try_from(events).unwrap_or(u32::MAX)));
        let mut batches: Vec<PartitionBatch> = batches.into_values().collect();
        batches.iter_mut().for_each(|batch| self.link(batch));
        batches
    }

    /// Fills in the chain and the time of recording.
    fn link(&self, batch: &mut PartitionBatch) {
        let recorded_at = self.clock.wall();
        let mut chain = self.beliefs[usize::from(batch.partition.0)].chain;
        for record in batch.units.iter_mut().flat_map(|unit| &mut unit.records) {
            record.recorded_at = recorded_at;
            record.chain = record.chain_after(&chain);
            chain = record.chain;
        }
    }

    async fn write(&mut self, batches: Vec<PartitionBatch>) {
        let started = self.clock.elapsed();
        let result = self.journal.append(&batches).await;
        let seconds = self.clock.elapsed().saturating_sub(started).as_secs_f64();
        metrics::histogram!(telemetry::LANE_COMMIT_SECONDS).record(seconds);
        match result {
            Ok(verdicts) => {
                for (batch, verdict) in batches.into_iter().zip(verdicts) {
                    match verdict {
                        Verdict::Written => self.written(batch.partition, batch.units),
                        Verdict::Fenced => self.doubt(batch).await,
                    }
                }
            }
            Err(AppendError::Unknown(detail)) => {
                metrics::counter!(telemetry::UNKNOWN_OUTCOMES).increment(1);
                tracing::warn!(detail, partitions = batches.len(), "the outcome of an append is unknown, settling it");
                for batch in batches {
                    self.doubt(batch).await;
                }
            }
            Err(AppendError::NotSent(detail)) => {
                tracing::warn!(detail, partitions = batches.len(), "the log cannot be reached");
                for batch in batches {
                    self.not_sent(batch.partition).await;
                }
            }
            Err(AppendError::Rejected(detail)) => self.rejected(batches, &detail).await,
        }
    }

    /// Nothing of it was written: everybody may try again once the log answers.
    async fn not_sent(&mut self, partition: Partition) {
        self.reports.suspended(partition, self.beliefs[usize::from(partition.0)].head);
        self.settle(partition, &[], None).await;
    }

    fn written(&mut self, partition: Partition, units: Vec<Unit>) {
        let records: Vec<Arc<Record>> = units.into_iter().flat_map(|unit| unit.records).map(Arc::new).collect();
        let Some(last) = records.last() else { return };
        let head = last.position;
        let belief = &mut self.beliefs[usize::from(partition.0)];
        (belief.head, belief.chain) = (head, last.chain);
        metrics::counter!(telemetry::APPENDED_EVENTS).increment(records.len() as u64);
        // Followers first: whoever is answered may read at once what the answer says.
        self.follow.committed(partition, records);
        self.reports.committed(partition, head);
    }

    /// A batch was refused: find out who is guilty by writing its partitions one by one, then its units one by one.
    async fn rejected(&mut self, batches: Vec<PartitionBatch>, detail: &str) {
        for batch in batches {
            let partition = batch.partition;
            // Once one is found guilty, those behind it are told by `suspended`: their positions are gone.
            for unit in batch.units {
                let belief = self.beliefs[usize::from(partition.0)];
                let last = unit.records.last().map_or(belief.head, |record| record.position);
                let single =
                    PartitionBatch { partition, epoch: belief.epoch, expected_head: belief.head, units: vec![unit] };
                match self.journal.append(std::slice::from_ref(&single)).await {
                    Ok(verdicts) if verdicts.first() == Some(&Verdict::Written) => {
                        self.written(partition, single.units)
                    }
                    Err(AppendError::Rejected(why)) => {
                        tracing::error!(%partition, position = last.0, why, first = detail, "the log refused a unit");
                        self.reports.suspended(partition, last);
                        self.settle(partition, &[], Some((last, Fault::Rejected { detail: why }))).await;
                        break;
                    }
                    Err(AppendError::NotSent(_)) => {
                        self.not_sent(partition).await;
                        break;
                    }
                    Ok(_) | Err(AppendError::Unknown(_)) => {
                        self.doubt(single).await;
                        break;
                    }
                }
            }
        }
    }

    async fn doubt(&mut self, batch: PartitionBatch) {
        let records: Vec<Record> = batch.units.into_iter().flat_map(|unit| unit.records).collect();
        let doubtful = records.last().map_or(batch.expected_head, |record| record.position);
        self.reports.suspended(batch.partition, doubtful);
        self.settle(batch.partition, &records, None).await;
    }

    /// Asks the log until it answers: fences whatever may still be under way, then takes its word.
    async fn settle(&mut self, partition: Partition, doubtful: &[Record], guilty: Option<Guilty>) {
        metrics::counter!(telemetry::GENERATIONS_RAISED).increment(1);
        let belief = self.beliefs[usize::from(partition.0)];
        let mut pause = Duration::from_millis(20);
        let (state, timers) = loop {
            match self.settled(partition, belief.epoch).await {
                Ok(Some(found)) => break found,
                Ok(None) => return self.lose(partition, doubtful),
                Err(fault) => {
                    tracing::warn!(%partition, %fault, "a doubt cannot be settled yet");
                    if self.queue.is_closed() {
                        return self.lose(partition, doubtful);
                    }
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(1));
                }
            }
        };
        let is_ours = match doubtful.iter().find(|record| record.position == state.head) {
            Some(record) => Some(record.event_id) == state.last_event,
            None => state.head == belief.head,
        };
        if !is_ours {
            tracing::error!(%partition, head = state.head.0, "somebody else wrote to a partition of ours");
            return self.lose(partition, doubtful);
        }
        tracing::info!(%partition, written = state.head > belief.head, head = state.head.0, "settled");
        let written: Vec<Arc<Record>> =
            doubtful.iter().filter(|record| record.position <= state.head).cloned().map(Arc::new).collect();
        if !written.is_empty() {
            self.follow.committed(partition, written);
        }
        self.beliefs[usize::from(partition.0)] = Belief::from(&state);
        self.reports.resumed(&state, timers, guilty);
    }

    async fn settled(&self, partition: Partition, epoch: Epoch) -> Result<Option<(PartitionState, Timers)>, Fault> {
        let Some(state) = self.journal.settle(&self.node, partition, epoch).await? else { return Ok(None) };
        // From here on the log has the next epoch; reading the timers may fail and is repeated with it.
        let mut tries = 0;
        loop {
            match self.journal.timers(partition).await {
                Ok(timers) => return Ok(Some((state, timers))),
                Err(fault) if self.queue.is_closed() || tries > 600 => return Err(fault),
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
            tries += 1;
        }
    }

    fn lose(&self, partition: Partition, doubtful: &[Record]) {
        tracing::error!(%partition, "this node does not own the partition any more");
        let doubt = if doubtful.is_empty() { Fault::NotOwner { partition } } else { Fault::UnknownOutcome };
        self.reports.lost(partition, doubt);
    }
}
