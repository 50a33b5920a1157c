//! How does a log in memory keep the contract? One lock over all shelves: whoever holds it sees only whole units.
//!
//! Nothing here reads a clock of its own, spawns, or depends on the order of a hash map, so a simulation over it repeats
//! from its seed. Writes that a simulation puts off are kept as rows to come and are applied, or found fenced, by
//! whichever call comes after their time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::{Mutex, MutexGuard};
use uuid::Uuid;

use super::mischief::{Fate, Hiccup, Mischief};
use super::shelf::Shelf;
use crate::clock::Clock;
use crate::events::Record;
use crate::fault::Fault;
use crate::ids::{Epoch, NodeId, Partition, Position, StreamId, Version};
use crate::journal::{
    AppendError, Claim, ClaimError, Journal, Loaded, PartitionBatch, PartitionState, Reach, Segment, Snapshot, Verdict,
};
use crate::limits;
use crate::planted::{Bug, planted};
use crate::timestamp::Timestamp;

/// A log in memory. Clones share the rows; each may have its own mischief, as nodes have their own connections.
#[derive(Clone)]
pub struct MemoryJournal {
    tables: Arc<Mutex<Tables>>,
    clock: Arc<dyn Clock>,
    mischief: Option<Arc<dyn Mischief>>,
    partitions: u16,
}

#[derive(Default)]
struct Tables {
    shelves: Vec<Shelf>,
    kinds: BTreeSet<(String, u16)>,
    notes: BTreeMap<Uuid, String>,
    lease: Option<Lease>,
    /// Appends whose commit a simulation has put off, by the time at which they happen.
    put_off: Vec<(Duration, Vec<PartitionBatch>)>,
}

struct Lease {
    node: NodeId,
    until: Duration,
}

impl MemoryJournal {
    /// An empty log.
    #[must_use]
    pub fn new(partitions: u16, clock: Arc<dyn Clock>) -> Self {
        let shelves = (0..partitions).map(|_| Shelf::default()).collect();
        let tables = Tables { shelves, ..Tables::default() };
        Self { tables: Arc::new(Mutex::new(tables)), clock, mischief: None, partitions }
    }

    /// A log as it was found, damage included: rows are put where they say they are, unchecked.
    #[must_use]
    pub fn found(partitions: u16, clock: Arc<dyn Clock>, rows: Vec<Record>) -> Self {
        let log = Self::new(partitions, clock);
        log.found_more(rows);
        log
    }

    /// More such rows, as if another node had written them.
    pub fn found_more(&self, rows: Vec<Record>) {
        let mut tables = self.tables.lock();
        for row in rows {
            tables.kinds.insert((row.kind.to_string(), row.schema));
            if let Some(shelf) = tables.shelves.get_mut(usize::from(row.partition.0)) {
                shelf.place(row);
            }
        }
    }

    /// The same rows, reached through a connection on which these things go wrong.
    #[must_use]
    pub fn with_mischief(self, mischief: Arc<dyn Mischief>) -> Self {
        Self { mischief: Some(mischief), ..self }
    }

    /// Every row, by partition and position.
    #[must_use]
    pub fn dump(&self) -> Vec<Record> {
        self.tables().shelves.iter().flat_map(|shelf| shelf.rows().cloned()).collect()
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        let mut tables = self.tables.lock();
        tables.catch_up(self.clock.elapsed());
        tables
    }

    async fn take_time_to_load(&self) {
        if let Some(time) = self.mischief.as_ref().and_then(|m| m.on_load()) {
            tokio::time::sleep(time).await;
        }
    }

    async fn stumble(&self, hiccup: Option<Hiccup>) -> Result<(), String> {
        match hiccup.unwrap_or_default() {
            Hiccup::Normal => Ok(()),
            Hiccup::Delay(time) => {
                tokio::time::sleep(time).await;
                Ok(())
            }
            Hiccup::Fail => Err("the connection was lost".to_owned()),
        }
    }

    /// The lease, if it is another node's and still good: then that node's name.
    fn held_by_another(&self, tables: &Tables, node: &NodeId) -> Option<String> {
        let lease = tables.lease.as_ref()?;
        (&lease.node != node && lease.until > self.clock.elapsed()).then(|| lease.node.to_string())
    }

    fn lease_to(&self, node: &NodeId) -> Lease {
        Lease { node: node.clone(), until: self.clock.elapsed() + limits::LEASE }
    }
}

impl Tables {
    fn shelf(&self, partition: Partition) -> Result<&Shelf, Fault> {
        self.shelves.get(usize::from(partition.0)).ok_or_else(|| no_such(partition))
    }

    fn shelf_of(&self, stream: &StreamId) -> Option<&Shelf> {
        let partitions = u16::try_from(self.shelves.len()).unwrap_or(u16::MAX);
        self.shelves.get(usize::from(stream.partition(partitions)?.0))
    }

    /// Commits whose time has come happen now, in the order of their times.
    fn catch_up(&mut self, now: Duration) {
        while let Some(next) = (0..self.put_off.len()).min_by_key(|i| (self.put_off[*i].0, *i)) {
            if self.put_off[next].0 > now {
                break;
            }
            let (_, batches) = self.put_off.remove(next);
            // Nobody waits for this answer: a fence or a refusal simply means that nothing is written.
            let _ = self.write(&batches);
        }
    }

    /// All or nothing, except that fenced batches fall out.
    fn write(&mut self, batches: &[PartitionBatch]) -> Result<Vec<Verdict>, String> {
        let mut seen = BTreeSet::new();
        let mut verdicts = Vec::with_capacity(batches.len());
        for batch in batches {
            let shelf = self.shelf(batch.partition).map_err(|fault| fault.to_string())?;
            if !seen.insert(batch.partition) {
                return Err(format!("partition {} is twice in one append", batch.partition));
            }
            if shelf.fences(batch) {
                verdicts.push(Verdict::Fenced);
            } else {
                shelf.check(batch)?;
                verdicts.push(Verdict::Written);
            }
        }
        for (batch, _) in batches.iter().zip(&verdicts).filter(|(_, verdict)| **verdict == Verdict::Written) {
            for unit in batch.units.iter().cloned() {
                self.kinds.extend(unit.records.iter().map(|record| (record.kind.to_string(), record.schema)));
                if let (Some(note), Some(last)) = (&unit.note, unit.records.last()) {
                    self.notes.insert(last.event_id, note.clone());
                }
                self.shelves[usize::from(batch.partition.0)].put(unit);
            }
        }
        Ok(verdicts)
    }
}

fn no_such(partition: Partition) -> Fault {
    Fault::internal(format!("this log has no partition {partition}"))
}

fn lost() -> AppendError {
    AppendError::Unknown("the connection was lost".to_owned())
}

#[async_trait]
impl Journal for MemoryJournal {
    fn partitions(&self) -> u16 {
        self.partitions
    }

    fn engine(&self) -> &'static str {
        "memory"
    }

    async fn claim(&self, node: &NodeId) -> Result<Claim, ClaimError> {
        self.stumble(self.mischief.as_ref().map(|m| m.on_heartbeat())).await.map_err(ClaimError::Unavailable)?;
        let mut tables = self.tables();
        if let Some(holder) = self.held_by_another(&tables, node) {
            return Err(ClaimError::Held { holder });
        }
        tables.lease = Some(self.lease_to(node));
        let mut partitions = Vec::with_capacity(tables.shelves.len());
        for (number, shelf) in (0..).zip(&mut tables.shelves) {
            shelf.epoch = Epoch(shelf.epoch.0 + 1);
            shelf.owner = Some(node.clone());
            partitions.push(shelf.state(Partition(number)));
        }
        Ok(Claim { now: self.clock.wall(), partitions })
    }

    async fn heartbeat(&self, node: &NodeId) -> Result<Timestamp, ClaimError> {
        self.stumble(self.mischief.as_ref().map(|m| m.on_heartbeat())).await.map_err(ClaimError::Unavailable)?;
        let mut tables = self.tables();
        // Whoever claimed last owns the partitions, even after its lease ran out: only a new claim may follow it.
        let owner = tables.shelves.first().and_then(|shelf| shelf.owner.clone());
        let other = owner.filter(|owner| owner != node).map(|owner| owner.to_string());
        if let Some(holder) = self.held_by_another(&tables, node).or(other) {
            return Err(ClaimError::Held { holder });
        }
        tables.lease = Some(self.lease_to(node));
        Ok(self.clock.wall())
    }

    async fn release(&self, node: &NodeId) -> Result<(), Fault> {
        let mut tables = self.tables();
        if tables.lease.as_ref().is_some_and(|lease| &lease.node == node) {
            tables.lease = None;
        }
        Ok(())
    }

    async fn append(&self, batches: &[PartitionBatch]) -> Result<Vec<Verdict>, AppendError> {
        let fate = self.mischief.as_ref().map(|m| m.on_append()).unwrap_or_default();
        match fate {
            Fate::Normal => {}
            Fate::Delay(time) => tokio::time::sleep(time).await,
            Fate::Reject => return Err(AppendError::Rejected("refused by mischief".to_owned())),
            Fate::UnknownNotWritten => return Err(lost()),
            Fate::UnknownWrittenLater(time) => {
                let due = self.clock.elapsed() + time;
                self.tables().put_off.push((due, batches.to_vec()));
                return Err(lost());
            }
            Fate::UnknownWritten => {
                // The lost answer might as well have been a fence or a refusal.
                let _ = self.tables().write(batches);
                return Err(lost());
            }
        }
        self.tables().write(batches).map_err(AppendError::Rejected)
    }

    async fn settle(&self, node: &NodeId, partition: Partition, epoch: Epoch) -> Result<Option<PartitionState>, Fault> {
        self.stumble(self.mischief.as_ref().map(|m| m.on_settle())).await.map_err(Fault::unavailable)?;
        let mut tables = self.tables();
        let shelf = tables.shelves.get_mut(usize::from(partition.0)).ok_or_else(|| no_such(partition))?;
        if shelf.epoch < epoch || shelf.owner.as_ref() != Some(node) {
            return Ok(None);
        }
        if !planted(Bug::SettleBySelect) {
            shelf.epoch = Epoch(shelf.epoch.0 + 1);
        }
        Ok(Some(shelf.state(partition)))
    }

    async fn load(&self, streams: &[StreamId]) -> Result<Vec<Loaded>, Fault> {
        self.take_time_to_load().await;
        let tables = self.tables();
        let load_one = |stream: &StreamId| {
            let Some(shelf) = tables.shelf_of(stream) else { return Loaded::default() };
            let snapshot = shelf.snapshots.get(stream).cloned();
            let from = snapshot.as_ref().map_or(Version(0), |snapshot| snapshot.version);
            let segmented = shelf.has_segments(stream);
            let limit = if segmented { 0 } else { limits::READ_BATCH };
            Loaded { snapshot, segmented, tail: shelf.of_stream(stream, from).take(limit).cloned().collect() }
        };
        Ok(streams.iter().map(load_one).collect())
    }

    async fn read_stream(&self, stream: &StreamId, after: Version, limit: usize) -> Result<Vec<Record>, Fault> {
        self.take_time_to_load().await;
        let tables = self.tables();
        let Some(shelf) = tables.shelf_of(stream) else { return Ok(Vec::new()) };
        Ok(shelf.of_stream(stream, after).take(limit).cloned().collect())
    }

    async fn read_partition(&self, partition: Partition, after: Position, limit: usize) -> Result<Vec<Record>, Fault> {
        self.take_time_to_load().await;
        Ok(self.tables().shelf(partition)?.after(after, limit))
    }

    async fn latest_of(&self, partition: Partition, prefix: &str, up_to: Position) -> Result<Vec<Record>, Fault> {
        self.take_time_to_load().await;
        Ok(self.tables().shelf(partition)?.latest_of(prefix, up_to))
    }

    async fn streams(&self, of: Partition, after: Option<&StreamId>, most: usize) -> Result<Vec<StreamId>, Fault> {
        self.take_time_to_load().await;
        Ok(self.tables().shelf(of)?.streams(after, most))
    }

    async fn heads(&self) -> Result<Vec<Position>, Fault> {
        Ok(self.tables().shelves.iter().map(Shelf::head).collect())
    }

    async fn timers(&self, partition: Partition) -> Result<Vec<(StreamId, Timestamp)>, Fault> {
        let tables = self.tables();
        let shelf = tables.shelf(partition)?;
        Ok(shelf.timers.iter().map(|(stream, due)| (stream.clone(), *due)).collect())
    }

    async fn kinds(&self) -> Result<Vec<(String, u16)>, Fault> {
        Ok(self.tables().kinds.iter().cloned().collect())
    }

    async fn save_snapshot(&self, partition: Partition, snapshot: Snapshot) -> Result<(), Fault> {
        let mut tables = self.tables();
        let shelf = tables.shelves.get_mut(usize::from(partition.0)).ok_or_else(|| no_such(partition))?;
        shelf.keep_snapshot(snapshot);
        Ok(())
    }

    async fn save_segment(&self, partition: Partition, segment: Segment) -> Result<(), Fault> {
        let mut tables = self.tables();
        let shelf = tables.shelves.get_mut(usize::from(partition.0)).ok_or_else(|| no_such(partition))?;
        shelf.keep_segment(segment);
        Ok(())
    }

    async fn segments(&self, of: &StreamId, schema: u16, from: Version, most: usize) -> Result<Vec<Segment>, Fault> {
        self.take_time_to_load().await;
        let tables = self.tables();
        let Some(shelf) = tables.shelf_of(of) else { return Ok(Vec::new()) };
        Ok(shelf.segments_of(of, schema, from).take(most).cloned().collect())
    }

    async fn reach(&self, stream: &StreamId, schema: u16) -> Result<Reach, Fault> {
        let tables = self.tables();
        Ok(tables.shelf_of(stream).map(|shelf| shelf.reach(stream, schema)).unwrap_or_default())
    }

    async fn note(&self, event: Uuid) -> Result<Option<String>, Fault> {
        Ok(self.tables().notes.get(&event).cloned())
    }
}
