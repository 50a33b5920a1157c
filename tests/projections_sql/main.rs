//! Read models on both engines: their stores, and how they follow a log, fail, are parked, rebuilt and switched.

#[path = "../support/mod.rs"]
mod support;
#[path = "../it/support/wait.rs"]
mod wait;

mod agree;
mod lists;
mod plans;
mod rebuilt;
mod runner;
mod sample;
mod store;
mod trouble;

use std::sync::Arc;

use onsale::journal::open::Target;
use onsale::projections::store::{BuildId, Store, open};
use onsale::projections::table::Kind;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row, SqliteConnection};
use support::postgres;

/// Where one test's read models are.
pub enum Place {
    Files(tempfile::TempDir),
    Schemas(postgres::Database),
}

/// One of each engine, for this test alone.
pub async fn both() -> [Place; 2] {
    [Place::Files(tempfile::tempdir().expect("a directory")), Place::Schemas(postgres::database().await)]
}

impl Place {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Files(_) => "sqlite",
            Self::Schemas(_) => "postgres",
        }
    }

    pub fn target(&self) -> Target {
        match self {
            Self::Files(dir) => Target::Sqlite { dir: dir.path().to_owned() },
            Self::Schemas(database) => Target::Postgres { url: database.url.clone() },
        }
    }

    /// As another process would open it.
    pub async fn store(&self) -> Arc<dyn Store> {
        open(&self.target()).await.expect("a store")
    }

    /// Payments by store in a build of the past, found by what was told about it.
    pub async fn past(&self, told: &str) -> std::collections::BTreeMap<String, i64> {
        let sql = "SELECT store_id, payments FROM";
        match self {
            Self::Files(_) => {
                let file = told.split_whitespace().find(|word| word.ends_with(".db")).expect("a file");
                let mut conn = SqliteConnection::connect(&format!("sqlite://{file}")).await.expect("the file");
                let rows =
                    sqlx::query(AssertSqlSafe(format!("{sql} samples"))).fetch_all(&mut conn).await.expect("rows");
                rows.iter().map(|row| (row.get(0), row.get(1))).collect()
            }
            Self::Schemas(database) => {
                let at = told.find("read_past_samples_").expect("a schema");
                let schema: String = told[at..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                let mut conn = PgConnection::connect(&database.url).await.expect("the database");
                let sql = format!("{sql} {schema}.samples");
                let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut conn).await.expect("rows");
                rows.iter().map(|row| (row.get(0), row.get(1))).collect()
            }
        }
    }

    /// Of a table as the database has it: name and kind, may it be empty, is it of the key.
    pub async fn columns(&self, projection: &str, build: BuildId, table: &str) -> Vec<(String, bool, bool)> {
        let kind = |name: &str| match name.to_lowercase().as_str() {
            "bigint" | "integer" => Kind::Int,
            "text" => Kind::Text,
            other => panic!("{projection}.{table} has a column of type {other}"),
        };
        match self {
            Self::Files(dir) => {
                let file = dir.path().join("read").join(format!("{projection}_{}.db", build.0));
                let url = format!("sqlite://{}", file.display());
                let mut conn = SqliteConnection::connect(&url).await.expect("the file");
                let sql = "SELECT name, type, \"notnull\", pk FROM pragma_table_info($1) ORDER BY cid";
                let rows = sqlx::query(sql).bind(table.to_owned()).fetch_all(&mut conn).await.expect("columns");
                let one = |row: &sqlx::sqlite::SqliteRow| {
                    let (name, type_name): (String, String) = (row.get(0), row.get(1));
                    (format!("{name} {:?}", kind(&type_name)), row.get::<i64, _>(2) == 0, row.get::<i64, _>(3) > 0)
                };
                rows.iter().map(one).collect()
            }
            Self::Schemas(database) => {
                let mut conn = PgConnection::connect(&database.url).await.expect("the database");
                let sql = format!(
                    "SELECT c.column_name::text, c.data_type::text, c.is_nullable = 'YES', EXISTS (SELECT 1 FROM pg_index i \
                     JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey) WHERE i.indisprimary \
                     AND i.indrelid = format('%I.%I', c.table_schema, c.table_name)::regclass \
                     AND a.attname = c.column_name) FROM information_schema.columns c \
                     WHERE c.table_schema = 'read_{projection}_{}' AND c.table_name = '{table}' ORDER BY c.ordinal_position",
                    build.0
                );
                let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut conn).await.expect("columns");
                let one = |row: &sqlx::postgres::PgRow| {
                    let (name, type_name): (String, String) = (row.get(0), row.get(1));
                    (format!("{name} {:?}", kind(&type_name)), row.get(2), row.get(3))
                };
                rows.iter().map(one).collect()
            }
        }
    }
}
