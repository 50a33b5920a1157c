//! What does the file say? The reading half of the SQLite log; each call is one consistent look.

use sqlx::encode::{Encode, IsNull};
use sqlx::error::BoxDynError;
use sqlx::sqlite::{SqliteArgumentsBuffer, SqlitePool, SqliteRow, SqliteTypeInfo, SqliteValueRef};
use sqlx::{Decode, Row, Sqlite, SqliteConnection, Type};
use uuid::Uuid;

use super::error::fault;
use crate::events::Record;
use crate::fault::Fault;
use crate::ids::{Epoch, Partition, Position, StreamId, Version};
use crate::journal::rows::{self, Moment, signed, unsigned};
use crate::journal::{Loaded, PartitionState, Snapshot};
use crate::limits;
use crate::timestamp::Timestamp;

impl Type<Sqlite> for Moment {
    fn type_info() -> SqliteTypeInfo {
        <i64 as Type<Sqlite>>::type_info()
    }

    fn compatible(ty: &SqliteTypeInfo) -> bool {
        <i64 as Type<Sqlite>>::compatible(ty)
    }
}

impl<'r> Decode<'r, Sqlite> for Moment {
    fn decode(value: SqliteValueRef<'r>) -> Result<Self, BoxDynError> {
        <i64 as Decode<Sqlite>>::decode(value).map(|ms| Self(Timestamp(ms)))
    }
}

impl Encode<'_, Sqlite> for Moment {
    fn encode_by_ref(&self, buffer: &mut SqliteArgumentsBuffer) -> Result<IsNull, BoxDynError> {
        <i64 as Encode<Sqlite>>::encode_by_ref(&self.0.0, buffer)
    }
}

pub fn records(rows: &[SqliteRow]) -> Result<Vec<Record>, sqlx::Error> {
    rows.iter().map(rows::record).collect()
}

/// `None`: all partitions.
pub async fn states(conn: &mut SqliteConnection, one: Option<Partition>) -> Result<Vec<PartitionState>, sqlx::Error> {
    let query = sqlx::query(include_str!("states.sql")).bind(one.map(|p| i32::from(p.0)));
    query.fetch_all(conn).await?.iter().map(state).collect()
}

fn state(row: &SqliteRow) -> Result<PartitionState, sqlx::Error> {
    let chain: Option<&[u8]> = row.try_get(4)?;
    Ok(PartitionState {
        partition: rows::partition(row.try_get(0)?)?,
        epoch: Epoch(unsigned(row.try_get(1)?)?),
        head: Position(unsigned(row.try_get(2)?)?),
        last_at: row.try_get::<Option<Moment>, _>(3)?.map_or(Timestamp::default(), |at| at.0),
        chain: chain.map(rows::chain_value).transpose()?.unwrap_or_default(),
        last_event: row.try_get(5)?,
    })
}

pub async fn load(pool: &SqlitePool, partitions: u16, streams: &[StreamId]) -> Result<Vec<Loaded>, Fault> {
    let mut loaded: Vec<Loaded> = streams.iter().map(|_| Loaded::default()).collect();
    // A name that belongs nowhere has no events: number -1 finds none.
    let place = |stream: &StreamId| stream.partition(partitions).map_or(-1, |p| i32::from(p.0));
    let places: Vec<(i32, &str)> = streams.iter().map(|stream| (place(stream), stream.as_str())).collect();
    // What is new has nothing else either, and in an on-sale nearly everything is new.
    let known = sqlx::query_scalar(include_str!("load_known.sql")).bind(json(&places)?);
    let known: Vec<i64> = known.fetch_all(pool).await.map_err(fault)?;
    if known.is_empty() {
        return Ok(loaded);
    }
    let known: Vec<usize> = known.into_iter().map(|index| usize::try_from(index).unwrap_or(usize::MAX)).collect();
    let places: Vec<(i32, &str)> = known.iter().map(|&index| places[index]).collect();
    let snapshots = sqlx::query(include_str!("load_snapshots.sql")).bind(json(&places)?);
    for row in snapshots.fetch_all(pool).await.map_err(fault)? {
        let (index, snapshot, segmented) = snapshot(&row).map_err(fault)?;
        let loaded = &mut loaded[known[index]];
        (loaded.snapshot, loaded.segmented) = (snapshot, segmented);
    }
    let after = |l: &Loaded| l.snapshot.as_ref().map_or(0, |s| s.version.0);
    // Versions have no gaps, so a range of them is a number of them.
    let last = |l: &Loaded| if l.segmented { 0 } else { after(l) + limits::READ_BATCH as u64 };
    let wanted = places.iter().zip(known.iter().map(|&index| &loaded[index]));
    let wanted: Vec<_> = wanted.map(|((p, s), l)| (*p, *s, after(l), last(l))).collect();
    for row in sqlx::query(include_str!("load.sql")).bind(json(&wanted)?).fetch_all(pool).await.map_err(fault)? {
        let index: i64 = row.try_get(20).map_err(fault)?;
        let index = usize::try_from(index).map_err(|_| Fault::internal("a negative index"))?;
        loaded[known[index]].tail.push(rows::record(&row).map_err(fault)?);
    }
    Ok(loaded)
}

fn json(wanted: &impl serde::Serialize) -> Result<String, Fault> {
    serde_json::to_string(wanted).map_err(|e| Fault::internal(e.to_string()))
}

/// Whose, the snapshot if there is one, and whether there are segments.
fn snapshot(row: &SqliteRow) -> Result<(usize, Option<Snapshot>, bool), sqlx::Error> {
    let index = usize::try_from(unsigned(row.try_get(0)?)?).unwrap_or(usize::MAX);
    let segmented = row.try_get(6)?;
    let Some(stream) = row.try_get::<Option<&str>, _>(1)? else { return Ok((index, None, segmented)) };
    let snapshot = Snapshot {
        stream: StreamId::from_log(stream),
        version: Version(unsigned(row.try_get(2)?)?),
        position: Position(unsigned(row.try_get(3)?)?),
        schema: u16::try_from(row.try_get::<i32, _>(4)?).unwrap_or(u16::MAX),
        payload: row.try_get(5)?,
    };
    Ok((index, Some(snapshot), segmented))
}

pub async fn stream(
    pool: &SqlitePool,
    partitions: u16,
    stream: &StreamId,
    after: Version,
    limit: usize,
) -> Result<Vec<Record>, Fault> {
    let Some(partition) = stream.partition(partitions) else { return Ok(Vec::new()) };
    let query = sqlx::query(include_str!("read_stream.sql"))
        .bind(i32::from(partition.0))
        .bind(stream.as_str().to_owned())
        .bind(signed(after.0))
        .bind(signed(limit as u64));
    records(&query.fetch_all(pool).await.map_err(fault)?).map_err(fault)
}

/// Whole units only; goes on reading while the first unit has not ended.
pub async fn partition(
    pool: &SqlitePool,
    from: Partition,
    after: Position,
    limit: usize,
) -> Result<Vec<Record>, Fault> {
    let mut found: Vec<Record> = Vec::new();
    loop {
        let reached = found.last().map_or(after, |record| record.position);
        let query = sqlx::query(include_str!("read_partition.sql"))
            .bind(i32::from(from.0))
            .bind(signed(reached.0))
            .bind(signed(limit.max(1) as u64));
        let more = records(&query.fetch_all(pool).await.map_err(fault)?).map_err(fault)?;
        let (at_end, whole) = (more.is_empty(), more.iter().any(|record| record.unit_last));
        found.extend(more);
        if at_end || whole {
            rows::cut_at_unit_end(&mut found, limit);
            return Ok(found);
        }
    }
}

pub async fn latest_of(
    pool: &SqlitePool,
    from: Partition,
    prefix: &str,
    up_to: Position,
) -> Result<Vec<Record>, Fault> {
    let query = sqlx::query(include_str!("latest_of.sql"))
        .bind(i32::from(from.0))
        .bind(prefix.to_owned())
        .bind(rows::after_prefix(prefix))
        .bind(signed(up_to.0));
    records(&query.fetch_all(pool).await.map_err(fault)?).map_err(fault)
}

pub async fn streams(
    pool: &SqlitePool,
    of: Partition,
    after: Option<&StreamId>,
    most: usize,
) -> Result<Vec<StreamId>, Fault> {
    let query = sqlx::query_scalar(include_str!("streams.sql"))
        .bind(i32::from(of.0))
        .bind(after.map_or("", StreamId::as_str).to_owned())
        .bind(signed(most as u64));
    let names: Vec<String> = query.fetch_all(pool).await.map_err(fault)?;
    Ok(names.into_iter().map(StreamId::from_log).collect())
}

pub async fn heads(pool: &SqlitePool) -> Result<Vec<Position>, Fault> {
    let rows = sqlx::query(include_str!("heads.sql")).fetch_all(pool).await.map_err(fault)?;
    rows.iter().map(|row| Ok(Position(unsigned(row.try_get(1)?)?))).collect::<Result<_, _>>().map_err(fault)
}

pub async fn timers(pool: &SqlitePool, of: Partition) -> Result<Vec<(StreamId, Timestamp)>, Fault> {
    let query = sqlx::query(include_str!("timers.sql")).bind(i32::from(of.0));
    let rows = query.fetch_all(pool).await.map_err(fault)?;
    let pair = |row: &SqliteRow| Ok((StreamId::from_log(row.try_get::<&str, _>(0)?), row.try_get::<Moment, _>(1)?.0));
    rows.iter().map(pair).collect::<Result<_, _>>().map_err(fault)
}

pub async fn kinds(pool: &SqlitePool) -> Result<Vec<(String, u16)>, Fault> {
    let rows = sqlx::query(include_str!("kinds.sql")).fetch_all(pool).await.map_err(fault)?;
    let pair = |row: &SqliteRow| Ok((row.try_get(0)?, u16::try_from(row.try_get::<i32, _>(1)?).unwrap_or(u16::MAX)));
    rows.iter().map(pair).collect::<Result<_, _>>().map_err(fault)
}

pub async fn note(pool: &SqlitePool, event: Uuid) -> Result<Option<String>, Fault> {
    sqlx::query_scalar(include_str!("note.sql")).bind(event).fetch_optional(pool).await.map_err(fault)
}
