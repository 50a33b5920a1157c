//! What do the rivals on Postgres have in common? A schema of their own in the database that was named, made afresh, a pool of
//! connections, and the counting afterwards.

use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, PgRow};
use sqlx::{ConnectOptions, Connection, PgConnection, Row};

use super::Setup;
use super::store::{Books, By, Issue, Order, Placing};
use crate::app;
use crate::cli::failure::Failure;
use crate::events::codec;
use crate::fault::Fault;
use crate::ids::{Hash16, TaskId};
use crate::journal::open::Target;
use crate::timestamp::Timestamp;

const SCHEMA: &str = include_str!("statements/schema.sql");
const FUNCTIONS: &str = include_str!("statements/functions.sql");
/// A request waits that long for a connection: as long as a node lets one wait.
const PATIENCE: Duration = Duration::from_secs(10);
const UNIQUE_VIOLATION: &str = "23505";

#[derive(Clone)]
pub struct Sql {
    pub pool: PgPool,
    /// Is an event log kept beside the tables?
    pub log: bool,
}

pub fn fault(error: sqlx::Error) -> Fault {
    Fault::internal(error.to_string())
}

pub fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn count(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

impl Sql {
    /// Makes the schema afresh and connects.
    pub async fn open(setup: &Setup) -> Result<Self, Failure> {
        let Target::Postgres { url } = app::target(&setup.config) else {
            return Err(Failure::usage("a rival on Postgres needs --database-url"));
        };
        let failed = |e: sqlx::Error| Failure::of(format!("a rival on Postgres: {e}"));
        let options = PgConnectOptions::from_str(&url).map_err(failed)?.disable_statement_logging();
        let mut connection = PgConnection::connect_with(&options).await.map_err(failed)?;
        sqlx::raw_sql(SCHEMA).execute(&mut connection).await.map_err(failed)?;
        sqlx::raw_sql(FUNCTIONS).execute(&mut connection).await.map_err(failed)?;
        connection.close().await.map_err(failed)?;
        let pool = PgPoolOptions::new()
            .max_connections(setup.pool)
            .min_connections(setup.pool)
            .acquire_timeout(PATIENCE)
            // A round trip before each statement would be paid for nothing.
            .test_before_acquire(false)
            .connect_with(options.options([("search_path", "onsale_rival"), ("jit", "off")]))
            .await
            .map_err(failed)?;
        Ok(Self { pool, log: setup.log })
    }

    /// The order that the command placed before, if it did.
    pub async fn before(&self, order: &Order) -> Result<Option<Placing>, Fault> {
        let found = sqlx::query("SELECT placed, body, placed_at, position FROM orders WHERE order_id = $1")
            .bind(order.placed.order_id.as_str())
            .fetch_optional(&self.pool);
        let Some(row) = found.await.map_err(fault)? else { return Ok(None) };
        let placed: Vec<u8> = row.try_get(0).map_err(fault)?;
        Ok(Some(Placing::Had {
            order: Box::new(codec::unpack(&placed).map_err(|e| Fault::internal(e.to_string()))?),
            body: hash(row.try_get(1).map_err(fault)?),
            at: Timestamp(row.try_get(2).map_err(fault)?),
            position: count(row.try_get(3).map_err(fault)?),
        }))
    }

    pub async fn books(&self) -> Result<Books, Fault> {
        let statement = "SELECT (SELECT count(*) FROM issues), (SELECT count(*) FROM orders), \
             (SELECT count(*) FROM holds) + (SELECT count(*) FROM seats WHERE order_id IS NOT NULL), \
             (SELECT count(*) FROM timers), (SELECT count(*) FROM events), \
             (SELECT count(*) FROM issues i JOIN coupons c USING (coupon_id) WHERE i.serial > c.stock OR i.serial < 1) \
             + (SELECT count(*) - count(DISTINCT (coupon_id, serial)) FROM issues) \
             + (SELECT count(*) FROM (SELECT order_id FROM holds UNION ALL SELECT order_id FROM seats) h \
                 WHERE order_id IS NOT NULL AND NOT EXISTS (SELECT FROM orders o WHERE o.order_id = h.order_id))";
        let row = sqlx::query(statement).fetch_one(&self.pool).await.map_err(fault)?;
        let figure = |at: usize| row.try_get(at).map(count).map_err(fault);
        Ok(Books {
            issues: figure(0)?,
            orders: figure(1)?,
            seats: figure(2)?,
            timers: figure(3)?,
            entries: figure(4)?,
            wrong: figure(5)?,
        })
    }
}

pub fn hash(bytes: Vec<u8>) -> Hash16 {
    Hash16(bytes.try_into().unwrap_or_default())
}

/// Serial, task, time, command, body and position, from the column `from` on.
pub fn issue(row: &PgRow, from: usize) -> Result<Issue, sqlx::Error> {
    Ok(Issue {
        serial: count(row.try_get(from)?),
        task: TaskId::new(row.try_get::<String, _>(from + 1)?),
        by: By {
            at: Timestamp(row.try_get(from + 2)?),
            command: hash(row.try_get(from + 3)?),
            body: hash(row.try_get(from + 4)?),
        },
        position: count(row.try_get(from + 5)?),
    })
}

pub fn row(order: &Order) -> Result<Vec<u8>, Fault> {
    codec::pack(&order.placed).map_err(|e| Fault::internal(e.to_string()))
}

pub fn seats(order: &Order) -> Vec<&str> {
    order.placed.seats.iter().map(|seat| seat.seat_id.as_str()).collect()
}

/// Was it a key that is there already, or seats that somebody has?
pub fn in_the_way(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code().map(std::borrow::Cow::into_owned));
    code.is_some_and(|code| code == UNIQUE_VIOLATION || code == "ON409")
}

/// Takes away what the rivals left in the database.
pub async fn forget(url: &str) -> Result<(), Failure> {
    let failed = |e: sqlx::Error| Failure::of(format!("the rivals' schema was not taken away: {e}"));
    let mut connection = PgConnection::connect(url).await.map_err(failed)?;
    let gone = sqlx::raw_sql("SET client_min_messages = error; DROP SCHEMA IF EXISTS onsale_rival CASCADE");
    gone.execute(&mut connection).await.map(drop).map_err(failed)
}

/// What durability means there, in the server's own words.
pub async fn settings(url: &str) -> Result<String, Failure> {
    let failed = |e: sqlx::Error| Failure::of(format!("the settings of Postgres: {e}"));
    let mut connection = PgConnection::connect(url).await.map_err(failed)?;
    let statement = "SELECT string_agg(name || '=' || setting, ', ' ORDER BY name) FROM pg_settings \
         WHERE name IN ('fsync', 'synchronous_commit', 'full_page_writes', 'server_version')";
    sqlx::query_scalar(statement).fetch_one(&mut connection).await.map_err(failed)
}
