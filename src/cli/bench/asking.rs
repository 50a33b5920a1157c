//! How is a load measured whose every unit is one request? Its answers are what was hoped for, an expected refusal, or a
//! failure; the first two have their latencies. It knows no node: any address that answers the same requests can be measured.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::line::Line;
use super::load::{self, Amount, Flow, Plan, Ran, Unit, Work};
use super::machine::Watched;
use super::report::Measured;
use super::tally::{Latency, Outcomes};
use crate::cli::failure::Failure;
use crate::clock::{Clock, SystemClock};
use crate::limits;
use std::num::NonZeroU32;
use std::time::Duration;

/// What became of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    Granted,
    /// A no that belongs to the scenario.
    Refused,
    /// The status and its code, or why there was no answer.
    Failed(String),
    /// Nothing was asked: there is nothing left to ask for.
    Exhausted,
}

/// What the parts of the report are called.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    pub title: &'static str,
    /// Those that were granted, and one of them.
    pub granted: &'static str,
    pub one: &'static str,
    pub refused: &'static str,
    /// What each of them has several of.
    pub each: Option<(&'static str, u32)>,
}

/// A scenario of single requests. Each call asks for something that nobody has asked for, whatever phase it is in.
pub trait Asks: Send + Sync + 'static {
    fn words(&self) -> Words;
    fn ask(&self, line: &mut Line) -> impl Future<Output = Told> + Send;
}

/// The figure of all that were granted, warm-up and all.
pub const ALL: &str = "with those of the warm-up";

/// What verbs of single requests understand besides `Amount`.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct Pace {
    /// Requests a second, in an open loop; without it, each connection begins the next one when it has ended one.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(limits::BENCH_RATE)))]
    rate: Option<u32>,
    /// Seconds of the measurement.
    #[arg(long, value_name = "S", default_value_t = 10,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(limits::BENCH_SECONDS)))]
    seconds: u32,
}

impl Pace {
    pub fn plan(&self, amount: &Amount) -> Plan {
        Plan {
            connections: amount.connections,
            rate: self.rate.and_then(NonZeroU32::new),
            warm_up: Duration::from_secs(amount.warm_up.into()),
            length: Duration::from_secs(self.seconds.into()),
        }
    }
}

/// How many units a plan can begin; in a closed loop, if there are at most so many a second.
pub fn units(plan: &Plan, closed_loop: u64) -> u64 {
    plan.rate.map_or(closed_loop, |rate| u64::from(rate.get())) * (plan.warm_up + plan.length).as_secs().max(1)
}

/// One measurement of a scenario.
struct Phase<A> {
    asks: Arc<A>,
    granted: Latency,
    refused: Latency,
    /// Granted ones, warm-up and all.
    all: AtomicU64,
    failures: Outcomes,
}

impl<A: Asks> Work for Phase<A> {
    async fn unit(&self, line: &mut Line, unit: Unit) -> Flow {
        let told = self.asks.ask(line).await;
        let took = || SystemClock.elapsed().saturating_sub(unit.due);
        match told {
            Told::Granted => {
                self.all.fetch_add(1, Ordering::Relaxed);
                if unit.counts {
                    self.granted.record(took());
                }
            }
            Told::Refused if unit.counts => self.refused.record(took()),
            Told::Refused => {}
            Told::Failed(why) => self.failures.count(why),
            Told::Exhausted => return Flow::Exhausted,
        }
        Flow::Next
    }
}

/// Makes the load against an address and tells what was answered, how fast, and what it cost those who are watched.
pub async fn measure<A: Asks>(
    asks: &Arc<A>,
    plan: Plan,
    address: SocketAddr,
    watched: &Watched,
) -> Result<(Ran, Measured), Failure> {
    let phase = Phase {
        asks: asks.clone(),
        granted: Latency::default(),
        refused: Latency::default(),
        all: AtomicU64::new(0),
        failures: Outcomes::default(),
    };
    let phase = Arc::new(phase);
    let (ran, before, after) = load::run(&phase, plan, address, || watched.sample()).await?;
    Ok((ran, Measured { processes: watched.rows(&before, &after), ..phase.measured(&ran) }))
}

impl<A: Asks> Phase<A> {
    fn measured(&self, ran: &Ran) -> Measured {
        let words = self.asks.words();
        let mut measured = Measured { title: words.title, failures: self.failures.all(), ..Measured::default() };
        let (granted, refused) = (self.granted.row(words.one), self.refused.row(words.refused));
        let rate = |count: u64| count as f64 / ran.measured.as_secs_f64().max(f64::EPSILON);
        measured.figure(words.granted, rate(granted.count), "/s");
        if let Some((name, each)) = words.each {
            measured.figure(name, rate(granted.count) * f64::from(each), "/s");
        }
        if refused.count > 0 {
            measured.figure(words.refused, rate(refused.count), "/s");
        }
        measured.figure(ALL, self.all.load(Ordering::Relaxed) as f64, "");
        measured.figure("that failed", measured.failures.values().sum::<u64>() as f64, "");
        measured.latencies.push(granted);
        if refused.count > 0 {
            measured.latencies.push(refused);
        }
        measured
    }
}
