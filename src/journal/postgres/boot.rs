//! Is this database a log that we may use? Migrates it, and checks what acknowledged commits rest on.

use sqlx::postgres::{PgConnectOptions, PgPool};
use sqlx::{Connection, PgConnection, Row};

use super::connect::{connect, options, without_secrets};
use super::error::{has_no_schema, opening};
use super::roles;
use crate::journal::open::{FORMAT_LEVEL, Migration, OpenError, check_meta, check_schema, new_partitions};

/// In order; the number of a migration is its place, from 1.
const MIGRATIONS: [&str; 3] = [
    include_str!("../../../migrations/postgres/0001_log.sql"),
    include_str!("../../../migrations/postgres/0002_snapshots.sql"),
    include_str!("../../../migrations/postgres/0003_presence.sql"),
];

/// Any number, the same in every build: two migrations at once would trip over each other.
const MIGRATION_LOCK: i64 = 0x006f_6e73_616c_6501;

/// Creates or upgrades the log, and says who may do what with it, in one transaction.
pub async fn migrate(url: &str, migration: &Migration) -> Result<(), OpenError> {
    let place = without_secrets(url);
    let connect_to: PgConnectOptions = options(url)?;
    let mut conn =
        connect(&connect_to).await.map_err(|detail| OpenError::NotReachable { place: place.clone(), detail })?;
    let failed = |e: sqlx::Error| opening(&place, &e);
    // That things are there already is what a second migration is about.
    run(&mut conn, "SET client_min_messages = warning").await.map_err(failed)?;
    // An index over a large log takes longer than any sale's statement.
    run(&mut conn, "SET statement_timeout = 0").await.map_err(failed)?;
    // Whoever may make schemas could make one in which the owner's statements would look for functions.
    run(&mut conn, "SET search_path = pg_catalog").await.map_err(failed)?;
    run(&mut conn, "BEGIN").await.map_err(failed)?;
    // On an error the connection is closed, and with it the transaction.
    let lock = sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(MIGRATION_LOCK);
    lock.execute(&mut conn).await.map_err(failed)?;
    if let Some(role) = &migration.server {
        roles::make(&mut conn, role, &place).await?;
    }
    migrate_inside(&mut conn, migration.partitions, &place).await?;
    if let Some(role) = &migration.server {
        roles::grant(&mut conn, role, &place).await?;
    }
    run(&mut conn, "COMMIT").await.map_err(failed)?;
    conn.close().await.map_err(failed)
}

async fn migrate_inside(conn: &mut PgConnection, partitions: Option<u16>, place: &str) -> Result<(), OpenError> {
    let failed = |e: sqlx::Error| opening(place, &e);
    run(conn, include_str!("migrations_table.sql")).await.map_err(failed)?;
    let found: i64 = sqlx::query_scalar(include_str!("schema.sql")).fetch_one(&mut *conn).await.map_err(failed)?;
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    if found > known {
        return Err(OpenError::NewerSchema { found, known });
    }
    let done = usize::try_from(found).unwrap_or(0);
    for (number, migration) in MIGRATIONS.iter().enumerate().skip(done) {
        run(conn, migration).await.map_err(failed)?;
        let note = sqlx::query(include_str!("migration_add.sql")).bind(i64::try_from(number + 1).unwrap_or(i64::MAX));
        note.execute(&mut *conn).await.map_err(failed)?;
    }
    if found == 0 {
        let count = i32::from(new_partitions(partitions)?);
        sqlx::query(include_str!("partition_add.sql")).bind(count).execute(&mut *conn).await.map_err(failed)?;
        let meta = sqlx::query(include_str!("meta_add.sql")).bind(count).bind(FORMAT_LEVEL);
        meta.execute(conn).await.map_err(failed)?;
        return Ok(());
    }
    let row = sqlx::query(include_str!("meta.sql")).fetch_one(conn).await.map_err(failed)?;
    let (log, level) = (row.try_get(0).map_err(failed)?, row.try_get(1).map_err(failed)?);
    check_meta(log, level, partitions).map(drop)
}

/// The number of partitions, once everything fits.
pub async fn check(pool: &PgPool, configured: Option<u16>, place: &str) -> Result<u16, OpenError> {
    let failed = |e: sqlx::Error| opening(place, &e);
    for row in sqlx::query(include_str!("settings.sql")).fetch_all(pool).await.map_err(failed)? {
        let (name, value): (String, String) = (row.try_get(0).map_err(failed)?, row.try_get(1).map_err(failed)?);
        // `remote_write` and the like promise at least what `on` without a standby does; `local` too. Only `off` lies.
        if value == "off" {
            return Err(OpenError::UnsafeSetting { name, value });
        }
    }
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    let found = match sqlx::query_scalar(include_str!("schema.sql")).fetch_one(pool).await {
        Ok(found) => found,
        Err(error) if has_no_schema(&error) => 0,
        Err(error) => return Err(failed(error)),
    };
    check_schema(found, known)?;
    let row = sqlx::query(include_str!("meta.sql")).fetch_one(pool).await.map_err(failed)?;
    check_meta(row.try_get(0).map_err(failed)?, row.try_get(1).map_err(failed)?, configured)
}

/// Statements without binds and without rows.
pub async fn run(conn: &mut PgConnection, sql: &'static str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(sql).execute(conn).await.map(drop)
}
