//! L1 and L2: do the rows of a partition follow from each other, and can each be read?
//!
//! After a violation the judge goes on from the row that it found, so that one missing row is told once.

use std::collections::HashMap;

use super::findings::Findings;
use crate::events::{Chain, Event, Record};
use crate::ids::{Partition, Position, StreamId, Version};
use crate::timestamp::Timestamp;

pub(super) struct Rows {
    partition: Partition,
    partitions: u16,
    position: Position,
    chain: Chain,
    at: Timestamp,
    versions: HashMap<StreamId, Version>,
}

impl Rows {
    pub fn new(partition: Partition, partitions: u16) -> Self {
        let (position, chain, at) = (Position(0), Chain::default(), Timestamp(i64::MIN));
        Self { partition, partitions, position, chain, at, versions: HashMap::new() }
    }

    /// Gives the fact, if it can be read.
    pub fn judge(&mut self, record: &Record, findings: &mut Findings) -> Option<Event> {
        self.judge_place(record, findings);
        let version = self.versions.entry(record.stream.clone()).or_default();
        if record.version != version.next() {
            let detail = format!("{} goes from version {} to {}", record.stream, version.0, record.version.0);
            findings.at(record, "L1", detail);
        }
        *version = record.version;
        if record.chain_after(&self.chain) != record.chain {
            findings.at(
                record,
                "L2",
                "the chain does not follow from the row before: a row was changed, moved or removed",
            );
        }
        self.chain = record.chain;
        if record.at < self.at {
            findings.at(record, "L1", format!("time falls from {} to {}", self.at, record.at));
        }
        self.at = record.at;
        match record.event() {
            Ok(event) => Some(event),
            Err(error) => {
                findings.at(record, "L1", format!("the row cannot be read: {error}"));
                None
            }
        }
    }

    fn judge_place(&mut self, record: &Record, findings: &mut Findings) {
        let due = self.position.next();
        if record.position != due {
            findings.add("L1", self.partition, due, format!("the next row has position {}", record.position));
        }
        self.position = record.position;
        let home = record.stream.partition(self.partitions);
        if record.partition != self.partition || home != Some(self.partition) {
            findings.at(record, "L1", format!("{} does not belong to partition {}", record.stream, self.partition));
        }
    }

    /// `head` is what the log says; the last row read must be there, since every reading ends with a unit.
    pub fn end(&self, head: Position, findings: &mut Findings) {
        if self.position != head {
            let detail = format!("the last complete unit ends at {}, the head is {head}", self.position);
            findings.add("L1", self.partition, self.position.next(), detail);
        }
    }
}
