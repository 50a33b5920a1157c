//! What must be found of money, of tickets and of coupons in orders? Sound stories, and one planted fault each.

use onsale::events::seat::ReleaseReason::{self, Cancelled, Expired, Failed, Refunded};
use onsale::events::{Event, coupon, order, seat};
use onsale::ids::{AccountId, Hash16, PaymentKey, RefundId, SeatId, StreamId, TaskId, TicketId};
use onsale::timestamp::Timestamp;

use super::{
    Fact, HOLD, Planted, START, Timed, amount, cancelled, check, coupon_created, coupon_id, currency, expired, held,
    issued, order_id, placed, released, revoked, seat_stream,
};

fn order_fact(order: u8, event: impl Into<onsale::events::OrderEvent>) -> Fact {
    (StreamId::order(&order_id(order)), Event::Order(event.into()))
}

fn ticket(order: u8, place: usize) -> TicketId {
    TicketId::of(&order_id(order), place)
}

fn key(attempt: u32) -> PaymentKey {
    PaymentKey::new(format!("pk_{attempt}"))
}

fn asked(order: u8, attempt: u32) -> Fact {
    let event = order::Requested {
        order_id: order_id(order),
        attempt,
        amount: amount(5),
        currency: currency(),
        payment_key: key(attempt),
        psp_key: Hash16([9; 16]),
        review_at: Timestamp(START + HOLD),
        body: Hash16::default(),
    };
    order_fact(order, event)
}

fn captured(order: u8, attempt: u32) -> Fact {
    let (order_id, payment_key, psp_reference) = (order_id(order), key(attempt), "t".to_owned());
    order_fact(order, order::Captured { order_id, attempt, amount: amount(5), payment_key, psp_reference })
}

fn declined(order: u8, attempt: u32) -> Fact {
    let (order_id, psp_code) = (order_id(order), "NO".to_owned());
    order_fact(order, order::Declined { order_id, attempt, amount: amount(5), psp_code })
}

/// An order over two seats, of which the first cost 3 and the second 2.
fn completed(order: u8) -> Fact {
    let sold = |place: usize, paid| order::SoldTicket {
        ticket_id: ticket(order, place),
        seat_id: SeatId::new(format!("A-1-{place}")),
        price: amount(5),
        paid: amount(paid),
    };
    let tickets = vec![sold(1, 3), sold(2, 2)];
    order_fact(order, order::Completed { order_id: order_id(order), tickets, body: Hash16::default() })
}

fn sold_as(order: u8, place: u32) -> Fact {
    let ticket_id = ticket(order, place as usize);
    (seat_stream(place), Event::Seat(seat::Sold { order_id: order_id(order), ticket_id, price: amount(5) }.into()))
}

fn back(order: u8, number: usize, attempt: u32, minor: u64, places: &[usize]) -> Fact {
    let event = order::RefundRequested {
        order_id: order_id(order),
        refund_id: RefundId::of(&order_id(order), number),
        attempt,
        amount: amount(minor),
        whole: false,
        tickets: places.iter().map(|place| ticket(order, *place)).collect(),
        why: order::RefundReason::Cancelled,
        psp_key: Hash16([8; 16]),
        review_at: Timestamp(START + HOLD),
        body: Hash16::default(),
    };
    order_fact(order, event)
}

fn done(order: u8, number: usize, minor: u64, places: &[usize]) -> Fact {
    let event = order::RefundDone {
        order_id: order_id(order),
        refund_id: RefundId::of(&order_id(order), number),
        amount: amount(minor),
        tickets: places.iter().map(|place| ticket(order, *place)).collect(),
        psp_reference: None,
    };
    order_fact(order, event)
}

fn used(order: u8, place: usize) -> Fact {
    let event =
        order::CheckedIn { order_id: order_id(order), ticket_id: ticket(order, place), body: Hash16::default() };
    order_fact(order, event)
}

fn bought() -> Vec<Timed> {
    vec![
        (0, vec![held(1, 1), held(2, 1), placed(1, &[1, 2])]),
        (1, vec![asked(1, 1)]),
        (2, vec![declined(1, 1)]),
        (3, vec![asked(1, 2)]),
        (4, vec![captured(1, 2), completed(1), sold_as(1, 1), sold_as(1, 2)]),
    ]
}

fn then(units: Vec<Timed>) -> Vec<Timed> {
    [bought(), units].concat()
}

#[tokio::test]
async fn money_that_went_astray_is_found() {
    let refunded = || order_fact(1, order::Refunded { order_id: order_id(1) });
    let all_back = || {
        vec![
            (5, vec![back(1, 1, 2, 2, &[2])]),
            (6, vec![done(1, 1, 2, &[2]), released(2, 1, Refunded)]),
            (7, vec![used(1, 1)]),
        ]
    };
    let late = || (5, vec![captured(1, 1), back(1, 1, 1, 5, &[])]);
    let table: Vec<Planted> = vec![
        ("a sound purchase, a ticket back, a ticket used", then(all_back()), vec![]),
        ("late money goes back", then(vec![late(), (6, vec![done(1, 1, 5, &[])])]), vec![]),
        (
            "everything goes back",
            then(vec![
                (5, vec![back(1, 1, 2, 5, &[1, 2])]),
                (6, vec![done(1, 1, 5, &[1, 2]), released(1, 1, Refunded), released(2, 1, Refunded), refunded()]),
            ]),
            vec![],
        ),
        ("captured twice", then(vec![(5, vec![captured(1, 2)])]), vec![("M1", 11)]),
        ("late money stays", then(vec![(5, vec![captured(1, 1)])]), vec![("M1", 11)]),
        ("asked for what is paid", then(vec![(5, vec![asked(1, 3)])]), vec![("M1", 11)]),
        (
            "an attempt left out",
            bought()[..3].iter().cloned().chain([(3, vec![asked(1, 3)])]).collect(),
            vec![("M1", 6)],
        ),
        (
            "two attempts at once",
            vec![bought()[0].clone(), (1, vec![asked(1, 1)]), (2, vec![asked(1, 2)])],
            vec![("M1", 5)],
        ),
        ("more back than came", then(vec![(5, vec![back(1, 1, 2, 6, &[1, 2])])]), vec![("M1", 11)]),
        ("less back than paid", then(vec![(5, vec![back(1, 1, 2, 1, &[2])])]), vec![("M2", 11)]),
        ("back without being asked for", then(vec![(5, vec![done(1, 1, 2, &[])])]), vec![("M1", 11)]),
        ("back twice", then([all_back(), vec![(8, vec![done(1, 1, 2, &[2])])]].concat()), vec![("I2", 15), ("M1", 15)]),
        ("a ticket back twice", then([all_back(), vec![(8, vec![back(1, 2, 2, 0, &[2])])]].concat()), vec![("M2", 15)]),
        ("used twice", then([all_back(), vec![(8, vec![used(1, 1)])]].concat()), vec![("M2", 15)]),
    ];
    check(table).await;
}

fn failed(order: u8) -> Fact {
    order_fact(order, order::Failed { order_id: order_id(order) })
}

/// `placed`, but for nothing.
fn placed_free() -> Fact {
    let (stream, event) = placed(1, &[1, 2]);
    let Event::Order(onsale::events::OrderEvent::Placed(order)) = event else { panic!("an order is placed") };
    (stream, Event::Order(order::Placed { amount: amount(0), discount: amount(5), ..order }.into()))
}

/// `completed`, with other shares of the price.
fn completed_at(paid: [u64; 2]) -> Fact {
    let (stream, event) = completed(1);
    let Event::Order(onsale::events::OrderEvent::Completed(mut order)) = event else { panic!("it is completed") };
    for (ticket, paid) in order.tickets.iter_mut().zip(paid) {
        ticket.paid = amount(paid);
    }
    (stream, Event::Order(order.into()))
}

fn both(reason: ReleaseReason) -> Vec<Fact> {
    vec![released(1, 1, reason), released(2, 1, reason)]
}

/// The buyer is paying: the unit `end` comes next, at position 5.
fn paying(after: i64, end: Vec<Fact>) -> Vec<Timed> {
    [bought()[..2].to_vec(), vec![(after, end)]].concat()
}

#[tokio::test]
async fn an_order_ends_in_one_of_its_ways() {
    let free = |end: Vec<Fact>| vec![(0, vec![held(1, 1), held(2, 1), placed_free()]), (1, end)];
    let late = || vec![captured(1, 1), back(1, 1, 1, 5, &[])];
    let table: Vec<Planted> = vec![
        ("declined for good", paying(2, [vec![declined(1, 1)], both(Failed), vec![failed(1)]].concat()), vec![]),
        ("out of time", paying(HOLD, [vec![declined(1, 1)], both(Expired), vec![expired(1)]].concat()), vec![]),
        (
            "declined when called off",
            paying(2, [vec![declined(1, 1)], both(Cancelled), vec![cancelled(1)]].concat()),
            vec![],
        ),
        ("paid when called off", paying(2, [late(), both(Cancelled), vec![cancelled(1)]].concat()), vec![]),
        ("for nothing", free(vec![sold_as(1, 1), sold_as(1, 2), completed_at([0, 0])]), vec![]),
        ("expired while paying", paying(HOLD, [both(Expired), vec![expired(1)]].concat()), vec![("I2", 7)]),
        ("cancelled while paying", paying(2, [both(Cancelled), vec![cancelled(1)]].concat()), vec![("I2", 7)]),
        ("failed while paying", paying(2, [both(Failed), vec![failed(1)]].concat()), vec![("I2", 7)]),
        ("failed with a seat", paying(2, vec![declined(1, 1), released(1, 1, Failed), failed(1)]), vec![("I3", 7)]),
        (
            "failed as if cancelled",
            paying(2, [vec![declined(1, 1)], both(Cancelled), vec![failed(1)]].concat()),
            vec![("I3", 8)],
        ),
        ("failed unsaid", paying(2, [vec![declined(1, 1)], both(Failed)].concat()), vec![("I3", 7)]),
        ("cancelled once sold", then(vec![(5, vec![cancelled(1)])]), vec![("I2", 11)]),
        ("a held seat refunded", paying(2, vec![released(1, 1, Refunded)]), vec![("I2", 5), ("I3", 5)]),
        (
            "paid, ended, kept",
            paying(2, [vec![captured(1, 1)], both(Cancelled), vec![cancelled(1)]].concat()),
            vec![("M1", 5)],
        ),
        (
            "a part kept",
            paying(2, [vec![captured(1, 1), back(1, 1, 1, 4, &[])], both(Cancelled), vec![cancelled(1)]].concat()),
            vec![("M1", 5)],
        ),
        ("for nothing, yet paid", free(vec![asked(1, 1)]), vec![("M1", 4)]),
    ];
    check(table).await;
}

#[tokio::test]
async fn tickets_are_what_was_paid_and_sold() {
    let sold = |paid: Fact| paying(2, vec![captured(1, 1), sold_as(1, 1), sold_as(1, 2), paid]);
    let unpaid = vec![sold_as(1, 1), sold_as(1, 2), completed(1)];
    let back_first = || (5, vec![back(1, 1, 2, 3, &[1])]);
    let table: Vec<Planted> = vec![
        ("sound", sold(completed(1)), vec![]),
        ("shares that do not add up", sold(completed_at([3, 3])), vec![("M2", 8)]),
        ("without money", vec![bought()[0].clone(), (1, unpaid.clone())], vec![("M1", 6)]),
        ("while money is open", paying(2, unpaid), vec![("I2", 7), ("M1", 7)]),
        ("one seat only", paying(2, vec![captured(1, 1), sold_as(1, 1), completed(1)]), vec![("I3", 7)]),
        (
            "another ticket than sold",
            paying(2, vec![captured(1, 1), sold_as(1, 1), super::sold(2, 1), completed(1)]),
            vec![("I3", 8)],
        ),
        ("never sold", paying(2, vec![captured(1, 1), completed(1)]), vec![("I3", 6)]),
        ("back without its seat", then(vec![back_first(), (6, vec![done(1, 1, 3, &[1])])]), vec![("I3", 12)]),
        (
            "back with another seat",
            then(vec![back_first(), (6, vec![done(1, 1, 3, &[1]), released(2, 1, Refunded)])]),
            vec![("I3", 12), ("I3", 13)],
        ),
        ("a seat back without its ticket", then(vec![(5, vec![released(2, 1, Refunded)])]), vec![("I3", 11)]),
        (
            "less back than promised",
            then(vec![back_first(), (6, vec![done(1, 1, 2, &[1]), released(1, 1, Refunded)])]),
            vec![("M1", 12)],
        ),
        ("a void ticket used", then(vec![back_first(), (6, vec![used(1, 1)])]), vec![("M2", 12)]),
        (
            "late money becomes seats",
            then(vec![(5, vec![captured(1, 1), completed(1)])]),
            vec![("I2", 12), ("M1", 12), ("M1", 11)],
        ),
        ("declined unasked", then(vec![(5, vec![declined(1, 3)])]), vec![("M1", 11)]),
        ("declined once captured", then(vec![(5, vec![declined(1, 2)])]), vec![("M1", 11)]),
        ("money of no order", vec![(0, vec![asked(7, 1)])], vec![("M1", 1)]),
    ];
    check(table).await;
}

fn coupon_fact(event: impl Into<onsale::events::CouponEvent>) -> Fact {
    (StreamId::coupon(&coupon_id()), Event::Coupon(event.into()))
}

fn reserved(serial: u64, member: &str, order: u8) -> Fact {
    let (account_id, task_id, order_id) = (AccountId::new(member), TaskId::new("t"), order_id(order));
    coupon_fact(coupon::Reserved { account_id, serial, task_id, order_id, until: Timestamp(START + HOLD) })
}

fn consumed(serial: u64, order: u8) -> Fact {
    let (account_id, task_id, order_id) = (AccountId::new("a"), TaskId::new("t"), order_id(order));
    coupon_fact(coupon::Used { account_id, serial, task_id, order_id })
}

fn returned(serial: u64, order: u8) -> Fact {
    let (account_id, task_id, order_id) = (AccountId::new("a"), TaskId::new("t"), order_id(order));
    coupon_fact(coupon::Returned { account_id, serial, task_id, order_id })
}

#[tokio::test]
async fn a_coupon_is_in_one_order_at_a_time() {
    // Serial 1 is a's, serial 2 is b's and revoked; what follows begins at position 5.
    let story = |facts: Vec<Fact>| -> Vec<Timed> {
        let first = vec![coupon_created(9, 1), issued(1, "a"), issued(2, "b"), revoked(2, "b")];
        first.into_iter().chain(facts).map(|fact| (0, vec![fact])).collect()
    };
    let table: Vec<Planted> = vec![
        (
            "returned, and used in another",
            story(vec![reserved(1, "a", 1), returned(1, 1), reserved(1, "a", 2), consumed(1, 2)]),
            vec![],
        ),
        (
            "used, refunded, kept again",
            story(vec![reserved(1, "a", 1), consumed(1, 1), returned(1, 1), reserved(1, "a", 2)]),
            vec![],
        ),
        ("revoked while it is kept", story(vec![reserved(1, "a", 1), revoked(1, "a"), consumed(1, 1)]), vec![]),
        ("kept twice", story(vec![reserved(1, "a", 1), reserved(1, "a", 2)]), vec![("I4", 6)]),
        ("kept once used", story(vec![reserved(1, "a", 1), consumed(1, 1), reserved(1, "a", 2)]), vec![("I4", 7)]),
        ("kept for another member", story(vec![reserved(1, "b", 1)]), vec![("I4", 5)]),
        ("kept once revoked", story(vec![reserved(2, "b", 1)]), vec![("I4", 5)]),
        ("never issued", story(vec![reserved(3, "a", 1)]), vec![("I4", 5)]),
        ("used unkept", story(vec![consumed(1, 1)]), vec![("I4", 5)]),
        ("used by another order", story(vec![reserved(1, "a", 1), consumed(1, 2)]), vec![("I4", 6)]),
        ("used twice", story(vec![reserved(1, "a", 1), consumed(1, 1), consumed(1, 1)]), vec![("I4", 7)]),
        ("returned by another order", story(vec![reserved(1, "a", 1), returned(1, 2)]), vec![("I4", 6)]),
        ("returned twice", story(vec![reserved(1, "a", 1), returned(1, 1), returned(1, 1)]), vec![("I4", 7)]),
    ];
    check(table).await;
}

#[tokio::test]
async fn the_report_says_what_each_payment_came_to() {
    let back = vec![
        (5, vec![back(1, 1, 2, 2, &[2])]),
        (6, vec![captured(1, 1), self::back(1, 2, 1, 5, &[]), done(1, 2, 5, &[])]),
    ];
    let report = super::audit(super::log_of(then(back))).await;
    assert_eq!(report.violations, []);
    let mut payments = report.payments;
    payments.sort_by(|a, b| a.key.cmp(&b.key));
    let found: Vec<_> = payments.iter().map(|p| (p.key.clone(), p.captured, p.refunded, p.refunding, p.open)).collect();
    assert_eq!(found, [(key(1), 5, 5, 0, false), (key(2), 5, 0, 2, false)]);
    let open = super::audit(super::log_of(bought()[..2].to_vec())).await.payments;
    assert!(matches!(open.as_slice(), [payment] if payment.open && payment.amount == 5), "{open:?}");
}
