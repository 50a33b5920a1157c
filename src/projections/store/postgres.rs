//! Read models in Postgres: the registry in schema `read`, and one schema per build.
//!
//! A lost tail is replayed from the log, since rows and cursors are written together; so commits need not reach the disk
//! before they count (`synchronous_commit = off`), and do not compete with the log's.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgPool, PgPoolOptions, PgRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, Postgres, Row, TypeInfo, ValueRef};
use tokio::time::timeout;

use super::RebuildLock;
use super::builds::{Engine, Reader};
use super::conn::{Conn, There, names, no_cell, on_conflict, placed, storable};
use super::types::StoreError;
use crate::ids::Hash16;
use crate::journal::postgres::options;
use crate::limits;
use crate::projections::Projection;
use crate::projections::table::{Cells, Key, Kind, Table, Value};

/// Rows of one statement.
const ROWS: usize = 5_000;
const REGISTRY: &str = "read.";
/// Any number that no other lock here has (the node that serves holds another one), the same in every build: two processes
/// that make the registry at once would trip over each other.
const REGISTRY_LOCK: i64 = 0x006f_6e73_616c_6504;

pub struct Schemas {
    options: PgConnectOptions,
    readers: PgPool,
    shown: String,
}

impl Schemas {
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let options = options(url).map_err(|e| StoreError::Unavailable(e.to_string()))?;
        let readers = PgPoolOptions::new()
            .max_connections(limits::READ_MODEL_CONNECTIONS)
            .min_connections(0)
            .acquire_timeout(limits::CONNECT_TIME)
            // A reading that was given up leaves its connection behind, perhaps one that never answers again: the pool
            // would keep it, and wait.
            .after_release(|conn, _| {
                Box::pin(async move { Ok(matches!(timeout(limits::CONNECT_TIME, conn.ping()).await, Ok(Ok(())))) })
            })
            .connect_lazy_with(options.clone());
        let shown = crate::journal::postgres::without_secrets(url);
        Ok(Self { options, readers, shown })
    }

    pub async fn exist(&self) -> Result<bool, StoreError> {
        has_registry(&mut self.connect(&[]).await?).await
    }

    async fn connect(&self, settings: &[(&'static str, &'static str)]) -> Result<SchemaConn, StoreError> {
        let options = self.options.clone().options(settings.iter().copied());
        let conn = answered(limits::CONNECT_TIME, options.connect()).await?;
        Ok(SchemaConn { conn, patience: limits::STATEMENT_ANSWER })
    }

    /// For statements that may have to go through all rows of a build, or through its files.
    async fn connect_patiently(&self) -> Result<SchemaConn, StoreError> {
        let time = limits::WHOLE_BUILD_TIME.as_millis().to_string();
        let settings = [
            ("statement_timeout", time.as_str()),
            ("idle_in_transaction_session_timeout", "0"),
            ("client_min_messages", "warning"),
        ];
        let options = self.options.clone().options(settings);
        let conn = answered(limits::CONNECT_TIME, options.connect()).await?;
        Ok(SchemaConn { conn, patience: limits::WHOLE_BUILD_ANSWER })
    }
}

/// The server gives up a statement by itself; this is for a wire that says nothing any more. Who gets no answer throws the
/// connection away.
async fn answered<T>(patience: Duration, work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, StoreError> {
    match timeout(patience, work).await {
        Ok(done) => done.map_err(|e| meaning(&e)),
        Err(_) => Err(StoreError::Unavailable("the database does not answer".to_owned())),
    }
}

async fn has_registry(conn: &mut SchemaConn) -> Result<bool, StoreError> {
    let found = conn.rows("SELECT count(*) FROM pg_class WHERE oid = to_regclass('read.skips')", &[]).await?;
    Ok(found.first().and_then(|row| row.first()) == Some(&Value::Int(1)))
}

/// The session's advisory lock goes with its connection.
struct Lock(#[expect(dead_code, reason = "held until it is dropped")] SchemaConn);

impl RebuildLock for Lock {}

#[async_trait]
impl Engine for Schemas {
    fn name(&self) -> &'static str {
        "postgres"
    }

    fn place(&self, name: &str) -> String {
        if name == "registry" { REGISTRY.to_owned() } else { format!("read_{name}.") }
    }

    fn shown(&self, name: &str, table: &str) -> String {
        format!("psql {} -c 'SELECT * FROM {}{table} LIMIT 10'", self.shown, self.place(name))
    }

    async fn registry(&self) -> Result<Box<dyn Conn>, StoreError> {
        let mut conn = self.connect(&[("client_min_messages", "warning")]).await?;
        // Looked for first: a role that may only use the registry need not be allowed to make it.
        if has_registry(&mut conn).await? {
            return Ok(Box::new(conn));
        }
        conn.begin().await?;
        conn.rows("SELECT 1 FROM (SELECT pg_advisory_xact_lock($1)) AS locked", &[Value::Int(REGISTRY_LOCK)]).await?;
        conn.raw("CREATE SCHEMA IF NOT EXISTS read").await?;
        conn.raw(&placed(include_str!("../../../migrations/postgres/read/registry.sql"), REGISTRY)).await?;
        conn.raw("COMMIT").await?;
        Ok(Box::new(conn))
    }

    async fn create(&self, projection: &dyn Projection, name: &str) -> Result<Box<dyn Conn>, StoreError> {
        let mut conn = self.connect(&[]).await?;
        let place = self.place(name);
        conn.begin().await?;
        conn.raw(&format!("CREATE SCHEMA read_{name}")).await?;
        conn.raw(&placed(include_str!("../../../migrations/postgres/read/build.sql"), &place)).await?;
        conn.raw(&placed(projection.schema().postgres, &place)).await?;
        conn.raw("COMMIT").await?;
        Ok(Box::new(conn))
    }

    /// Nothing to do: the switch is in the same log of the server, behind all commits of the build, and waits for the disk.
    async fn harden(&self, _name: &str) -> Result<(), StoreError> {
        Ok(())
    }

    async fn drop_place(&self, name: &str) -> Result<(), StoreError> {
        let mut conn = self.connect_patiently().await?;
        conn.raw(&format!("DROP SCHEMA IF EXISTS read_{name} CASCADE")).await
    }

    async fn writer(&self, _name: &str) -> Result<Box<dyn Conn>, StoreError> {
        // Rows are looked up by their keys and in no other way, whatever the planner knows of a table that grows.
        let by_key = [
            ("synchronous_commit", "off"),
            ("enable_seqscan", "off"),
            ("enable_hashjoin", "off"),
            ("enable_mergejoin", "off"),
            ("plan_cache_mode", "force_generic_plan"),
        ];
        Ok(Box::new(self.connect(&by_key).await?))
    }

    async fn snapshot(&self, _name: &str) -> Result<Box<dyn Conn>, StoreError> {
        let mut conn = self.connect_patiently().await?;
        conn.raw("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        Ok(Box::new(conn))
    }

    fn reader(&self, _name: &str) -> Box<dyn Reader> {
        Box::new(SchemaReader(self.readers.clone()))
    }

    async fn lock(&self, name: &str) -> Result<Option<Box<dyn RebuildLock>>, StoreError> {
        let mut conn = self.connect(&[]).await?;
        let number = Hash16::of("rebuild", &[name.as_bytes()]).0;
        let number = i64::from_le_bytes([
            number[0], number[1], number[2], number[3], number[4], number[5], number[6], number[7],
        ]);
        let sql = "SELECT CASE WHEN pg_try_advisory_lock($1) THEN 1 ELSE 0 END";
        let got = conn.rows(sql, &[Value::Int(number)]).await?;
        let held = got.first().and_then(|row| row.first()) == Some(&Value::Int(1));
        Ok(held.then(|| Box::new(Lock(conn)) as Box<dyn RebuildLock>))
    }

    /// Views under stable names, for people with psql. What they granted and built on them stays while the table has its
    /// shape; where it has another, that goes, since it must not keep the program from its new tables.
    fn after_switch(&self, projection: &dyn Projection, name: &str) -> Vec<String> {
        let one = |table: &&Table| {
            let (table, place) = (table.name, self.place(name));
            let view = format!("VIEW {REGISTRY}{table} AS SELECT * FROM {place}{table};");
            format!(
                "DO $$ BEGIN CREATE OR REPLACE {view} EXCEPTION WHEN invalid_table_definition THEN \
                 DROP VIEW {REGISTRY}{table} CASCADE; CREATE {view} END $$"
            )
        };
        projection.tables().iter().map(one).collect()
    }
}

struct SchemaReader(PgPool);

#[async_trait]
impl Reader for SchemaReader {
    async fn rows(&self, sql: &str, binds: &[Value]) -> Result<Vec<Cells>, StoreError> {
        let found = answered(limits::STATEMENT_ANSWER, bound(sql, binds).fetch_all(&self.0)).await?;
        found.iter().map(cells).collect()
    }
}

struct SchemaConn {
    conn: PgConnection,
    patience: Duration,
}

impl SchemaConn {
    /// One array per column.
    fn arrays<'q>(
        query: Query<'q, Postgres, PgArguments>,
        columns: &[crate::projections::table::Column],
        rows: &'q [Vec<Value>],
    ) -> Query<'q, Postgres, PgArguments> {
        columns.iter().enumerate().fold(query, |query, (place, column)| match column.kind {
            Kind::Int => query.bind(rows.iter().map(|row| number(row.get(place))).collect::<Vec<Option<i64>>>()),
            Kind::Text => query.bind(rows.iter().map(|row| letters(row.get(place))).collect::<Vec<Option<&'q str>>>()),
        })
    }

    /// `$1::text[], $2::int8[] …`
    fn unnest(columns: &[crate::projections::table::Column]) -> String {
        let one = |(number, column): (usize, &crate::projections::table::Column)| {
            let kind = if column.kind == Kind::Int { "int8" } else { "text" };
            format!("${}::{kind}[]", number + 1)
        };
        columns.iter().enumerate().map(one).collect::<Vec<_>>().join(", ")
    }
}

fn number(value: Option<&Value>) -> Option<i64> {
    match value {
        Some(Value::Int(number)) => Some(*number),
        _ => None,
    }
}

fn letters(value: Option<&Value>) -> Option<&str> {
    match value {
        Some(Value::Text(text)) => Some(text.as_ref()),
        _ => None,
    }
}

#[async_trait]
impl Conn for SchemaConn {
    async fn run(&mut self, sql: &str, binds: &[Value]) -> Result<u64, StoreError> {
        let done = answered(self.patience, bound(sql, binds).execute(&mut self.conn)).await?;
        Ok(done.rows_affected())
    }

    async fn rows(&mut self, sql: &str, binds: &[Value]) -> Result<Vec<Cells>, StoreError> {
        let found = answered(self.patience, bound(sql, binds).fetch_all(&mut self.conn)).await?;
        found.iter().map(cells).collect()
    }

    async fn raw(&mut self, sql: &str) -> Result<(), StoreError> {
        let statements = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        answered(self.patience, statements.execute(&mut self.conn)).await.map(drop)
    }

    async fn begin(&mut self) -> Result<(), StoreError> {
        self.raw("BEGIN").await
    }

    async fn write(&mut self, place: &str, table: &Table, rows: &[Cells], there: There) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        storable(rows)?;
        let (columns, arrays) = (names(table).join(", "), Self::unnest(table.columns));
        let sql = format!(
            "INSERT INTO {place}{} ({columns}) SELECT * FROM UNNEST({arrays}) {}",
            table.name,
            on_conflict(table, there)
        );
        for some in rows.chunks(ROWS) {
            let query = Self::arrays(sqlx::query(AssertSqlSafe(sql.clone())), table.columns, some);
            answered(self.patience, query.execute(&mut self.conn)).await?;
        }
        Ok(())
    }

    async fn load(&mut self, place: &str, table: &Table, keys: &[Key]) -> Result<Vec<Cells>, StoreError> {
        let key = &table.columns[..table.key];
        let all: Vec<String> = names(table).iter().map(|name| format!("t.{name}")).collect();
        let named: Vec<String> = (1..=key.len()).map(|number| format!("k{number}")).collect();
        let on: Vec<String> =
            key.iter().zip(&named).map(|(column, named)| format!("t.{} = k.{named}", column.name)).collect();
        let sql = format!(
            "SELECT {} FROM UNNEST({}) AS k ({}) JOIN {place}{} AS t ON {}",
            all.join(", "),
            Self::unnest(key),
            named.join(", "),
            table.name,
            on.join(" AND ")
        );
        let mut found = Vec::new();
        for some in keys.chunks(ROWS) {
            let query = Self::arrays(sqlx::query(AssertSqlSafe(sql.clone())), key, some);
            let rows = answered(self.patience, query.fetch_all(&mut self.conn)).await?;
            for row in &rows {
                found.push(cells(row)?);
            }
        }
        Ok(found)
    }
}

fn bound<'q>(sql: &str, binds: &'q [Value]) -> Query<'q, Postgres, PgArguments> {
    binds.iter().fold(sqlx::query(AssertSqlSafe(sql.to_owned())), |query, value| match value {
        Value::Null => query.bind(None::<&str>),
        Value::Int(number) => query.bind(*number),
        Value::Text(text) => query.bind(text.as_ref()),
    })
}

fn cells(row: &PgRow) -> Result<Cells, StoreError> {
    let cell = |column: usize| {
        let raw = row.try_get_raw(column)?;
        if raw.is_null() {
            return Ok(Value::Null);
        }
        let kind = raw.type_info().name().to_owned();
        match kind.as_str() {
            "INT8" => row.try_get::<i64, _>(column).map(Value::Int),
            "INT4" => row.try_get::<i32, _>(column).map(|number| Value::Int(number.into())),
            "INT2" => row.try_get::<i16, _>(column).map(|number| Value::Int(number.into())),
            "BOOL" => row.try_get::<bool, _>(column).map(|truth| Value::Int(truth.into())),
            _ => row.try_get::<&str, _>(column).map(|text| Value::Text(text.into())),
        }
    };
    (0..row.len()).map(cell).collect::<Result<_, sqlx::Error>>().map_err(|e| meaning(&e))
}

/// Classes 21 (cardinality), 22 (data), 23 (constraints) and 54 (limits) are about the content; everything else is about the moment.
fn meaning(error: &sqlx::Error) -> StoreError {
    let code = error.as_database_error().and_then(|e| e.code());
    match code.as_deref().map(|code| code.get(..2).unwrap_or_default().to_owned()) {
        Some(class) if ["21", "22", "23", "54"].contains(&class.as_str()) => StoreError::Refused(error.to_string()),
        _ if no_cell(error) => StoreError::Refused(error.to_string()),
        _ => StoreError::Unavailable(error.to_string()),
    }
}
