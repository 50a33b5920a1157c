//! Does each kind of stream say what the contract says, and do topics leave when nobody needs them?

use std::time::Duration;

use serde_json::Value;

use super::facts::*;
use super::seen::*;
use super::world::*;
use crate::events::{Event, coupon};
use crate::ids::{AccountId, CouponId, Hash16, OrderId, PerformanceId, SeatId, StreamId, TaskId, Version};
use crate::limits;
use crate::live::frame;
use crate::live::hub::{Heartbeat, Resume, WatchError};
use crate::live::topics::{SeatStatus, Topic};

#[tokio::test]
async fn one_act_is_one_frame() {
    let mut world = World::new().await;
    let mut watch = world.open(seats_topic(), Resume::Fresh).await;
    let performance = performance_id();
    let end = world.commit(vec![placed(), held(&performance, 1), held(&performance, 2)]).await;
    let mixed = world.commit(vec![released(1), blocked(2), blocked(3)]).await;
    let seen = watch.drain().await;
    assert_eq!(seen.len(), 4, "{seen:#?}");
    assert_eq!((seen[0].event.as_str(), seen[0].id.as_deref()), ("snapshot", Some("0:0")));
    assert_eq!((seen[1].event.as_str(), number(&seen[1])), ("seat.held", end));
    assert_eq!(seen[1].data["seats"], serde_json::json!(["A-1-1", "A-1-2"]));
    assert_eq!((seen[2].event.as_str(), seen[2].data["status"].as_str()), ("seat.released", Some("available")));
    assert_eq!((seen[3].event.as_str(), number(&seen[3])), ("seat.blocked", mixed));
    assert!(number(&seen[2]) < mixed, "no id comes twice");
    assert_chain(&seen);
    let map = world.hub.seat_map(&performance).await.expect("a map");
    assert_eq!((map.position, map.taken.get(&SeatId::new("A-1-2"))), (at(mixed), Some(&SeatStatus::Blocked)));
}

#[tokio::test]
async fn a_counter_gets_the_latest_payment_or_all() {
    let mut world = World::new().await;
    let mut fresh = world.open(store_topic(), Resume::Fresh).await;
    assert_eq!(fresh.next().await, Some(frame::moved_on(at(0))), "a place to come back to, before the first frame");
    let first = world.commit(vec![payment(1)]).await;
    for number in 2..=5 {
        world.commit(vec![payment(number)]).await;
    }
    assert_eq!(fresh.drain().await.len(), 5, "no snapshot, then what comes");
    let cut = world.open(store_topic(), Resume::AllAfter(at(0))).await.drain().await;
    assert_eq!(cut.len(), 5, "who was cut before it had any missed none");
    for restarted in [false, true] {
        if restarted {
            world.restart();
        }
        let seen = world.open(store_topic(), Resume::LatestAfter(at(first))).await.drain().await;
        assert_eq!(seen.len(), 1);
        assert_eq!((seen[0].data["skipped"].as_u64(), seen[0].data["amount"].as_u64()), (Some(3), Some(1_005)));
        assert_eq!(seen[0].data["payment_id"], "pay-5\n\nevent: reset");
        let seen = world.open(store_topic(), Resume::AllAfter(at(first))).await.drain().await;
        assert_eq!(seen.len(), 4);
        assert!(seen[0].data.get("skipped").is_none());
    }
    world.clock.advance(limits::STORE_RESUME_WINDOW + Duration::from_millis(1));
    let mut late = world.open(store_topic(), Resume::LatestAfter(at(first))).await;
    world.commit(vec![payment(6)]).await;
    let seen = late.drain().await;
    assert_eq!((seen.len(), seen[0].data["amount"].as_u64()), (1, Some(1_006)), "too old, so straight to what comes");
}

#[tokio::test]
async fn a_coupon_task_has_one_frame_for_ever() {
    let mut world = World::new().await;
    let coupon = CouponId::derive(&Hash16::of("coupon", &[]));
    let task = TaskId::derive(&coupon, &Hash16::of("task", &[]));
    let topic = Topic::CouponTask(task.clone());
    assert_eq!(world.watch(topic.clone(), Resume::Fresh).await.err(), Some(WatchError::NotFound));
    let issue = |task: &TaskId, serial| {
        let issued = coupon::Issued { account_id: AccountId::new("m"), serial, task_id: task.clone() };
        (StreamId::coupon(&coupon), Event::Coupon(issued.into()))
    };
    let other = TaskId::derive(&coupon, &Hash16::of("other", &[]));
    let before = world.commit(vec![issue(&other, 1)]).await;
    let end = world.commit(vec![issue(&task, 2)]).await;
    world.tasks.0.lock().insert(task.clone(), Version(2));
    for resume in [Resume::Fresh, Resume::After(at(before))] {
        let seen = world.open(topic.clone(), resume).await.drain().await;
        assert_eq!((seen.len(), seen[0].event.as_str(), number(&seen[0])), (1, "result", end));
        assert_eq!((seen[0].data["serial"].as_u64(), seen[0].data["status"].as_str()), (Some(2), Some("issued")));
    }
    let seen = world.open(topic.clone(), Resume::After(at(end + 9))).await.drain().await;
    assert_eq!((seen[0].event.as_str(), seen[1].event.as_str()), ("reset", "result"));
    assert_eq!(world.watch(topic, Resume::After(at(end))).await.err(), Some(WatchError::Over));
    // Somebody else's result is no answer.
    world.tasks.0.lock().insert(task.clone(), Version(1));
    assert_eq!(world.hub.coupon_task(&task).await, Ok(None));
}

#[tokio::test]
async fn an_order_is_the_same_in_frames_and_answers() {
    let mut world = World::new().await;
    let topic = Topic::Order(order_id());
    assert_eq!(world.watch(topic.clone(), Resume::Fresh).await.err(), Some(WatchError::NotFound));
    // Its last record is not the unit's last.
    let end = world.commit(vec![placed(), held(&performance_id(), 1)]).await;
    let mut watch = world.open(topic.clone(), Resume::Fresh).await;
    let answer = world.hub.order(&order_id()).await.expect("no fault").expect("an order");
    let gone = world.commit(vec![order_expired(), released(1)]).await;
    let mut seen = watch.drain().await;
    assert_chain(&seen);
    assert_eq!((seen.len(), number(&seen[0]), number(&seen[1])), (2, end, gone));
    assert_eq!(seen[1].data["status"], "expired");
    let prev = seen[0].data.as_object_mut().and_then(|data| data.remove("prev"));
    assert_eq!(prev, Some(Value::from("0:0")));
    assert_eq!(seen[0].data, serde_json::to_value(&answer).expect("JSON"));
    let expected = serde_json::json!({
        "order_id": order_id(), "performance_id": "pf_a", "status": "awaiting_payment",
        "seats": [{ "seat_id": "A-1-1", "price": 50_000 }], "subtotal": 50_000, "discount": 0, "amount": 50_000,
        "currency": "KRW", "coupon_task_id": null, "reference": "r\n1", "placed_at": START,
        "hold_expires_at": START.plus(Duration::from_secs(180)), "attempts_left": 3, "checkout": null, "refunded": 0, "tickets": [],
        "at": START, "position": format!("0:{end}"),
    });
    assert_eq!(seen[0].data, expected);
    let then = world.hub.order_at(&order_id(), Version(1)).await.expect("no fault");
    assert_eq!(then, Some(answer));
    assert_eq!(world.hub.order(&OrderId::new("junk")).await, Ok(None));
}

#[tokio::test]
async fn topics_leave_when_nobody_needs_them() {
    let mut world = World::new().await;
    world.commit(vec![placed()]).await;
    assert_eq!(world.hub.topics(), 0);
    let seats = world.open(seats_topic(), Resume::Fresh).await;
    let again = world.open(seats_topic(), Resume::Fresh).await;
    let order = world.open(Topic::Order(order_id()), Resume::Fresh).await;
    assert_eq!(world.hub.topics(), 2);
    drop((order, again));
    assert_eq!(world.hub.topics(), 1);
    world.clock.advance(limits::TOPIC_LINGER);
    assert!(!world.hub.inner.retire(P));
    assert_eq!(world.hub.topics(), 1, "it is watched");
    drop(seats);
    world.hub.seat_map(&performance_id()).await.expect("a map");
    assert_eq!(world.hub.topics(), 1, "a seat map stays for a moment");
    world.clock.advance(limits::TOPIC_LINGER / 2);
    assert!(!world.hub.inner.retire(P), "not yet");
    world.clock.advance(limits::TOPIC_LINGER / 2);
    assert!(world.hub.inner.retire(P), "nothing is left to keep up to date");
    assert_eq!(world.hub.topics(), 0);
    let nothing = world.hub.seat_map(&PerformanceId::new("pf_none")).await.expect("a map");
    assert_eq!((nothing.position, nothing.taken.len(), world.hub.topics()), (at(0), 0, 0));
    assert_eq!(
        world.watch(Topic::Seats(PerformanceId::new("pf_none")), Resume::Fresh).await.err(),
        Some(WatchError::NotFound)
    );
}

#[tokio::test]
async fn heartbeats_come_and_a_stop_ends_all() {
    let world = World::new().await;
    let mut comment = world.open(store_topic(), Resume::Fresh).await;
    let mut event = world.hub.watch(store_topic(), Resume::Fresh, Heartbeat::Event).await.expect("a stream");
    event.next().await.expect("retry");
    for watch in [&mut comment, &mut event] {
        watch.next().await.expect("a place to come back to");
    }
    comment.beat_now();
    event.beat_now();
    assert_eq!(comment.next().await, Some(frame::HEARTBEAT_COMMENT));
    assert_eq!(event.next().await, Some(frame::HEARTBEAT_EVENT));
    world.hub.shutdown();
    assert_eq!((comment.next().await, event.next().await), (None, None));
    assert!(matches!(world.watch(store_topic(), Resume::Fresh).await.err(), Some(WatchError::Failed(_))));
}
