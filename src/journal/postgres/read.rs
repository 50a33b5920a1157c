//! What does the log say? The reading half of the Postgres log; each call is one look through the pool.

use sqlx::postgres::{PgPool, PgRow};
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::error::fault;
use crate::events::Record;
use crate::fault::Fault;
use crate::ids::{Epoch, Partition, Position, StreamId, Version};
use crate::journal::rows::{self, Moment, signed, unsigned};
use crate::journal::{Loaded, PartitionState, Snapshot};
use crate::limits;
use crate::timestamp::Timestamp;

pub fn records(rows: &[PgRow]) -> Result<Vec<Record>, sqlx::Error> {
    rows.iter().map(rows::record).collect()
}

/// `None`: all partitions.
pub async fn states(conn: &mut PgConnection, one: Option<Partition>) -> Result<Vec<PartitionState>, sqlx::Error> {
    let query = sqlx::query(include_str!("states.sql")).bind(one.map(|p| i32::from(p.0)));
    query.fetch_all(conn).await?.iter().map(state).collect()
}

fn state(row: &PgRow) -> Result<PartitionState, sqlx::Error> {
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

pub async fn load(pool: &PgPool, partitions: u16, streams: &[StreamId]) -> Result<Vec<Loaded>, Fault> {
    let mut loaded: Vec<Loaded> = streams.iter().map(|_| Loaded::default()).collect();
    // A name that belongs nowhere has no events: number -1 finds none.
    let place = |stream: &StreamId| stream.partition(partitions).map_or(-1, |p| i32::from(p.0));
    let (numbers, names): (Vec<i32>, Vec<&str>) = streams.iter().map(|s| (place(s), s.as_str())).unzip();
    let mut conn = pool.acquire().await.map_err(fault)?;
    // What is new has nothing else either, and in an on-sale nearly everything is new.
    let known = sqlx::query_scalar(include_str!("load_known.sql")).bind(&numbers).bind(&names);
    let known: Vec<i64> = known.fetch_all(&mut *conn).await.map_err(fault)?;
    if known.is_empty() {
        return Ok(loaded);
    }
    let known: Vec<usize> = known.into_iter().map(|index| usize::try_from(index).unwrap_or(usize::MAX)).collect();
    let (numbers, names): (Vec<i32>, Vec<&str>) = known.iter().map(|&index| (numbers[index], names[index])).unzip();
    let snapshots = sqlx::query(include_str!("load_snapshots.sql")).bind(&numbers).bind(&names);
    for row in snapshots.fetch_all(&mut *conn).await.map_err(fault)? {
        let (index, snapshot, segmented) = snapshot(&row).map_err(fault)?;
        let loaded = &mut loaded[known[index]];
        (loaded.snapshot, loaded.segmented) = (snapshot, segmented);
    }
    let after = |l: &Loaded| match &l.snapshot {
        _ if l.segmented => i64::MAX,
        Some(snapshot) => signed(snapshot.version.0),
        None => 0,
    };
    let after: Vec<i64> = known.iter().map(|&index| after(&loaded[index])).collect();
    let tails = sqlx::query(include_str!("load.sql")).bind(numbers).bind(names).bind(after);
    let tails = tails.bind(signed(limits::READ_BATCH as u64));
    for row in tails.fetch_all(&mut *conn).await.map_err(fault)? {
        let index: i64 = row.try_get(20).map_err(fault)?;
        let index = usize::try_from(index).map_err(|_| Fault::internal("a negative index"))?;
        loaded[known[index]].tail.push(rows::record(&row).map_err(fault)?);
    }
    Ok(loaded)
}

/// Whose, the snapshot if there is one, and whether there are segments.
fn snapshot(row: &PgRow) -> Result<(usize, Option<Snapshot>, bool), sqlx::Error> {
    let index = usize::try_from(unsigned(row.try_get(0)?)?).unwrap_or(usize::MAX);
    let segmented = row.try_get(6)?;
    let Some(stream) = row.try_get::<Option<&str>, _>(1)? else { return Ok((index, None, segmented)) };
    let snapshot = Snapshot {
        stream: StreamId::from_log(stream),
        version: Version(unsigned(row.try_get(2)?)?),
        position: Position(unsigned(row.try_get(3)?)?),
        schema: u16::try_from(row.try_get::<i16, _>(4)?).unwrap_or(u16::MAX),
        payload: row.try_get(5)?,
    };
    Ok((index, Some(snapshot), segmented))
}

pub async fn stream(
    pool: &PgPool,
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
pub async fn partition(pool: &PgPool, from: Partition, after: Position, limit: usize) -> Result<Vec<Record>, Fault> {
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

pub async fn latest_of(pool: &PgPool, from: Partition, prefix: &str, up_to: Position) -> Result<Vec<Record>, Fault> {
    let query = sqlx::query(include_str!("latest_of.sql"))
        .bind(i32::from(from.0))
        .bind(prefix.to_owned())
        .bind(rows::after_prefix(prefix))
        .bind(signed(up_to.0));
    records(&query.fetch_all(pool).await.map_err(fault)?).map_err(fault)
}

pub async fn streams(
    pool: &PgPool,
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

pub async fn heads(pool: &PgPool) -> Result<Vec<Position>, Fault> {
    let rows = sqlx::query(include_str!("heads.sql")).fetch_all(pool).await.map_err(fault)?;
    rows.iter().map(|row| Ok(Position(unsigned(row.try_get(1)?)?))).collect::<Result<_, _>>().map_err(fault)
}

pub async fn timers(pool: &PgPool, of: Partition) -> Result<Vec<(StreamId, Timestamp)>, Fault> {
    let query = sqlx::query(include_str!("timers.sql")).bind(i32::from(of.0));
    let rows = query.fetch_all(pool).await.map_err(fault)?;
    let pair = |row: &PgRow| Ok((StreamId::from_log(row.try_get::<&str, _>(0)?), row.try_get::<Moment, _>(1)?.0));
    rows.iter().map(pair).collect::<Result<_, _>>().map_err(fault)
}

pub async fn kinds(pool: &PgPool) -> Result<Vec<(String, u16)>, Fault> {
    let rows = sqlx::query(include_str!("kinds.sql")).fetch_all(pool).await.map_err(fault)?;
    let pair = |row: &PgRow| Ok((row.try_get(0)?, u16::try_from(row.try_get::<i16, _>(1)?).unwrap_or(u16::MAX)));
    rows.iter().map(pair).collect::<Result<_, _>>().map_err(fault)
}

pub async fn note(pool: &PgPool, event: Uuid) -> Result<Option<String>, Fault> {
    sqlx::query_scalar(include_str!("note.sql")).bind(event).fetch_optional(pool).await.map_err(fault)
}
