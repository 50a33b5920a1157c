//! Accounts in a file of their own, `accounts.db` in the data directory: readable by its owner alone, and what is removed
//! from it is overwritten.

use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use async_trait::async_trait;
use sqlx::query::Query;
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow,
    SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, ConnectOptions, Row, Sqlite, TypeInfo, ValueRef};

use super::cells::{Cell, Engine, Failure, Lasting};
use crate::fault::Fault;
use crate::limits;

/// The file within the data directory.
pub const FILE: &str = "accounts.db";
const OWNER_ONLY: u32 = 0o600;
const NOW: &str = "CAST(unixepoch('subsec') * 1000 AS INTEGER)";

pub struct File {
    pool: SqlitePool,
    /// Does not wait for the disk.
    counts: SqlitePool,
}

impl File {
    pub async fn open(dir: &Path) -> Result<Self, Fault> {
        let path = dir.join(FILE);
        let made = std::fs::OpenOptions::new().write(true).create(true).truncate(false).mode(OWNER_ONLY).open(&path);
        made.map_err(|error| Fault::unavailable(format!("{}: {error}", path.display())))?;
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(limits::STATEMENT_TIME)
            .pragma("secure_delete", "on")
            .disable_statement_logging();
        let pool = async |options| {
            let pool = SqlitePoolOptions::new().max_connections(limits::ACCOUNT_CONNECTIONS);
            let pool = pool.acquire_timeout(limits::STATEMENT_TIME).connect_with(options).await;
            pool.map_err(|error| Fault::from(meaning(&error)))
        };
        let counts = pool(options.clone().synchronous(SqliteSynchronous::Normal)).await?;
        let pool = pool(options).await?;
        let tables = include_str!("../../../migrations/sqlite/accounts/accounts.sql");
        sqlx::raw_sql(tables).execute(&pool).await.map_err(|error| Fault::from(meaning(&error)))?;
        Ok(Self { pool, counts })
    }
}

fn meaning(error: &sqlx::Error) -> Failure {
    match error {
        sqlx::Error::Database(answer) if answer.is_unique_violation() => Failure::NotUnique,
        other => Failure::Fault(Fault::unavailable(other.to_string())),
    }
}

fn placed(sql: &str) -> AssertSqlSafe<String> {
    AssertSqlSafe(sql.replace("@.", "").replace("@now", NOW))
}

fn bound(sql: &str, binds: Vec<Cell>) -> Query<'static, Sqlite, SqliteArguments> {
    binds.into_iter().fold(sqlx::query(placed(sql)), |query, cell| match cell {
        Cell::Int(number) => query.bind(number),
        Cell::Text(text) => query.bind(text),
    })
}

fn cells(row: &SqliteRow) -> Result<Vec<Cell>, sqlx::Error> {
    let cell = |place: usize| {
        let raw = row.try_get_raw(place)?;
        let number = raw.type_info().name() == "INTEGER";
        if number { row.try_get(place).map(Cell::Int) } else { row.try_get(place).map(Cell::Text) }
    };
    (0..row.len()).map(cell).collect()
}

async fn apart<T: Send + 'static>(
    work: impl Future<Output = Result<T, sqlx::Error>> + Send + 'static,
) -> Result<T, Failure> {
    let done = tokio::spawn(work).await.map_err(|error| Failure::Fault(Fault::internal(error.to_string())))?;
    done.map_err(|error| meaning(&error))
}

#[async_trait]
impl Engine for File {
    async fn run(&self, sql: &'static str, binds: Vec<Cell>, lasting: Lasting) -> Result<u64, Failure> {
        let pool = match lasting {
            Lasting::Ever => self.pool.clone(),
            Lasting::Mostly => self.counts.clone(),
        };
        apart(async move { bound(sql, binds).execute(&pool).await.map(|done| done.rows_affected()) }).await
    }

    async fn rows(&self, sql: &'static str, binds: Vec<Cell>) -> Result<Vec<Vec<Cell>>, Failure> {
        let pool = self.pool.clone();
        apart(async move { bound(sql, binds).fetch_all(&pool).await?.iter().map(cells).collect() }).await
    }
}
