//! What does a store's display get when it comes back, and how many places has a node?

use std::collections::BTreeSet;
use std::time::Duration;

use super::facts::*;
use super::seen::*;
use super::world::*;
use crate::events::Event;
use crate::ids::StreamId;
use crate::limits;
use crate::live::hub::{Bound, Resume, Visitor, WatchError};

/// A fact that a display missed.
#[derive(Clone, Copy, Debug)]
enum Missed {
    Payment(u64),
    Cancellation(u64),
}

impl Missed {
    fn fact(self) -> (StreamId, Event) {
        match self {
            Self::Payment(number) => payment(number),
            Self::Cancellation(number) => cancellation(number),
        }
    }
}

#[tokio::test]
async fn a_node_has_so_many_places_and_says_when_to_ask_again() {
    let world = World::new().await;
    let nobody = Visitor::default();
    let mut taken: Vec<_> = (0..limits::WATCHERS).map(|_| world.hub.seat(&nobody).expect("a place")).collect();
    assert_eq!(world.hub.watchers(), limits::WATCHERS);
    let mut told = BTreeSet::new();
    for _ in 0..100 {
        let refused = world.hub.seat(&nobody).map(drop).expect_err("no place");
        let WatchError::NoPlace { bound: Bound::Node, retry_after } = refused else { panic!("{refused}") };
        assert!((limits::PLACE_RETRY_MIN..=limits::PLACE_RETRY_MAX).contains(&retry_after));
        told.insert(retry_after);
    }
    assert!(told.len() > 5, "a crowd is spread: {told:?}");
    taken.pop();
    assert!(world.hub.seat(&nobody).is_ok());
}

/// Payments and cancellations missed, the age of the latest, and what is told of it: its amount, and `skipped`.
type Row = (&'static str, &'static [Missed], Duration, Option<(u64, u64)>);

/// What a display is given when it comes back: by the age of the latest payment, and by how many it has missed.
#[tokio::test]
async fn a_display_is_shown_the_latest_only_while_it_is_fresh() {
    let window = Duration::from_secs(7);
    let moment = Duration::from_millis(1);
    let table: [Row; 8] = [
        ("none missed", &[], Duration::ZERO, None),
        ("one", &[Missed::Payment(2)], Duration::ZERO, Some((1_002, 0))),
        ("one, to the millisecond", &[Missed::Payment(2)], window, Some((1_002, 0))),
        ("one, a millisecond too old", &[Missed::Payment(2)], window + moment, None),
        ("several", &[Missed::Payment(2), Missed::Payment(3), Missed::Payment(4)], window, Some((1_004, 2))),
        ("a cancellation", &[Missed::Cancellation(1)], window, Some((10, 0))),
        ("a cancellation after a payment", &[Missed::Payment(2), Missed::Cancellation(2)], moment, Some((20, 1))),
        ("several, too old", &[Missed::Payment(2), Missed::Cancellation(2)], window + moment, None),
    ];
    for (name, missed, age, expected) in table {
        for restarted in [false, true] {
            let mut world = World::new().await;
            world.options.store_resume = window;
            world.restart();
            let seen = world.commit(vec![payment(1)]).await;
            let mut last = seen;
            for fact in missed {
                // Only the latest one's age counts.
                world.clock.advance(window);
                last = world.commit(vec![fact.fact()]).await;
            }
            world.clock.advance(age);
            if restarted {
                world.restart();
            }
            let mut watch = world.open(store_topic(), Resume::LatestAfter(at(seen))).await;
            let told = watch.drain_now().await;
            match expected {
                Some((amount, skipped)) => {
                    assert_eq!(told.len(), 1, "{name}");
                    let frame = read(&told[0]);
                    assert_eq!((number(&frame), frame.data["amount"].as_u64()), (last, Some(amount)), "{name}");
                    assert_eq!(frame.data["skipped"].as_u64(), Some(skipped), "{name}");
                }
                // Nothing to see, but the place to come back to moves on.
                None if missed.is_empty() => assert_eq!(told.len(), 0, "{name}"),
                None => assert_eq!(told, [format!("id: 0:{last}\n\n")], "{name}"),
            }
            // Whatever was missed, the next one comes, once; and `all` gives everything, however old.
            world.commit(vec![payment(9)]).await;
            let next = watch.drain().await;
            assert_eq!((next.len(), next[0].data["amount"].as_u64()), (1, Some(1_009)), "{name}");
            assert_eq!(next[0].data["prev"], format!("0:{last}"), "{name}");
            let all = world.open(store_topic(), Resume::AllAfter(at(seen))).await.drain().await;
            assert_eq!(all.len(), missed.len() + 1, "{name}");
        }
    }
}

#[tokio::test]
async fn all_has_no_end() {
    let mut world = World::new().await;
    let first = world.commit(vec![payment(1)]).await;
    let count = limits::RESUME_FRAMES as u64 + 50;
    for number in 0..count {
        world.commit(vec![payment(number)]).await;
    }
    world.clock.advance(Duration::from_secs(86_400));
    world.restart();
    let all = world.open(store_topic(), Resume::AllAfter(at(first))).await.drain().await;
    assert_eq!(all.len() as u64, count);
    assert_chain(&all);
}
