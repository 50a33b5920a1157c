//! How does a row become a record, whatever engine it comes from? The mapping that both SQL backends share.
//!
//! The columns of every statement that selects records stand in the order read here. This file runs no statement.

use sqlx::{ColumnIndex, Database, Decode, Row, Type};
use uuid::Uuid;

use super::{AppendError, PartitionBatch, TimerChange};
use crate::events::{Chain, Decoded, Record};
use crate::ids::{AccountId, CommandId, Epoch, Hash16, NodeId, Partition, Position, StreamId, Version};
use crate::timestamp::Timestamp;

/// A time as each engine keeps it: `timestamptz` in Postgres, milliseconds in SQLite. Exact both ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment(pub Timestamp);

/// A counter as the engines know it. Counters start at 0 and are raised by one: they never get near the sign bit.
#[must_use]
pub fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn damaged(what: &str) -> sqlx::Error {
    sqlx::Error::Decode(format!("{what} is out of range").into())
}

pub fn unsigned(number: i64) -> Result<u64, sqlx::Error> {
    u64::try_from(number).map_err(|_| damaged("a counter"))
}

pub fn partition(number: i32) -> Result<Partition, sqlx::Error> {
    u16::try_from(number).map(Partition).map_err(|_| damaged("a partition"))
}

/// The record in the first twenty columns of a row.
pub fn record<'r, R>(row: &'r R) -> Result<Record, sqlx::Error>
where
    R: Row,
    usize: ColumnIndex<R>,
    i16: Decode<'r, R::Database> + Type<R::Database>,
    i32: Decode<'r, R::Database> + Type<R::Database>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    bool: Decode<'r, R::Database> + Type<R::Database>,
    &'r str: Decode<'r, R::Database> + Type<R::Database>,
    &'r [u8]: Decode<'r, R::Database> + Type<R::Database>,
    Uuid: Decode<'r, R::Database> + Type<R::Database>,
    Moment: Decode<'r, R::Database> + Type<R::Database>,
{
    let command: &[u8] = row.try_get(8)?;
    let chain: &[u8] = row.try_get(18)?;
    let payload: &[u8] = row.try_get(19)?;
    Ok(Record {
        partition: partition(row.try_get(0)?)?,
        position: Position(unsigned(row.try_get(1)?)?),
        stream: StreamId::from_log(row.try_get::<&str, _>(2)?),
        version: Version(unsigned(row.try_get(3)?)?),
        kind: Record::intern_kind(row.try_get(4)?),
        schema: u16::try_from(row.try_get::<i16, _>(5)?).map_err(|_| damaged("a schema version"))?,
        codec: u8::try_from(row.try_get::<i16, _>(6)?).map_err(|_| damaged("a codec"))?,
        event_id: row.try_get(7)?,
        command: command_id(command)?,
        correlation: row.try_get(9)?,
        causation: row.try_get(10)?,
        principal: AccountId::new(row.try_get::<&str, _>(11)?),
        owner: row.try_get::<Option<&str>, _>(12)?.map(AccountId::new),
        epoch: Epoch(unsigned(row.try_get(13)?)?),
        node: NodeId::new(row.try_get::<&str, _>(14)?),
        at: row.try_get::<Moment, _>(15)?.0,
        recorded_at: row.try_get::<Moment, _>(16)?.0,
        unit_last: row.try_get(17)?,
        chain: chain_value(chain)?,
        payload: payload.to_vec(),
        decoded: Decoded::default(),
    })
}

/// As [`record`], of many rows.
pub fn records<'r, DB: Database>(
    rows: &'r [DB::Row],
    map: impl Fn(&'r DB::Row) -> Result<Record, sqlx::Error>,
) -> Result<Vec<Record>, sqlx::Error> {
    rows.iter().map(map).collect()
}

fn command_id(bytes: &[u8]) -> Result<CommandId, sqlx::Error> {
    bytes.try_into().map(Hash16).map_err(|_| damaged("a command id"))
}

pub fn chain_value(bytes: &[u8]) -> Result<Chain, sqlx::Error> {
    bytes.try_into().map(Chain).map_err(|_| damaged("a chain value"))
}

/// Who owns a partition, as its row says it. Two processes that were given one name are still two owners.
#[must_use]
pub fn owner(node: &NodeId, session: Uuid) -> String {
    format!("{node} {session}")
}

/// A partition that comes twice in one append, which no statement is made for.
#[must_use]
pub fn twice(batches: &[PartitionBatch]) -> Option<AppendError> {
    let mut seen = std::collections::BTreeSet::new();
    let again = batches.iter().find(|batch| !seen.insert(batch.partition))?;
    Some(AppendError::Rejected(format!("partition {} is twice in one append", again.partition)))
}

/// The position at the end of a batch.
#[must_use]
pub fn new_head(batch: &PartitionBatch) -> Position {
    let records: usize = batch.units.iter().map(|unit| unit.records.len()).sum();
    Position(batch.expected_head.0 + records as u64)
}

/// What is left of the timer changes of a batch: only the last one of a stream counts.
#[must_use]
pub fn final_timers(batch: &PartitionBatch) -> Vec<&TimerChange> {
    let mut last = std::collections::BTreeMap::new();
    for change in batch.units.iter().flat_map(|unit| &unit.timers) {
        last.insert(&change.stream, change);
    }
    last.into_values().collect()
}

/// Keeps whole units only: those within `limit`, or the first one when it is longer than that.
pub fn cut_at_unit_end(records: &mut Vec<Record>, limit: usize) {
    let within = records.iter().take(limit).rposition(|record| record.unit_last);
    let last = within.or_else(|| records.iter().position(|record| record.unit_last));
    records.truncate(last.map_or(0, |last| last + 1));
}

/// The first text after all texts that begin with `prefix`, in byte order; `None` when there is no such text.
#[must_use]
pub fn after_prefix(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        // Skips the gap of the surrogates, in which no character lies.
        if let Some(next) =
            (u32::from(last) + 1..=0xE000).find_map(char::from_u32).or(char::from_u32(u32::from(last) + 1))
        {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_end_where_the_next_text_begins() {
        let table = [("seat/a/", Some("seat/a0")), ("", None), ("\u{10FFFF}", None), ("a\u{10FFFF}", Some("b"))];
        for (prefix, expected) in table {
            assert_eq!(after_prefix(prefix).as_deref(), expected, "{prefix}");
        }
        assert_eq!(after_prefix("\u{D7FF}").as_deref(), Some("\u{E000}"));
        assert_eq!(after_prefix("가").as_deref(), Some("각"));
        assert_eq!(after_prefix("\u{F8FF}").as_deref(), Some("\u{F900}"));
    }
}
