//! What do an order's and its seats' facts make of the rows?

use super::*;
use crate::events::order::{Cancelled, Expired, OrderSeat};
use crate::events::seat::{Blocked, Held};
use crate::ids::{Hash16, StreamId};
use crate::projections::testing::{Shelf, Story, order_of_partitions_does_not_matter};

fn won(amount: u64) -> Amount {
    Amount::new(amount).expect("small")
}

fn performance(name: &str) -> PerformanceId {
    PerformanceId::derive(&Hash16::of("test", &[name.as_bytes()]))
}

/// An order's name is its performance's and a letter: `p/a`.
fn order(name: &str) -> OrderId {
    let (of, _) = name.split_once('/').expect("performance and order");
    let partition = StreamId::performance(&performance(of)).partition(64).expect("somewhere");
    OrderId::derive(partition, &Hash16::of("test", &[name.as_bytes()]))
}

fn place(name: &str, seats: &[&str]) -> (StreamId, Event) {
    let (of, _) = name.split_once('/').expect("performance and order");
    let seats = seats.iter().map(|seat| OrderSeat { seat_id: SeatId::new(*seat), price: won(100) }).collect();
    let placed = Placed {
        order_id: order(name),
        account_id: AccountId::new("kim"),
        performance_id: performance(of),
        seats,
        subtotal: won(100),
        discount: Amount::ZERO,
        amount: won(100),
        currency: Currency::KRW,
        coupon_task_id: None,
        reference: Some(format!("my {name}")),
        hold_until: Timestamp(180_000),
        owner: AccountId::new("seller"),
        body: Hash16::default(),
    };
    (StreamId::order(&order(name)), OrderEvent::from(placed).into())
}

fn ends(name: &str, event: impl Into<OrderEvent>) -> (StreamId, Event) {
    (StreamId::order(&order(name)), event.into().into())
}

fn expire(name: &str) -> (StreamId, Event) {
    ends(name, Expired { order_id: order(name) })
}

fn cancel(name: &str) -> (StreamId, Event) {
    ends(name, Cancelled { order_id: order(name), body: Hash16::default() })
}

fn seat(name: &str, seat: &str, event: impl Into<SeatEvent>) -> (StreamId, Event) {
    let (of, _) = name.split_once('/').expect("performance and order");
    (StreamId::seat(&performance(of), &SeatId::new(seat)), event.into().into())
}

fn hold(name: &str, of: &str) -> (StreamId, Event) {
    seat(name, of, Held { order_id: order(name) })
}

fn release(name: &str, of: &str, reason: ReleaseReason) -> (StreamId, Event) {
    seat(name, of, Released { order_id: order(name), reason })
}

fn sell(name: &str, of: &str) -> (StreamId, Event) {
    let ticket_id = TicketId::new(format!("tk_{name}_{of}"));
    seat(name, of, Sold { order_id: order(name), ticket_id, price: won(100) })
}

fn statuses(shelf: &Shelf) -> Vec<(String, String)> {
    let mut rows: Vec<_> = shelf
        .rows::<OrderRow>()
        .into_iter()
        .map(|row| (row.reference.as_deref().unwrap_or_default().to_owned(), row.status.to_string()))
        .collect();
    rows.sort();
    rows
}

#[test]
fn an_order_is_a_row_that_follows_its_facts() {
    let mut story = Story::default();
    story.unit(10, [hold("p/a", "A-1-1"), place("p/a", &["A-1-1"])]);
    story.unit(20, [hold("q/b", "A-1-1"), place("q/b", &["A-1-1"])]).unit(25, [place("p/c", &["A-1-2"])]);
    story.unit(30, [release("p/a", "A-1-1", ReleaseReason::Expired), expire("p/a")]);
    story.unit(40, [release("q/b", "A-1-1", ReleaseReason::Cancelled), cancel("q/b")]);
    let shelf = Shelf::of(&Orders, &story.facts);
    let expected = [("my p/a", "expired"), ("my p/c", "awaiting_payment"), ("my q/b", "cancelled")];
    assert_eq!(statuses(&shelf), expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
    let rows = shelf.rows::<OrderRow>();
    let a = rows.iter().find(|row| row.order_id == order("p/a")).expect("a row");
    assert_eq!((a.placed_at, a.changed_at, a.attempts_left), (Timestamp(10), Timestamp(30), 3));
    assert_eq!(a.position, story.facts[6].position(), "of its last fact");
    assert_eq!(&*a.seats, r#"[{"seat_id":"A-1-1","price":100}]"#);
    assert!(shelf.rows::<TicketRow>().is_empty(), "a held seat is no ticket");
    order_of_partitions_does_not_matter(&Orders, &story);
}

#[test]
fn a_sold_seat_is_a_ticket_of_the_buyer_until_it_is_refunded() {
    let mut story = Story::default();
    story.unit(10, [place("p/a", &["A-1-1", "A-1-2"])]).unit(20, [sell("p/a", "A-1-1"), sell("p/a", "A-1-2")]);
    story.unit(30, [release("p/a", "A-1-1", ReleaseReason::Refunded)]);
    // The same seat again, for somebody else's order.
    story.unit(40, [place("p/b", &["A-1-1"])]).unit(50, [sell("p/b", "A-1-1")]);
    let shelf = Shelf::of(&Orders, &story.facts);
    let mut tickets: Vec<_> = shelf
        .rows::<TicketRow>()
        .into_iter()
        .map(|row| (row.ticket_id.to_string(), row.account.to_string(), row.status.to_string(), row.sold_at.0))
        .collect();
    tickets.sort();
    let ticket = |id: &str, status: &str, at| (id.to_owned(), "kim".to_owned(), status.to_owned(), at);
    let expected = [
        ticket("tk_p/a_A-1-1", "refunded", 20),
        ticket("tk_p/a_A-1-2", "valid", 20),
        ticket("tk_p/b_A-1-1", "valid", 50),
    ];
    assert_eq!(tickets, expected);
    order_of_partitions_does_not_matter(&Orders, &story);
}

#[test]
fn seats_without_tickets_cost_nothing() {
    let mut story = Story::default();
    story.unit(1, [hold("p/a", "A-1-1"), release("p/a", "A-1-1", ReleaseReason::Failed)]);
    story.unit(2, [seat("p/a", "A-1-1", Blocked {})]);
    for fact in &story.facts {
        let mut needed = Needed::default();
        Orders.reads(fact, &mut needed);
        assert!(needed.into_tables().is_empty(), "{}", fact.record.kind);
        let mut rows = Rows::default();
        Orders.apply(fact, &mut rows).expect("nothing to do");
        assert!(rows.changes().is_empty(), "{}", fact.record.kind);
    }
}

#[test]
fn an_order_and_its_seats_wait_together() {
    let mut story = Story::default();
    story.unit(1, [place("p/a", &["A-1-1"]), sell("p/a", "A-1-1"), expire("p/a")]);
    story.unit(2, [release("p/a", "A-1-1", ReleaseReason::Refunded), sell("p/b", "A-1-1")]);
    let keys: Vec<_> = story.facts.iter().map(|fact| Orders.parking_key(fact).to_string()).collect();
    let (a, b) = (order("p/a").to_string(), order("p/b").to_string());
    assert_eq!(keys, [a.clone(), a.clone(), a.clone(), a, b]);
    let mut shelf = Shelf::of(&Orders, &story.facts[..1]);
    assert!(shelf.apply(&Orders, &story.facts[3]).is_err(), "there is no ticket to refund");
    assert!(shelf.apply(&Orders, &story.facts[4]).is_err(), "there is no such order");
    assert_eq!(shelf, Shelf::of(&Orders, &story.facts[..1]), "and nothing changed");
}
