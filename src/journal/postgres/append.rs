//! How do batches get into the database? As arrays, one per column, in one statement.
//!
//! It does not know who may append: epoch and head decide, under the lock of the partition's row.

use std::collections::HashSet;

use sqlx::{PgConnection, Row};
use uuid::Uuid;

use crate::events::Record;
use crate::journal::rows::{self, Moment, final_timers, new_head, signed};
use crate::journal::{PartitionBatch, Verdict};

/// A kind and its schema version.
pub type KindVersion = (String, u16);

#[derive(Default)]
struct Heads {
    partition: Vec<i32>,
    epoch: Vec<i64>,
    head: Vec<i64>,
    new_head: Vec<i64>,
}

#[derive(Default)]
struct Events<'a> {
    partition: Vec<i32>,
    position: Vec<i64>,
    stream: Vec<&'a str>,
    version: Vec<i64>,
    kind: Vec<&'a str>,
    schema: Vec<i16>,
    codec: Vec<i16>,
    event_id: Vec<Uuid>,
    command: Vec<&'a [u8]>,
    correlation: Vec<Uuid>,
    causation: Vec<Option<Uuid>>,
    principal: Vec<&'a str>,
    owner: Vec<Option<&'a str>>,
    epoch: Vec<i64>,
    node: Vec<&'a str>,
    at: Vec<Moment>,
    recorded_at: Vec<Moment>,
    unit_last: Vec<bool>,
    chain: Vec<&'a [u8]>,
    payload: Vec<&'a [u8]>,
}

impl<'a> Events<'a> {
    fn push(&mut self, record: &'a Record) {
        self.partition.push(i32::from(record.partition.0));
        self.position.push(signed(record.position.0));
        self.stream.push(record.stream.as_str());
        self.version.push(signed(record.version.0));
        self.kind.push(&record.kind);
        self.schema.push(i16::try_from(record.schema).unwrap_or(i16::MAX));
        self.codec.push(i16::from(record.codec));
        self.event_id.push(record.event_id);
        self.command.push(&record.command.0);
        self.correlation.push(record.correlation);
        self.causation.push(record.causation);
        self.principal.push(record.principal.as_str());
        self.owner.push(record.owner.as_ref().map(|owner| owner.as_str()));
        self.epoch.push(signed(record.epoch.0));
        self.node.push(record.node.as_str());
        self.at.push(Moment(record.at));
        self.recorded_at.push(Moment(record.recorded_at));
        self.unit_last.push(record.unit_last);
        self.chain.push(&record.chain.0);
        self.payload.push(&record.payload);
    }
}

/// What is written beside the events.
#[derive(Default)]
struct Beside<'a> {
    set: (Vec<i32>, Vec<&'a str>, Vec<Moment>),
    cleared: (Vec<i32>, Vec<&'a str>),
    notes: (Vec<i32>, Vec<Uuid>, Vec<&'a str>),
    kinds: (Vec<i32>, Vec<&'a str>, Vec<i16>, Vec<i64>),
}

impl<'a> Beside<'a> {
    fn push(&mut self, batch: &'a PartitionBatch, known: &HashSet<KindVersion>) {
        let partition = i32::from(batch.partition.0);
        for change in final_timers(batch) {
            match change.due {
                Some(due) => {
                    self.set.0.push(partition);
                    self.set.1.push(change.stream.as_str());
                    self.set.2.push(Moment(due));
                }
                None => {
                    self.cleared.0.push(partition);
                    self.cleared.1.push(change.stream.as_str());
                }
            }
        }
        for unit in &batch.units {
            if let (Some(note), Some(last)) = (&unit.note, unit.records.last()) {
                self.notes.0.push(partition);
                self.notes.1.push(last.event_id);
                self.notes.2.push(note);
            }
        }
        // Once per partition, since one that is fenced takes its rows with it.
        let mut seen = HashSet::new();
        for record in batch.units.iter().flat_map(|unit| &unit.records) {
            if seen.insert((&record.kind, record.schema)) && !known.contains(&(record.kind.to_string(), record.schema))
            {
                self.kinds.0.push(partition);
                self.kinds.1.push(&record.kind);
                self.kinds.2.push(i16::try_from(record.schema).unwrap_or(i16::MAX));
                self.kinds.3.push(signed(record.position.0));
            }
        }
    }
}

/// The append itself; `known` are the kinds that certainly stand in the log.
pub async fn append(
    conn: &mut PgConnection,
    batches: &[PartitionBatch],
    known: &HashSet<KindVersion>,
) -> Result<Vec<Verdict>, sqlx::Error> {
    let (mut heads, mut events, mut beside) = (Heads::default(), Events::default(), Beside::default());
    for batch in batches {
        heads.partition.push(i32::from(batch.partition.0));
        heads.epoch.push(signed(batch.epoch.0));
        heads.head.push(signed(batch.expected_head.0));
        heads.new_head.push(signed(new_head(batch).0));
        batch.units.iter().flat_map(|unit| &unit.records).for_each(|record| events.push(record));
        beside.push(batch, known);
    }
    let query = sqlx::query(include_str!("append.sql"))
        .bind(heads.partition)
        .bind(heads.epoch)
        .bind(heads.head)
        .bind(heads.new_head);
    let query = query
        .bind(events.partition)
        .bind(events.position)
        .bind(events.stream)
        .bind(events.version)
        .bind(events.kind)
        .bind(events.schema)
        .bind(events.codec)
        .bind(events.event_id)
        .bind(events.command)
        .bind(events.correlation)
        .bind(events.causation)
        .bind(events.principal)
        .bind(events.owner)
        .bind(events.epoch)
        .bind(events.node)
        .bind(events.at)
        .bind(events.recorded_at)
        .bind(events.unit_last)
        .bind(events.chain)
        .bind(events.payload);
    let query = query.bind(beside.set.0).bind(beside.set.1).bind(beside.set.2);
    let query = query.bind(beside.cleared.0).bind(beside.cleared.1);
    let query = query.bind(beside.notes.0).bind(beside.notes.1).bind(beside.notes.2);
    let query = query.bind(beside.kinds.0).bind(beside.kinds.1).bind(beside.kinds.2).bind(beside.kinds.3);
    let raised = query.fetch_all(conn).await?;
    let raised: HashSet<u16> =
        raised.iter().map(|row| Ok(rows::partition(row.try_get(0)?)?.0)).collect::<Result<_, sqlx::Error>>()?;
    let verdict = |batch: &PartitionBatch| {
        if raised.contains(&batch.partition.0) { Verdict::Written } else { Verdict::Fenced }
    };
    Ok(batches.iter().map(verdict).collect())
}

/// The kinds that the written batches brought into the log.
pub fn kinds_of(batches: &[PartitionBatch], verdicts: &[Verdict]) -> HashSet<KindVersion> {
    let written = batches.iter().zip(verdicts).filter(|(_, verdict)| **verdict == Verdict::Written);
    let records = written.flat_map(|(batch, _)| &batch.units).flat_map(|unit| &unit.records);
    records.map(|record| (record.kind.to_string(), record.schema)).collect()
}
