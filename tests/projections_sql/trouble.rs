//! What do the stores do when others are in the way? A runner taken over in the middle of a commit, a wire that says
//! nothing any more, and what operators built on our tables.

use std::sync::Arc;

use onsale::ids::{Partition, Position};
use onsale::journal::open::Target;
use onsale::limits;
use onsale::projections::rows::TableChanges;
use onsale::projections::store::{Build, Changes, CursorMove, Purpose, Store, StoreError, open};
use sqlx::{Connection, PgConnection, Row};

use super::sample::{PARTITIONS, SAMPLES, Samples, cells};
use super::support::postgres;
use super::support::proxy::{Proxy, Wire};
use super::wait::until;

const P: Partition = Partition(3);

/// One row, and the cursor that does not move: as when an event that was parked is applied at last.
fn in_place(payments: i64) -> Changes {
    let upserts = vec![cells("a", None, payments)];
    Changes {
        tables: vec![TableChanges { table: &SAMPLES, adds: Vec::new(), upserts, deletes: Vec::new() }],
        cursors: vec![CursorMove { partition: P, from: Position(0), to: Position(0) }],
        ..Changes::default()
    }
}

async fn build(store: &dyn Store) -> Arc<dyn Build> {
    store.create(Samples::leak(), PARTITIONS, Purpose::Serve).await.expect("a new build")
}

async fn run(conn: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(conn).await.expect("a valid statement");
}

async fn count(conn: &mut PgConnection, sql: &str) -> i64 {
    sqlx::query(sqlx::AssertSqlSafe(sql.to_owned())).fetch_one(conn).await.expect("one row").get(0)
}

#[tokio::test]
async fn a_commit_that_overlaps_a_take_over_is_fenced() {
    let database = postgres::database().await;
    let store = open(&Target::Postgres { url: database.url.clone() }).await.expect("a store");
    let build = build(&*store).await;
    let mut old = build.writer().await.expect("a writer");
    // Somebody takes the build over, and is not through with it yet.
    let mut taker = PgConnection::connect(&database.url).await.expect("the database");
    run(&mut taker, &format!("BEGIN; UPDATE read_samples_{}.runner SET epoch = epoch + 1", build.id().0)).await;
    let late = tokio::spawn(async move { old.commit(&in_place(1)).await });
    let mut eye = PgConnection::connect(&database.owner).await.expect("the database");
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    for _ in 0..1_000 {
        if late.is_finished() || count(&mut eye, waiting).await > 0 {
            break;
        }
    }
    run(&mut taker, "COMMIT").await;
    assert_eq!(late.await.expect("no panic"), Err(StoreError::Fenced));
    let rows = build.query("SELECT store_id FROM @.samples", &[]).await.expect("rows");
    assert!(rows.is_empty(), "who was taken over wrote nothing");
}

#[tokio::test]
async fn a_silent_wire_is_given_up() {
    let database = postgres::database().await;
    let start = database.url.find('@').expect("test servers have a user") + 1;
    let end = start + database.url[start..].find('/').expect("and a database");
    let proxy = Proxy::to(database.url[start..end].to_owned()).await;
    let url = format!("{}{}{}", &database.url[..start], proxy.address, &database.url[end..]);
    let store = open(&Target::Postgres { url }).await.expect("a store");
    let build = build(&*store).await;
    let mut writer = build.writer().await.expect("a writer");
    writer.commit(&in_place(1)).await.expect("written");
    let look = || build.query("SELECT payments FROM @.samples", &[]);
    look().await.expect("rows");

    proxy.set(Wire::Silent);
    let lost = in_place(2);
    let readers = (0..2 * limits::READ_MODEL_CONNECTIONS).map(|_| look());
    let all = async { tokio::join!(writer.commit(&lost), store.registered(), futures::future::join_all(readers)) };
    let most = 2 * (limits::STATEMENT_ANSWER + limits::CONNECT_TIME);
    let ended = tokio::time::timeout(most, all).await;
    let (committed, registered, looked) = ended.expect("nobody waits for ever for a wire that says nothing");
    assert!(matches!(committed, Err(StoreError::Unavailable(_))), "{committed:?}");
    assert!(matches!(registered, Err(StoreError::Unavailable(_))), "{registered:?}");
    assert!(looked.iter().all(|rows| matches!(rows, Err(StoreError::Unavailable(_)))), "{looked:?}");

    // What is sent into the silence is gone for ever; everybody comes back by a new connection.
    proxy.set(Wire::Open);
    writer.commit(&in_place(3)).await.expect("written");
    store.registered().await.expect("a list");
    until("readers are back", || async { look().await.is_ok() }, |back| *back).await;
}

#[tokio::test]
async fn what_operators_build_on_the_views_does_not_stop_a_switch() {
    let (database, samples) = (postgres::database().await, Samples::leak());
    let store = open(&Target::Postgres { url: database.url.clone() }).await.expect("a store");
    let (one, two, three) = (build(&*store).await, build(&*store).await, build(&*store).await);
    assert!(store.switch(samples, None, one.id()).await.expect("a switch"));
    let mut conn = PgConnection::connect(&database.owner).await.expect("the database");
    run(&mut conn, "CREATE VIEW public.report AS SELECT sum(payments)::int8 AS all_of FROM read.samples").await;
    two.writer().await.expect("a writer").commit(&in_place(7)).await.expect("written");
    assert!(store.switch(samples, Some(one.id()), two.id()).await.expect("a switch"));
    let report = "SELECT all_of FROM public.report";
    assert_eq!(count(&mut conn, report).await, 7, "what was built on our view sees the new build");

    // Tables of another shape: our view is made anew, and what cannot stay goes.
    run(&mut conn, &format!("ALTER TABLE read_samples_{}.samples RENAME payments TO paid", three.id().0)).await;
    assert!(store.switch(samples, Some(two.id()), three.id()).await.expect("a switch"));
    assert_eq!(count(&mut conn, "SELECT count(paid) FROM read.samples").await, 0);
}
