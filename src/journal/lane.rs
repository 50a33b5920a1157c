//! How do units become durable together? One task and one connection: group commit over many partitions.
//!
//! The lane takes everything that waits, writes it in one transaction, and while that commits the next batch gathers. No
//! timer: an idle system commits at once, a busy one in large batches. It owns the chain of each partition and settles
//! every doubt before it goes on. Who waits for what is the sequencers' business; the lane reports through [`Reports`].

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

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

/// What a lane is made of.
pub struct LaneParts {
    pub journal: SharedJournal,
    pub follow: Follow,
    pub reports: Arc<dyn Reports>,
    pub node: NodeId,
    pub clock: Arc<dyn Clock>,
    /// Ends the lane; whatever is queued then is not written.
    pub stop: CancellationToken,
}

pub struct Lane {
    parts: LaneParts,
    beliefs: Vec<Belief>,
    queue: mpsc::Receiver<Queued>,
    /// Taken from the queue, but beyond the bounds of the batch before.
    waiting: VecDeque<Queued>,
}

/// A batch that may or may not be in the log: its records, and the highest of their positions.
struct Doubt {
    partition: Partition,
    records: Vec<Record>,
    guilty: Option<Guilty>,
}

impl Doubt {
    /// Nothing of it can be in the log.
    fn none(partition: Partition) -> Self {
        Self { partition, records: Vec::new(), guilty: None }
    }
}

impl From<PartitionBatch> for Doubt {
    fn from(batch: PartitionBatch) -> Self {
        let records = batch.units.into_iter().flat_map(|unit| unit.records).collect();
        Self { partition: batch.partition, records, guilty: None }
    }
}

impl Lane {
    #[must_use]
    pub fn new(parts: LaneParts, partitions: &[PartitionState], queue: mpsc::Receiver<Queued>) -> Self {
        Self { parts, beliefs: partitions.iter().map(Belief::from).collect(), queue, waiting: VecDeque::new() }
    }

    /// Runs until it is stopped. Whoever stops it has made sure that nobody waits any more.
    pub async fn run(mut self) {
        let mut taken = Vec::new();
        loop {
            if self.waiting.is_empty() {
                tokio::select! {
                    biased;
                    count = self.queue.recv_many(&mut taken, limits::BATCH_EVENTS) => if count == 0 { return },
                    () = self.parts.stop.cancelled() => return,
                }
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
            if !self.parts.reports.is_current(queued.partition, queued.generation) {
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
        let waiting = self.waiting.len() + self.queue.len();
        metrics::gauge!(telemetry::LANE_QUEUE).set(f64::from(u32::try_from(waiting).unwrap_or(u32::MAX)));
        let mut batches: Vec<PartitionBatch> = batches.into_values().collect();
        batches.iter_mut().for_each(|batch| self.link(batch));
        batches
    }

    /// Fills in the chain and the time of recording.
    fn link(&self, batch: &mut PartitionBatch) {
        let recorded_at = self.parts.clock.wall();
        let mut chain = self.beliefs[usize::from(batch.partition.0)].chain;
        for record in batch.units.iter_mut().flat_map(|unit| &mut unit.records) {
            record.recorded_at = recorded_at;
            record.chain = record.chain_after(&chain);
            chain = record.chain;
        }
    }

    async fn write(&mut self, batches: Vec<PartitionBatch>) {
        let started = self.parts.clock.elapsed();
        let result = self.parts.journal.append(&batches).await;
        let seconds = self.parts.clock.elapsed().saturating_sub(started).as_secs_f64();
        metrics::histogram!(telemetry::LANE_COMMIT_SECONDS).record(seconds);
        match result {
            Ok(verdicts) => {
                // Whoever is written hears of it first; settling the others may take long.
                let (written, fenced): (Vec<_>, Vec<_>) =
                    batches.into_iter().zip(verdicts).partition(|(_, verdict)| *verdict == Verdict::Written);
                written.into_iter().for_each(|(batch, _)| self.written(batch.partition, batch.units));
                metrics::counter!(telemetry::FENCED).increment(fenced.len() as u64);
                self.settle_all(fenced.into_iter().map(|(batch, _)| batch.into()).collect()).await;
            }
            Err(AppendError::Unknown(detail)) => {
                metrics::counter!(telemetry::UNKNOWN_OUTCOMES).increment(1);
                tracing::warn!(detail, partitions = batches.len(), "the outcome of an append is unknown, settling it");
                self.settle_all(batches.into_iter().map(Doubt::from).collect()).await;
            }
            Err(AppendError::NotSent(detail)) => {
                tracing::warn!(detail, partitions = batches.len(), "the log cannot be reached");
                self.settle_all(batches.iter().map(|batch| Doubt::none(batch.partition)).collect()).await;
            }
            Err(AppendError::Rejected(detail)) => self.rejected(batches, &detail).await,
        }
    }

    fn written(&mut self, partition: Partition, units: Vec<Unit>) {
        let records: Vec<Arc<Record>> = units.into_iter().flat_map(|unit| unit.records).map(Arc::new).collect();
        let Some(last) = records.last() else { return };
        let head = last.position;
        let belief = &mut self.beliefs[usize::from(partition.0)];
        (belief.head, belief.chain) = (head, last.chain);
        metrics::counter!(telemetry::APPENDED_EVENTS).increment(records.len() as u64);
        // Followers first: whoever is answered may read at once what the answer says.
        self.parts.follow.committed(partition, records);
        self.parts.reports.committed(partition, head);
    }

    /// A batch was refused: find out who is guilty by writing its partitions one by one, then its units one by one.
    async fn rejected(&mut self, batches: Vec<PartitionBatch>, detail: &str) {
        for batch in batches {
            let partition = batch.partition;
            for unit in batch.units {
                let belief = self.beliefs[usize::from(partition.0)];
                let last = unit.records.last().map_or(belief.head, |record| record.position);
                let single =
                    PartitionBatch { partition, epoch: belief.epoch, expected_head: belief.head, units: vec![unit] };
                let doubt = match self.parts.journal.append(std::slice::from_ref(&single)).await {
                    Ok(verdicts) if verdicts.first() == Some(&Verdict::Written) => {
                        self.written(partition, single.units);
                        continue;
                    }
                    Err(AppendError::Rejected(why)) => {
                        tracing::error!(%partition, position = last.0, why, first = detail, "the log refused a unit");
                        Doubt { guilty: Some((last, Fault::Rejected { detail: why })), ..Doubt::none(partition) }
                    }
                    Err(AppendError::NotSent(_)) => Doubt::none(partition),
                    Ok(_) | Err(AppendError::Unknown(_)) => single.into(),
                };
                self.settle_all(vec![doubt]).await;
                // The units behind this one were told when it was suspended: their positions are gone.
                break;
            }
        }
    }

    /// Suspends all partitions first, so that nobody decides there meanwhile, then settles one after the other.
    async fn settle_all(&mut self, doubts: Vec<Doubt>) {
        for doubt in &doubts {
            let belief = self.beliefs[usize::from(doubt.partition.0)];
            let written_at_most = doubt.records.last().map_or(belief.head, |record| record.position);
            let last = doubt.guilty.as_ref().map_or(written_at_most, |(last, _)| *last);
            self.parts.reports.suspended(doubt.partition, last);
        }
        for Doubt { partition, records, guilty } in doubts {
            self.settle(partition, &records, guilty).await;
        }
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
                    if self.parts.stop.is_cancelled() {
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
            self.parts.follow.committed(partition, written);
        }
        self.beliefs[usize::from(partition.0)] = Belief::from(&state);
        self.parts.reports.resumed(&state, timers, guilty);
    }

    async fn settled(&self, partition: Partition, epoch: Epoch) -> Result<Option<(PartitionState, Timers)>, Fault> {
        let Some(state) = self.parts.journal.settle(&self.parts.node, partition, epoch).await? else { return Ok(None) };
        // From here on the log has the next epoch; reading the timers may fail and is repeated with it.
        let mut tries = 0;
        loop {
            match self.parts.journal.timers(partition).await {
                Ok(timers) => return Ok(Some((state, timers))),
                Err(fault) if self.parts.stop.is_cancelled() || tries > 600 => return Err(fault),
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
            tries += 1;
        }
    }

    fn lose(&self, partition: Partition, doubtful: &[Record]) {
        tracing::error!(%partition, "this node does not own the partition any more");
        let doubt = if doubtful.is_empty() { Fault::NotOwner { partition } } else { Fault::UnknownOutcome };
        self.parts.reports.lost(partition, doubt);
    }
}
