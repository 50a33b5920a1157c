//! Does the audit find what is wrong, and nothing else? Logs built by hand: a sound one, and one planted fault each.

#[path = "audit/members.rs"]
mod members;
#[path = "audit/money.rs"]
mod money;

use std::sync::Arc;
use std::time::Duration;

use onsale::audit::{self, Report};
use onsale::clock::SimulatedClock;
use onsale::events::seat::ReleaseReason;
use onsale::events::{Event, Record, coupon, order, seat};
use onsale::ids::{
    AccountId, CouponId, Hash16, OrderId, Partition, PerformanceId, Position, SeatId, StreamId, TaskId, TicketId,
};
use onsale::journal::conformance::{Builder, performance_in};
use onsale::journal::memory::MemoryJournal;
use onsale::money::{Amount, Currency};
use onsale::timestamp::Timestamp;

const PARTITIONS: u16 = 3;
const P: Partition = Partition(1);
const HOLD: i64 = 180_000;
const START: i64 = 1_700_000_000_000;

type Fact = (StreamId, Event);
/// The time after `START` at which a unit was decided, and its facts.
type Timed = (i64, Vec<Fact>);
/// A name, a log, and the invariants that must be found broken, each at a position.
type Planted = (&'static str, Vec<Timed>, Vec<(&'static str, u64)>);
type Edit = (&'static str, fn(&mut Record));

fn performance() -> PerformanceId {
    performance_in(P, PARTITIONS, "pf_")
}

fn order_id(n: u8) -> OrderId {
    OrderId::derive(P, &Hash16([n; 16]))
}

fn seat_stream(n: u32) -> StreamId {
    StreamId::seat(&performance(), &SeatId::new(format!("A-1-{n}")))
}

fn held(seat: u32, order: u8) -> Fact {
    (seat_stream(seat), Event::Seat(seat::Held { order_id: order_id(order) }.into()))
}

fn released(seat: u32, order: u8, reason: ReleaseReason) -> Fact {
    (seat_stream(seat), Event::Seat(seat::Released { order_id: order_id(order), reason }.into()))
}

fn sold(seat: u32, order: u8) -> Fact {
    let (order_id, ticket_id) = (order_id(order), TicketId::new("t"));
    (seat_stream(seat), Event::Seat(seat::Sold { order_id, ticket_id, price: amount(5) }.into()))
}

fn blocked(seat: u32) -> Fact {
    (seat_stream(seat), Event::Seat(seat::Blocked {}.into()))
}

fn amount(n: u64) -> Amount {
    Amount::new(n).expect("a small amount")
}

fn currency() -> Currency {
    Currency::parse("KRW").expect("a currency")
}

/// The order's own fact; made at `START`.
fn placed(order: u8, seats: &[u32]) -> Fact {
    let order_id = order_id(order);
    let seat = |n: &u32| order::OrderSeat { seat_id: SeatId::new(format!("A-1-{n}")), price: amount(5) };
    let event = order::Placed {
        order_id: order_id.clone(),
        account_id: AccountId::new("buyer"),
        performance_id: performance(),
        seats: seats.iter().map(seat).collect(),
        subtotal: amount(5),
        discount: amount(0),
        amount: amount(5),
        currency: currency(),
        coupon_task_id: None,
        reference: None,
        hold_until: Timestamp(START + HOLD),
        owner: AccountId::new("seller"),
        body: Hash16::default(),
        counted: false,
    };
    (StreamId::order(&order_id), Event::Order(event.into()))
}

fn expired(order: u8) -> Fact {
    let order_id = order_id(order);
    (StreamId::order(&order_id), Event::Order(order::Expired { order_id: order_id.clone() }.into()))
}

fn cancelled(order: u8) -> Fact {
    let order_id = order_id(order);
    let event = order::Cancelled { order_id: order_id.clone(), body: Hash16::default() };
    (StreamId::order(&order_id), Event::Order(event.into()))
}

fn coupon_id() -> CouponId {
    CouponId::new(performance_in(P, PARTITIONS, "cp_").as_str())
}

fn coupon_created(stock: u64, per_member: u32) -> Fact {
    let event = coupon::Created {
        coupon_id: coupon_id(),
        owner: AccountId::new("seller"),
        name: "c".to_owned(),
        stock,
        per_member,
        opens_at: Timestamp(0),
        closes_at: Timestamp(i64::MAX),
        valid_until: Timestamp(i64::MAX),
        discount: coupon::Discount::Percent { value: 10, currency: None, max_amount: None, min_amount: None },
        shows: Vec::new(),
        body: Hash16::default(),
    };
    (StreamId::coupon(&coupon_id()), Event::Coupon(event.into()))
}

fn issued(serial: u64, member: &str) -> Fact {
    let event = coupon::Issued { account_id: AccountId::new(member), serial, task_id: TaskId::new("t") };
    (StreamId::coupon(&coupon_id()), Event::Coupon(event.into()))
}

fn revoked(serial: u64, member: &str) -> Fact {
    let event = coupon::Revoked { account_id: AccountId::new(member), serial, task_id: TaskId::new("t") };
    (StreamId::coupon(&coupon_id()), Event::Coupon(event.into()))
}

fn log_of(units: Vec<Timed>) -> Vec<Record> {
    let mut builder = Builder::new(P);
    let mut rows = Vec::new();
    for (after, facts) in units {
        builder.at = Timestamp(START + after);
        rows.extend(builder.records(facts));
    }
    rows
}

async fn audit(rows: Vec<Record>) -> Report {
    let clock = Arc::new(SimulatedClock::starting_at(Timestamp(START)));
    audit::run(&MemoryJournal::found(PARTITIONS, clock, rows), |_| ()).await.expect("the log can be read")
}

async fn found(rows: Vec<Record>) -> Vec<(&'static str, u64)> {
    audit(rows).await.violations.iter().map(|v| (v.invariant, v.position.0)).collect()
}

use ReleaseReason::{Cancelled, Expired, Refunded};

/// One order expires, one is cancelled, one is still open; a seat is blocked; a coupon's stock is used up twice over.
fn sound() -> Vec<Timed> {
    vec![
        (0, vec![held(1, 1), held(2, 1), placed(1, &[1, 2])]),
        (0, vec![blocked(9)]),
        (1, vec![coupon_created(2, 1)]),
        (2, vec![issued(1, "a")]),
        (2, vec![issued(2, "b")]),
        (3, vec![revoked(1, "a")]),
        (3, vec![issued(3, "a")]),
        (HOLD, vec![released(1, 1, Expired), released(2, 1, Expired), expired(1)]),
        (HOLD, vec![held(1, 2), placed(2, &[1])]),
        (HOLD + 1, vec![released(1, 2, Cancelled), cancelled(2)]),
        (HOLD + 1, vec![held(1, 3), placed(3, &[1])]),
    ]
}

#[tokio::test]
async fn a_sound_log_passes() {
    let rows = log_of(sound());
    let count = rows.len() as u64;
    let mut seen = Vec::new();
    let clock = Arc::new(SimulatedClock::starting_at(Timestamp(START)));
    let journal = MemoryJournal::found(PARTITIONS, clock, rows);
    let report = audit::run(&journal, |progress| seen.push(progress)).await.expect("the log can be read");
    assert_eq!(report.violations, []);
    assert_eq!((report.records, report.partitions, report.found), (count, PARTITIONS, 0));
    let last = seen.last().expect("progress is told");
    assert_eq!((last.partition, last.position, last.head, last.records), (P, Position(count), Position(count), count));
    assert_eq!(audit(Vec::new()).await.found, 0, "an empty log is sound");
}

#[tokio::test]
async fn every_broken_rule_is_found_where_it_broke() {
    let order = || (0, vec![held(1, 1), held(2, 1), placed(1, &[1, 2])]);
    let table: Vec<Planted> = vec![
        ("two live holds", vec![order(), (1, vec![held(1, 2), placed(2, &[1])])], vec![("I1", 4)]),
        (
            "a blocked seat is held",
            vec![(0, vec![blocked(1)]), (0, vec![held(1, 1), placed(1, &[1])])],
            vec![("I1", 2)],
        ),
        ("a held seat is blocked", vec![order(), (1, vec![blocked(1)])], vec![("I1", 4)]),
        ("sold to another", vec![order(), (1, vec![sold(1, 2)])], vec![("I1", 4), ("I3", 4)]),
        ("sold from nothing", vec![(0, vec![sold(1, 1)])], vec![("I1", 1), ("I3", 1)]),
        (
            "sold twice",
            vec![order(), (1, vec![sold(1, 1), sold(2, 1)]), (2, vec![sold(1, 1), sold(2, 1)])],
            vec![("I3", 5), ("I1", 6), ("I1", 7), ("I3", 7)],
        ),
        ("part of an order sold", vec![order(), (1, vec![sold(1, 1)])], vec![("I3", 4)]),
        (
            "too early",
            vec![order(), (HOLD - 1, vec![released(1, 1, Expired), released(2, 1, Expired), expired(1)])],
            vec![("I2", 4), ("I2", 5), ("I2", 6)],
        ),
        (
            "ends twice",
            vec![
                order(),
                (1, vec![released(1, 1, Cancelled), released(2, 1, Cancelled), cancelled(1)]),
                (HOLD, vec![released(1, 1, Expired), released(2, 1, Expired), expired(1)]),
            ],
            vec![("I2", 7), ("I2", 8), ("I2", 9)],
        ),
        ("released by another", vec![order(), (1, vec![released(1, 2, Cancelled)])], vec![("I2", 4), ("I3", 4)]),
        ("refund of an unsold seat", vec![(0, vec![released(1, 2, Refunded)])], vec![("I2", 1), ("I3", 1)]),
        ("a hold without an order", vec![(0, vec![held(1, 1)])], vec![("I3", 1)]),
        ("a seat not held", vec![(0, vec![held(1, 1), placed(1, &[1, 2])])], vec![("I3", 2)]),
        ("a seat too many", vec![(0, vec![held(1, 1), held(2, 1), placed(1, &[1])])], vec![("I3", 3)]),
        (
            "a unit torn apart",
            vec![(0, vec![held(1, 1)]), (0, vec![held(2, 1), placed(1, &[1, 2])])],
            vec![("I3", 1), ("I3", 3)],
        ),
        ("a seat not released", vec![order(), (1, vec![released(1, 1, Cancelled), cancelled(1)])], vec![("I3", 5)]),
        (
            "the wrong reason",
            vec![order(), (HOLD, vec![released(1, 1, Cancelled), released(2, 1, Expired), expired(1)])],
            vec![("I3", 6)],
        ),
        (
            "over the stock",
            vec![(0, vec![coupon_created(1, 1)]), (0, vec![issued(1, "a")]), (0, vec![issued(2, "b")])],
            vec![("I4", 3)],
        ),
        (
            "over the share",
            vec![(0, vec![coupon_created(9, 1)]), (0, vec![issued(1, "a")]), (0, vec![issued(2, "a")])],
            vec![("I4", 3)],
        ),
        ("a serial left out", vec![(0, vec![coupon_created(9, 1)]), (0, vec![issued(2, "a")])], vec![("I4", 2)]),
        (
            "a serial used again",
            vec![
                (0, vec![coupon_created(9, 1)]),
                (0, vec![issued(1, "a")]),
                (0, vec![revoked(1, "a")]),
                (0, vec![issued(1, "b")]),
            ],
            vec![("I4", 4)],
        ),
        (
            "revoked from another",
            vec![(0, vec![coupon_created(9, 1)]), (0, vec![issued(1, "a")]), (0, vec![revoked(1, "b")])],
            vec![("I4", 3)],
        ),
        ("never created", vec![(0, vec![issued(1, "a")])], vec![("I4", 1)]),
        ("time falls", vec![(5, vec![blocked(1)]), (4, vec![blocked(2)])], vec![("L1", 2)]),
    ];
    check(table).await;
}

async fn check(table: Vec<Planted>) {
    let mut wrong = Vec::new();
    for (name, units, expected) in table {
        let got = found(log_of(units)).await;
        if got != expected {
            wrong.push(format!("{name}: expected {expected:?}, found {got:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn a_command_has_one_effect() {
    let mut builder = Builder::new(P);
    let mut rows = Vec::new();
    for (command, seat) in [(1, 1), (2, 2), (1, 3)] {
        builder.command = Some(Hash16([command; 16]));
        rows.extend(builder.records(vec![blocked(seat)]));
    }
    assert_eq!(found(rows).await, [("C2", 3)]);
}

#[tokio::test]
async fn a_key_names_its_command_for_so_long() {
    let memory = onsale::limits::KEY_MEMORY;
    for (later, wrong) in [(Duration::ZERO, vec![("C2", 2)]), (Duration::from_millis(1), vec![])] {
        let mut builder = Builder::new(P);
        let mut rows = Vec::new();
        for (after, seat) in [(Duration::ZERO, 1), (memory + later, 2)] {
            builder.at = builder.at.plus(after);
            builder.command = Some(Hash16([1; 16]));
            rows.extend(builder.records(vec![blocked(seat)]));
        }
        assert_eq!(found(rows).await, wrong, "{later:?}");
    }
}

/// Makes the chain of changed rows right again, so that only the change itself is there to be found.
fn rechained(mut rows: Vec<Record>) -> Vec<Record> {
    let mut chain = onsale::events::Chain::default();
    for row in &mut rows {
        row.chain = row.chain_after(&chain);
        chain = row.chain;
    }
    rows
}

#[tokio::test]
async fn damage_to_the_rows_is_found() {
    // Every column of some row, one bit or one step each: always found, and the first finding is at that row.
    let edits: [Edit; 14] = [
        ("payload", |row| row.payload[0] ^= 1),
        ("at", |row| row.at.0 += 1),
        ("recorded_at", |row| row.recorded_at.0 += 1),
        ("stream", |row| row.stream = seat_stream(77)),
        ("version", |row| row.version.0 += 1),
        ("kind", |row| row.kind = "seat.unblocked".into()),
        ("schema", |row| row.schema += 1),
        ("codec", |row| row.codec ^= 1),
        ("event id", |row| row.event_id = uuid::Uuid::nil()),
        ("command", |row| row.command.0[15] ^= 1),
        ("causation", |row| row.causation = row.causation.is_none().then_some(row.correlation)),
        ("principal", |row| row.principal = AccountId::new("thief")),
        ("epoch", |row| row.epoch.0 += 1),
        ("chain", |row| row.chain.0[31] ^= 128),
    ];
    for (name, edit) in edits {
        let mut rows = log_of(sound());
        edit(&mut rows[4]);
        let findings = found(rows).await;
        assert!(findings.contains(&("L2", 5)), "{name}: {findings:?}");
        assert!(findings.iter().all(|(_, position)| *position >= 5), "{name}: {findings:?}");
    }

    let mut missing = log_of(sound());
    missing.remove(4);
    let findings = found(missing).await;
    assert!(findings.contains(&("L1", 5)) && findings.contains(&("L2", 6)), "{findings:?}");

    let mut swapped = log_of(sound());
    (swapped[4].position, swapped[5].position) = (Position(6), Position(5));
    swapped.swap(4, 5);
    let findings = found(swapped).await;
    assert!(findings.contains(&("L2", 5)) && findings.contains(&("L2", 6)), "{findings:?}");
}

#[tokio::test]
async fn a_forger_who_repairs_the_chain_is_still_found() {
    let mut newer = log_of(sound());
    newer[3].schema = 9;
    assert_eq!(found(rechained(newer)).await, [("L1", 4)], "a version that this build cannot read");
    let mut unknown = log_of(sound());
    unknown[3].kind = "seat.painted".into();
    assert_eq!(found(rechained(unknown)).await, [("L1", 4)], "a kind that this build cannot read");
    let mut skipped = log_of(sound());
    skipped[3].version.0 = 5;
    assert_eq!(found(rechained(skipped)).await, [("L1", 4)], "a version left out");
    let mut open = log_of(sound());
    let last = open.len() - 1;
    open[last].unit_last = false;
    let findings = found(rechained(open)).await;
    assert_eq!(findings, [("L1", last as u64)], "the last unit has no end");
    let mut strange = log_of(vec![(0, vec![blocked(1)])]);
    strange[0].stream = StreamId::order(&OrderId::derive(Partition(0), &Hash16::default()));
    assert_eq!(found(rechained(strange)).await, [("L1", 1)], "a stream of another partition");
}
