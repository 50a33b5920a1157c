//! Does a sale go on that began before members had accounts? A log with the older shapes, taken over by a node of today.

use std::sync::Arc;
use std::time::Duration;

use onsale::actors::{CommandError, Dispatch, Engine, Setup};
use onsale::audit;
use onsale::clock::{Clock, Entropy, SimulatedClock};
use onsale::domain::{Refusal, order};
use onsale::events::venue::{Row, RowSeats, Section};
use onsale::events::{Chain, Event, MemberEvent, Record, order as facts, performance, seat};
use onsale::ids::{AccountId, Hash16, NodeId, OrderId, Partition, PerformanceId, SeatId, ShowId, StreamId, VenueId};
use onsale::journal::SharedJournal;
use onsale::journal::conformance::{Builder, performance_in};
use onsale::journal::memory::MemoryJournal;
use onsale::money::{Amount, Currency};
use onsale::timestamp::Timestamp;

use crate::buyers::request;

pub const PARTITIONS: u16 = 4;
const P: Partition = Partition(1);
pub const START: Timestamp = Timestamp(1_800_000_000_000);

fn performance_id() -> PerformanceId {
    performance_in(P, PARTITIONS, "pf_")
}

pub fn order_id(n: u8) -> OrderId {
    OrderId::derive(P, &Hash16([n; 16]))
}

fn seat_id(n: u8) -> SeatId {
    SeatId::new(format!("A-1-{n}"))
}

fn scheduled() -> Event {
    let seats = vec![Row { row: "1".to_owned(), seats: RowSeats::Count(9) }];
    let event = performance::Scheduled {
        performance_id: performance_id(),
        owner: AccountId::new("seller"),
        show_id: ShowId::new("sh_1"),
        venue_id: VenueId::new("vn_1"),
        timezone: "Asia/Seoul".to_owned(),
        starts_at: START.plus(Duration::from_secs(86_400)),
        sale_opens_at: START,
        sale_closes_at: START.plus(Duration::from_secs(3_600)),
        cancel_until: None,
        currency: Currency::KRW,
        prices: vec![performance::GradePrice { grade: "R".to_owned(), price: Amount::ZERO }],
        max_seats_per_order: 4,
        max_seats_per_member: Some(1),
        hold_seconds: 180,
        layout: vec![Section { section: "A".to_owned(), grade: "R".to_owned(), rows: seats }],
        body: Hash16::default(),
        max_live_orders_per_member: None,
        max_unpaid_holds_per_member: None,
    };
    Event::Performance(event.into())
}

/// Two seats of one order by ann, who could have them, as nobody counted.
fn placed(order: u8) -> Vec<(StreamId, Event)> {
    let seats = [2 * order + 1, 2 * order + 2];
    let event = facts::Placed {
        order_id: order_id(order),
        account_id: AccountId::new("ann"),
        performance_id: performance_id(),
        seats: seats.iter().map(|n| facts::OrderSeat { seat_id: seat_id(*n), price: Amount::ZERO }).collect(),
        subtotal: Amount::ZERO,
        discount: Amount::ZERO,
        amount: Amount::ZERO,
        currency: Currency::KRW,
        coupon_task_id: None,
        reference: None,
        hold_until: START.plus(Duration::from_secs(180)),
        owner: AccountId::new("seller"),
        body: Hash16::default(),
        counted: false,
    };
    let held = seats.iter().map(|n| {
        let stream = StreamId::seat(&performance_id(), &seat_id(*n));
        (stream, Event::Seat(seat::Held { order_id: order_id(order) }.into()))
    });
    held.chain([(StreamId::order(&order_id(order)), Event::Order(event.into()))]).collect()
}

/// Takes away what version 2 added, as version 1 was written.
fn aged(mut rows: Vec<Record>) -> Vec<Record> {
    let mut chain = Chain::default();
    for row in &mut rows {
        let added = match &*row.kind {
            "performance.scheduled" => 2,
            "order.placed" => 1,
            _ => 0,
        };
        if added > 0 {
            assert!(row.payload.split_off(row.payload.len() - added).iter().all(|byte| *byte == 0));
            row.schema = 1;
        }
        row.chain = row.chain_after(&chain);
        chain = row.chain;
    }
    rows
}

pub fn older_log() -> Vec<Record> {
    let mut builder = Builder::new(P);
    builder.at = START;
    let mut rows = builder.records(vec![(StreamId::performance(&performance_id()), scheduled())]);
    (0..3).for_each(|order| rows.extend(builder.records(placed(order))));
    aged(rows)
}

async fn ask(dispatch: &Dispatch, order: u8, command: order::Command, key: u8) -> Result<(), Refusal> {
    let request = request(Hash16([key; 16]), &AccountId::new("ann"));
    match dispatch.execute::<order::Order>(StreamId::order(&order_id(order)), command, request).await {
        Ok(_) => Ok(()),
        Err(CommandError::Refused(refusal)) => Err(refusal),
        Err(CommandError::Failed(fault)) => panic!("{fault}"),
    }
}

fn place(order: u8, seat: u8) -> order::Command {
    order::Command::Place(order::Place {
        order_id: order_id(order),
        performance_id: performance_id(),
        seats: vec![seat_id(seat)],
        reference: None,
        coupon: None,
    })
}

const CANCEL: order::Command =
    order::Command::Cancel(order::Cancel { tickets: Vec::new(), patience: Duration::from_secs(60) });

#[tokio::test(start_paused = true)]
async fn orders_from_before_there_were_accounts_go_on() {
    let clock: Arc<dyn Clock> = Arc::new(SimulatedClock::starting_at(START.plus(Duration::from_secs(1))));
    let journal = Arc::new(MemoryJournal::found(PARTITIONS, clock.clone(), older_log()));
    let shared: SharedJournal = journal.clone();
    let (node, claimed_at) = (NodeId::new("today"), clock.elapsed());
    let claim = shared.claim(&node).await.expect("nobody else is here");
    let entropy = Entropy::seeded(1);
    let setup = Setup { journal: shared, claim, claimed_at, node, clock, entropy, sabotage: None };
    let engine = Engine::start(setup).await.expect("an older log can be read");
    let dispatch = engine.dispatch();

    // Bought, given back and cancelled as ever: nobody counted them, nobody misses them.
    let buy =
        order::Command::Pay(order::Pay { payment_key: None, amount: Amount::ZERO, patience: Duration::from_secs(60) });
    assert_eq!(ask(&dispatch, 0, CANCEL, 10).await, Ok(()));
    assert_eq!(ask(&dispatch, 1, buy.clone(), 11).await, Ok(()));
    assert_eq!(ask(&dispatch, 1, CANCEL, 12).await, Ok(()));
    // What is ordered from now on counts, and nothing else.
    assert_eq!(ask(&dispatch, 20, place(20, 1), 20).await, Ok(()), "the seat is free again");
    let limit = |held, sold| Err(Refusal::MemberLimit { limit: 1, held, sold });
    assert_eq!(ask(&dispatch, 21, place(21, 2), 21).await, limit(1, 0));
    assert_eq!(ask(&dispatch, 20, buy, 22).await, Ok(()));
    assert_eq!(ask(&dispatch, 21, place(21, 2), 23).await, limit(0, 1));
    assert_eq!(ask(&dispatch, 20, CANCEL, 24).await, Ok(()));
    assert_eq!(ask(&dispatch, 21, place(21, 2), 25).await, Ok(()));

    let report = audit::run(journal.as_ref(), |_| {}).await.expect("the log can be read");
    assert_eq!(report.violations, []);
    let moved = journal.dump().into_iter().filter_map(|row| match row.event() {
        Ok(Event::Member(MemberEvent::Held(fact))) => Some(i64::from(fact.seats)),
        Ok(Event::Member(MemberEvent::Released(fact))) => Some(-i64::from(fact.seats)),
        _ => None,
    });
    assert_eq!(moved.collect::<Vec<_>>(), [1, -1, 1]);
    engine.shutdown().await;
}
