//! How do batches get into the database? As arrays, one per column, in one statement.
//!
//! It does not know who may append: epoch and head decide, under the lock of the partition's row.

use std::collections::{HashMap, HashSet};

use sqlx::error::BoxDynError;
use sqlx::postgres::PgArguments;
use sqlx::{Arguments, AssertSqlSafe, PgConnection, Row, SqlSafeStr};
use uuid::Uuid;

use crate::events::Record;
use crate::ids::Partition;
use crate::journal::rows::{self, Moment, final_timers, new_head, signed};
use crate::journal::{PartitionBatch, Verdict};
use crate::planted::{Bug, planted};

/// A kind and its schema version.
pub type KindVersion = (String, u16);

/// The kinds that certainly stand in the log, with their versions. Every record is looked up here, so that costs no copy.
#[derive(Default)]
pub struct Known(HashMap<String, Vec<u16>>);

impl Known {
    pub fn has(&self, kind: &str, version: u16) -> bool {
        self.0.get(kind).is_some_and(|versions| versions.contains(&version))
    }

    pub fn add(&mut self, (kind, version): KindVersion) {
        let versions = self.0.entry(kind).or_default();
        if !versions.contains(&version) {
            versions.push(version);
        }
    }
}

/// An append that is ready to be sent: nothing of its batches is needed any more.
pub struct Prepared {
    arguments: PgArguments,
    partitions: Vec<Partition>,
    /// What it brings into the log that was not known to stand there.
    new_kinds: Vec<(Partition, KindVersion)>,
}

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
    fn push(&mut self, batch: &'a PartitionBatch, known: &Known) {
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
            if !known.has(&record.kind, record.schema) && seen.insert((&record.kind, record.schema)) {
                self.kinds.0.push(partition);
                self.kinds.1.push(&record.kind);
                self.kinds.2.push(i16::try_from(record.schema).unwrap_or(i16::MAX));
                self.kinds.3.push(signed(record.position.0));
            }
        }
    }
}

/// The arguments of the statement.
pub fn prepare(batches: &[PartitionBatch], known: &Known) -> Result<Prepared, sqlx::Error> {
    let (mut heads, mut events, mut beside) = (Heads::default(), Events::default(), Beside::default());
    for batch in batches {
        heads.partition.push(i32::from(batch.partition.0));
        heads.epoch.push(signed(batch.epoch.0));
        heads.head.push(signed(batch.expected_head.0));
        heads.new_head.push(signed(new_head(batch).0));
        batch.units.iter().flat_map(|unit| &unit.records).for_each(|record| events.push(record));
        beside.push(batch, known);
    }
    let (partitions, kinds, versions, _) = &beside.kinds;
    let new_kinds = partitions.iter().zip(kinds).zip(versions).map(|((partition, kind), version)| {
        let (partition, version) = (u16::try_from(*partition), u16::try_from(*version));
        (Partition(partition.unwrap_or(u16::MAX)), ((*kind).to_owned(), version.unwrap_or(u16::MAX)))
    });
    let new_kinds = new_kinds.collect();
    let arguments = arguments(heads, events, beside).map_err(sqlx::Error::Encode)?;
    Ok(Prepared { arguments, partitions: batches.iter().map(|batch| batch.partition).collect(), new_kinds })
}

/// In the order of the statement's binds.
fn arguments(heads: Heads, events: Events<'_>, beside: Beside<'_>) -> Result<PgArguments, BoxDynError> {
    let mut arguments = PgArguments::default();
    arguments.add(heads.partition)?;
    arguments.add(heads.epoch)?;
    arguments.add(heads.head)?;
    arguments.add(heads.new_head)?;
    arguments.add(events.partition)?;
    arguments.add(events.position)?;
    arguments.add(events.stream)?;
    arguments.add(events.version)?;
    arguments.add(events.kind)?;
    arguments.add(events.schema)?;
    arguments.add(events.codec)?;
    arguments.add(events.event_id)?;
    arguments.add(events.command)?;
    arguments.add(events.correlation)?;
    arguments.add(events.causation)?;
    arguments.add(events.principal)?;
    arguments.add(events.owner)?;
    arguments.add(events.epoch)?;
    arguments.add(events.node)?;
    arguments.add(events.at)?;
    arguments.add(events.recorded_at)?;
    arguments.add(events.unit_last)?;
    arguments.add(events.chain)?;
    arguments.add(events.payload)?;
    arguments.add(beside.set.0)?;
    arguments.add(beside.set.1)?;
    arguments.add(beside.set.2)?;
    arguments.add(beside.cleared.0)?;
    arguments.add(beside.cleared.1)?;
    arguments.add(beside.notes.0)?;
    arguments.add(beside.notes.1)?;
    arguments.add(beside.notes.2)?;
    arguments.add(beside.kinds.0)?;
    arguments.add(beside.kinds.1)?;
    arguments.add(beside.kinds.2)?;
    arguments.add(beside.kinds.3)?;
    Ok(arguments)
}

/// The append itself: verdicts in the order of the batches, and the kinds that certainly stand in the log now.
pub async fn append(
    conn: &mut PgConnection,
    prepared: Prepared,
) -> Result<(Vec<Verdict>, Vec<KindVersion>), sqlx::Error> {
    let Prepared { arguments, partitions, new_kinds } = prepared;
    let statement = match planted(Bug::SkipTheFence) {
        true => AssertSqlSafe(include_str!("append.sql").replace(" AND w.epoch = p.epoch", "")).into_sql_str(),
        false => include_str!("append.sql").into_sql_str(),
    };
    let raised = sqlx::query_with(statement, arguments).fetch_all(conn).await?;
    let raised: HashSet<u16> =
        raised.iter().map(|row| Ok(rows::partition(row.try_get(0)?)?.0)).collect::<Result<_, sqlx::Error>>()?;
    let written = |partition: Partition| raised.contains(&partition.0);
    let verdict = |partition: &Partition| if written(*partition) { Verdict::Written } else { Verdict::Fenced };
    let verdicts = partitions.iter().map(verdict).collect();
    let kinds = new_kinds.into_iter().filter(|(partition, _)| written(*partition)).map(|(_, kind)| kind);
    Ok((verdicts, kinds.collect()))
}
