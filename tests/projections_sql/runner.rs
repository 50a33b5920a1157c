//! Do read models follow the log through everything? A log in memory, real stores, and a projection that can be made to
//! fail.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use onsale::clock::{Clock, SystemClock};
use onsale::events::{Event, Record};
use onsale::ids::{LogPosition, NodeId, Partition, Position, StoreId, StreamId};
use onsale::journal::conformance::Builder;
use onsale::journal::follow::Follow;
use onsale::journal::memory::MemoryJournal;
use onsale::journal::{Claim, SharedJournal, Verdict};
use onsale::projections::Projection;
use onsale::projections::check::{Check, Verdict as Checked};
use onsale::projections::rebuild::Pace;
use onsale::projections::replay::{Compared, Replay};
use onsale::projections::runner::{Keeping, Parts, Runner, State};
use onsale::projections::select;
use onsale::projections::store::{Action, Decision, ParkedKey, Purpose, Store};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::sample::{PARTITIONS, Sample, Samples, created, key, paid, store_in};
use super::wait::until;
use super::{Place, both};

pub const A: Partition = Partition(1);
pub const B: Partition = Partition(2);

/// A log that a test writes to, and what follows it.
pub struct World {
    pub journal: SharedJournal,
    pub follow: Follow,
    pub builders: Vec<Builder>,
}

impl World {
    pub async fn new() -> Self {
        let journal: SharedJournal = Arc::new(MemoryJournal::new(PARTITIONS, Arc::new(SystemClock)));
        let Claim { partitions, .. } = journal.claim(&NodeId::new("test")).await.expect("nobody else is here");
        let builders = partitions.iter().map(Builder::after).collect();
        let follow = Follow::new(journal.clone(), &vec![Position(0); usize::from(PARTITIONS)]);
        Self { journal, follow, builders }
    }

    /// One unit, durable and told to followers.
    pub async fn write(&mut self, partition: Partition, facts: Vec<(StreamId, Event)>) -> LogPosition {
        let builder = &mut self.builders[usize::from(partition.0)];
        builder.at = SystemClock.wall();
        let unit = builder.unit(facts);
        let batch = builder.batch(vec![unit.clone()]);
        assert_eq!(self.journal.append(&[batch]).await, Ok(vec![Verdict::Written]));
        let position = builder.head;
        self.follow.committed(partition, unit.records.into_iter().map(Arc::new).collect());
        LogPosition { partition, position }
    }
}

/// A node's runner, and how it ends.
pub struct Node {
    pub runner: Runner,
    pub stop: CancellationToken,
    pub tracker: TaskTracker,
}

impl Node {
    pub fn start(store: Arc<dyn Store>, world: &World, samples: &'static Samples) -> Self {
        Self::with(store, world.journal.clone(), world.follow.clone(), samples)
    }

    fn with(store: Arc<dyn Store>, journal: SharedJournal, follow: Follow, samples: &'static Samples) -> Self {
        let (stop, tracker) = (CancellationToken::new(), TaskTracker::new());
        let roster: &'static [&'static dyn Projection] = Box::leak(Box::new([samples as &dyn Projection]));
        let runner = Runner::start(Parts {
            store,
            journal,
            follow,
            clock: Arc::new(SystemClock),
            stop: stop.clone(),
            tracker: tracker.clone(),
            roster,
            keeping: Keeping::Ours,
        });
        Self { runner, stop, tracker }
    }

    pub async fn end(self) {
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }

    pub async fn reached(&self, position: LogPosition) {
        let reads = self.runner.reads();
        until("the read model is there", || async { reads.of("samples").is_ok() }, |there| *there).await;
        tokio::time::timeout(std::time::Duration::from_secs(30), reads.reached("samples", position))
            .await
            .unwrap_or_else(|_| panic!("{position} was not reached: {:?}", self.runner.statuses()));
    }

    pub async fn payments(&self, store: &StoreId) -> Option<i64> {
        let build = self.runner.reads().of("samples").expect("a read model");
        let row: Option<Sample> = select::one(&*build, &key(store.as_str())).await.expect("an answer");
        row.map(|row| row.payments)
    }

    async fn parked(&self) -> Vec<ParkedKey> {
        let build = self.runner.reads().of("samples").expect("a read model");
        build.parked_keys(None, 100).await.expect("an answer")
    }

    async fn decide(&self, parked: &ParkedKey, action: Action) -> String {
        let decision = Decision {
            id: 0,
            projection: "samples".to_owned(),
            partition: parked.partition,
            position: parked.position,
            key: parked.key.clone(),
            action,
            reason: "a test".to_owned(),
            command: onsale::clock::Entropy::from_system().hash16().to_string(),
            actor: "root".to_owned(),
            decided_at: SystemClock.wall(),
            outcome: None,
        };
        self.runner.decide(decision).await.expect("decided").outcome.expect("carried out")
    }
}

/// P1: what is there, against what the log gives.
async fn assert_rebuilt_is_equal(place: &Place, world: &World, samples: &'static Samples) -> u64 {
    assert_journal_gives(place, &world.journal, &[samples]).await
}

async fn assert_journal_gives(place: &Place, journal: &SharedJournal, these: &[&'static dyn Projection]) -> u64 {
    let scratch = Place::Files(tempfile::tempdir().expect("a directory"));
    let check = Check {
        live: place.store().await,
        scratch: scratch.store().await,
        journal: journal.clone(),
        clock: Arc::new(SystemClock),
        stop: CancellationToken::new(),
        pace: Pace::default(),
    };
    let mut told = Vec::new();
    let found = check.check(these, |_| {}, |_, difference| told.push(difference.to_string())).await;
    let rows = found.expect("a verdict").into_iter().map(|(_, found)| match found {
        Checked::Compared(Compared { rows, differences: 0, .. }) => rows,
        found => panic!("{}: {found:?} {told:?}", place.name()),
    });
    rows.sum()
}

/// What a read model has seen is in the log, also when a node goes on writing while it is judged.
#[tokio::test]
async fn a_check_beside_a_busy_node_accuses_nobody() {
    for place in both().await {
        let (mut world, samples) = (World::new().await, Samples::leak());
        let store = store_in(A, "s");
        let node = Node::start(place.store().await, &world, samples);
        let first = world.write(A, vec![created(&store, "가게")]).await;
        node.reached(first).await;
        let (journal, judged) = (world.journal.clone(), CancellationToken::new());
        let writing = async {
            for n in 0.. {
                let position = world.write(A, vec![paid(&store, &n.to_string(), "card")]).await;
                node.reached(position).await;
                if judged.is_cancelled() {
                    break;
                }
            }
        };
        let judging = async {
            for _ in 0..4 {
                // Looked at one after another, which takes its time.
                let these = [samples as &dyn Projection; 8];
                assert_eq!(assert_journal_gives(&place, &journal, &these).await, 8);
            }
            judged.cancel();
        };
        tokio::join!(writing, judging);
        assert!(node.payments(&store).await > Some(10), "it wrote meanwhile");
        node.end().await;
    }
}

#[tokio::test]
async fn everything_is_counted_once_across_restarts() {
    for place in both().await {
        let (mut world, samples) = (World::new().await, Samples::leak());
        let stores: Vec<StoreId> = (0..PARTITIONS).map(|p| store_in(Partition(p), "s")).collect();
        let mut last = None;
        for round in 0..6 {
            let node = Node::start(place.store().await, &world, samples);
            for n in 0..40 {
                for (p, store) in (0..PARTITIONS).zip(&stores) {
                    let facts = match (round, n) {
                        (0, 0) => vec![created(store, "가게")],
                        _ => vec![paid(store, &format!("{round}-{n}"), "card"), paid(store, &format!("{n}"), "card")],
                    };
                    last = Some(world.write(Partition(p), facts).await);
                }
                // Sometimes the node ends in the middle of it.
                if n == 20 && round % 2 == 1 {
                    break;
                }
            }
            if round % 2 == 0 {
                node.reached(last.expect("written")).await;
            }
            node.end().await;
        }
        let node = Node::start(place.store().await, &world, samples);
        node.reached(last.expect("written")).await;
        for store in &stores {
            assert_eq!(node.payments(store).await, Some(2 * (39 + 2 * 40 + 3 * 21)), "{}", place.name());
        }
        node.end().await;
        assert_eq!(assert_rebuilt_is_equal(&place, &world, samples).await, u64::from(PARTITIONS));
    }
}

#[tokio::test]
async fn a_poison_message_parks_its_own_key() {
    for (place, method) in
        both().await.into_iter().zip(["poison", "panic"]).chain(both().await.into_iter().zip(["huge"; 2]))
    {
        let (mut world, samples) = (World::new().await, Samples::leak());
        let (bad, good, other) = (store_in(A, "bad"), store_in(A, "good"), store_in(B, "other"));
        let node = Node::start(place.store().await, &world, samples);
        world.write(A, vec![created(&bad, "bad"), created(&good, "good")]).await;
        // One unit with both, so that part of a unit is parked.
        let poison = world.write(A, vec![paid(&bad, "1", "card")]).await;
        let poison = LogPosition { position: Position(poison.position.0 + 1), ..poison };
        world.write(A, vec![paid(&bad, "2", method)]).await;
        world.write(A, vec![paid(&good, "1", "card"), paid(&bad, "3", "card")]).await;
        let last = world.write(B, vec![paid(&other, "1", "card")]).await;
        let end = world.write(A, vec![paid(&good, "2", "card")]).await;
        node.reached(last).await;
        node.reached(end).await;
        assert_eq!(node.payments(&bad).await, Some(1), "what came before stays");
        assert_eq!((node.payments(&good).await, node.payments(&other).await), (Some(2), Some(1)));
        let parked = node.parked().await;
        assert_eq!(parked.len(), 1);
        assert_eq!((parked[0].partition, parked[0].position), (poison.partition, poison.position));
        assert_eq!((parked[0].key.as_str(), parked[0].events), (format!("store/{bad}").as_str(), 2));
        assert!(!parked[0].error.is_empty());
        assert_eq!(node.runner.statuses()[0].1.parked_keys, 1);

        // Nobody mended anything: it stays, also across a restart, and new facts of the key wait behind it.
        let outcome = node.decide(&parked[0], Action::Retry).await;
        assert!(outcome.contains("still cannot be"), "{outcome}");
        node.end().await;
        let node = Node::start(place.store().await, &world, samples);
        node.reached(world.write(A, vec![paid(&bad, "4", "card"), paid(&good, "3", "card")]).await).await;
        assert_eq!((node.payments(&bad).await, node.payments(&good).await), (Some(1), Some(3)));
        let parked = node.parked().await;
        assert_eq!((parked.len(), parked[0].events), (1, 3));
        assert_rebuilt_is_equal(&place, &world, samples).await;

        samples.cured.store(true, Ordering::SeqCst);
        let outcome = node.decide(&parked[0], Action::Retry).await;
        assert!(outcome.contains("3 events applied"), "{outcome}");
        assert!(node.parked().await.is_empty());
        node.reached(world.write(A, vec![paid(&bad, "5", "card")]).await).await;
        assert_eq!(node.payments(&bad).await, Some(5), "{}", place.name());
        node.end().await;
        assert_rebuilt_is_equal(&place, &world, samples).await;
    }
}

#[tokio::test]
async fn what_is_skipped_stays_skipped() {
    for place in both().await {
        let (mut world, samples) = (World::new().await, Samples::leak());
        let bad = store_in(A, "bad");
        let node = Node::start(place.store().await, &world, samples);
        world.write(A, vec![created(&bad, "bad"), paid(&bad, "1", "poison"), paid(&bad, "2", "card")]).await;
        let end = world.write(A, vec![paid(&bad, "3", "poison"), paid(&bad, "4", "card")]).await;
        node.reached(end).await;
        for waiting in [4, 2] {
            let parked = node.parked().await;
            assert_eq!(parked[0].events, waiting);
            assert_eq!(node.decide(&parked[0], Action::Skip).await, "skipped");
        }
        until("nothing waits", || node.parked(), Vec::is_empty).await;
        assert_eq!(node.payments(&bad).await, Some(2), "{}", place.name());
        node.end().await;
        assert_rebuilt_is_equal(&place, &world, samples).await;

        // A rebuild honours it, although it could apply them now.
        samples.cured.store(true, Ordering::SeqCst);
        replay(&place, &world, samples, true).await;
        let node = Node::start(place.store().await, &world, samples);
        node.reached(end).await;
        assert_eq!(node.payments(&bad).await, Some(2));
        node.end().await;
    }
}

async fn replay(place: &Place, world: &World, samples: &'static Samples, verify: bool) {
    let work = Replay {
        store: place.store().await,
        journal: world.journal.clone(),
        clock: Arc::new(SystemClock),
        stop: CancellationToken::new(),
        pace: Pace::default(),
    };
    let making = work.begin(&[samples], Purpose::Serve).await.expect("nobody else rebuilds");
    let mut making = work.build(making, verify, |_| {}).await.expect("built");
    if verify {
        let found = work.verify(&mut making, |_, difference| panic!("{difference}")).await.expect("compared");
        assert_eq!(found.iter().map(|(_, compared)| compared.differences).sum::<u64>(), 0);
    }
    work.switch(making).await.expect("switched");
}

/// Somebody polls the list through many switches under load: it never shrinks, and never goes back.
#[tokio::test]
async fn readers_never_see_less_while_it_is_rebuilt() {
    for place in both().await {
        let (mut world, samples) = (World::new().await, Samples::leak());
        let stores: Vec<StoreId> = (0..PARTITIONS).map(|p| store_in(Partition(p), "s")).collect();
        let node = Node::start(place.store().await, &world, samples);
        for (p, store) in (0..PARTITIONS).zip(&stores) {
            let facts: Vec<_> = (0..200).map(|n| paid(store, &n.to_string(), "card")).collect();
            node.reached(world.write(Partition(p), facts).await).await;
        }
        let reads = node.runner.reads();
        let stop = CancellationToken::new();
        let reader = {
            let stop = stop.clone();
            tokio::spawn(async move {
                let (mut seen, mut builds, mut looks) = (0, std::collections::BTreeSet::new(), 0_u64);
                while !stop.is_cancelled() {
                    let build = reads.of("samples").expect("always there");
                    let sql = "SELECT CAST(SUM(payments) AS BIGINT) FROM @.samples";
                    let found = build.query(sql, &[]).await.expect("always readable");
                    let onsale::projections::table::Value::Int(sum) = found[0][0] else { panic!("empty: {found:?}") };
                    assert!(sum >= seen, "went back from {seen} to {sum}");
                    (seen, looks) = (sum, looks + 1);
                    builds.insert(build.id());
                }
                (seen, builds.len(), looks)
            })
        };
        let (mut last, mut written) = (None, i64::from(PARTITIONS) * 200);
        for round in 0..4 {
            let (journal, place_store) = (world.journal.clone(), place.store().await);
            let work = Replay {
                store: place_store,
                journal,
                clock: Arc::new(SystemClock),
                stop: CancellationToken::new(),
                pace: Pace::default(),
            };
            let rebuild = tokio::spawn(async move {
                let making = work.begin(&[samples], Purpose::Serve).await.expect("nobody else rebuilds");
                let making = work.build(making, false, |_| {}).await.expect("built");
                work.switch(making).await.expect("switched");
            });
            let mut n = 0;
            while !rebuild.is_finished() || n < 50 {
                let p = n % PARTITIONS;
                last = Some(
                    world
                        .write(Partition(p), vec![paid(&stores[usize::from(p)], &format!("{round}-{n}"), "card")])
                        .await,
                );
                (n, written) = (n + 1, written + 1);
                tokio::task::yield_now().await;
            }
            rebuild.await.expect("no panic");
        }
        let active = || async {
            let store = node.runner.store();
            let known = store.registered().await.expect("a list");
            let shown = node.runner.reads().of("samples").expect("there").id();
            known.first().is_some_and(|known| known.active == shown)
        };
        until("readers are on the last build", active, |there| *there).await;
        node.reached(last.expect("written")).await;
        until("the reader saw everything", || async { node_sum(&node).await }, |sum| *sum == written).await;
        stop.cancel();
        let (_, builds, looks) = reader.await.expect("no panic");
        assert!(builds >= 2 && looks > 10, "{}: {builds} builds in {looks} looks", place.name());
        node.end().await;
        assert_rebuilt_is_equal(&place, &world, samples).await;
    }
}

async fn node_sum(node: &Node) -> i64 {
    let build = node.runner.reads().of("samples").expect("there");
    let found = build.query("SELECT CAST(SUM(payments) AS BIGINT) FROM @.samples", &[]).await.expect("readable");
    match found[0][0] {
        onsale::projections::table::Value::Int(sum) => sum,
        _ => 0,
    }
}

/// A row that was lost from the log: its partition stands still and is told, the others go on.
#[tokio::test]
async fn a_gap_is_an_alarm_and_not_a_skip() {
    for place in both().await {
        let (good, bad) = (store_in(A, "good"), store_in(B, "bad"));
        let mut rows: Vec<Record> = Vec::new();
        let mut at_a = Builder::new(A);
        let mut at_b = Builder::new(B);
        for n in 0..10 {
            rows.extend(at_a.records(vec![paid(&good, &n.to_string(), "card")]));
            rows.extend(at_b.records(vec![paid(&bad, &n.to_string(), "card")]));
        }
        rows.retain(|record| (record.partition, record.position) != (B, Position(6)));
        let journal: SharedJournal = Arc::new(MemoryJournal::found(PARTITIONS, Arc::new(SystemClock), rows));
        let mut heads = vec![Position(0); usize::from(PARTITIONS)];
        (heads[1], heads[2]) = (Position(10), Position(10));
        let follow = Follow::new(journal.clone(), &heads);
        let samples = Samples::leak();
        let node = Node::with(place.store().await, journal, follow, samples);
        let gap = || async { node.runner.statuses()[0].1.gaps.clone() };
        until("the alarm", gap, |gaps| gaps.get(&B) == Some(&Position(6))).await;
        node.reached(LogPosition { partition: A, position: Position(10) }).await;
        assert_eq!(node.payments(&good).await, Some(10), "{}", place.name());
        let beyond = node.runner.reads();
        let over = tokio::time::timeout(
            std::time::Duration::from_millis(200),
            beyond.reached("samples", LogPosition { partition: B, position: Position(6) }),
        );
        assert!(over.await.is_err(), "nobody goes over the gap");
        assert_ne!(node.runner.statuses()[0].1.state, State::Stopped);
        node.end().await;
    }
}

#[tokio::test]
async fn two_runners_do_not_count_twice() {
    for place in both().await {
        let (mut world, samples) = (World::new().await, Samples::leak());
        let store = store_in(A, "s");
        let one = Node::start(place.store().await, &world, samples);
        one.reached(world.write(A, vec![created(&store, "s")]).await).await;
        let two = Node::start(place.store().await, &world, samples);
        let mut last = None;
        for n in 0..200 {
            last = Some(world.write(A, vec![paid(&store, &n.to_string(), "card")]).await);
            tokio::task::yield_now().await;
        }
        let sum = || async { two.payments(&store).await };
        two.reached(last.expect("written")).await;
        until("all of it", sum, |sum| *sum == Some(200)).await;
        one.end().await;
        two.end().await;
        assert_rebuilt_is_equal(&place, &world, samples).await;
    }
}
