//! How do batches get into the file? One transaction for all of them, with rows inserted many at a time.
//!
//! It does not know who may append: epoch and head decide.

use std::sync::LazyLock;

use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;
use sqlx::{AssertSqlSafe, Sqlite, SqliteConnection};

use super::boot::run;
use super::error::{at_commit, before_commit, not_begun};
use crate::events::Record;
use crate::journal::rows::{final_timers, new_head, signed};
use crate::journal::{AppendError, PartitionBatch, Verdict};
use crate::limits;

const COLUMNS: usize = 20;
const _: () = assert!(limits::INSERT_ROWS * COLUMNS <= 32_766, "SQLite's bound on variables");

/// One statement for a full block of rows, one for a single row: both stay prepared.
static INSERT_MANY: LazyLock<String> = LazyLock::new(|| insert(limits::INSERT_ROWS));
static INSERT_ONE: LazyLock<String> = LazyLock::new(|| insert(1));

fn insert(rows: usize) -> String {
    let values = format!("({})", vec!["?"; COLUMNS].join(", "));
    format!("{}{}", include_str!("append.sql"), vec![values.as_str(); rows].join(", "))
}

/// The whole append; after an error the connection must be thrown away.
pub async fn append(conn: &mut SqliteConnection, batches: &[PartitionBatch]) -> Result<Vec<Verdict>, AppendError> {
    run(conn, "BEGIN IMMEDIATE").await.map_err(|e| not_begun(&e))?;
    match write(conn, batches).await {
        Ok(verdicts) => {
            run(conn, "COMMIT").await.map_err(|e| at_commit(&e))?;
            Ok(verdicts)
        }
        Err(error) => {
            // Some errors have rolled back by themselves already; then this one is expected to fail.
            let _rolled_back = run(conn, "ROLLBACK").await;
            Err(before_commit(&error))
        }
    }
}

async fn write(conn: &mut SqliteConnection, batches: &[PartitionBatch]) -> Result<Vec<Verdict>, sqlx::Error> {
    let mut verdicts = Vec::with_capacity(batches.len());
    let mut records = Vec::new();
    for batch in batches {
        let as_believed = sqlx::query(include_str!("append_head.sql"))
            .bind(i32::from(batch.partition.0))
            .bind(signed(batch.epoch.0))
            .bind(signed(batch.expected_head.0))
            .fetch_optional(&mut *conn)
            .await?;
        if as_believed.is_none() {
            verdicts.push(Verdict::Fenced);
            continue;
        }
        write_beside(conn, batch).await?;
        records.extend(batch.units.iter().flat_map(|unit| &unit.records));
        verdicts.push(Verdict::Written);
    }
    insert_records(conn, &records).await?;
    Ok(verdicts)
}

/// Everything of a batch but its events.
async fn write_beside(conn: &mut SqliteConnection, batch: &PartitionBatch) -> Result<(), sqlx::Error> {
    let partition = i32::from(batch.partition.0);
    let head = sqlx::query(include_str!("append_raise.sql")).bind(partition).bind(signed(new_head(batch).0));
    head.execute(&mut *conn).await?;
    for change in final_timers(batch) {
        let query = match change.due {
            Some(due) => sqlx::query(include_str!("append_timer_set.sql"))
                .bind(partition)
                .bind(change.stream.as_str().to_owned())
                .bind(due.0),
            None => sqlx::query(include_str!("append_timer_clear.sql"))
                .bind(partition)
                .bind(change.stream.as_str().to_owned()),
        };
        query.execute(&mut *conn).await?;
    }
    for unit in &batch.units {
        if let (Some(note), Some(last)) = (&unit.note, unit.records.last()) {
            let add = sqlx::query(include_str!("append_note.sql")).bind(last.event_id).bind(note.clone());
            add.execute(&mut *conn).await?;
        }
    }
    Ok(())
}

/// A kind that the log did not hold before.
pub async fn add_kind(conn: &mut SqliteConnection, record: &Record) -> Result<(), sqlx::Error> {
    sqlx::query(include_str!("append_kind.sql"))
        .bind(record.kind.clone().into_owned())
        .bind(i64::from(record.schema))
        .bind(i32::from(record.partition.0))
        .bind(signed(record.position.0))
        .execute(conn)
        .await
        .map(drop)
}

async fn insert_records(conn: &mut SqliteConnection, records: &[&Record]) -> Result<(), sqlx::Error> {
    let mut kinds = std::collections::BTreeSet::new();
    for record in records {
        if kinds.insert((&record.kind, record.schema)) {
            add_kind(conn, record).await?;
        }
    }
    let mut blocks = records.chunks_exact(limits::INSERT_ROWS);
    for block in &mut blocks {
        let query = sqlx::query(AssertSqlSafe(INSERT_MANY.as_str()));
        block.iter().fold(query, |query, record| bind(query, record)).execute(&mut *conn).await?;
    }
    for record in blocks.remainder() {
        bind(sqlx::query(AssertSqlSafe(INSERT_ONE.as_str())), record).execute(&mut *conn).await?;
    }
    Ok(())
}

type Insert<'q> = Query<'q, Sqlite, SqliteArguments>;

fn bind<'q>(query: Insert<'q>, record: &Record) -> Insert<'q> {
    query
        .bind(i32::from(record.partition.0))
        .bind(signed(record.position.0))
        .bind(record.stream.as_str().to_owned())
        .bind(signed(record.version.0))
        .bind(record.kind.clone().into_owned())
        .bind(i32::from(record.schema))
        .bind(i32::from(record.codec))
        .bind(record.event_id)
        .bind(record.command.0.to_vec())
        .bind(record.correlation)
        .bind(record.causation)
        .bind(record.principal.as_str().to_owned())
        .bind(record.owner.as_ref().map(|owner| owner.as_str().to_owned()))
        .bind(signed(record.epoch.0))
        .bind(record.node.as_str().to_owned())
        .bind(record.at.0)
        .bind(record.recorded_at.0)
        .bind(record.unit_last)
        .bind(record.chain.0.to_vec())
        .bind(record.payload.clone())
}
