//! What only saves time may be lost: snapshots that were cut short are ignored, and the log is read instead.

use std::time::Duration;

use onsale::clock::{Clock, SystemClock};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{Row, USUAL};
use crate::base::postgres;
use crate::run::Run;
use crate::wait::within;

/// More than the tail that a snapshot is made for.
const PAYMENTS: u64 = 1_400;
const LANES: u64 = 20;

pub fn rows() -> Vec<Row> {
    vec![Row {
        name: "snapshot-cut",
        promise: "a snapshot was written half: it is ignored, and the state is that of the log",
        needs: &["done", "frames", "snapshots cut short", "payments known again"],
        strike: |run| Box::pin(cut_short(run)),
        ..USUAL
    }]
}

fn payment(n: u64, paid_at: &str) -> Value {
    json!({"payment_id": format!("many-{n}"), "amount": n + 1, "currency": "KRW", "method": "card", "paid_at": paid_at})
}

async fn cut_short(run: &mut Run<'_>) -> Result<(), String> {
    let crew = run.crew.clone();
    let (path, paid_at) = (format!("/v1/stores/{}/payments", crew.world.store), SystemClock.wall().to_string());
    let mut lanes = JoinSet::new();
    for lane in 0..LANES {
        let (crew, path, paid_at) = (crew.clone(), path.clone(), paid_at.clone());
        lanes.spawn(async move {
            for n in (lane..PAYMENTS).step_by(LANES as usize) {
                let (world, key) = (&crew.world, format!("many-{n}"));
                let body = payment(n, &paid_at);
                crew.insist(&world.till, "store-payment", &world.store, &path, &key, &body).await;
            }
        });
    }
    while lanes.join_next().await.is_some() {}
    let owner = run.stage.database.owner.clone();
    let count = "SELECT (SELECT count(*) FROM log.snapshots) + (SELECT count(*) FROM log.segments)";
    let made = within(Duration::from_secs(20), async || postgres::number(&owner, count).await.unwrap_or(0) > 0).await;
    made.ok_or("no snapshot was made")?;
    run.crew.struck();
    run.stage.node.kill().await;
    let cut = postgres::number(&owner, count).await.unwrap_or_default();
    run.crew.count_many("snapshots cut short", u64::try_from(cut).unwrap_or_default());
    for table in ["snapshots", "segments"] {
        let half = "payload = substring(payload FOR octet_length(payload) / 2)";
        postgres::sql(&owner, &format!("UPDATE log.{table} SET {half}")).await;
    }
    run.stage.node.start().await?;
    let world = &crew.world;
    for n in [0, PAYMENTS / 2, PAYMENTS - 1] {
        let (key, body) = (format!("many-{n}"), payment(n, &paid_at));
        let again = crew.insist(&world.till, "store-payment", &world.store, &path, &key, &body).await;
        if again.outcome == crate::record::Outcome::Ok {
            crew.count("payments known again");
        } else {
            run.broken("P2", format!("payment many-{n} is not known any more: {}", again.body));
        }
    }
    Ok(())
}
