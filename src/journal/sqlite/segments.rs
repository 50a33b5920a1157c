//! How are a long stream's segments kept and found? Rows that never change; each is written by one statement.

use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{Row, SqliteConnection};

use super::error::fault;
use crate::fault::Fault;
use crate::ids::{Partition, Position, StreamId, Version};
use crate::journal::rows::{signed, unsigned};
use crate::journal::{Reach, Segment, Snapshot};

pub async fn after(
    pool: &SqlitePool,
    partitions: u16,
    (stream, schema): (&StreamId, u16),
    from: Version,
    limit: usize,
) -> Result<Vec<Segment>, Fault> {
    let Some(partition) = stream.partition(partitions) else { return Ok(Vec::new()) };
    let query = sqlx::query(include_str!("segments.sql"))
        .bind(i32::from(partition.0))
        .bind(stream.as_str().to_owned())
        .bind(i32::from(schema))
        .bind(signed(from.0))
        .bind(signed(limit as u64));
    let rows = query.fetch_all(pool).await.map_err(fault)?;
    rows.iter().map(|row| segment(row, stream, schema)).collect::<Result<_, _>>().map_err(fault)
}

fn segment(row: &SqliteRow, stream: &StreamId, schema: u16) -> Result<Segment, sqlx::Error> {
    Ok(Segment {
        stream: stream.clone(),
        after: Version(unsigned(row.try_get(0)?)?),
        version: Version(unsigned(row.try_get(1)?)?),
        position: Position(unsigned(row.try_get(2)?)?),
        schema,
        payload: row.try_get(3)?,
    })
}

pub async fn reach(pool: &SqlitePool, partitions: u16, (stream, schema): (&StreamId, u16)) -> Result<Reach, Fault> {
    let Some(partition) = stream.partition(partitions) else { return Ok(Reach::default()) };
    let query = sqlx::query(include_str!("snapshot_reach.sql"))
        .bind(i32::from(partition.0))
        .bind(stream.as_str().to_owned())
        .bind(i32::from(schema));
    let row = query.fetch_one(pool).await.map_err(fault)?;
    let version = |column: usize| -> Result<Version, sqlx::Error> {
        row.try_get::<Option<i64>, _>(column)?.map_or(Ok(Version(0)), |found| unsigned(found).map(Version))
    };
    let (whole, pieces) = (version(0).map_err(fault)?, version(1).map_err(fault)?);
    Ok(Reach { whole, end: whole.max(pieces) })
}

pub async fn save(conn: &mut SqliteConnection, partition: Partition, segment: &Segment) -> Result<(), sqlx::Error> {
    let schema = segment.schema;
    let query = sqlx::query(include_str!("segment_save.sql"))
        .bind(i32::from(partition.0))
        .bind(segment.stream.as_str().to_owned())
        .bind(i32::from(schema))
        .bind(signed(segment.after.0))
        .bind(signed(segment.version.0))
        .bind(signed(segment.position.0))
        .bind(segment.payload.clone());
    query.execute(conn).await.map(drop)
}

/// Drops the segments that a whole snapshot makes superfluous.
pub async fn drop_within(
    conn: &mut SqliteConnection,
    partition: Partition,
    snapshot: &Snapshot,
) -> Result<(), sqlx::Error> {
    let schema = snapshot.schema;
    let query = sqlx::query(include_str!("segments_drop.sql"))
        .bind(i32::from(partition.0))
        .bind(snapshot.stream.as_str().to_owned())
        .bind(i32::from(schema))
        .bind(signed(snapshot.version.0));
    query.execute(conn).await.map(drop)
}
