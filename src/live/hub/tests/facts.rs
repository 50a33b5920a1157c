//! What can happen in the tests' log? One performance, one order, one store.

use std::time::Duration;

use super::world::{P, START};
use crate::events::{Event, order as order_events, performance, seat, store};
use crate::ids::{AccountId, Hash16, OrderId, PaymentId, PerformanceId, SeatId, StoreId, StreamId};
use crate::live::topics::Topic;
use crate::money::{Amount, Currency};

pub fn performance_id() -> PerformanceId {
    PerformanceId::new("pf_a")
}

pub fn order_id() -> OrderId {
    OrderId::derive(P, &Hash16::of("order", &[]))
}

pub fn seats_topic() -> Topic {
    Topic::Seats(performance_id())
}

pub fn store_topic() -> Topic {
    Topic::Store(StoreId::new("st_a"))
}

pub fn scheduled() -> (StreamId, Event) {
    let event = performance::PerformanceEvent::Paused(performance::Paused { body: Hash16::default() });
    (StreamId::performance(&performance_id()), event.into())
}

pub fn store_created() -> (StreamId, Event) {
    let created = store::Created {
        store_id: StoreId::new("st_a"),
        owner: AccountId::new("owner"),
        name: "counter".to_owned(),
        body: Hash16::default(),
    };
    (StreamId::store(&StoreId::new("st_a")), Event::Store(created.into()))
}

pub fn held(performance: &PerformanceId, number: u64) -> (StreamId, Event) {
    let event = seat::Held { order_id: order_id() };
    (StreamId::seat(performance, &SeatId::new(format!("A-1-{number}"))), Event::Seat(event.into()))
}

pub fn released(number: u64) -> (StreamId, Event) {
    let event = seat::Released { order_id: order_id(), reason: seat::ReleaseReason::Expired };
    (StreamId::seat(&performance_id(), &SeatId::new(format!("A-1-{number}"))), Event::Seat(event.into()))
}

pub fn blocked(number: u64) -> (StreamId, Event) {
    (StreamId::seat(&performance_id(), &SeatId::new(format!("A-1-{number}"))), Event::Seat(seat::Blocked {}.into()))
}

pub fn payment(number: u64) -> (StreamId, Event) {
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

/// Ten times its number is given back.
pub fn cancellation(number: u64) -> (StreamId, Event) {
    let event = store::PaymentCancelled {
        payment_id: PaymentId::new(format!("pay-{number}")),
        amount: Amount::new(10 * number).expect("small"),
        currency: Currency::parse("KRW").expect("a code"),
        remaining: Amount::ZERO,
        body: Hash16::of("body", &[]),
    };
    (StreamId::store(&StoreId::new("st_a")), Event::Store(event.into()))
}

pub fn placed() -> (StreamId, Event) {
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
        counted: false,
    };
    (StreamId::order(&order_id()), Event::Order(event.into()))
}

pub fn order_expired() -> (StreamId, Event) {
    let event = order_events::Expired { order_id: order_id() };
    (StreamId::order(&order_id()), Event::Order(event.into()))
}
