//! `onsale bench`: how fast is a node, and does it keep its word while it is? Load over HTTP on a node of its own or on one
//! that runs already, percentiles, costs, and a look at the log afterwards.
//!
//! One file per scenario. Nothing here reaches into the node: what it did is judged by what it answered and what its log says.

mod against;
mod asking;
mod author;
mod child;
mod coupon;
mod growth;
mod history;
mod house;
mod line;
mod load;
mod machine;
mod members;
mod memory;
mod orders;
mod purchase;
mod replay;
mod report;
mod rivals;
mod schedule;
mod seats;
mod serials;
mod sse;
mod tally;
mod target;

use clap::Subcommand;

use super::Global;
use super::failure::Failure;
use crate::app::StopSignals;

#[derive(clap::Args, Debug)]
pub struct Bench {
    #[command(subcommand)]
    scenario: Scenario,
}

#[derive(Subcommand, Debug)]
enum Scenario {
    /// Members ask for a coupon, each once.
    Coupon(coupon::Coupon),
    /// Members place orders for seats that nobody has asked for.
    Seats(seats::Seats),
    /// Members buy one seat each: they place an order and pay for it.
    Purchase(purchase::Purchase),
    /// Watchers of payment feeds: how fast frames reach them, what idle ones cost, and whether each sees every frame once.
    Sse(sse::Sse),
    #[command(hide = true)]
    Rival(rivals::Rival),
    /// Reads a log back: into states in memory, into read models, and before the audit.
    Replay(replay::Replay),
    /// Fills an empty Postgres log up to some sizes, and says at each what appends, loads and a start cost.
    Growth(growth::Growth),
}

impl Bench {
    pub async fn run(self, global: &Global) -> Result<(), Failure> {
        // It ends in its own way when it is asked to.
        if let Scenario::Rival(rival) = self.scenario {
            return rival.run(global).await;
        }
        let mut signals = StopSignals::listen()?;
        let scenario = async {
            match self.scenario {
                Scenario::Coupon(scenario) => scenario.run(global).await,
                Scenario::Seats(scenario) => scenario.run(global).await,
                Scenario::Purchase(scenario) => scenario.run(global).await,
                Scenario::Sse(scenario) => scenario.run(global).await,
                Scenario::Rival(scenario) => scenario.run(global).await,
                Scenario::Replay(scenario) => scenario.run(global).await,
                Scenario::Growth(scenario) => scenario.run(global).await,
            }
        };
        tokio::select! {
            ended = scenario => ended,
            () = signals.heard() => Err(Failure::of("interrupted: nothing was measured")),
        }
    }
}
