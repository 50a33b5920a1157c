//! The log stands still for a moment. What is decided and not durable yet is told to nobody, and nobody outside is asked for it.

use std::time::Duration;

use serde_json::json;
use sqlx::{Connection, PgConnection};
use tokio::time::timeout;

use crate::support::Kind;
use crate::support::shop::{Plan, Shop, sound};
use crate::support::wait::until;

/// How long it is watched that nothing happens. A server that keeps its word has all the time it wants.
const WATCHED: Duration = Duration::from_secs(1);

#[tokio::test]
async fn nobody_is_told_or_asked_before_the_log_has_it() {
    let shop = Shop::open(Plan { kind: Kind::Postgres, ..Plan::default() }).await;
    let kim = shop.member("kim");
    let order = shop.place(&kim, &["A-1-1"]).await;
    let before = shop.psp.calls().await;

    let mut operator = PgConnection::connect(&shop.home.owner_url().expect("a database")).await.expect("it answers");
    sqlx::raw_sql("BEGIN; LOCK TABLE log.events IN SHARE MODE").execute(&mut operator).await.expect("a lock");
    let (path, body) = (format!("/v1/orders/{order}/payment"), json!({"payment_key": "pk_1", "amount": shop.price}));
    let buyer = kim.key("pay");
    let paying = tokio::spawn(async move { buyer.post(&path, &body).await });
    let blocked = async || {
        let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'log.events'::regclass";
        sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut operator).await.expect("it answers")
    };
    blocked_append(blocked).await;

    let (seller, performance) = (shop.seller.clone(), format!("/v1/performances/{}", shop.performance));
    let path = format!("{performance}/pause");
    let pausing = tokio::spawn(async move { seller.key("p").post(&path, &json!({"reason": "a test"})).await });
    let shown = async {
        loop {
            let seen = shop.anyone.get(&performance).await.expect(200);
            if seen.body["status"] == "paused" {
                return seen.text;
            }
        }
    };
    assert_eq!(timeout(WATCHED, shown).await.ok(), None, "a reading shows what may never become true");
    assert_eq!(shop.psp.calls().await, before, "the provider was asked before the log says so");
    assert!(!paying.is_finished() && !pausing.is_finished(), "an answer came before its commit");

    sqlx::raw_sql("ROLLBACK").execute(&mut operator).await.expect("it ends");
    assert_eq!(paying.await.expect("a client").expect(200).body["status"], "completed");
    pausing.await.expect("a client").expect(200);
    let paused = || shop.anyone.get(&performance);
    until("the pause to show", paused, |seen| seen.body["status"] == "paused").await;
    assert_eq!(shop.money_of(&order).await, (shop.price, 0));
    sound(&shop);
}

/// An append has been sent and waits for us.
async fn blocked_append(mut waiting: impl AsyncFnMut() -> i64) {
    let looked = async { while waiting().await == 0 {} };
    timeout(Duration::from_secs(30), looked).await.expect("an append that waits for the lock");
}
