//! Read models in files: `registry.db`, and one file per build, in the directory `read` beside the log.
//!
//! A lost tail of a build is replayed from the log, since rows and cursors are written together; so its commits need not
//! reach the disk before they count (`synchronous = NORMAL`). Those of the registry must: what operators decided is in no
//! log, and a pointer must not outlive the build that it points to.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use sqlx::query::Query;
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteRow, SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, ConnectOptions, Row, Sqlite, TypeInfo, ValueRef};

use super::conn::{Conn, There, names, no_cell, on_conflict, placed, storable};
use super::types::StoreError;
use super::{RebuildLock, builds::Engine};
use crate::limits;
use crate::projections::Projection;
use crate::projections::table::{Cells, Key, Table, Value};

/// Rows of one statement: so few sizes that every statement stays prepared.
const SIZES: [usize; 3] = [64, 8, 1];

pub struct Files {
    dir: PathBuf,
}

impl Files {
    pub fn open(data: &Path) -> Result<Self, StoreError> {
        let dir = data.join("read");
        std::fs::create_dir_all(&dir).map_err(|e| StoreError::Unavailable(format!("{}: {e}", dir.display())))?;
        Ok(Self { dir })
    }

    pub fn exist(data: &Path) -> bool {
        data.join("read").join("registry.db").exists()
    }

    fn options(&self, file: &str) -> SqliteConnectOptions {
        SqliteConnectOptions::new()
            .filename(self.dir.join(file))
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(limits::STATEMENT_TIME)
            .pragma("cache_size", "-8000")
            .statement_cache_capacity(limits::STATEMENTS_PREPARED)
            .disable_statement_logging()
    }
}

struct Lock(#[expect(dead_code, reason = "held until it is dropped")] File);

impl RebuildLock for Lock {}

#[async_trait]
impl Engine for Files {
    fn name(&self) -> &'static str {
        "sqlite"
    }

    fn place(&self, _name: &str) -> String {
        String::new()
    }

    fn shown(&self, name: &str, table: &str) -> String {
        format!("sqlite3 {} 'SELECT * FROM {table} LIMIT 10'", self.dir.join(format!("{name}.db")).display())
    }

    async fn registry(&self) -> Result<Box<dyn Conn>, StoreError> {
        let options = self.options("registry.db").synchronous(SqliteSynchronous::Full).create_if_missing(true);
        let mut conn = self.connect(options).await?;
        let sql = include_str!("../../../migrations/sqlite/read/registry.sql");
        conn.begin().await?;
        conn.raw(sql).await?;
        conn.raw("COMMIT").await?;
        Ok(Box::new(conn))
    }

    async fn create(&self, projection: &dyn Projection, name: &str) -> Result<Box<dyn Conn>, StoreError> {
        let mut conn = self.connect(self.options(&format!("{name}.db")).create_if_missing(true)).await?;
        conn.raw(include_str!("../../../migrations/sqlite/read/build.sql")).await?;
        conn.raw(projection.schema().sqlite).await?;
        Ok(Box::new(conn))
    }

    async fn harden(&self, name: &str) -> Result<(), StoreError> {
        let options = self.options(&format!("{name}.db")).synchronous(SqliteSynchronous::Full);
        let mut conn = self.connect(options).await?;
        conn.raw(&placed(include_str!("sql/harden.sql"), &self.place(name))).await
    }

    async fn drop_place(&self, name: &str) -> Result<(), StoreError> {
        for ending in ["db", "db-wal", "db-shm"] {
            match std::fs::remove_file(self.dir.join(format!("{name}.{ending}"))) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(StoreError::Unavailable(error.to_string()));
                }
                _ => {}
            }
        }
        Ok(())
    }

    async fn writer(&self, name: &str) -> Result<Box<dyn Conn>, StoreError> {
        Ok(Box::new(self.connect(self.options(&format!("{name}.db"))).await?))
    }

    async fn snapshot(&self, name: &str) -> Result<Box<dyn Conn>, StoreError> {
        let mut conn = self.connect(self.options(&format!("{name}.db")).read_only(true)).await?;
        conn.raw("BEGIN").await?;
        Ok(Box::new(conn))
    }

    fn reader(&self, name: &str) -> Box<dyn super::builds::Reader> {
        let pool = SqlitePoolOptions::new()
            .max_connections(limits::READ_MODEL_CONNECTIONS)
            .min_connections(0)
            .idle_timeout(limits::READ_MODEL_IDLE)
            .acquire_timeout(limits::STATEMENT_TIME)
            .connect_lazy_with(self.options(&format!("{name}.db")).read_only(true));
        Box::new(FileReader(pool))
    }

    async fn lock(&self, name: &str) -> Result<Option<Box<dyn RebuildLock>>, StoreError> {
        let unavailable = |e: std::io::Error| StoreError::Unavailable(e.to_string());
        let path = self.dir.join(format!("{name}.rebuild.lock"));
        let file = File::options().create(true).append(true).open(path).map_err(unavailable)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Box::new(Lock(file)))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(unavailable(error)),
        }
    }

    fn after_switch(&self, _projection: &dyn Projection, _name: &str) -> Vec<String> {
        Vec::new()
    }
}

impl Files {
    async fn connect(&self, options: SqliteConnectOptions) -> Result<FileConn, StoreError> {
        options.connect().await.map(FileConn).map_err(|e| meaning(&e))
    }
}

struct FileReader(SqlitePool);

#[async_trait]
impl super::builds::Reader for FileReader {
    async fn rows(&self, sql: &str, binds: &[Value]) -> Result<Vec<Cells>, StoreError> {
        let found = bound(sql, binds).fetch_all(&self.0).await.map_err(|e| meaning(&e))?;
        found.iter().map(cells).collect()
    }
}

struct FileConn(SqliteConnection);

#[async_trait]
impl Conn for FileConn {
    async fn run(&mut self, sql: &str, binds: &[Value]) -> Result<u64, StoreError> {
        let done = bound(sql, binds).execute(&mut self.0).await.map_err(|e| meaning(&e))?;
        Ok(done.rows_affected())
    }

    async fn rows(&mut self, sql: &str, binds: &[Value]) -> Result<Vec<Cells>, StoreError> {
        let found = bound(sql, binds).fetch_all(&mut self.0).await.map_err(|e| meaning(&e))?;
        found.iter().map(cells).collect()
    }

    async fn raw(&mut self, sql: &str) -> Result<(), StoreError> {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut self.0).await.map(drop).map_err(|e| meaning(&e))
    }

    async fn begin(&mut self) -> Result<(), StoreError> {
        self.raw("BEGIN IMMEDIATE").await
    }

    async fn write(&mut self, place: &str, table: &Table, rows: &[Cells], there: There) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        storable(rows)?;
        let columns = names(table);
        let row = format!("({})", vec!["?"; columns.len()].join(","));
        for some in pieces(rows) {
            let values = vec![row.as_str(); some.len()].join(",");
            let (name, columns) = (table.name, columns.join(","));
            let sql = format!("INSERT INTO {place}{name} ({columns}) VALUES {values} {}", on_conflict(table, there));
            self.run_all(&sql, some).await?;
        }
        Ok(())
    }

    async fn load(&mut self, place: &str, table: &Table, keys: &[Key]) -> Result<Vec<Cells>, StoreError> {
        let all: Vec<String> = names(table).iter().map(|name| format!("t.{name}")).collect();
        let on: Vec<String> = names(table)[..table.key]
            .iter()
            .enumerate()
            .map(|(number, name)| format!("t.{name} = k.column{}", number + 1))
            .collect();
        let row = format!("({})", vec!["?"; table.key].join(","));
        let mut found = Vec::new();
        for some in pieces(keys) {
            let values = vec![row.as_str(); some.len()].join(",");
            // CROSS JOIN: one look-up by key for each, never a scan of the table.
            let (all, on, name) = (all.join(","), on.join(" AND "), table.name);
            let sql = format!("SELECT {all} FROM (VALUES {values}) AS k CROSS JOIN {place}{name} AS t ON {on}");
            let binds: Vec<Value> = some.iter().flatten().cloned().collect();
            found.extend(self.rows(&sql, &binds).await?);
        }
        Ok(found)
    }
}

impl FileConn {
    async fn run_all(&mut self, sql: &str, rows: &[Cells]) -> Result<(), StoreError> {
        let query = rows.iter().flatten().fold(sqlx::query(AssertSqlSafe(sql.to_owned())), bind);
        query.execute(&mut self.0).await.map(drop).map_err(|e| meaning(&e))
    }
}

/// The items in pieces of the sizes for which there are statements.
fn pieces<T>(mut items: &[T]) -> Vec<&[T]> {
    let mut pieces = Vec::new();
    for size in SIZES {
        while items.len() >= size {
            let (piece, rest) = items.split_at(size);
            pieces.push(piece);
            items = rest;
        }
    }
    pieces
}

fn bound<'q>(sql: &str, binds: &'q [Value]) -> Query<'q, Sqlite, SqliteArguments> {
    binds.iter().fold(sqlx::query(AssertSqlSafe(sql.to_owned())), bind)
}

fn bind<'q>(query: Query<'q, Sqlite, SqliteArguments>, value: &'q Value) -> Query<'q, Sqlite, SqliteArguments> {
    match value {
        Value::Null => query.bind(None::<i64>),
        Value::Int(number) => query.bind(*number),
        Value::Text(text) => query.bind(text.as_ref()),
    }
}

fn cells(row: &SqliteRow) -> Result<Cells, StoreError> {
    let cell = |column: usize| {
        let raw = row.try_get_raw(column)?;
        if raw.is_null() {
            return Ok(Value::Null);
        }
        if raw.type_info().name() == "TEXT" {
            return row.try_get::<&str, _>(column).map(|text| Value::Text(text.into()));
        }
        row.try_get::<i64, _>(column).map(Value::Int)
    };
    (0..row.len()).map(cell).collect::<Result<_, sqlx::Error>>().map_err(|e| meaning(&e))
}

/// SQLite's primary result codes: 18 too big, 19 constraint, 20 mismatch, 25 range are about the content.
fn meaning(error: &sqlx::Error) -> StoreError {
    let code = error.as_database_error().and_then(|e| e.code()).and_then(|code| code.parse::<i32>().ok());
    match code.map(|code| code & 0xff) {
        Some(18 | 19 | 20 | 25) => StoreError::Refused(error.to_string()),
        _ if no_cell(error) => StoreError::Refused(error.to_string()),
        _ => StoreError::Unavailable(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_everything_in_order() {
        let items: Vec<usize> = (0..150).collect();
        let sizes: Vec<usize> = pieces(&items).iter().map(|piece| piece.len()).collect();
        assert_eq!(sizes, [64, 64, 8, 8, 1, 1, 1, 1, 1, 1]);
        assert_eq!(pieces(&items).concat(), items);
        assert!(pieces::<u8>(&[]).is_empty());
    }

    #[tokio::test]
    async fn decisions_and_pointers_wait_for_the_disk_and_rows_do_not() {
        let dir = tempfile::tempdir().expect("a directory");
        let files = Files::open(dir.path()).expect("a store");
        let create = files.create(&crate::projections::stores::Stores, "stores_1").await;
        drop(create.expect("a build"));
        files.harden("stores_1").await.expect("a build that is there");
        let (registry, writer) = (files.registry().await, files.writer("stores_1").await);
        for (conn, full_or_normal) in [(registry, 2), (writer, 1)] {
            let found = conn.expect("a connection").rows("PRAGMA synchronous", &[]).await;
            assert_eq!(found, Ok(vec![vec![Value::Int(full_or_normal)]]));
        }
        assert!(files.harden("stores_2").await.is_err(), "nothing points to a build that is not there");
    }
}
