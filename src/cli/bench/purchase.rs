//! `onsale bench purchase`: how long does it take to buy a seat? Each unit is one member who places an order for one seat of
//! their own and pays for it, until it is completed.
//!
//! What the provider takes is not the node's: it tells how long each confirmation took there, and the rest is told beside
//! the whole. Afterwards every order that was completed for a member must be completed in the log, and the audit must hold.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Deserialize;

use super::asking::{Pace, units};
use super::house::{House, PRICE};
use super::line::{ASK_AGAIN, Line, Parts, Reply, Token};
use super::load::{self, Amount, Flow, Plan, Unit, Work};
use super::orders;
use super::report::{Measured, Report, words};
use super::tally::{Latency, Outcomes};
use super::target::{Needs, Place, Target, raise_descriptors};
use crate::auth::principal::Role;
use crate::cli::Global;
use crate::cli::failure::Failure;
use crate::cli::token::sign;
use crate::clock::{Clock, Entropy, SystemClock};
use crate::limits;

#[derive(clap::Args, Debug)]
pub struct Purchase {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    amount: Amount,
    #[command(flatten)]
    pace: Pace,
    /// Members who buy by turns.
    #[arg(long, value_name = "N", default_value_t = 20_000,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(limits::BENCH_MEMBERS)))]
    members: u32,
    /// Seats on sale; the load ends when they are sold [default: enough for the rate, or for 20,000 a second].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(limits::BENCH_SEATS)))]
    seats: Option<u32>,
    /// Performances that sell at the same time.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    performances: u32,
    /// What the provider takes for each call, in milliseconds.
    #[arg(long, value_name = "N", default_value_t = 0, conflicts_with = "url",
        value_parser = clap::value_parser!(u32).range(0..=60_000))]
    psp_delay_ms: u32,
}

/// More than any machine of today does; where no rate says how many.
const CLOSED_LOOP: u64 = 20_000;

/// What the connections share.
struct Crowd {
    house: House,
    members: Vec<String>,
    /// Keeps this run's keys apart from those of another one on the same log.
    run: String,
    placing: Latency,
    paying: Latency,
    whole: Latency,
    outcomes: Outcomes,
    bought: Mutex<Bought>,
}

#[derive(Default)]
struct Bought {
    /// Orders that were said to be completed, warm-up and all.
    completed: Vec<String>,
    counted: u64,
    /// How long the payment of each counted unit took.
    payments: Vec<(u64, Duration)>,
}

impl Purchase {
    pub async fn run(self, global: &Global) -> Result<(), Failure> {
        // The node has as many to its members, and others to the provider.
        raise_descriptors(2 * u64::from(self.amount.connections))?;
        let needs = Needs { provider: Some(self.psp_delay_ms), ..Needs::default() };
        let target = Target::open(global, &self.place, needs).await?;
        let plan = self.pace.plan(&self.amount);
        let crowd = Arc::new(self.crowd(&target, &plan).await?);
        let watched = target.watched().await;
        let (ran, before, after) = load::run(&crowd, plan, target.address, || watched.sample()).await?;

        let mut report = Report::new("purchase", target.describe(), words(&plan))?;
        report.ran(&ran);
        let mut measured = Measured { processes: watched.rows(&before, &after), ..crowd.measured(ran.measured) };
        if let Some(provider) = &target.provider {
            let told = crowd.without_provider(provider, &mut measured).await;
            report.remarks.extend(told.err().map(|why| format!("the provider does not tell what it took: {why}")));
        }
        if measured.latencies.iter().any(|row| row.count == 0) {
            report.check("load", false, "not one purchase was completed in the measured time".to_owned());
        }
        report.phases.push(measured);
        let journal = target.journal().await?;
        let completed = crowd.bought.lock().completed.clone();
        report.checks.push(orders::kept("completed orders", &journal, "order.completed", &completed).await?);
        report.checks.push(target.audit(&journal).await?);
        drop(journal);
        target.close().await;
        report.say(self.place.json)
    }

    async fn crowd(&self, target: &Target, plan: &Plan) -> Result<Crowd, Failure> {
        let needed = units(plan, CLOSED_LOOP);
        let needed = u32::try_from(needed).unwrap_or(u32::MAX).min(limits::BENCH_SEATS);
        let run = Entropy::from_system().hash16().to_string();
        let member = |n| sign(&target.keys, &format!("bench-{run}-{n}"), Role::Member, None);
        let members = (0..self.members).map(member).collect::<Result<_, Failure>>()?;
        Ok(Crowd {
            house: House::build(target.site(), self.seats.unwrap_or(needed), self.performances).await?,
            members,
            run,
            placing: Latency::default(),
            paying: Latency::default(),
            whole: Latency::default(),
            outcomes: Outcomes::default(),
            bought: Mutex::default(),
        })
    }
}

impl Work for Crowd {
    async fn unit(&self, line: &mut Line, unit: Unit) -> Flow {
        let Some((performance, seat)) = self.house.seat(unit.n) else { return Flow::Exhausted };
        match self.buy(line, unit, performance, &seat).await {
            Ok(order) => {
                let mut bought = self.bought.lock();
                bought.completed.push(order);
                bought.counted += u64::from(unit.counts);
            }
            Err(why) => self.outcomes.count(why),
        }
        Flow::Next
    }
}

impl Crowd {
    /// The order, once it is completed; else in words why not.
    async fn buy(&self, line: &mut Line, unit: Unit, performance: &str, seat: &str) -> Result<String, String> {
        let token = &self.members[(unit.n % self.members.len() as u64) as usize];
        let token = Token::whole(token);
        let key = |act: &str| format!("{act}-{}-{}", self.run, unit.n);
        let (key_of_order, body) = (key("order"), format!(r#"{{"seats":["{seat}"]}}"#));
        let place = Parts { token, key: &key_of_order, body: &body };
        let placed = line.post(&format!("/v1/performances/{performance}/orders"), place).await;
        let placed = expect(placed, 201, "order")?;
        let order = placed.text("order_id").ok_or("order: no order_id")?.to_owned();
        let between = SystemClock.elapsed();

        let body = format!(r#"{{"payment_key":"{}","amount":{PRICE}}}"#, self.payment_key(unit.n));
        let (key_of_payment, path) = (key("payment"), format!("/v1/orders/{order}"));
        let pay = Parts { token, key: &key_of_payment, body: &body };
        let mut paid = line.post(&format!("{path}/payment"), pay).await;
        // The answer may come before the provider's; then the order says how it went on.
        let patience = between + limits::BENCH_ANSWER;
        while paid.as_ref().is_ok_and(|paid| paid.status == 202 || paid.text("status") == Some("paying"))
            && SystemClock.elapsed() < patience
        {
            tokio::time::sleep(ASK_AGAIN).await;
            paid = line.get(&path, Parts { token, ..Parts::default() }).await;
        }
        let paid = expect(paid, 200, "payment")?;
        if paid.text("status") != Some("completed") {
            return Err(format!("payment: {}", paid.text("status").unwrap_or("no status")));
        }
        let end = SystemClock.elapsed();
        if unit.counts {
            self.placing.record(between.saturating_sub(unit.due));
            self.paying.record(end.saturating_sub(between));
            self.whole.record(end.saturating_sub(unit.due));
            self.bought.lock().payments.push((unit.n, end.saturating_sub(between)));
        }
        Ok(order)
    }

    fn payment_key(&self, n: u64) -> String {
        format!("pk_{}_{n}", self.run)
    }

    fn measured(&self, time: Duration) -> Measured {
        let mut measured = Measured { title: "purchases", failures: self.outcomes.all(), ..Measured::default() };
        let bought = self.bought.lock();
        measured.figure("purchases", bought.counted as f64 / time.as_secs_f64().max(f64::EPSILON), "/s");
        measured.figure("with those of the warm-up", bought.completed.len() as f64, "");
        measured.figure("that failed", measured.failures.values().sum::<u64>() as f64, "");
        measured.figure("performances", self.house.performances() as f64, "");
        let rows = [self.placing.row("place"), self.paying.row("payment"), self.whole.row("whole purchase")];
        measured.latencies.extend(rows);
        measured
    }

    /// The payments without what the provider says that it took for them.
    async fn without_provider(&self, provider: &str, measured: &mut Measured) -> Result<(), String> {
        let times = provider_times(provider).await?;
        let (own, theirs) = (Latency::default(), Latency::default());
        let mut untold = 0_u64;
        for (n, took) in &self.bought.lock().payments {
            match times.get(&self.payment_key(*n)) {
                Some(provider) => {
                    own.record(took.saturating_sub(*provider));
                    theirs.record(*provider);
                }
                None => untold += 1,
            }
        }
        measured.latencies.extend([theirs.row("provider's own time"), own.row("payment without it")]);
        if untold > 0 { Err(format!("{untold} payments are not in its list")) } else { Ok(()) }
    }
}

fn expect<'a>(reply: Result<Reply<'a>, String>, status: u16, act: &str) -> Result<Reply<'a>, String> {
    match reply {
        Ok(reply) if reply.status == status => Ok(reply),
        Ok(reply) => Err(format!("{act}: {}", reply.named())),
        Err(error) => Err(format!("{act}: {error}")),
    }
}

#[derive(Deserialize)]
struct Times {
    confirmations: Vec<(String, u64)>,
}

/// What the provider took for each payment, all its confirmations together.
async fn provider_times(provider: &str) -> Result<HashMap<String, Duration>, String> {
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().map_err(|e| e.to_string())?;
    let answer = client.get(format!("{provider}/times")).send().await.map_err(|e| e.to_string())?;
    let answer = answer.error_for_status().map_err(|e| e.to_string())?;
    let bytes = answer.bytes().await.map_err(|e| e.to_string())?;
    let times: Times = serde_json::from_slice(&bytes).map_err(|e| e.to_string())?;
    let mut sums = HashMap::new();
    for (key, micros) in times.confirmations {
        *sums.entry(key).or_default() += Duration::from_micros(micros);
    }
    Ok(sums)
}
