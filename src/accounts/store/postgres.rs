//! Accounts in Postgres: schema `accounts`, which belongs to the server's own role.

use async_trait::async_trait;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgPool, PgPoolOptions, PgRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Column, ConnectOptions, Connection, Postgres, Row, TypeInfo};
use tokio::time::timeout;

use super::cells::{Cell, Engine, Failure, Lasting};
use crate::fault::Fault;
use crate::limits;

/// Any number, the same in every build: two nodes that make the tables at once would trip over each other.
const MAKING_LOCK: i64 = 0x006f_6e73_616c_6503;
const NOW: &str = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint";

pub struct Schema {
    pool: PgPool,
    /// Does not wait for the disk.
    counts: PgPool,
}

impl Schema {
    pub async fn open(options: PgConnectOptions) -> Result<Self, Fault> {
        make(&options).await?;
        let counts = pool(options.clone().options([("synchronous_commit", "off")]));
        Ok(Self { pool: pool(options), counts })
    }
}

fn pool(options: PgConnectOptions) -> PgPool {
    PgPoolOptions::new()
        .max_connections(limits::ACCOUNT_CONNECTIONS)
        .min_connections(0)
        .acquire_timeout(limits::CONNECT_TIME)
        // Whoever waited in vain leaves a connection behind that may never answer again.
        .after_release(|conn, _| {
            Box::pin(async move { Ok(matches!(timeout(limits::CONNECT_TIME, conn.ping()).await, Ok(Ok(())))) })
        })
        .connect_lazy_with(options)
}

/// Looked for first: a role that may only use the tables need not be allowed to make them.
async fn make(options: &PgConnectOptions) -> Result<(), Fault> {
    let work = async {
        let mut conn = options.clone().options([("client_min_messages", "warning")]).connect().await?;
        let there: bool =
            sqlx::query_scalar("SELECT to_regclass('accounts.trail') IS NOT NULL").fetch_one(&mut conn).await?;
        if !there {
            sqlx::raw_sql("BEGIN").execute(&mut conn).await?;
            sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(MAKING_LOCK).execute(&mut conn).await?;
            let exists: bool =
                sqlx::query_scalar("SELECT to_regnamespace('accounts') IS NOT NULL").fetch_one(&mut conn).await?;
            if !exists {
                sqlx::raw_sql("CREATE SCHEMA accounts").execute(&mut conn).await?;
            }
            sqlx::raw_sql(include_str!("../../../migrations/postgres/accounts/accounts.sql"))
                .execute(&mut conn)
                .await?;
            sqlx::raw_sql("COMMIT").execute(&mut conn).await?;
        }
        conn.close().await
    };
    answered(work).await.map_err(Fault::from)
}

/// The server gives up a statement by itself; this is for a wire that says nothing any more.
async fn answered<T>(work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, Failure> {
    match timeout(limits::STATEMENT_ANSWER, work).await {
        Ok(done) => done.map_err(|error| meaning(&error)),
        Err(_) => Err(Failure::Fault(Fault::unavailable("the database does not answer"))),
    }
}

fn meaning(error: &sqlx::Error) -> Failure {
    match error {
        sqlx::Error::Database(answer) if answer.is_unique_violation() => Failure::NotUnique,
        // The answer's text alone: its details may quote a row.
        sqlx::Error::Database(answer) => Failure::Fault(Fault::unavailable(answer.message().to_owned())),
        other => Failure::Fault(Fault::unavailable(other.to_string())),
    }
}

fn placed(sql: &str) -> AssertSqlSafe<String> {
    AssertSqlSafe(sql.replace("@.", "accounts.").replace("@now", NOW))
}

fn bound(sql: &str, binds: Vec<Cell>) -> Query<'static, Postgres, PgArguments> {
    binds.into_iter().fold(sqlx::query(placed(sql)), |query, cell| match cell {
        Cell::Int(number) => query.bind(number),
        Cell::Text(text) => query.bind(text),
    })
}

fn cells(row: &PgRow) -> Result<Vec<Cell>, sqlx::Error> {
    let cell = |(place, column): (usize, &sqlx::postgres::PgColumn)| match column.type_info().name() {
        "INT8" => row.try_get(place).map(Cell::Int),
        _ => row.try_get(place).map(Cell::Text),
    };
    row.columns().iter().enumerate().map(cell).collect()
}

async fn apart<T: Send + 'static>(
    work: impl Future<Output = Result<T, Failure>> + Send + 'static,
) -> Result<T, Failure> {
    tokio::spawn(work).await.unwrap_or_else(|error| Err(Failure::Fault(Fault::internal(error.to_string()))))
}

#[async_trait]
impl Engine for Schema {
    async fn run(&self, sql: &'static str, binds: Vec<Cell>, lasting: Lasting) -> Result<u64, Failure> {
        let pool = match lasting {
            Lasting::Ever => self.pool.clone(),
            Lasting::Mostly => self.counts.clone(),
        };
        let work = async move { bound(sql, binds).execute(&pool).await.map(|done| done.rows_affected()) };
        apart(answered(work)).await
    }

    async fn rows(&self, sql: &'static str, binds: Vec<Cell>) -> Result<Vec<Vec<Cell>>, Failure> {
        let pool = self.pool.clone();
        let work = async move { bound(sql, binds).fetch_all(&pool).await?.iter().map(cells).collect() };
        apart(answered(work)).await
    }
}
