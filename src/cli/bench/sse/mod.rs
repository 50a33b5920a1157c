//! `onsale bench sse`: how many frames a second reach their watchers, how late, and what do watchers cost? Payments are
//! recorded at stores while watchers of the stores' feeds check that each of them sees every frame exactly once, in order.
//!
//! With `--events-per-second 0` nothing happens, and what idle watchers cost in memory is told. With `--compare` the same
//! load runs twice: watchers spread over all topics, then all of them at one, with as many deliveries.

mod feed;
mod phase;
mod scan;
mod tape;
mod watch;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::load::{Amount, Plan};
use super::report::{Report, words};
use super::target::{Needs, Place, Target, raise_descriptors};
use crate::cli::Global;
use crate::cli::failure::Failure;
use crate::limits;
use phase::{Phase, Spread};

/// Long enough for two heartbeats.
const IDLE_SECONDS: u32 = 35;
const SECONDS: u32 = 10;

#[derive(clap::Args, Debug)]
pub struct Sse {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    amount: Amount,
    /// Open streams.
    #[arg(long, value_name = "N", default_value_t = 2_000,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(limits::BENCH_WATCHERS)))]
    watchers: u32,
    /// Stores; watchers and payments go to them by turns.
    #[arg(long, value_name = "N", default_value_t = 1,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(limits::BENCH_TOPICS)))]
    topics: u32,
    /// Payments a second over all stores, in an open loop; 0: the watchers are idle.
    #[arg(long, visible_alias = "rate", value_name = "N", default_value_t = 200,
        value_parser = clap::value_parser!(u32).range(0..=i64::from(limits::BENCH_RATE)))]
    events_per_second: u32,
    /// Seconds of the measurement [default: 10; 35 with idle watchers].
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u32).range(1..=i64::from(limits::BENCH_SECONDS)))]
    seconds: Option<u32>,
    /// Watch at a second node, which follows the log, while commands go to the first one. Needs --database-url.
    #[arg(long, conflicts_with = "url")]
    follower: bool,
    /// Once more with all watchers at one of the stores.
    #[arg(long)]
    compare: bool,
}

impl Sse {
    pub async fn run(self, global: &Global) -> Result<(), Failure> {
        raise_descriptors(u64::from(self.watchers) + u64::from(self.amount.connections))?;
        let target = Target::open(global, &self.place, Needs { follower: self.follower, provider: None }).await?;
        let report = self.measure(&target).await?;
        target.close().await;
        report.say(self.place.json)
    }

    async fn measure(&self, target: &Target) -> Result<Report, Failure> {
        let rate = NonZeroU32::new(self.events_per_second);
        let seconds = self.seconds.unwrap_or(if rate.is_some() { SECONDS } else { IDLE_SECONDS });
        let plan = Plan {
            connections: self.amount.connections,
            rate,
            warm_up: Duration::from_secs(self.amount.warm_up.into()),
            length: Duration::from_secs(seconds.into()),
        };
        let load = match rate {
            Some(_) => words(&plan),
            None => format!("no events, {seconds} s"),
        };
        let (watchers, topics) = (self.watchers, self.topics);
        let load = format!("{watchers} watchers of {topics} topics, {load}");
        let mut report = Report::new("sse", target.describe(), load)?;
        let stores = Arc::new(feed::stores(target, topics).await?);
        let phase = |number, spread| Phase { target, stores: stores.clone(), plan, watchers, spread, number };
        phase(0, Spread::Even).run(&mut report).await?;
        if self.compare {
            phase(1, Spread::AllAtOne).run(&mut report).await?;
        }
        let journal = target.journal().await?;
        report.checks.push(target.audit(&journal).await?);
        Ok(report)
    }
}
