//! What does one partition hold, and what would a database refuse to put there?
//!
//! The shelf checks what tables, keys and the fenced head of a partition check. It does not check chains or payloads,
//! since no database would: that is the business of the readers and of the audit.

use std::collections::BTreeMap;

use crate::events::{Chain, Record};
use crate::ids::{Epoch, NodeId, Partition, Position, StreamId, Version};
use crate::journal::{PartitionBatch, PartitionState, Reach, Segment, Snapshot, Unit, units};
use crate::planted::{Bug, planted};
use crate::timestamp::Timestamp;

#[derive(Debug, Default)]
pub(super) struct Shelf {
    pub epoch: Epoch,
    pub owner: Option<NodeId>,
    pub timers: BTreeMap<StreamId, Timestamp>,
    pub snapshots: BTreeMap<StreamId, Snapshot>,
    /// By stream, schema and the version after which they begin.
    pub segments: BTreeMap<(StreamId, u16, Version), Segment>,
    rows: BTreeMap<Position, Record>,
    /// The key that makes a version unique, and the way to a stream's rows.
    versions: BTreeMap<(StreamId, Version), Position>,
}

impl Shelf {
    pub fn head(&self) -> Position {
        self.rows.last_key_value().map_or(Position(0), |(position, _)| *position)
    }

    pub fn state(&self, partition: Partition) -> PartitionState {
        let last = self.rows.last_key_value().map(|(_, record)| record);
        PartitionState {
            partition,
            epoch: self.epoch,
            head: self.head(),
            last_at: last.map_or(Timestamp(0), |record| record.at),
            chain: last.map_or_else(Chain::default, |record| record.chain),
            last_event: last.map(|record| record.event_id),
        }
    }

    /// Is the writer's belief about this partition still true?
    pub fn fences(&self, batch: &PartitionBatch) -> bool {
        let other_owner = self.epoch != batch.epoch && !planted(Bug::SkipTheFence);
        other_owner || self.head() != batch.expected_head
    }

    /// Says what a database would refuse about a batch that is not fenced; `Ok` means it can be put here.
    pub fn check(&self, batch: &PartitionBatch) -> Result<(), String> {
        if batch.units.is_empty() {
            return Err(format!("the batch of partition {} has no units", batch.partition));
        }
        let mut position = self.head();
        let mut newest: BTreeMap<&StreamId, Version> = BTreeMap::new();
        for unit in &batch.units {
            check_unit_ends(unit)?;
            for record in &unit.records {
                position = position.next();
                if record.partition != batch.partition || record.position != position {
                    return Err(format!(
                        "a record says {}:{} where {}:{position} is due",
                        record.partition, record.position, batch.partition
                    ));
                }
                let last = newest.get(&record.stream).copied().unwrap_or_else(|| self.newest(&record.stream));
                if record.version != last.next() {
                    return Err(format!(
                        "{} has version {}, a record says {}",
                        record.stream, last.0, record.version.0
                    ));
                }
                newest.insert(&record.stream, record.version);
            }
        }
        Ok(())
    }

    /// Puts a checked unit here.
    pub fn put(&mut self, unit: Unit) {
        for record in unit.records {
            self.place(record);
        }
        for change in unit.timers {
            match change.due {
                Some(due) => self.timers.insert(change.stream, due),
                None => self.timers.remove(&change.stream),
            };
        }
    }

    pub fn keep_snapshot(&mut self, snapshot: Snapshot) {
        // One of the same version replaces: it may have been folded under a newer schema.
        if self.snapshots.get(&snapshot.stream).is_none_or(|kept| kept.version <= snapshot.version) {
            self.segments.retain(|(stream, schema, _), segment| {
                let superfluous =
                    *schema < snapshot.schema || (*schema == snapshot.schema && segment.version <= snapshot.version);
                *stream != snapshot.stream || !superfluous
            });
            self.snapshots.insert(snapshot.stream.clone(), snapshot);
        }
    }

    pub fn keep_segment(&mut self, segment: Segment) {
        let key = (segment.stream.clone(), segment.schema, segment.after);
        self.segments.entry(key).or_insert(segment);
    }

    pub fn has_segments(&self, stream: &StreamId) -> bool {
        let from = (stream.clone(), 0, Version(0));
        self.segments.range(from..).next().is_some_and(|((found, ..), _)| found == stream)
    }

    pub fn segments_of(
        &self,
        stream: &StreamId,
        schema: u16,
        from: Version,
    ) -> impl DoubleEndedIterator<Item = &Segment> {
        let keys = (stream.clone(), schema, from)..=(stream.clone(), schema, Version(u64::MAX));
        self.segments.range(keys).map(|(_, segment)| segment)
    }

    pub fn reach(&self, stream: &StreamId, schema: u16) -> Reach {
        let whole = self.snapshots.get(stream).filter(|snapshot| snapshot.schema == schema);
        let whole = whole.map_or(Version(0), |snapshot| snapshot.version);
        let last = self.segments_of(stream, schema, Version(0)).next_back();
        Reach { whole, end: last.map_or(whole, |segment| segment.version.max(whole)) }
    }

    /// Puts a row here without asking whether it fits.
    pub fn place(&mut self, record: Record) {
        self.versions.insert((record.stream.clone(), record.version), record.position);
        self.rows.insert(record.position, record);
    }

    pub fn newest(&self, stream: &StreamId) -> Version {
        self.of_stream(stream, Version(0)).next_back().map_or(Version(0), |record| record.version)
    }

    pub fn of_stream(&self, stream: &StreamId, after: Version) -> impl DoubleEndedIterator<Item = &Record> {
        let from = (stream.clone(), after.next());
        let to = (stream.clone(), Version(u64::MAX));
        self.versions.range(from..=to).filter_map(|(_, position)| self.rows.get(position))
    }

    /// Whole units after `after`, about `limit` records of them.
    pub fn after(&self, after: Position, limit: usize) -> Vec<Record> {
        units::whole(self.rows.range(after.next()..).map(|(_, record)| record.clone()), limit)
    }

    pub fn latest_of(&self, prefix: &str, up_to: Position) -> Vec<Record> {
        let from = (StreamId::from_log(prefix), Version(0));
        let mut found: Vec<Record> = Vec::new();
        for ((stream, _), position) in self.versions.range(from..) {
            if !stream.as_str().starts_with(prefix) {
                break;
            }
            let Some(record) = self.rows.get(position).filter(|_| *position <= up_to) else { continue };
            match found.last_mut() {
                Some(last) if &last.stream == stream => *last = record.clone(),
                _ => found.push(record.clone()),
            }
        }
        found
    }

    pub fn streams(&self, after: Option<&StreamId>, most: usize) -> Vec<StreamId> {
        let first = |(stream, version): &&(StreamId, Version)| {
            *version == Version(1) && after.is_none_or(|after| stream > after)
        };
        self.versions.keys().filter(first).take(most).map(|(stream, _)| stream.clone()).collect()
    }

    pub fn rows(&self) -> impl Iterator<Item = &Record> {
        self.rows.values()
    }
}

fn check_unit_ends(unit: &Unit) -> Result<(), String> {
    let Some((last, rest)) = unit.records.split_last() else { return Err("a unit without records".to_owned()) };
    if last.unit_last && rest.iter().all(|record| !record.unit_last) {
        Ok(())
    } else {
        Err(format!("the unit that ends at {} is not marked at its end alone", last.position))
    }
}
