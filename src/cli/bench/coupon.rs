//! `onsale bench coupon`: how fast can coupons be given away? Each unit is another member who asks once, with a token of
//! their own. Afterwards every serial that a member was told must be in the log, none twice, none beyond the stock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use serde_json::json;

use super::against::{Against, Contest};
use super::asking::{self, Asks, Pace, Told, Words};
use super::line::{Line, Parts};
use super::load::{Amount, Plan};
use super::members::Members;
use super::report::{Check, Report, words};
use super::rivals::Books;
use super::serials::{Serials, judge};
use super::target::{Needs, Place, Site, Target, raise_descriptors};
use crate::auth::principal::Role;
use crate::cli::Global;
use crate::cli::client::Client;
use crate::cli::failure::Failure;
use crate::cli::token::sign;
use crate::clock::{Clock, SystemClock};
use crate::events::{CouponEvent, Event, codec};
use crate::ids::{CouponId, StreamId, Version};
use crate::journal::SharedJournal;
use crate::limits;
use crate::timestamp::Timestamp;

#[derive(clap::Args, Debug)]
pub struct Coupon {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    amount: Amount,
    #[command(flatten)]
    pace: Pace,
    #[command(flatten)]
    against: Against,
    /// Coupons that are given away at the same time; members ask for them by turns.
    #[arg(long, value_name = "N", default_value_t = 1,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(limits::BENCH_COUPONS)))]
    coupons: u32,
    /// Of each coupon; when it is gone, `sold out` is an answer of its own.
    #[arg(long, value_name = "N", default_value_t = limits::COUPON_STOCK,
        value_parser = clap::value_parser!(u64).range(1..=limits::COUPON_STOCK))]
    stock: u64,
    /// Members, each of whom asks once; the load ends when all have [default: enough for the rate, or for 60,000 a second].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=limits::BENCH_CROWD))]
    members: Option<u64>,
}

/// More than any machine of today does; where no rate says how many.
const CLOSED_LOOP: u64 = 60_000;
const DAY: std::time::Duration = std::time::Duration::from_secs(86_400);

impl Coupon {
    pub async fn run(self, global: &Global) -> Result<(), Failure> {
        raise_descriptors(u64::from(self.amount.connections))?;
        let target = Target::open(global, &self.place, Needs::default()).await?;
        let plan = self.pace.plan(&self.amount);
        let needed = asking::units(&plan, CLOSED_LOOP).min(limits::BENCH_CROWD);
        let members = Arc::new(Members::sign(&target.keys, self.members.unwrap_or(needed)).await?);
        let gift = Gift { coupons: self.coupons, stock: self.stock, members: members.clone() };
        if self.against.any() {
            return self.beside_others(global, target, plan, &gift).await;
        }
        let load = gift.stage(target.site()).await?;
        let watched = target.watched().await;
        let (ran, measured) = asking::measure(&load, plan, target.address, &watched).await?;

        let told = format!("{} coupons of {}, {}", self.coupons, self.stock, words(&plan));
        let mut report = Report::new("coupon", target.describe(), told)?;
        report.ran(&ran);
        report.remarks.push(members.words());
        if measured.latencies.iter().all(|row| row.count == 0) {
            report.check("load", false, "not one request was answered in the measured time".to_owned());
        }
        report.phases.push(measured);
        let journal = target.journal().await?;
        report.checks.push(load.kept_in(&journal).await?);
        report.checks.push(target.audit(&journal).await?);
        drop(journal);
        target.close().await;
        report.say(self.place.json)
    }

    /// The same by turns with what people build instead.
    async fn beside_others(&self, global: &Global, target: Target, plan: Plan, gift: &Gift) -> Result<(), Failure> {
        self.against.check(&target)?;
        let told = format!("{} coupons of {}, by turns, {}", self.coupons, self.stock, words(&plan));
        let mut report = Report::new("coupon", target.describe(), told)?;
        report.remarks.push(gift.members.words());
        let played = self.against.run(gift, global, &target, plan, &mut report).await?;
        let journal = target.journal().await?;
        for load in played {
            report.checks.push(load.kept_in(&journal).await?);
        }
        report.checks.push(target.audit(&journal).await?);
        drop(journal);
        target.close().await;
        report.say(self.place.json)
    }
}

/// What is given away at a server, and to whom.
struct Gift {
    coupons: u32,
    stock: u64,
    members: Arc<Members>,
}

impl Contest for Gift {
    type Load = CouponLoad;

    async fn stage(&self, site: Site<'_>) -> Result<Arc<CouponLoad>, Failure> {
        let coupons = create(site, self.coupons, self.stock).await?;
        Ok(Arc::new(CouponLoad::new(coupons, self.stock, self.members.clone())))
    }

    fn owed(&self, granted: u64) -> Books {
        Books { issues: granted, entries: granted, ..Books::default() }
    }
}

/// Makes coupons that are open now; their ids.
async fn create(site: Site<'_>, count: u32, stock: u64) -> Result<Vec<String>, Failure> {
    let client = Client::new(site.base)?;
    let seller = sign(site.keys, "bench-seller", Role::Seller, None)?;
    let end = SystemClock.wall().plus(30 * DAY);
    let coupon = json!({
        "name": "Bench", "stock": stock, "opens_at": Timestamp(0), "closes_at": end, "valid_until": end,
        "discount": {"kind": "percent", "value": 10},
    });
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(client.create("/v1/coupons", &seller, &coupon).await?.text("coupon_id").to_owned());
    }
    Ok(ids)
}

/// Members who ask for coupons, one after the other, each once.
pub struct CouponLoad {
    given: Vec<Given>,
    stock: u64,
    members: Arc<Members>,
    next: AtomicU64,
    /// Requests that may or may not have been granted.
    unknown: AtomicU64,
}

/// One coupon, and what was told of it.
struct Given {
    id: String,
    path: String,
    serials: Mutex<Serials>,
}

impl CouponLoad {
    /// For coupons that exist and are open, each with that stock. The same members can ask at several places.
    pub fn new(coupons: Vec<String>, stock: u64, members: Arc<Members>) -> Self {
        let given = coupons.into_iter().map(|id| Given {
            path: format!("/v1/coupons/{id}/issue"),
            id,
            serials: Mutex::default(),
        });
        Self { given: given.collect(), stock, members, next: AtomicU64::new(0), unknown: AtomicU64::new(0) }
    }

    /// Every serial that was told is in the log, and no other.
    async fn kept_in(&self, journal: &SharedJournal) -> Result<Check, Failure> {
        let (mut wrong, mut told, mut kept) = (Vec::new(), 0, 0);
        let unknown = self.unknown.load(Ordering::Relaxed);
        for Given { id, serials, .. } in &self.given {
            let log = issued(journal, id, self.stock).await?;
            let answers = serials.lock();
            told += answers.count;
            kept += log.count;
            wrong.extend(judge(id, self.stock, &answers, &log, unknown));
        }
        let detail = match wrong.first() {
            None => format!("{told} serials were told, {kept} are in the log, {unknown} outcomes are unknown"),
            Some(first) => format!("{} things are wrong, the first: {first}", wrong.len()),
        };
        Ok(Check { name: "issued coupons", ok: wrong.is_empty(), detail })
    }
}

/// The serials of a coupon that the log has.
async fn issued(journal: &SharedJournal, coupon: &str, stock: u64) -> Result<Serials, Failure> {
    let stream = StreamId::coupon(&CouponId::new(coupon));
    let (mut serials, mut after) = (Serials::default(), Version(0));
    loop {
        let chunk = journal.read_stream(&stream, after, limits::READ_BATCH).await?;
        let Some(last) = chunk.last() else { return Ok(serials) };
        after = last.version;
        for record in &chunk {
            let event = codec::decode(&record.kind, record.schema, record.codec, &record.payload);
            let event = event.map_err(|e| Failure::of(format!("{stream} at {}: {e}", record.version.0)))?;
            if let Event::Coupon(CouponEvent::Issued(issued)) = event {
                serials.note(issued.serial, stock);
            }
        }
    }
}

impl Asks for CouponLoad {
    fn words(&self) -> Words {
        Words { title: "coupons", granted: "issues", one: "issue", refused: "sold out", each: None }
    }

    async fn ask(&self, line: &mut Line) -> Told {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        let Some(token) = self.members.token(n) else { return Told::Exhausted };
        let given = &self.given[(n % self.given.len() as u64) as usize];
        let unknown = |why| {
            self.unknown.fetch_add(1, Ordering::Relaxed);
            Told::Failed(why)
        };
        match line.post(&given.path, Parts { token, key: "", body: "{}" }).await {
            Ok(reply) if reply.status == 201 => match reply.number("serial") {
                Some(serial) => {
                    given.serials.lock().note(serial, self.stock);
                    Told::Granted
                }
                None => unknown("201 without a serial".to_owned()),
            },
            Ok(reply) if reply.status == 409 && reply.text("code") == Some("coupon-sold-out") => Told::Refused,
            Ok(reply) if reply.status >= 500 => unknown(reply.named()),
            Ok(reply) => Told::Failed(reply.named()),
            Err(why) => unknown(why),
        }
    }
}
