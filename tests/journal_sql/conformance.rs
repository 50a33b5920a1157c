//! Do both SQL logs keep the whole contract? The suite of `journal/conformance`, adopted in a line each.

use futures::FutureExt;
use futures::future::BoxFuture;
use onsale::accounts::store as accounts;
use onsale::journal::conformance::{self, Harness, RawSql};
use onsale::journal::open::Target;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqliteConnection};

use super::support::postgres::{self, Database};
use super::{Dir, serve};

#[tokio::test]
async fn sqlite_keeps_the_contract() {
    conformance::all(|| on_sqlite().boxed()).await;
}

#[tokio::test]
async fn postgres_keeps_the_contract() {
    conformance::all(|| on_postgres().boxed()).await;
}

#[tokio::test]
async fn accounts_in_postgres_keep_their_contract() {
    let new = || {
        async {
            let database = postgres::database().await;
            let options = onsale::journal::postgres::options(&database.url).expect("an address");
            accounts::open(accounts::Place::Database(Box::new(options))).await.expect("a cabinet")
        }
        .boxed()
    };
    accounts::conformance::all(new).await;
}

async fn on_sqlite() -> Harness {
    let dir = Dir::new();
    let target = dir.target();
    let file = format!("sqlite://{}", dir.0.join("log.db").display());
    let sql = RawSql {
        execute: Box::new(move |statement| edit::<SqliteConnection>(file.clone(), statement)),
        events_table: "events".to_owned(),
        truncates: false,
    };
    harness(target, sql, dir).await
}

async fn on_postgres() -> Harness {
    let database = postgres::database().await;
    let (target, url) = (Target::Postgres { url: database.url.clone() }, database.owner.clone());
    let sql = RawSql {
        execute: Box::new(move |statement| edit::<PgConnection>(url.clone(), statement)),
        events_table: "log.events".to_owned(),
        truncates: true,
    };
    harness(target, sql, Dropped(Some(database))).await
}

async fn harness(target: Target, sql: RawSql, keep: impl Send + Sync + 'static) -> Harness {
    let journal = serve(&target).await;
    let reopen = move || {
        let target = target.clone();
        async move { serve(&target).await }.boxed()
    };
    Harness { journal, reopen: Box::new(reopen), sql: Some(sql), keep: Some(Box::new(keep)) }
}

/// As somebody who knows where the log is, and came in past the server.
fn edit<C>(address: String, statement: String) -> BoxFuture<'static, Result<(), String>>
where
    C: Connection + Send + 'static,
    for<'c> &'c mut C: Executor<'c, Database = C::Database>,
{
    async move {
        let mut conn = C::connect(&address).await.map_err(|e| e.to_string())?;
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut conn).await.map(drop).map_err(|e| e.to_string())
    }
    .boxed()
}

/// A database that goes when its harness does.
struct Dropped(Option<Database>);

impl Drop for Dropped {
    fn drop(&mut self) {
        if let (Some(database), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(database.drop_it());
        }
    }
}
