//! Rebuilds one at a time, interrupted ones, and the past.

use std::sync::Arc;

use onsale::clock::SystemClock;
use onsale::ids::{LogPosition, Position, StoreId};
use onsale::projections::rebuild::Pace;
use onsale::projections::replay::{Replay, Until};
use onsale::projections::store::{Purpose, Store};
use onsale::timestamp::Timestamp;
use tokio_util::sync::CancellationToken;

use super::both;
use super::runner::{A, B, Node, World};
use super::sample::{Samples, paid, store_in};
use super::wait::until;

#[tokio::test]
async fn the_past_is_shown_up_to_a_moment_or_a_position() {
    for place in both().await {
        let (mut world, samples) = (World::new().await, Samples::leak());
        let (a, b) = (store_in(A, "a"), store_in(B, "b"));
        let mut places = Vec::new();
        for n in 0..20 {
            let (partition, store) = if n % 2 == 0 { (A, &a) } else { (B, &b) };
            let before = world.builders[usize::from(partition.0)].at;
            places.push(
                world.write(partition, vec![paid(store, &n.to_string(), "card"), paid(store, "x", "card")]).await,
            );
            assert!(world.builders[usize::from(partition.0)].at >= before);
        }
        let work = Replay {
            store: place.store().await,
            journal: world.journal.clone(),
            clock: Arc::new(SystemClock),
            stop: CancellationToken::new(),
            pace: Pace::default(),
        };
        let moment = |position: LogPosition| {
            let journal = world.journal.clone();
            async move {
                let before = Position(position.position.0 - 1);
                journal.read_partition(position.partition, before, 1).await.expect("a log")[0].at
            }
        };
        let early = Timestamp(moment(places[0]).await.0 - 1);
        for (until, expected) in [
            (Until::Time(early), (0, 0)),
            (Until::Time(moment(places[19]).await), (20, 20)),
            // In the middle of a unit: the whole unit.
            (Until::Position(LogPosition { partition: A, position: Position(3) }), (4, -1)),
        ] {
            let making = work.begin(&[samples], Purpose::Past).await.expect("nobody else rebuilds");
            let shown = work.past(making, until, |_| {}).await.expect("the past");
            assert!(shown[0].1.contains("past_samples"), "{shown:?}");
            let build = place.past(&shown[0].1).await;
            let sum = |of: &StoreId| build.get(of.as_str()).copied().unwrap_or(0);
            assert_eq!(sum(&a), expected.0, "{} {until:?}", place.name());
            assert!(expected.1 < 0 || sum(&b) == expected.1, "{} {until:?}", place.name());
        }
        let making = work.begin(&[samples], Purpose::Past).await.expect("nobody else rebuilds");
        let nowhere = Until::Position(LogPosition { partition: A, position: Position(999) });
        assert!(work.past(making, nowhere, |_| {}).await.is_err());
        assert!(place.store().await.registered().await.expect("a list").is_empty(), "nothing was switched");
    }
}

#[tokio::test]
async fn one_rebuild_of_a_projection_at_a_time_and_an_interrupted_one_leaves_nothing() {
    for place in both().await {
        let (mut world, samples) = (World::new().await, Samples::leak());
        let store = store_in(A, "s");
        for n in 0..50 {
            world.write(A, vec![paid(&store, &n.to_string(), "card")]).await;
        }
        let replay_of = |stop: CancellationToken, store: Arc<dyn Store>| Replay {
            store,
            journal: world.journal.clone(),
            clock: Arc::new(SystemClock),
            stop,
            pace: Pace::default(),
        };
        let first = replay_of(CancellationToken::new(), place.store().await);
        let held = first.begin(&[samples], Purpose::Serve).await.expect("free");
        let second = replay_of(CancellationToken::new(), place.store().await);
        let refused = second.begin(&[samples], Purpose::Serve).await.err().map(|e| e.to_string());
        assert_eq!(refused.as_deref(), Some("another rebuild of samples is running"));
        drop(held);

        let stopped = CancellationToken::new();
        let interrupted = replay_of(stopped.clone(), place.store().await);
        let begin = || async { interrupted.begin(&[samples], Purpose::Serve).await.ok() };
        let making = until("the lock is free", || async { begin().await.is_some() }, |free| *free).await;
        assert!(making);
        let making = until_begun(&interrupted, samples).await;
        stopped.cancel();
        let ended = interrupted.build(making, false, |_| {}).await.err().map(|e| e.to_string());
        assert_eq!(ended.as_deref(), Some("interrupted; it is safe to start again"));
        assert!(place.store().await.registered().await.expect("a list").is_empty());
        until("a rebuild goes through", || async { second.begin(&[samples], Purpose::Serve).await.is_ok() }, |ok| *ok)
            .await;
        let node = Node::start(place.store().await, &world, samples);
        node.reached(LogPosition { partition: A, position: Position(50) }).await;
        assert_eq!(node.payments(&store).await, Some(50));
        node.end().await;
    }
}

async fn until_begun(work: &Replay, samples: &'static Samples) -> onsale::projections::replay::Making {
    for _ in 0..1_000 {
        match work.begin(&[samples], Purpose::Serve).await {
            Ok(making) => return making,
            Err(_) => tokio::task::yield_now().await,
        }
    }
    panic!("the lock was never free")
}
