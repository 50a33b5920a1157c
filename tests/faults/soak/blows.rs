//! What goes wrong during a soak? Everything around the node, for a moment each, at random from a seed. The node itself
//! lives: what it keeps over hours is what is measured.

use std::collections::BTreeMap;
use std::time::Duration;

use onsale::clock::Entropy;
use rustix::process::Signal;

use crate::base::postgres;
use crate::base::proxy::{Proxy, Wire};
use crate::load::Crew;
use crate::stage::{House, Stage};
use crate::wait::pause;

const BLOWS: &[&str] = &[
    "database sessions killed",
    "database silent",
    "database answers lost",
    "database reset",
    "database slow",
    "database cut at a byte",
    "database stopped for a moment",
    "Redis killed",
    "Redis frozen",
    "provider killed",
    "provider silent",
    "provider answers lost",
    "clients reset",
    "clients cut at a byte",
    "streams reset",
    "streams cut at a byte",
];

/// One of them; what it was.
pub async fn strike(house: &mut House, stage: &mut Stage, crew: &Crew, dice: &Entropy) -> Result<&'static str, String> {
    let which = BLOWS[usize::try_from(dice.below(BLOWS.len() as u64)).expect("small")];
    let moment = Duration::from_millis(200 + dice.below(2_500));
    crew.struck();
    let wires = &stage.wires;
    match which {
        "database sessions killed" => {
            let kill = format!(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND usename = '{}'",
                postgres::SERVER_ROLE
            );
            postgres::sql(&stage.database.owner, &kill).await;
        }
        "database silent" => on(&wires.database, Wire::Silent, moment).await,
        "database answers lost" => on(&wires.database, Wire::AnswersLost, moment).await,
        "database reset" => on(&wires.database, Wire::Reset, moment / 4).await,
        "database slow" => on(&wires.database, Wire::Slow { least: 5, more: 60 }, moment * 2).await,
        "database cut at a byte" => at_a_byte(&wires.database, moment).await,
        "database stopped for a moment" => {
            stage.cluster.signal(Signal::STOP);
            pause(moment).await;
            stage.cluster.signal(Signal::CONT);
        }
        "Redis killed" => {
            house.redis.stop().await;
            pause(moment).await;
            house.redis.again().await;
        }
        "Redis frozen" => {
            house.redis.freeze();
            pause(moment).await;
            house.redis.thaw();
        }
        "provider killed" => {
            stage.provider.kill().await;
            pause(moment).await;
            stage.provider.ensure().await?;
        }
        "provider silent" => on(&wires.provider, Wire::Silent, moment).await,
        "provider answers lost" => on(&wires.provider, Wire::AnswersLost, moment).await,
        "clients reset" => on(&wires.front, Wire::Reset, moment / 8).await,
        "clients cut at a byte" => at_a_byte(&wires.front, moment).await,
        "streams reset" => on(&wires.live, Wire::Reset, moment / 8).await,
        _ => at_a_byte(&wires.live, moment).await,
    }
    Ok(which)
}

/// What was lost on a wire stays lost: its connections cannot be used any more.
async fn on(wire: &Proxy, state: Wire, moment: Duration) {
    wire.set(state);
    pause(moment).await;
    if matches!(state, Wire::Silent | Wire::AnswersLost) {
        wire.set(Wire::Cut);
        pause(Duration::from_millis(20)).await;
    }
    wire.set(Wire::Open);
}

async fn at_a_byte(wire: &Proxy, moment: Duration) {
    wire.cut_at_random(20_000);
    pause(moment).await;
    wire.set(Wire::Open);
}

/// How often each fell.
pub type Tally = BTreeMap<&'static str, u64>;
