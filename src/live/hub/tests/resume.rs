//! Does a watcher who starts, comes back or falls behind miss nothing and get nothing twice?

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::Value;

use super::facts::*;
use super::seen::*;
use super::world::*;
use crate::events::Event;
use crate::fault::Fault;
use crate::ids::{LogPosition, Partition, PerformanceId, Position, StreamId, Version};
use crate::journal::follow::Follow;
use crate::limits;
use crate::live::hub::{Heartbeat, Resume, WatchError};
use crate::live::topics::Topic;

#[derive(Clone, Debug)]
enum Act {
    Hold(u64, u64),
    Release(u64, u64),
    Block(u64),
    /// An order with its seats: the topic's records are not the unit's last ones.
    Order(u64),
    Elsewhere,
    Pay,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        (0..20_u64, 1..4_u64).prop_map(|(first, count)| Act::Hold(first, count)),
        (0..20_u64, 1..4_u64).prop_map(|(first, count)| Act::Release(first, count)),
        (0..20_u64).prop_map(Act::Block),
        (0..20_u64).prop_map(Act::Order),
        Just(Act::Elsewhere),
        Just(Act::Pay),
    ]
}

fn facts(act: &Act, number: u64) -> Vec<(StreamId, Event)> {
    let performance = performance_id();
    match act {
        Act::Hold(first, count) => (*first..first + count).map(|n| held(&performance, n)).collect(),
        Act::Release(first, count) => (*first..first + count).map(released).collect(),
        Act::Block(n) => vec![blocked(*n)],
        Act::Order(n) => vec![held(&performance, *n), if number == 0 { placed() } else { order_expired() }],
        Act::Elsewhere => vec![held(&PerformanceId::new("pf_ab"), number)],
        Act::Pay => vec![payment(number)],
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Frames before a cut and frames after a resume are all frames, wherever the cut is, and whether the node has them
    /// at hand or must make them again.
    #[test]
    fn a_resume_gives_exactly_the_rest(acts in proptest::collection::vec(act(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let mut world = World::new().await;
            let mut units = Vec::new();
            world.commit(vec![placed()]).await;
            let topics = [seats_topic(), store_topic(), Topic::Order(order_id())];
            let mut watches = Vec::new();
            for topic in &topics {
                watches.push(world.open(topic.clone(), Resume::Fresh).await);
            }
            for (number, act) in acts.iter().enumerate() {
                units.push(world.commit(facts(act, number as u64 + 1)).await);
            }
            for (topic, mut watch) in topics.iter().zip(watches) {
                let mut all = watch.drain().await;
                drop(watch);
                if !matches!(topic, Topic::Store(_)) {
                    all.remove(0);
                }
                assert_chain(&all);
                for restarted in [false, true] {
                    for cut in &units {
                        if restarted {
                            world.restart();
                        }
                        let expected: Vec<Seen> = all.iter().filter(|seen| number(seen) > *cut).cloned().collect();
                        let ways: &[Resume] = if matches!(topic, Topic::Store(_)) {
                            &[Resume::After(at(*cut)), Resume::AllAfter(at(*cut))]
                        } else {
                            &[Resume::After(at(*cut))]
                        };
                        for way in ways {
                            let got = world.open(topic.clone(), *way).await.drain().await;
                            assert_eq!(got, expected, "{topic:?} {way:?} restarted {restarted} {acts:?}");
                        }
                    }
                }
            }
        });
    }
}

/// Seats by status, folded by a client from what it was sent.
fn draw(seen: &[Seen]) -> BTreeMap<String, String> {
    let mut map = BTreeMap::new();
    for frame in seen {
        let status = frame.data["status"].as_str().map(str::to_owned);
        for seat in frame.data["seats"].as_array().into_iter().flatten() {
            if frame.event == "snapshot" {
                map.insert(text(&seat["seat_id"]), text(&seat["status"]));
            } else if status.as_deref() == Some("available") {
                map.remove(&text(seat));
            } else {
                map.insert(text(seat), status.clone().expect("a status"));
            }
        }
    }
    map
}

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

#[tokio::test]
async fn snapshot_and_frames_join_while_the_log_goes_on() {
    let mut world = World::with(|journal| journal.with_mischief(Arc::new(SlowLoads))).await;
    let mut watches = Vec::new();
    for round in 0..60_u64 {
        let hub = world.hub.clone();
        // Opened now, but loading takes its time while commits go on.
        watches.push(tokio::spawn(async move {
            hub.watch(seats_topic(), Resume::Fresh, Heartbeat::Comment).await.expect("a stream")
        }));
        let performance = performance_id();
        world.commit(vec![held(&performance, round), held(&performance, round + 1)]).await;
        world.commit(if round % 3 == 0 { vec![released(round)] } else { vec![blocked(round + 2)] }).await;
        // As long as one reading takes, of which a loading needs several.
        world.journal.read_stream(&StreamId::order(&order_id()), Version(0), 1).await.expect("no fault");
    }
    let truth = world.hub.seat_map(&performance_id()).await.expect("a map");
    let truth: BTreeMap<String, String> =
        truth.taken.iter().map(|(seat, status)| (seat.to_string(), status.as_str().to_owned())).collect();
    let mut late = 0;
    for watch in watches {
        let seen = watch.await.expect("no panic").drain().await;
        assert_eq!(seen[0].event, "snapshot");
        assert_chain(&seen);
        assert_eq!(draw(&seen), truth);
        late += usize::from(seen.len() > 1);
    }
    assert!(late > 30, "most watchers came while it went on, but only {late} saw a change");
}

#[tokio::test]
async fn a_slow_watcher_starts_over_and_delays_nobody() {
    let mut world = World::new().await;
    let mut slow = world.open(seats_topic(), Resume::Fresh).await;
    let mut fast = world.open(seats_topic(), Resume::Fresh).await;
    assert_eq!(read(fast.next().await.expect("a snapshot")).event, "snapshot");
    let count = limits::WATCHER_QUEUE as u64 + 50;
    for number in 0..count {
        let end = world.commit(vec![held(&performance_id(), number)]).await;
        let seen = read(fast.next().await.expect("a frame"));
        assert_eq!((seen.event.as_str(), self::number(&seen)), ("seat.held", end));
    }
    let seen = slow.drain().await;
    let events: Vec<&str> = seen.iter().take(3).map(|frame| frame.event.as_str()).collect();
    assert_eq!(events, ["snapshot", "reset", "snapshot"]);
    assert_eq!(seen[1].id, None, "whoever is cut here must not come back with an id");
    assert_eq!(draw(&seen[2..]).len() as u64, count);
}

#[tokio::test]
async fn ids_that_nobody_was_told_start_over() {
    let mut world = World::new().await;
    world.commit(vec![held(&performance_id(), 1), held(&performance_id(), 2)]).await;
    let head = world.commit(vec![payment(1)]).await;
    let foreign = LogPosition { partition: Partition(1), position: Position(1) };
    // The third is in the middle of a unit.
    for id in [at(head + 1), foreign, at(head - 2), at(u64::MAX)] {
        let seen = world.open(seats_topic(), Resume::After(id)).await.drain().await;
        let events: Vec<&str> = seen.iter().map(|frame| frame.event.as_str()).collect();
        assert_eq!(events, ["reset", "snapshot"], "{id}");
        world.restart();
    }
    for resume in [Resume::LatestAfter(foreign), Resume::AllAfter(at(head + 1)), Resume::After(foreign)] {
        let mut watch = world.open(store_topic(), resume).await;
        let seen = watch.drain().await;
        assert_eq!((seen.len(), seen[0].event.as_str(), seen[0].id.clone()), (1, "reset", Some(format!("0:{head}"))));
    }
}

#[tokio::test]
async fn a_node_that_is_behind_throws_nobody_back() {
    let mut world = World::new().await;
    let shown_here = world.commit(vec![held(&performance_id(), 1)]).await;
    // Another node has taken over, and this one does not hear of what that writes.
    let follow = std::mem::replace(&mut world.follow, Follow::new(world.journal.clone(), &[Position(0)]));
    let shown_there = world.commit(vec![held(&performance_id(), 2)]).await;
    for topic in [seats_topic(), store_topic()] {
        let refused = world.watch(topic.clone(), Resume::AllAfter(at(shown_there))).await.err();
        assert!(matches!(refused, Some(WatchError::Failed(Fault::Unavailable { .. }))), "{topic:?}: {refused:?}");
    }
    assert!(world.watch(seats_topic(), Resume::After(at(shown_here))).await.is_ok(), "it knows that");
    follow.head_is(P, Position(shown_there));
    assert!(world.watch(seats_topic(), Resume::After(at(shown_there))).await.is_ok(), "now it has heard of it");
}

#[tokio::test]
async fn what_is_too_old_starts_over() {
    let mut world = World::new().await;
    let before = world.builder.head.0;
    let count = limits::RESUME_FRAMES as u64 + 1;
    for number in 0..count {
        let fact = if number % 2 == 0 { held(&performance_id(), 1) } else { released(1) };
        world.commit(vec![fact]).await;
    }
    let seen = world.open(seats_topic(), Resume::After(at(before))).await.drain().await;
    assert_eq!((seen.len(), seen[0].event.as_str(), seen[1].event.as_str()), (2, "reset", "snapshot"));
    let seen = world.open(seats_topic(), Resume::After(at(before + 1))).await.drain().await;
    assert_eq!(seen.len(), limits::RESUME_FRAMES, "just within what is kept");
    assert_chain(&seen);
}
