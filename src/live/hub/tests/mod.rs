//! Does every watcher get the log, filtered, from where it starts: no gap, no duplicate, in order?

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::Value;

use super::*;
use crate::events::{Event, Record, coupon, order as order_events, performance, seat, store};
use crate::ids::{AccountId, CouponId, Hash16, NodeId, Partition, PaymentId, Position, SeatId, StoreId, StreamId};
use crate::journal::conformance::Builder;
use crate::journal::memory::{MemoryJournal, Mischief};
use crate::money::{Amount, Currency};
use crate::timestamp::Timestamp;

mod resume;
mod streams;

const P: Partition = Partition(0);
const START: Timestamp = Timestamp(1_700_000_000_000);

/// A clock that stands still until it is moved.
#[derive(Default)]
struct HandClock(Mutex<Duration>);

impl HandClock {
    fn advance(&self, by: Duration) {
        *self.0.lock() += by;
    }
}

impl Clock for HandClock {
    fn wall(&self) -> Timestamp {
        START.plus(self.elapsed())
    }

    fn elapsed(&self) -> Duration {
        *self.0.lock()
    }
}

/// Where the tests' only coupon task stands.
struct Tasks(Mutex<BTreeMap<TaskId, Version>>);

#[async_trait]
impl TaskLookup for Tasks {
    async fn version_of(&self, task: &TaskId) -> Result<Option<Version>, Fault> {
        Ok(self.0.lock().get(task).copied())
    }
}

struct SlowLoads;

impl Mischief for SlowLoads {
    fn on_load(&self) -> Option<Duration> {
        Some(Duration::from_millis(3))
    }
}

/// A log of one partition, and a node that follows it.
struct World {
    journal: SharedJournal,
    follow: Follow,
    builder: Builder,
    clock: Arc<HandClock>,
    tasks: Arc<Tasks>,
    hub: Hub,
}

impl World {
    async fn new() -> Self {
        Self::with(|journal| journal).await
    }

    async fn with(change: impl FnOnce(MemoryJournal) -> MemoryJournal) -> Self {
        let clock = Arc::new(HandClock::default());
        let journal: SharedJournal = Arc::new(change(MemoryJournal::new(1, clock.clone())));
        let claim = journal.claim(&NodeId::new("node-a")).await.expect("nobody else");
        let follow = Follow::new(journal.clone(), &[Position(0)]);
        let tasks = Arc::new(Tasks(Mutex::default()));
        let hub = hub(&journal, &follow, &clock, &tasks);
        let builder = Builder::after(&claim.partitions[0]);
        let mut world = Self { journal, follow, builder, clock, tasks, hub };
        world.commit(vec![scheduled()]).await;
        world.commit(vec![store_created()]).await;
        world
    }

    /// A node that has just started on the same log.
    fn restart(&mut self) {
        self.hub = hub(&self.journal, &self.follow, &self.clock, &self.tasks);
    }

    async fn commit(&mut self, facts: Vec<(StreamId, Event)>) -> u64 {
        self.builder.at = self.clock.wall();
        let unit = self.builder.unit(facts);
        let records: Vec<Arc<Record>> = unit.records.iter().cloned().map(Arc::new).collect();
        self.journal.append(&[self.builder.batch(vec![unit])]).await.expect("a sound batch");
        self.follow.committed(P, records);
        self.builder.head.0
    }

    async fn watch(&self, topic: Topic, resume: Resume) -> Result<Watch, WatchError> {
        let watch = self.hub.watch(topic, resume, Heartbeat::Comment);
        tokio::time::timeout(Duration::from_secs(3_600), watch).await.expect("an answer")
    }

    async fn open(&self, topic: Topic, resume: Resume) -> Watch {
        let mut watch = self.watch(topic, resume).await.expect("a stream");
        let retry = watch.next().await.expect("the first line");
        let text = std::str::from_utf8(&retry).expect("text");
        let millis: u64 = text.strip_prefix("retry: ").expect("retry").trim_end().parse().expect("a number");
        assert!((2_000..=5_000).contains(&millis), "{text}");
        watch
    }
}

fn hub(journal: &SharedJournal, follow: &Follow, clock: &Arc<HandClock>, tasks: &Arc<Tasks>) -> Hub {
    Hub::new(HubParts {
        journal: journal.clone(),
        follow: follow.clone(),
        lookup: tasks.clone(),
        clock: clock.clone(),
        entropy: Entropy::seeded(7),
        stop: CancellationToken::new(),
        tracker: TaskTracker::new(),
    })
}

/// A frame as a client reads it.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    id: Option<String>,
    event: String,
    data: Value,
}

fn read(bytes: &Bytes) -> Seen {
    let text = std::str::from_utf8(bytes).expect("text");
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
    let data = serde_json::from_str(&field("data: ").expect("data")).expect("JSON");
    Seen { id: field("id: "), event: field("event: ").expect("an event"), data }
}

impl Watch {
    /// All that there is for it by now, as a client reads it.
    async fn drain(&mut self) -> Vec<Seen> {
        self.drain_now().await.iter().filter(|bytes| !bytes.starts_with(b"retry")).map(read).collect()
    }
}

fn performance_id() -> PerformanceId {
    PerformanceId::new("pf_a")
}

fn order_id() -> OrderId {
    OrderId::derive(P, &Hash16::of("order", &[]))
}

fn seats_topic() -> Topic {
    Topic::Seats(performance_id())
}

fn store_topic() -> Topic {
    Topic::Store(StoreId::new("st_a"))
}

fn scheduled() -> (StreamId, Event) {
    let event = performance::PerformanceEvent::Paused(performance::Paused { body: Hash16::default() });
    (StreamId::performance(&performance_id()), event.into())
}

fn store_created() -> (StreamId, Event) {
    let created = store::Created {
        store_id: StoreId::new("st_a"),
        owner: AccountId::new("owner"),
        name: "counter".to_owned(),
        body: Hash16::default(),
    };
    (StreamId::store(&StoreId::new("st_a")), Event::Store(created.into()))
}

fn held(performance: &PerformanceId, number: u64) -> (StreamId, Event) {
    let event = seat::Held { order_id: order_id() };
    (StreamId::seat(performance, &SeatId::new(format!("A-1-{number}"))), Event::Seat(event.into()))
}

fn released(number: u64) -> (StreamId, Event) {
    let event = seat::Released { order_id: order_id(), reason: seat::ReleaseReason::Expired };
    (StreamId::seat(&performance_id(), &SeatId::new(format!("A-1-{number}"))), Event::Seat(event.into()))
}

fn blocked(number: u64) -> (StreamId, Event) {
    (StreamId::seat(&performance_id(), &SeatId::new(format!("A-1-{number}"))), Event::Seat(seat::Blocked {}.into()))
}

fn payment(number: u64) -> (StreamId, Event) {
    let event = store::PaymentRecorded {
        payment_id: PaymentId::new(format!("pay-{number}\n\nevent: reset")),
        amount: Amount::new(1_000 + number).expect("small"),
        currency: Currency::parse("KRW").expect("a code"),
        method: "card".to_owned(),
        paid_at: START,
        terminal_id: None,
    };
    (StreamId::store(&StoreId::new("st_a")), Event::Store(event.into()))
}

fn placed() -> (StreamId, Event) {
    let amount = Amount::new(50_000).expect("small");
    let event = order_events::Placed {
        order_id: order_id(),
        account_id: AccountId::new("buyer"),
        performance_id: performance_id(),
        seats: vec![order_events::OrderSeat { seat_id: SeatId::new("A-1-1"), price: amount }],
        subtotal: amount,
        discount: Amount::ZERO,
        amount,
        currency: Currency::parse("KRW").expect("a code"),
        coupon_task_id: None,
        reference: Some("r\n1".to_owned()),
        hold_until: START.plus(Duration::from_secs(180)),
        owner: AccountId::new("seller"),
        body: Hash16::default(),
    };
    (StreamId::order(&order_id()), Event::Order(event.into()))
}

fn order_expired() -> (StreamId, Event) {
    let event = order_events::Expired { order_id: order_id() };
    (StreamId::order(&order_id()), Event::Order(event.into()))
}

fn at(position: u64) -> LogPosition {
    frame::id(P, Position(position))
}

/// Every frame names the one before it.
fn assert_chain(seen: &[Seen]) {
    for pair in seen.windows(2) {
        assert_eq!(pair[1].data["prev"], Value::from(pair[0].id.clone()), "{seen:#?}");
    }
}

fn number(seen: &Seen) -> u64 {
    let id = seen.id.as_deref().and_then(LogPosition::parse).expect("an id");
    id.position.0
}
