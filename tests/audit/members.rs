//! I5: is a member found who has more than was granted, and an account that does not say what the orders did?

use onsale::events::{member, performance};
use onsale::ids::{ShowId, VenueId};

use super::*;

/// Puts the performance on sale; each member may have so many seats.
fn granted(cap: Option<u32>) -> Fact {
    let event = performance::Scheduled {
        performance_id: performance(),
        owner: AccountId::new("seller"),
        show_id: ShowId::new("sh_1"),
        venue_id: VenueId::new("vn_1"),
        timezone: "Asia/Seoul".to_owned(),
        starts_at: Timestamp(START),
        sale_opens_at: Timestamp(START),
        sale_closes_at: Timestamp(START),
        cancel_until: None,
        currency: currency(),
        prices: Vec::new(),
        max_seats_per_order: 4,
        max_seats_per_member: cap,
        hold_seconds: 180,
        layout: Vec::new(),
        body: Hash16::default(),
        max_live_orders_per_member: None,
        max_unpaid_holds_per_member: None,
    };
    (StreamId::performance(&performance()), Event::Performance(event.into()))
}

/// Other terms: the limit alone.
fn changed(cap: Option<u32>) -> Fact {
    let event = performance::Changed {
        starts_at: Timestamp(START),
        sale_opens_at: Timestamp(START),
        sale_closes_at: Timestamp(START),
        cancel_until: None,
        prices: Vec::new(),
        max_seats_per_order: 4,
        max_seats_per_member: cap,
        hold_seconds: 180,
        body: Hash16::default(),
        max_live_orders_per_member: None,
        max_unpaid_holds_per_member: None,
    };
    (StreamId::performance(&performance()), Event::Performance(event.into()))
}

fn of_account(event: member::MemberEvent) -> Fact {
    (StreamId::member(&performance(), &AccountId::new("buyer")), Event::Member(event))
}

fn counts(order: u8, seats: u32) -> Fact {
    let (order_id, account_id) = (order_id(order), AccountId::new("buyer"));
    of_account(member::Held { order_id, account_id, seats }.into())
}

fn bought(order: u8, seats: u32) -> Fact {
    of_account(member::Sold { order_id: order_id(order), seats }.into())
}

fn gave_back(order: u8, seats: u32, reason: ReleaseReason) -> Fact {
    of_account(member::Released { order_id: order_id(order), seats, reason, unpaid: false }.into())
}

/// The order's own fact, which says that it is counted.
fn counted(order: u8, seats: &[u32]) -> Fact {
    let (stream, event) = placed(order, seats);
    let Event::Order(order::OrderEvent::Placed(placed)) = event else { panic!("an order is placed") };
    (stream, Event::Order(order::Placed { counted: true, ..placed }.into()))
}

/// A whole order as it is placed.
fn order_of(order: u8, seats: &[u32]) -> Timed {
    let account = counts(order, u32::try_from(seats.len()).expect("few"));
    let held = seats.iter().map(|seat| held(*seat, order));
    (1, std::iter::once(account).chain(held).chain([counted(order, seats)]).collect())
}

/// And as its buyer cancels it; the account says `told` seats.
fn cancelled_of(order: u8, seats: &[u32], told: Option<u32>) -> Timed {
    let account = told.map(|told| gave_back(order, told, Cancelled));
    let released = seats.iter().map(|seat| released(*seat, order, Cancelled));
    (2, account.into_iter().chain(released).chain([cancelled(order)]).collect())
}

fn sale(cap: Option<u32>, units: Vec<Timed>) -> Vec<Timed> {
    std::iter::once((0, vec![granted(cap)])).chain(units).collect()
}

#[tokio::test]
async fn a_member_within_the_limit_is_no_finding() {
    let free = StreamId::member(&performance(), &AccountId::new("buyer"));
    assert_eq!(free.partition(PARTITIONS), Some(P));
    let back = || cancelled_of(1, &[1, 2], Some(2));
    check(vec![
        (
            "both seats, twice over",
            sale(Some(2), vec![order_of(1, &[1, 2]), back(), (3, order_of(2, &[1, 2]).1)]),
            vec![],
        ),
        (
            "more is granted later, and less after that",
            sale(
                Some(1),
                vec![order_of(1, &[1]), (1, vec![changed(Some(2))]), order_of(2, &[2]), (1, vec![changed(Some(1))])],
            ),
            vec![],
        ),
        (
            "no limit any more",
            sale(Some(1), vec![(1, vec![changed(None)]), order_of(1, &[1, 2]), order_of(2, &[3])]),
            vec![],
        ),
        ("nobody is counted", sale(None, vec![(1, vec![held(1, 1), placed(1, &[1])])]), vec![]),
    ])
    .await;
}

#[tokio::test]
async fn more_than_granted_is_found_where_it_was_placed() {
    let back = |told| cancelled_of(1, &[1, 2], told);
    check(vec![
        ("two of one", sale(Some(1), vec![order_of(1, &[1, 2])]), vec![("I5", 5)]),
        ("one after the other", sale(Some(2), vec![order_of(1, &[1, 2]), order_of(2, &[3])]), vec![("I5", 8)]),
        (
            "after a smaller limit",
            sale(Some(3), vec![order_of(1, &[1, 2]), (1, vec![changed(Some(2))]), order_of(2, &[3])]),
            vec![("I5", 9)],
        ),
        (
            "not counted",
            sale(Some(2), vec![(1, vec![held(1, 1), held(2, 1), held(3, 1), placed(1, &[1, 2, 3])])]),
            vec![("I5", 5)],
        ),
        (
            "not counted any more",
            sale(Some(2), vec![(1, vec![changed(None)]), (1, vec![held(1, 1), placed(1, &[1])])]),
            vec![("I5", 4)],
        ),
        (
            "one seat less in the account",
            sale(Some(2), vec![(1, vec![counts(1, 1), held(1, 1), held(2, 1), counted(1, &[1, 2])])]),
            vec![("I5", 5)],
        ),
        ("the account was not told", sale(Some(2), vec![order_of(1, &[1, 2]), back(None)]), vec![("I5", 8)]),
        ("the account was told too little", sale(Some(2), vec![order_of(1, &[1, 2]), back(Some(1))]), vec![("I5", 9)]),
        (
            "given back twice",
            sale(Some(2), vec![order_of(1, &[1, 2]), back(Some(2)), (3, vec![gave_back(1, 2, Cancelled)])]),
            vec![("I5", 10)],
        ),
        ("bought what is held", sale(Some(2), vec![order_of(1, &[1]), (2, vec![bought(1, 1)])]), vec![("I5", 5)]),
    ])
    .await;
}

/// Version 1 of the order's fact could not say whether it is counted: such an order is left alone.
#[tokio::test]
async fn an_order_from_before_there_were_accounts_is_left_alone() {
    let units =
        sale(Some(1), vec![(1, vec![held(1, 1), held(2, 1), placed(1, &[1, 2])]), cancelled_of(1, &[1, 2], None)]);
    assert_eq!(found(log_of(units.clone())).await, [("I5", 4)]);
    let mut older = log_of(units);
    let placed = older.iter_mut().find(|row| &*row.kind == "order.placed").expect("it was placed");
    assert_eq!(placed.payload.pop(), Some(0), "what version 2 added");
    placed.schema = 1;
    assert_eq!(found(rechained(older)).await, []);
}
