//! What is a run? Builds the node, opens the sale, lets the clients loose, heals everything, and judges.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use onsale::actors::{Dispatch, Engine, Outcome, Request, Setup};
use onsale::clock::{Clock, Entropy, SimulatedClock};
use onsale::domain::{coupon, performance, store};
use onsale::events::coupon::Discount;
use onsale::events::performance::GradePrice;
use onsale::events::venue::{Row, RowSeats, Section};
use onsale::ids::{
    AccountId, CouponId, Hash16, LogPosition, NodeId, Partition, PerformanceId, SeatId, ShowId, StoreId, StreamId,
    VenueId,
};
use onsale::journal::memory::MemoryJournal;
use onsale::journal::{Journal, SharedJournal};
use onsale::live::Hub;
use onsale::money::{Amount, Currency};
use onsale::timestamp::Timestamp;
use parking_lot::Mutex;

use crate::buyers::{self, Told, insist, request};
use crate::judge;
use crate::trouble::Trouble;
use crate::watchers;

/// What many seeds together must have reached for the run to count.
pub const INTERESTING: &[&str] = &[
    "append rejected",
    "unknown: was written",
    "unknown: was not written",
    "unknown: would be written later",
    "settling failed at first",
    "slow load",
    "panic while deciding",
    "panic while evolving",
    "everybody asked to leave",
    "order placed",
    "order cancelled",
    "order expired",
    "too late to cancel",
    "seats refused",
    "twins answered alike",
    "answer repeated after a fault",
    "two orders of one member at once",
    "member at the limit",
    "limit moved",
    "too many live orders",
    "too many unpaid holds",
    "coupon issued",
    "coupon sold out",
    "payment cancelled in part",
    "watcher resumed",
    "frame seen",
];

#[derive(Default)]
pub struct Tally(Mutex<BTreeMap<&'static str, u64>>);

impl Tally {
    pub fn count(&self, state: &'static str) {
        *self.0.lock().entry(state).or_default() += 1;
    }
}

pub struct World {
    pub seed: u64,
    pub start: Timestamp,
    pub dispatch: Dispatch,
    pub hub: Hub,
    pub journal: Arc<MemoryJournal>,
    pub watched: Arc<MemoryJournal>,
    pub performance: PerformanceId,
    pub partition: Partition,
    pub seats: Vec<SeatId>,
    pub granted: Granted,
    pub coupon: CouponId,
    pub store: StoreId,
    pub tally: Arc<Tally>,
    pub told: Mutex<Vec<Told>>,
    /// The node has stopped.
    pub over: AtomicBool,
}

/// What the performance grants each of its members.
#[derive(Clone, Copy, Debug, Default)]
pub struct Granted {
    pub seats: Option<u32>,
    pub live_orders: Option<u32>,
    pub unpaid_holds: Option<u32>,
}

impl Granted {
    /// Every third run counts nobody.
    fn of(seed: u64) -> Self {
        match seed % 3 {
            0 => Self::default(),
            1 => Self { seats: Some(3), live_orders: None, unpaid_holds: None },
            _ => Self { seats: Some(4), live_orders: Some(1), unpaid_holds: Some(2) },
        }
    }

    pub fn counted(self) -> bool {
        self.seats.is_some()
    }
}

/// What came out of a run.
#[derive(Debug)]
pub struct Report {
    pub log_hash: String,
    pub records: usize,
    pub reached: BTreeMap<&'static str, u64>,
    pub violations: Vec<String>,
    /// The log, a line an event, to see where two runs part.
    pub log: Vec<String>,
}

impl Report {
    pub fn assert_sound(&self, seed: u64) {
        assert!(
            self.violations.is_empty(),
            "seed {seed} broke the promise:\n{:#?}\nrepeat it: ONSALE_SIM_SEED={seed} cargo test --test sim one_seed -- --nocapture",
            self.violations
        );
    }
}

impl World {
    /// Notes what a client was told, and checks at that very moment that it is durable.
    pub async fn note<E>(&self, request: &Request, outcome: &Outcome<E>) {
        self.assert_durable(outcome.position, "an answer").await;
        let appended = !outcome.events.is_empty() && !outcome.replayed;
        let told = Told { command: request.command, position: outcome.position, appended };
        self.told.lock().push(told);
    }

    pub async fn assert_watched(&self, shown: LogPosition) {
        let heads = self.watched.heads().await.unwrap();
        let head = heads[usize::from(shown.partition.0)];
        assert!(shown.position <= head, "a frame showed {shown} while the log ends at {head}");
    }

    pub async fn assert_durable(&self, shown: LogPosition, what: &str) {
        let heads = self.journal.heads().await.unwrap();
        let head = heads[usize::from(shown.partition.0)];
        assert!(shown.position <= head, "{what} showed {shown} while the log ends at {head}");
    }
}

/// One whole run, from a seed alone.
pub fn run(seed: u64) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(simulate(seed))
}

const START: Timestamp = Timestamp(1_800_000_000_000);
const HOLD_SECONDS: u32 = 5;

async fn simulate(seed: u64) -> Report {
    let tally = Arc::new(Tally::default());
    let trouble = Arc::new(Trouble::new(seed, tally.clone()));
    let clock: Arc<dyn Clock> = Arc::new(SimulatedClock::starting_at(START));
    let journal = Arc::new(MemoryJournal::new(4, clock.clone()).with_mischief(trouble.clone()));
    let shared: SharedJournal = journal.clone();
    let node = NodeId::new("sim");
    let claimed_at = clock.elapsed();
    let claim = shared.claim(&node).await.unwrap();
    let setup = Setup {
        journal: shared.clone(),
        claim,
        claimed_at,
        node,
        clock: clock.clone(),
        entropy: Entropy::seeded(seed),
        sabotage: Some(trouble.clone()),
    };
    let engine = Engine::start(setup).await.unwrap();
    trouble.begin();
    // Watchers wake in no certain order: they have a door to the log of their own, whose troubles do not move the node's.
    let watched = MemoryJournal::clone(&journal).with_mischief(Arc::new(Trouble::new(seed ^ 0x77, tally.clone())));
    let watched = Arc::new(watched);
    let hub = watchers::hub(watched.clone(), &engine, &clock, seed);
    let world = Arc::new(open_sale(seed, engine.dispatch(), hub, journal.clone(), watched, tally.clone()).await);

    let mut clients = tokio::task::JoinSet::new();
    for number in 0..60 + 10 * (seed % 8) {
        clients.spawn(buyers::member(world.clone(), number));
    }
    clients.spawn(buyers::counter(world.clone()));
    clients.spawn(buyers::seller(world.clone()));
    let mut watching = tokio::task::JoinSet::new();
    for number in 0..4 {
        watching.spawn(watchers::watch(world.clone(), number));
    }
    let mut eviction = tokio::time::interval(Duration::from_millis(300 + seed % 700));
    loop {
        tokio::select! {
            biased;
            done = clients.join_next() => match done {
                Some(client) => client.expect("a client found something wrong"),
                None => break,
            },
            _ = eviction.tick() => {
                engine.ask_all_to_leave();
                tally.count("everybody asked to leave");
            }
        }
    }
    trouble.heal();
    // Every hold runs out; simulated time is free.
    tokio::time::sleep(Duration::from_secs(u64::from(HOLD_SECONDS) + 10)).await;
    let mut violations = judge::watchers(&world, watching).await;
    violations.extend(judge::log(&world).await);
    drop(world);
    engine.shutdown().await;
    let records = journal.dump();
    let reached = tally.0.lock().clone();
    let line = |r: &onsale::events::Record| {
        format!("{} {}:{} {} {} {}", r.at, r.partition, r.position, r.stream, r.kind, r.event_id)
    };
    let log = records.iter().map(line).collect();
    Report { log_hash: judge::hash(&records), records: records.len(), reached, violations, log }
}

async fn open_sale(
    seed: u64,
    dispatch: Dispatch,
    hub: Hub,
    journal: Arc<MemoryJournal>,
    watched: Arc<MemoryJournal>,
    tally: Arc<Tally>,
) -> World {
    let command = Hash16::of("sim", &[b"performance"]);
    let performance = PerformanceId::derive(&command);
    let layout = vec![Section {
        section: "A".to_owned(),
        grade: "R".to_owned(),
        rows: vec![Row { row: "1".to_owned(), seats: RowSeats::Count(9) }],
    }];
    let stream = StreamId::performance(&performance);
    let world = World {
        seed,
        start: START,
        partition: stream.partition(dispatch.partitions()).unwrap(),
        dispatch,
        hub,
        journal,
        watched,
        granted: Granted::of(seed),
        seats: (1..=9).map(|n| SeatId::new(format!("A-1-{n}"))).collect(),
        performance: performance.clone(),
        coupon: CouponId::derive(&command),
        store: StoreId::derive(&command),
        tally,
        told: Mutex::default(),
        over: AtomicBool::new(false),
    };
    let owner = AccountId::new("seller");
    let schedule = performance::Command::Schedule(performance::Schedule {
        performance_id: performance,
        show_id: ShowId::new("sh_1"),
        venue_id: VenueId::new("vn_1"),
        timezone: "Asia/Seoul".to_owned(),
        starts_at: START.plus(Duration::from_secs(86_400)),
        sale_opens_at: START.plus(Duration::from_secs(1)),
        sale_closes_at: START.plus(Duration::from_secs(600)),
        cancel_until: None,
        currency: Currency::parse("KRW").unwrap(),
        prices: vec![GradePrice { grade: "R".to_owned(), price: Amount::new(50_000).unwrap() }],
        max_seats_per_order: 4,
        max_seats_per_member: world.granted.seats,
        max_live_orders_per_member: world.granted.live_orders,
        max_unpaid_holds_per_member: world.granted.unpaid_holds,
        hold_seconds: HOLD_SECONDS,
        layout,
    });
    insist::<performance::Performance>(&world, stream, schedule, request(command, &owner)).await.unwrap();
    let create = coupon::Command::Create(coupon::Create {
        coupon_id: world.coupon.clone(),
        name: "first come".to_owned(),
        stock: 25,
        per_member: 1 + u32::try_from(seed % 2).unwrap(),
        opens_at: START,
        closes_at: START.plus(Duration::from_secs(600)),
        valid_until: START.plus(Duration::from_secs(86_400)),
        discount: Discount::Amount {
            value: Amount::new(1_000).unwrap(),
            currency: Currency::parse("KRW").unwrap(),
            min_amount: None,
        },
        shows: vec![],
    });
    let stream = StreamId::coupon(&world.coupon);
    insist::<coupon::Coupon>(&world, stream, create, request(Hash16::of("sim", &[b"coupon"]), &owner)).await.unwrap();
    let create = store::Command::Create { store_id: world.store.clone(), name: "counter".to_owned() };
    let stream = StreamId::store(&world.store);
    insist::<store::Store>(&world, stream, create, request(Hash16::of("sim", &[b"store"]), &owner)).await.unwrap();
    world
}
