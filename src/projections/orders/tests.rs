//! What do an order's facts make of the rows?

use super::*;
use crate::events::order::{self, Cancelled, Expired, OrderSeat};
use crate::ids::{Hash16, PaymentKey, RefundId, StreamId};
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
        counted: false,
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

fn attempt(name: &str, attempt: u32) -> (StreamId, Event) {
    let requested = order::Requested {
        order_id: order(name),
        attempt,
        amount: won(100),
        currency: Currency::KRW,
        payment_key: PaymentKey::new("pk_1"),
        psp_key: Hash16::default(),
        review_at: Timestamp(600_000),
        body: Hash16::default(),
    };
    ends(name, requested)
}

fn decline(name: &str, attempt: u32) -> (StreamId, Event) {
    ends(name, order::Declined { order_id: order(name), attempt, amount: won(100), psp_code: "NO".into() })
}

fn capture(name: &str, attempt: u32) -> (StreamId, Event) {
    let (payment_key, psp_reference) = (PaymentKey::new("pk_1"), "t1".to_owned());
    ends(name, order::Captured { order_id: order(name), attempt, amount: won(100), payment_key, psp_reference })
}

fn ticket(name: &str, place: usize) -> TicketId {
    TicketId::of(&order(name), place)
}

fn complete(name: &str, seats: &[&str]) -> (StreamId, Event) {
    let tickets = (1..).zip(seats).map(|(place, seat)| order::SoldTicket {
        ticket_id: ticket(name, place),
        seat_id: SeatId::new(*seat),
        price: won(100),
        paid: won(90),
    });
    ends(name, order::Completed { order_id: order(name), tickets: tickets.collect(), body: Hash16::default() })
}

fn ask_back(name: &str, number: usize, tickets: &[usize]) -> (StreamId, Event) {
    let requested = order::RefundRequested {
        order_id: order(name),
        refund_id: RefundId::of(&order(name), number),
        attempt: 1,
        amount: won(90),
        whole: false,
        tickets: tickets.iter().map(|place| ticket(name, *place)).collect(),
        why: order::RefundReason::Cancelled,
        psp_key: Hash16::default(),
        review_at: Timestamp(600_000),
        body: Hash16::default(),
    };
    ends(name, requested)
}

fn give_back(name: &str, number: usize, tickets: &[usize]) -> (StreamId, Event) {
    let done = order::RefundDone {
        order_id: order(name),
        refund_id: RefundId::of(&order(name), number),
        amount: won(90),
        tickets: tickets.iter().map(|place| ticket(name, *place)).collect(),
        psp_reference: None,
    };
    ends(name, done)
}

/// About the first payment, or about a refund.
fn review(name: &str, refund: Option<usize>) -> (StreamId, Event) {
    let refund = refund.map(|number| RefundId::of(&order(name), number));
    let payment = order::ReviewOf::Payment { attempt: 1 };
    let about = refund.map_or(payment, |refund_id| order::ReviewOf::Refund { refund_id });
    ends(name, order::ReviewOpened { order_id: order(name), about, psp_code: None })
}

fn rule(name: &str) -> (StreamId, Event) {
    let ruling = order::Ruling::Captured;
    ends(name, order::ReviewSettled { order_id: order(name), ruling, psp_reference: None, body: Hash16::default() })
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
    story.unit(10, [place("p/a", &["A-1-1"])]).unit(20, [place("q/b", &["A-1-1"])]);
    story.unit(25, [place("p/c", &["A-1-2"])]).unit(30, [expire("p/a")]).unit(40, [cancel("q/b")]);
    let shelf = Shelf::of(&Orders, &story.facts);
    let expected = [("my p/a", "expired"), ("my p/c", "awaiting_payment"), ("my q/b", "cancelled")];
    assert_eq!(statuses(&shelf), expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
    let rows = shelf.rows::<OrderRow>();
    let a = rows.iter().find(|row| row.order_id == order("p/a")).expect("a row");
    assert_eq!((a.placed_at, a.changed_at, a.attempts_left), (Timestamp(10), Timestamp(30), 3));
    assert_eq!(a.position, story.facts[3].position(), "of its last fact");
    assert_eq!(&*a.seats, r#"[{"seat_id":"A-1-1","price":100}]"#);
    assert!(shelf.rows::<TicketRow>().is_empty(), "a held seat is no ticket");
    order_of_partitions_does_not_matter(&Orders, &story);
}

/// After each step: the order's status, attempts left and what was given back, and the statuses of its tickets.
fn told(steps: &[Vec<(StreamId, Event)>]) -> Vec<(String, u32, u64, String)> {
    let (mut story, mut seen) = (Story::default(), Vec::new());
    for (at, step) in (1..).zip(steps) {
        story.unit(at, step.clone());
        let shelf = Shelf::of(&Orders, &story.facts);
        let row = shelf.rows::<OrderRow>().remove(0);
        let tickets: Vec<_> = shelf.rows::<TicketRow>().iter().map(|ticket| ticket.status.to_string()).collect();
        seen.push((row.status.to_string(), row.attempts_left, row.refunded.minor(), tickets.join(" ")));
    }
    order_of_partitions_does_not_matter(&Orders, &story);
    seen
}

#[test]
fn a_purchase_and_its_refunds_are_told_step_by_step() {
    let refunded = ends("p/a", order::Refunded { order_id: order("p/a") });
    let used = order::CheckedIn { order_id: order("p/a"), ticket_id: ticket("p/a", 2), body: Hash16::default() };
    let seen = told(&[
        vec![place("p/a", &["A-1-1", "A-1-2"])],
        vec![attempt("p/a", 1)],
        vec![decline("p/a", 1)],
        vec![attempt("p/a", 2)],
        vec![capture("p/a", 2), complete("p/a", &["A-1-1", "A-1-2"])],
        vec![ask_back("p/a", 1, &[1])],
        vec![give_back("p/a", 1, &[1])],
        vec![ends("p/a", used)],
        vec![ask_back("p/a", 2, &[2])],
        vec![give_back("p/a", 2, &[2]), refunded],
    ]);
    let row = |status: &str, left, back, tickets: &str| (status.to_owned(), left, back, tickets.to_owned());
    let expected = [
        row("awaiting_payment", 3, 0, ""),
        row("paying", 3, 0, ""),
        row("awaiting_payment", 2, 0, ""),
        row("paying", 2, 0, ""),
        row("completed", 2, 0, "valid valid"),
        row("completed", 2, 0, "refunding valid"),
        row("completed", 2, 90, "refunded valid"),
        row("completed", 2, 90, "refunded used"),
        row("refunding", 2, 90, "refunded refunding"),
        row("refunded", 2, 180, "refunded refunded"),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn what_people_look_at_stands_as_before_once_they_have_ruled() {
    let failed = ends("p/a", order::Failed { order_id: order("p/a") });
    let statuses = |steps: &[Vec<(StreamId, Event)>]| told(steps).into_iter().map(|row| row.0).collect::<Vec<_>>();
    let paying = || vec![vec![place("p/a", &["A-1-1"])], vec![attempt("p/a", 1)], vec![review("p/a", None)]];
    let yes = [paying(), vec![vec![rule("p/a"), capture("p/a", 1), complete("p/a", &["A-1-1"])]]].concat();
    assert_eq!(statuses(&yes)[2..], ["review", "completed"]);
    let no = [paying(), vec![vec![rule("p/a"), decline("p/a", 1)], vec![failed]]].concat();
    assert_eq!(statuses(&no)[2..], ["review", "awaiting_payment", "failed"]);
    // Money that came too late goes back, and the order stays as it is.
    let late = vec![vec![capture("p/a", 1), ask_back("p/a", 1, &[])], vec![give_back("p/a", 1, &[])]];
    assert_eq!(statuses(&[no, late].concat())[4..], ["failed", "failed", "failed"]);
    let refunding = [yes, vec![vec![ask_back("p/a", 1, &[1])], vec![review("p/a", Some(1))]]].concat();
    let other = vec![vec![capture("p/a", 1), ask_back("p/a", 2, &[])], vec![give_back("p/a", 2, &[])]];
    let back = vec![vec![give_back("p/a", 1, &[1]), ends("p/a", order::Refunded { order_id: order("p/a") })]];
    let seen = statuses(&[refunding, other, back].concat());
    assert_eq!(seen[4..], ["refunding", "review", "review", "review", "refunded"], "another matter does not end it");
}

#[test]
fn a_hold_may_run_out_while_people_look_at_money_that_came_too_late() {
    let steps = |ended: (StreamId, Event)| {
        vec![
            vec![place("p/a", &["A-1-1"])],
            vec![attempt("p/a", 1)],
            vec![decline("p/a", 1)],
            vec![capture("p/a", 1), ask_back("p/a", 1, &[])],
            vec![review("p/a", Some(1))],
            vec![expire("p/a")],
            vec![ended],
        ]
    };
    for ended in [rule("p/a"), give_back("p/a", 1, &[])] {
        let seen: Vec<_> = told(&steps(ended)).into_iter().map(|row| row.0).collect();
        assert_eq!(seen[3..], ["awaiting_payment", "review", "review", "expired"], "still to be looked at until then");
    }
}

#[test]
fn facts_of_an_order_wait_together() {
    let mut story = Story::default();
    story.unit(1, [place("p/a", &["A-1-1"]), attempt("p/a", 1), ask_back("p/a", 1, &[1])]);
    let keys: std::collections::BTreeSet<_> = story.facts.iter().map(|fact| Orders.parking_key(fact)).collect();
    assert_eq!(keys.len(), 1);
    let mut shelf = Shelf::of(&Orders, &story.facts[..1]);
    assert!(shelf.apply(&Orders, &story.facts[2]).is_err(), "there is no ticket to refund");
    assert_eq!(shelf, Shelf::of(&Orders, &story.facts[..1]), "and nothing changed");
}
