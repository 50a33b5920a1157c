//! What if clocks lie? Nodes whose clock is an hour ahead or behind, and a database whose clock is set back by ten minutes
//! while it serves.

use std::sync::Arc;
use std::time::Duration;

use onsale::clock::{Clock, SystemClock};

use super::{Row, USUAL};
use crate::base::cluster::Cluster;
use crate::base::postgres;
use crate::base::proxy::Proxy;
use crate::run::Run;
use crate::stage::clock::WrongClock;
use crate::stage::{House, Plan};
use crate::wait::{pause_between, within};

/// The log's time may be drawn towards a wrong clock by a twentieth of the time that passes, and an event is a moment old.
const APART: i64 = 4_000;

pub fn rows() -> Vec<Row> {
    vec![Row {
        name: "clocks",
        promise: "node clock \u{b1}1 h, database clock back 10 min: order and fencing unaffected; no hold ends early",
        programs: &["faketime"],
        // A node refuses tokens from its future.
        plan: || Plan { tokens_of: "-2h", ..Plan::default() },
        cluster: clocked,
        needs: &["done", "frames", "expired", "nodes with a wrong clock", "database set back", "refused starts"],
        strike: |run| Box::pin(wrong(run)),
        ..USUAL
    }]
}

/// The database's clock.
fn of(cluster: &Cluster) -> WrongClock {
    WrongClock::of(cluster.dir())
}

/// A Postgres whose clock can be set.
fn clocked(house: &House) -> Result<Arc<Cluster>, String> {
    let make = || {
        let mut cluster = Cluster::new(&[]);
        let clock = of(&cluster);
        clock.set("+0")?;
        cluster.again_with(clock.env()?);
        Ok(Arc::new(cluster))
    };
    house.clocked.get_or_init(make).clone()
}

async fn wrong(run: &mut Run<'_>) -> Result<(), String> {
    let (node, database) = (WrongClock::of(&run.stage.dir), of(&run.stage.cluster));
    let way = Proxy::to(run.stage.cluster.address()).await;
    let mut hours = ["+1h", "-1h"];
    if run.dice.below(2) == 0 {
        hours.reverse();
    }
    for hour in hours {
        node.set(hour)?;
        run.crew.struck();
        run.stage.node.kill().await;
        run.stage.node.env = node.env()?;
        run.stage.node.start().await?;
        run.done(30, Duration::from_secs(20)).await.ok_or("a node with a wrong clock does nothing")?;
        run.crew.count("nodes with a wrong clock");
        goes_on(run, hour).await;

        database.set("-10m")?;
        let (url, now) =
            (run.stage.database.owner.clone(), "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint");
        let back = async || postgres::number(&url, now).await.is_some_and(|now| now < SystemClock.wall().0 - 500_000);
        within(Duration::from_secs(5), back).await.ok_or("the database's clock was not set back")?;
        run.crew.count("database set back");
        run.done(30, Duration::from_secs(20)).await.ok_or("nothing is done when the database's clock is set back")?;
        pause_between(&run.dice, 1_000, 4_000).await;
        goes_on(run, "the database set back").await;

        // What the lease says is ten minutes old at once.
        database.set("+0")?;
        let mut other = run.stage.another("b", &way);
        match other.try_start().await {
            Ok(()) => run.broken("one owner", "a second node serves beside the first when clocks are set".to_owned()),
            Err(_) => run.crew.count("refused starts"),
        }
        other.kill().await;
        run.done(30, Duration::from_secs(20))
            .await
            .ok_or("nothing is done when the database's clock is right again")?;
        goes_on(run, "the database set right").await;
    }
    run.stage.node.kill().await;
    run.stage.node.env.clear();
    run.stage.node.start().await.map(|_| ())
}

/// The log's time is what it was, whatever the clocks say: it moved neither forward, which would end holds early, nor does it
/// stand still.
async fn goes_on(run: &mut Run<'_>, what: &str) {
    let newest = "SELECT (extract(epoch FROM max(at)) * 1000)::bigint FROM log.events";
    let url = run.stage.database.owner.clone();
    let near = async || {
        let newest = postgres::number(&url, newest).await.unwrap_or_default();
        (newest - SystemClock.wall().0).abs() < APART
    };
    if within(Duration::from_secs(5), near).await.is_none() {
        let newest = postgres::number(&url, newest).await.unwrap_or_default();
        let apart = newest - SystemClock.wall().0;
        run.broken("clocks", format!("{what}: the log's time is {apart} ms away from what it should be"));
    }
}
