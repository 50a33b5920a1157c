//! What does the database say of itself? How large the log is, how much it wrote ahead, whether there is room for more; and
//! what brings it to rest before a measurement.

use std::path::Path;
use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgConnection, Row};

use crate::cli::failure::Failure;

/// Of a filler with its indexes, before anything was measured. More than it will be.
const BYTES_AN_EVENT: f64 = 700.0;
/// Beside the log: what is written ahead between two checkpoints, and some rest.
const SPARE_BYTES: f64 = 4.0 * (1u64 << 30) as f64;

pub struct Database {
    conn: PgConnection,
    /// Where its files are, if they are on this machine and we may look there.
    files: Option<String>,
}

/// Bytes of the log's events, and of their indexes.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub table: f64,
    pub indexes: f64,
}

fn failed(error: sqlx::Error) -> Failure {
    Failure::of(format!("the database: {error}"))
}

/// For statements that take as long as they take, and about which nobody needs to be warned.
pub async fn connect(url: &str) -> Result<PgConnection, sqlx::Error> {
    PgConnectOptions::from_str(url)?.options([("jit", "off")]).disable_statement_logging().connect().await
}

impl Database {
    pub async fn connect(url: &str, here: bool) -> Result<Self, Failure> {
        let mut conn = connect(url).await.map_err(failed)?;
        let owner = "SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = 'log.events'::regclass";
        if !sqlx::query_scalar::<_, bool>(owner).fetch_one(&mut conn).await.map_err(failed)? {
            return Err(Failure::usage("the address must name the role that owns the log: fillers are vacuumed"));
        }
        let files = match here {
            // Only for who may read all settings; others are not told, and the room is not checked.
            true => sqlx::query_scalar("SELECT current_setting('data_directory')").fetch_one(&mut conn).await.ok(),
            false => None,
        };
        Ok(Self { conn, files })
    }

    /// `false`: nobody can tell from here.
    pub async fn check_room(&mut self, events: u64, more: u64) -> Result<bool, Failure> {
        let size = self.size().await?;
        let each = if events == 0 { BYTES_AN_EVENT } else { (size.table + size.indexes) / events as f64 };
        let needed = more as f64 * each + SPARE_BYTES;
        let Some(stat) = self.files.as_deref().and_then(|files| rustix::fs::statvfs(Path::new(files)).ok()) else {
            return Ok(false);
        };
        let free = stat.f_bavail as f64 * stat.f_frsize as f64;
        if free < needed {
            let gib = |bytes: f64| bytes / f64::from(1 << 30);
            return Err(Failure::of(format!(
                "the disk is too small: {more} more events take about {:.1} GiB with what is written ahead, {:.1} are free",
                gib(needed),
                gib(free)
            )));
        }
        Ok(true)
    }

    /// Cleans up after fillers and writes everything out, so that what is measured next does not pay for them. What the
    /// server refuses to do is told.
    pub async fn rest(&mut self) -> Result<Option<String>, Failure> {
        for table in ["VACUUM (ANALYZE) log.events", "VACUUM (ANALYZE) log.partitions", "VACUUM (ANALYZE) log.timers"] {
            sqlx::raw_sql(table).execute(&mut self.conn).await.map_err(failed)?;
        }
        let refused = sqlx::raw_sql("CHECKPOINT").execute(&mut self.conn).await.err();
        Ok(refused.map(|e| format!("no checkpoint before the measurements, which may pay for the fillers: {e}")))
    }

    pub async fn size(&mut self) -> Result<Size, Failure> {
        let sizes = "SELECT pg_table_size('log.events'), pg_indexes_size('log.events')";
        let row = sqlx::query(sizes).fetch_one(&mut self.conn).await.map_err(failed)?;
        let bytes = |column| row.try_get::<i64, _>(column).map(|bytes| bytes as f64).map_err(failed);
        Ok(Size { table: bytes(0)?, indexes: bytes(1)? })
    }

    /// Bytes that were ever written ahead.
    pub async fn written_ahead(&mut self) -> Result<f64, Failure> {
        let position = "SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::float8";
        sqlx::query_scalar(position).fetch_one(&mut self.conn).await.map_err(failed)
    }

    /// Partitions whose head is not the position of their last row.
    pub async fn wrong_heads(&mut self) -> Result<i64, Failure> {
        let wrong = "SELECT count(*) FROM log.partitions p WHERE head <> \
                     (SELECT coalesce(max(position), 0) FROM log.events e WHERE e.partition = p.partition)";
        sqlx::query_scalar(wrong).fetch_one(&mut self.conn).await.map_err(failed)
    }
}
