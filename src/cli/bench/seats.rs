//! `onsale bench seats`: how fast can seats be ordered that nobody has asked for yet? Each unit is one order, answered when it
//! is durable; nobody pays. Afterwards every order that was promised must be in the log, and the audit finds no seat twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::against::{Against, Contest};
use super::asking::{self, Asks, Pace, Told, Words};
use super::house::House;
use super::line::{Line, Parts};
use super::load::{Amount, Plan};
use super::members::Members;
use super::memory::Footprint;
use super::orders;
use super::report::{Report, words};
use super::rivals::Books;
use super::target::{Needs, Place, Site, Target, raise_descriptors};
use crate::cli::Global;
use crate::cli::failure::Failure;
use crate::clock::Entropy;
use crate::limits;

#[derive(clap::Args, Debug)]
pub struct Seats {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    amount: Amount,
    #[command(flatten)]
    pace: Pace,
    #[command(flatten)]
    against: Against,
    /// Of each order, beside one another.
    #[arg(long, value_name = "N", default_value_t = 1,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(limits::BENCH_PARTY)))]
    seats_per_order: u32,
    /// Seats on sale; the load ends when they are ordered [default: enough for the rate, or for 20,000 orders a second; at
    /// least 50,000].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(limits::BENCH_SEATS)))]
    seats: Option<u32>,
    /// Performances that sell at the same time.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    performances: u32,
    /// Members who order by turns.
    #[arg(long, value_name = "N", default_value_t = 20_000,
        value_parser = clap::value_parser!(u64).range(1..=limits::BENCH_CROWD))]
    members: u64,
    /// Wait until the actors that the load woke have left memory again, for up to seven minutes, and tell what is left.
    #[arg(long)]
    until_asleep: bool,
}

/// More than any machine of today does; where no rate says how many.
const CLOSED_LOOP: u64 = 20_000;
const SEATS: u64 = 50_000;

impl Seats {
    pub async fn run(self, global: &Global) -> Result<(), Failure> {
        raise_descriptors(u64::from(self.amount.connections))?;
        let target = Target::open(global, &self.place, Needs::default()).await?;
        let plan = self.pace.plan(&self.amount);
        let needed = asking::units(&plan, CLOSED_LOOP).saturating_mul(self.seats_per_order.into()).max(SEATS);
        let needed = u32::try_from(needed).unwrap_or(u32::MAX).min(limits::BENCH_SEATS);
        let members = Arc::new(Members::sign(&target.keys, self.members).await?);
        let sale = Sale {
            seats: self.seats.unwrap_or(needed),
            beside: self.performances,
            seats_per_order: self.seats_per_order,
            members: members.clone(),
        };
        if self.against.any() {
            return self.beside_others(global, target, plan, &sale).await;
        }
        let load = sale.stage(target.site()).await?;
        let watched = target.watched().await;
        let before = Footprint::take(&target, &watched).await;
        let (ran, mut measured) = asking::measure(&load, plan, target.address, &watched).await?;

        let told = format!("orders of {} seats, {}", self.seats_per_order, words(&plan));
        let mut report = Report::new("seats", target.describe(), told)?;
        report.ran(&ran);
        report.remarks.push(members.words());
        measured.figure("performances", load.house.performances() as f64, "");
        match (before, Footprint::take(&target, &watched).await) {
            (Some(before), Some(after)) => {
                before.tell(after, &mut measured);
                if self.until_asleep
                    && let Some(asleep) = before.asleep(&target, &watched).await
                {
                    asleep.tell_asleep(&mut measured);
                }
            }
            _ => {
                report.remarks.push("the node does not tell how many streams are in memory, or is not ours".to_owned())
            }
        }
        if measured.latencies.iter().all(|row| row.count == 0) {
            report.check("load", false, "not one order was placed in the measured time".to_owned());
        }
        report.phases.push(measured);
        let journal = target.journal().await?;
        let placed = load.placed.lock().clone();
        report.checks.push(orders::kept("placed orders", &journal, "order.placed", &placed).await?);
        report.checks.push(target.audit(&journal).await?);
        drop(journal);
        target.close().await;
        report.say(self.place.json)
    }

    /// The same by turns with what people build instead.
    async fn beside_others(&self, global: &Global, target: Target, plan: Plan, sale: &Sale) -> Result<(), Failure> {
        self.against.check(&target)?;
        let told = format!("orders of {} seats, by turns, {}", self.seats_per_order, words(&plan));
        let mut report = Report::new("seats", target.describe(), told)?;
        report.remarks.push(sale.members.words());
        let played = self.against.run(sale, global, &target, plan, &mut report).await?;
        let journal = target.journal().await?;
        let placed: Vec<String> = played.iter().flat_map(|load| load.placed.lock().clone()).collect();
        report.checks.push(orders::kept("placed orders", &journal, "order.placed", &placed).await?);
        report.checks.push(target.audit(&journal).await?);
        drop(journal);
        target.close().await;
        report.say(self.place.json)
    }
}

/// What is sold at a server, and to whom.
struct Sale {
    seats: u32,
    beside: u32,
    seats_per_order: u32,
    members: Arc<Members>,
}

impl Contest for Sale {
    type Load = SeatLoad;

    async fn stage(&self, site: Site<'_>) -> Result<Arc<SeatLoad>, Failure> {
        let house = House::build(site, self.seats, self.beside).await?;
        Ok(Arc::new(SeatLoad::new(house, self.seats_per_order, self.members.clone())))
    }

    fn owed(&self, granted: u64) -> Books {
        let seats = granted * u64::from(self.seats_per_order);
        Books { orders: granted, seats, timers: granted, entries: granted + seats, ..Books::default() }
    }
}

/// Members who order seats by turns, each seat once.
pub struct SeatLoad {
    house: House,
    seats_per_order: u32,
    members: Arc<Members>,
    /// Keeps this run's keys apart from those of another one on the same log.
    run: String,
    next: AtomicU64,
    /// Orders that were promised to somebody.
    placed: Mutex<Vec<String>>,
}

impl SeatLoad {
    /// For performances that are on sale. The same members can order at several places.
    pub fn new(house: House, seats_per_order: u32, members: Arc<Members>) -> Self {
        let run = Entropy::from_system().hash16().to_string();
        Self { house, seats_per_order, members, run, next: AtomicU64::new(0), placed: Mutex::default() }
    }
}

impl Asks for SeatLoad {
    fn words(&self) -> Words {
        let each = (self.seats_per_order > 1).then_some(("seats", self.seats_per_order));
        Words { title: "orders", granted: "orders", one: "order", refused: "refused", each }
    }

    async fn ask(&self, line: &mut Line) -> Told {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        let Some((performance, seats)) = self.house.party(n, self.seats_per_order) else { return Told::Exhausted };
        let Some(token) = self.members.token(n % self.members.count().max(1)) else { return Told::Exhausted };
        let (path, key) = (format!("/v1/performances/{performance}/orders"), format!("order-{}-{n}", self.run));
        let body = format!(r#"{{"seats":[{seats}]}}"#);
        match line.post(&path, Parts { token, key: &key, body: &body }).await {
            Ok(reply) if reply.status == 201 => match reply.text("order_id") {
                Some(order) => {
                    self.placed.lock().push(order.to_owned());
                    Told::Granted
                }
                None => Told::Failed("201 without an order_id".to_owned()),
            },
            Ok(reply) => Told::Failed(reply.named()),
            Err(why) => Told::Failed(why),
        }
    }
}
