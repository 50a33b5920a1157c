//! Is this file a log that we may use? Opens, migrates and checks it.
//!
//! The schema's number is SQLite's `user_version`. It knows nothing of who serves the log.

use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Row, SqliteConnection};

use super::error::opening;
use crate::journal::open::{FORMAT_LEVEL, OpenError, check_meta, check_schema, new_partitions};
use crate::limits;

/// In order; the number of a migration is its place, from 1.
const MIGRATIONS: [&str; 3] = [
    include_str!("../../../migrations/sqlite/0001_log.sql"),
    include_str!("../../../migrations/sqlite/0002_snapshots.sql"),
    include_str!("../../../migrations/sqlite/0003_presence.sql"),
];

/// How every connection that writes is set up: an acknowledged commit survives a power failure.
pub fn write_options(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(limits::STATEMENT_TIME)
        .disable_statement_logging()
}

pub fn read_options(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .read_only(true)
        .busy_timeout(limits::STATEMENT_TIME)
        .disable_statement_logging()
}

/// Connections for reading.
pub async fn readers(file: &Path) -> Result<SqlitePool, sqlx::Error> {
    let pool = SqlitePoolOptions::new().max_connections(limits::READ_CONNECTIONS);
    pool.acquire_timeout(limits::STATEMENT_TIME).connect_with(read_options(file)).await
}

/// Creates or upgrades the log; several processes may try at once.
pub async fn migrate(conn: &mut SqliteConnection, partitions: Option<u16>, place: &str) -> Result<(), OpenError> {
    run(conn, "BEGIN IMMEDIATE").await.map_err(|e| opening(place, &e))?;
    let outcome = migrate_inside(conn, partitions, place).await;
    let end = if outcome.is_ok() { "COMMIT" } else { "ROLLBACK" };
    run(conn, end).await.map_err(|e| opening(place, &e))?;
    outcome
}

async fn migrate_inside(conn: &mut SqliteConnection, partitions: Option<u16>, place: &str) -> Result<(), OpenError> {
    let found = schema(conn, place).await?;
    if found == 0 && !is_empty(conn, place).await? {
        let detail = "it is a SQLite database of something else".to_owned();
        return Err(OpenError::NotADatabase { place: place.to_owned(), detail });
    }
    let done = usize::try_from(found).unwrap_or(0);
    for migration in MIGRATIONS.iter().skip(done) {
        run(conn, migration).await.map_err(|e| opening(place, &e))?;
    }
    if found == 0 {
        let partitions = new_partitions(partitions)?;
        create_partitions(conn, partitions).await.map_err(|e| opening(place, &e))?;
    }
    if done < MIGRATIONS.len() {
        let version = format!("PRAGMA user_version = {}", MIGRATIONS.len());
        sqlx::raw_sql(sqlx::AssertSqlSafe(version)).execute(conn).await.map_err(|e| opening(place, &e))?;
    }
    Ok(())
}

async fn create_partitions(conn: &mut SqliteConnection, partitions: u16) -> Result<(), sqlx::Error> {
    for partition in 0..partitions {
        sqlx::query(include_str!("partition_add.sql")).bind(i32::from(partition)).execute(&mut *conn).await?;
    }
    let meta = sqlx::query(include_str!("meta_add.sql")).bind(i32::from(partitions)).bind(FORMAT_LEVEL);
    meta.execute(conn).await.map(drop)
}

/// The number of partitions, once everything fits.
pub async fn check(conn: &mut SqliteConnection, configured: Option<u16>, place: &str) -> Result<u16, OpenError> {
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    check_schema(schema(conn, place).await?, known)?;
    let row = sqlx::query(include_str!("meta.sql")).fetch_one(conn).await.map_err(|e| opening(place, &e))?;
    let columns = (row.try_get(0), row.try_get(1));
    let (Ok(partitions), Ok(level)) = columns else {
        let detail = "its table meta has another shape".to_owned();
        return Err(OpenError::NotADatabase { place: place.to_owned(), detail });
    };
    check_meta(partitions, level, configured)
}

async fn schema(conn: &mut SqliteConnection, place: &str) -> Result<i64, OpenError> {
    sqlx::query_scalar(include_str!("schema.sql")).fetch_one(conn).await.map_err(|e| opening(place, &e))
}

async fn is_empty(conn: &mut SqliteConnection, place: &str) -> Result<bool, OpenError> {
    let tables: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_schema")
        .fetch_one(conn)
        .await
        .map_err(|e| opening(place, &e))?;
    Ok(tables == 0)
}

/// A statement without binds and without rows.
pub async fn run(conn: &mut SqliteConnection, sql: &'static str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(sql).execute(conn).await.map(drop)
}
