//! What is a run? Builds the nodes, opens the sale, lets everybody loose, heals everything, and judges.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::FutureExt;
use onsale::clock::{Clock, Entropy, SimulatedClock};
use onsale::domain::{coupon, performance, store};
use onsale::events::Record;
use onsale::events::coupon::Discount;
use onsale::events::performance::GradePrice;
use onsale::events::venue::{Row, RowSeats, Section};
use onsale::ids::{CouponId, Hash16, PerformanceId, SeatId, ShowId, StoreId, StreamId, VenueId};
use onsale::journal::memory::MemoryJournal;
use onsale::money::{Amount, Currency};
use onsale::timestamp::Timestamp;
use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;

use crate::buyers::{insist, request};
use crate::door::Door;
use crate::follower::{Follower, Rumours};
use crate::nodes::{Around, Fleet};
use crate::plan::Plan;
use crate::psp::Provider;
use crate::simulated::{pass, pass_millis};
use crate::trouble::Trouble;
use crate::world::{Granted, Known, Tally, World};
use crate::{buyers, judge, staff, watchers};

const START: Timestamp = Timestamp(1_800_000_000_000);
pub const HOLD_SECONDS: u32 = 5;
pub const PARTITIONS: u16 = 4;
/// By then every order has ended or is under review.
const HEALED: Duration = Duration::from_secs(60);

/// What came out of a run.
#[derive(Debug, Default)]
pub struct Report {
    pub log_hash: String,
    pub records: usize,
    pub reached: BTreeMap<&'static str, u64>,
    pub violations: Vec<String>,
    /// The log, a line an event, to see where two runs part.
    pub log: Vec<String>,
}

/// One whole run. What panics in it is a violation as well.
pub fn run(plan: &Plan) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime without threads");
    catch_unwind(AssertUnwindSafe(|| runtime.block_on(simulate(plan)))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Report { violations: vec![format!("panicked: {}", text.unwrap_or_default())], ..Report::default() }
    })
}

async fn simulate(plan: &Plan) -> Report {
    let tally = Arc::new(Tally::default());
    let trouble = Arc::new(Trouble::new(plan, tally.clone()));
    let world = Arc::new(build(plan, &tally, &trouble).await);
    open_sale(&world).await;
    trouble.begin();

    let reign = tokio::spawn(world.fleet.clone().reign());
    let watching = watchers::all(&world);
    let mut bystanders = staff::readers(&world);
    let_them_loose(&world).await;
    trouble.heal();
    world.fleet.heal();
    world.provider.heal();
    let healed = world.clock.elapsed();
    reign.await.expect("whoever starts nodes goes on");
    world.provider.tell_again().await;
    world.ghosts.close();
    world.ghosts.wait().await;
    pass(HEALED.saturating_sub(world.clock.elapsed().saturating_sub(healed))).await;

    world.over.store(true, Ordering::SeqCst);
    bystanders.shutdown().await;
    let mut violations = judge::all(&world).await;
    violations.extend(judge::watchers(&world, watching).await);
    let records = world.journal.dump();
    let line = |r: &Record| {
        format!("{} {}:{} {} {} {} {}", r.at, r.partition, r.position, r.stream, r.kind, r.node, r.event_id)
    };
    Report {
        log_hash: judge::hash(&records),
        records: records.len(),
        reached: tally.0.lock().clone(),
        violations,
        log: records.iter().map(line).collect(),
    }
}

/// Until every client has what it wanted, or knows that it cannot have it.
async fn let_them_loose(world: &Arc<World>) {
    let mut clients = JoinSet::new();
    for number in 0..world.plan.buyers {
        clients.spawn(buyers::member(world.clone(), number));
    }
    if world.plan.counter {
        clients.spawn(staff::counter(world.clone()));
    }
    clients.spawn(staff::seller(world.clone()));
    if world.plan.operator {
        clients.spawn(staff::operator(world.clone()));
    }
    let mut eviction = tokio::time::interval(Duration::from_millis(300 + world.plan.seed % 700));
    loop {
        tokio::select! {
            biased;
            done = clients.join_next() => match done {
                Some(client) => client.unwrap_or_else(|error| world.violated(format!("a client found: {error}"))),
                None => return,
            },
            _ = eviction.tick(), if world.plan.eviction => {
                world.fleet.newest().ask_all_to_leave();
                world.tally.count("everybody asked to leave");
            }
        }
    }
}

async fn build(plan: &Plan, tally: &Arc<Tally>, trouble: &Arc<Trouble>) -> World {
    let seed = plan.seed;
    let clock: Arc<dyn Clock> = Arc::new(SimulatedClock::starting_at(START));
    let journal = MemoryJournal::new(PARTITIONS, clock.clone());
    let provider = Provider::new(plan, clock.clone(), tally.clone());
    let rumours = Rumours::new(seed, tally.clone());
    let fleet = Fleet::new(Around {
        plan: plan.clone(),
        clock: clock.clone(),
        log: journal.clone(),
        trouble: trouble.clone(),
        provider: provider.clone(),
        rumours: rumours.clone(),
        tally: tally.clone(),
    });
    fleet.start_first().await;
    // The nodes hold the provider: were it to hold them, too, no run would ever leave memory.
    let hearing = Arc::downgrade(&fleet);
    provider.tell(move |body| {
        let node = hearing.upgrade().map(|fleet| fleet.newest());
        async move {
            let Some(node) = node else { return false };
            node.gate.is_open() && node.processes.hint(&body).await.is_ok()
        }
        .boxed()
    });
    // The follower's troubles are its own as well.
    let aside = Arc::new(Trouble::new(&Plan { seed: seed ^ 0xf0, ..plan.clone() }, tally.clone()));
    let door = Door::new(journal.clone().with_mischief(aside), seed ^ 0xf0f0, plan, tally.clone());
    let follower = Follower::start(Arc::new(door), &clock, seed, &rumours).await;
    let command = Hash16::of("sim", &[b"performance"]);
    let performance = PerformanceId::derive(&command);
    World {
        plan: plan.clone(),
        start: START,
        clock,
        partition: StreamId::performance(&performance).partition(PARTITIONS).expect("it lives here"),
        fleet,
        follower,
        provider,
        journal,
        granted: Granted::of(seed),
        seats: (1..=9).map(|n| SeatId::new(format!("A-1-{n}"))).collect(),
        performance,
        coupon: CouponId::derive(&command),
        store: StoreId::derive(&command),
        tally: tally.clone(),
        told: Mutex::default(),
        orders: Mutex::default(),
        known: Known::default(),
        violations: Mutex::default(),
        ghosts: TaskTracker::new(),
        network: Entropy::seeded(seed ^ 0x6e65_7477),
        over: AtomicBool::new(false),
    }
}

async fn open_sale(world: &World) {
    let owner = world.seller();
    let layout = vec![Section {
        section: "A".to_owned(),
        grade: "R".to_owned(),
        rows: vec![Row { row: "1".to_owned(), seats: RowSeats::Count(9) }],
    }];
    let command = Hash16::of("sim", &[b"performance"]);
    let stream = StreamId::performance(&world.performance);
    let schedule = performance::Command::Schedule(performance::Schedule {
        performance_id: world.performance.clone(),
        show_id: ShowId::new("sh_1"),
        venue_id: VenueId::new("vn_1"),
        timezone: "Asia/Seoul".to_owned(),
        starts_at: START.plus(Duration::from_secs(86_400)),
        sale_opens_at: START.plus(Duration::from_secs(1)),
        sale_closes_at: START.plus(Duration::from_secs(600)),
        cancel_until: None,
        currency: Currency::KRW,
        prices: vec![GradePrice { grade: "R".to_owned(), price: Amount::new(50_000).expect("a small amount") }],
        max_seats_per_order: 4,
        max_seats_per_member: world.granted.seats,
        max_live_orders_per_member: world.granted.live_orders,
        max_unpaid_holds_per_member: world.granted.unpaid_holds,
        hold_seconds: HOLD_SECONDS,
        layout,
    });
    insist::<performance::Performance>(world, &stream, schedule, request(command, &owner)).await.expect("scheduled");
    let create = coupon::Command::Create(coupon::Create {
        coupon_id: world.coupon.clone(),
        name: "first come".to_owned(),
        stock: 25,
        per_member: 1 + u32::try_from(world.plan.seed % 2).expect("0 or 1"),
        opens_at: START,
        closes_at: START.plus(Duration::from_secs(600)),
        valid_until: START.plus(Duration::from_secs(86_400)),
        discount: Discount::Amount {
            value: Amount::new(1_000).expect("a small amount"),
            currency: Currency::KRW,
            min_amount: None,
        },
        shows: vec![],
    });
    let stream = StreamId::coupon(&world.coupon);
    let by = request(Hash16::of("sim", &[b"coupon"]), &owner);
    insist::<coupon::Coupon>(world, &stream, create, by).await.expect("created");
    let create = store::Command::Create { store_id: world.store.clone(), name: "counter".to_owned() };
    let stream = StreamId::store(&world.store);
    let by = request(Hash16::of("sim", &[b"store"]), &owner);
    insist::<store::Store>(world, &stream, create, by).await.expect("created");
    // The sale opens a second after the start.
    pass_millis(10).await;
}
