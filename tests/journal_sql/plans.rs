//! Do loads of many streams stay looks into the index, one for each, however long the log is? On Postgres, whose planner may
//! find a join over the whole log cheaper on the day of the sale.

use onsale::ids::Partition;
use onsale::journal::postgres::{options, readers};
use sqlx::Row;

use super::support::postgres;
use super::{batch, node, record, serve, stream};
use onsale::journal::Verdict;
use onsale::journal::open::Target;

const STREAMS: usize = 2_000;

#[tokio::test]
async fn loads_look_into_the_index_once_for_each_stream() {
    let database = postgres::database().await;
    let journal = serve(&Target::Postgres { url: database.url.clone() }).await;
    let claim = journal.claim(&node("a")).await.expect("nobody else serves it");
    let state = &claim.partitions[3];
    let names: Vec<_> = (0..STREAMS).map(|n| stream(state.partition, &n.to_string())).collect();
    let units = (1..).zip(&names).map(|(offset, name)| vec![record(state, offset, name, 1, true)]).collect();
    assert_eq!(journal.append(&[batch(state, units)]).await, Ok(vec![Verdict::Written]));
    // With and without knowing how the table looks: a log that just began has no statistics.
    for analyzed in [false, true] {
        if analyzed {
            postgres::sql(&database.owner, "ANALYZE log.events").await;
        }
        let pool = readers(&options(&database.owner).expect("a URL")).await.expect("the test server answers");
        let places = vec![i32::from(state.partition.0); STREAMS];
        let texts: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
        for (what, sql) in [
            ("load_known", include_str!("../../src/journal/postgres/load_known.sql")),
            ("load", include_str!("../../src/journal/postgres/load.sql")),
            ("streams", include_str!("../../src/journal/postgres/streams.sql")),
        ] {
            let query = sqlx::query(sqlx::AssertSqlSafe(format!("EXPLAIN {sql}")));
            let query = match what {
                "load_known" => query.bind(&places).bind(&texts),
                "load" => query.bind(&places).bind(&texts).bind(vec![0_i64; STREAMS]).bind(1_000_i64),
                _ => query.bind(i32::from(state.partition.0)).bind(texts[0]).bind(100_i64),
            };
            let rows = query.fetch_all(&pool).await.expect("it can be explained");
            let plan: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
            let plan = plan.join("\n");
            assert!(plan.contains("Index") && !plan.contains("Hash") && !plan.contains("Merge"), "{what}:\n{plan}");
            // The names come one from another, each by the key that has them in order: any other way reads all rows for each.
            let astray = plan.contains("Seq Scan") || plan.contains("Bitmap") || plan.contains("events_pkey");
            assert!(what != "streams" || plan.contains("events_stream_version") && !astray, "{what}:\n{plan}");
        }
        pool.close().await;
    }
    let found = journal.load(&names).await.expect("loads work");
    assert!(found.iter().all(|loaded| loaded.tail.len() == 1));
    let unknown = journal.load(&[stream(Partition(3), "nobody")]).await.expect("loads work");
    assert!(unknown[0].tail.is_empty());
    database.drop_it().await;
}
