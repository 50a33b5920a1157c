//! Do the list of orders and the order that is read say what the order's rules say? The rules are asked at random, and the rows are folded from
//! the facts that follow.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use onsale::domain::order::{
    Answer, Cancel, Command, Late, Order, Pay, Place, RefundAnswer, Returned, Rule, Settle, State,
};
use onsale::domain::performance::{Performance, Terms};
use onsale::domain::{self, Aggregate, Asked, Authority, Decision};
use onsale::events::order::Ruling;
use onsale::events::performance::{GradePrice, PerformanceEvent, Scheduled};
use onsale::events::venue::{Row as HouseRow, RowSeats, Section};
use onsale::events::{Chain, Decoded, Event, OrderEvent, Record, codec};
use onsale::ids::{
    AccountId, Epoch, Hash16, LogPosition, NodeId, OrderId, Partition, PaymentKey, PerformanceId, Position, SeatId,
    ShowId, StreamId, TicketId, VenueId, Version,
};
use onsale::live::OrderView;
use onsale::money::{Amount, Currency};
use onsale::projections::orders::{OrderRow, TicketRow};
use onsale::projections::table::{Cells, Key, Row};
use onsale::projections::{Fact, Needed, Projection, Rows, orders};
use onsale::timestamp::Timestamp;
use proptest::prelude::*;
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(60);

fn performance() -> PerformanceId {
    PerformanceId::derive(&Hash16::default())
}

fn order() -> OrderId {
    OrderId::derive(Partition(1), &Hash16::default())
}

fn terms(price: u64) -> Arc<Terms> {
    let scheduled = Scheduled {
        performance_id: performance(),
        owner: AccountId::new("seller"),
        show_id: ShowId::new("sh_1"),
        venue_id: VenueId::new("vn_1"),
        timezone: "Asia/Seoul".to_owned(),
        starts_at: Timestamp(900_000_000),
        sale_opens_at: Timestamp(0),
        sale_closes_at: Timestamp(800_000_000),
        cancel_until: None,
        currency: Currency::KRW,
        prices: vec![GradePrice { grade: "R".to_owned(), price: Amount::new(price).expect("small") }],
        max_seats_per_order: 4,
        max_seats_per_member: None,
        max_live_orders_per_member: None,
        max_unpaid_holds_per_member: None,
        hold_seconds: 180,
        layout: vec![Section {
            section: "A".to_owned(),
            grade: "R".to_owned(),
            rows: vec![HouseRow { row: "1".to_owned(), seats: RowSeats::Count(2) }],
        }],
        body: Hash16::default(),
    };
    let mut state = <Performance as Aggregate>::State::default();
    let event = PerformanceEvent::from(scheduled);
    let fact = domain::Fact { event: &event, at: Timestamp(0), version: Version(1), command: Hash16::default() };
    Performance::evolve(&mut state, fact);
    Performance::notice(&state).expect("it is on sale")
}

/// An order as its rules have it, as its readers see it, and as its rows do.
struct Both {
    terms: Arc<Terms>,
    now: i64,
    asked: u64,
    version: u64,
    state: State,
    view: Option<OrderView>,
    tables: HashMap<&'static str, BTreeMap<Key, Cells>>,
}

impl Both {
    fn placed(price: u64) -> Self {
        let (state, view, tables) = (State::default(), None, HashMap::new());
        let mut both = Self { terms: terms(price), now: 1_000, asked: 0, version: 0, state, view, tables };
        let seats = ["A-1-1", "A-1-2"].map(SeatId::new).to_vec();
        let (order_id, performance_id) = (order(), performance());
        both.ask("kim", &Command::Place(Place { order_id, performance_id, seats, reference: None, coupon: None }));
        both
    }

    /// What is refused changes nothing, and is as good a question as any.
    fn ask(&mut self, by: &str, command: &Command) {
        self.asked += 1;
        self.now += 1;
        let asked = Asked {
            at: Timestamp(self.now),
            command: Hash16::of("command", &[&self.asked.to_le_bytes()]),
            body: Hash16::default(),
            by: AccountId::new(by),
            authority: if by == "kim" { Authority::Own } else { Authority::Any },
        };
        let Ok(Decision::Append(events)) = Order::decide(&self.state, command, Some(&*self.terms), &asked) else {
            return;
        };
        for event in events {
            self.version += 1;
            let version = Version(self.version);
            Order::evolve(
                &mut self.state,
                domain::Fact { event: &event, at: asked.at, version, command: asked.command },
            );
            self.fold(event, &asked);
        }
    }

    fn fold(&mut self, event: OrderEvent, asked: &Asked) {
        let end = LogPosition { partition: Partition(1), position: Position(self.version) };
        match (&mut self.view, &event) {
            (Some(view), _) => view.apply(&event, asked.at, end),
            (None, OrderEvent::Placed(placed)) => self.view = Some(OrderView::placed(placed, asked.at, end)),
            (None, _) => panic!("an order that was never placed"),
        }
        let event = Event::from(event);
        let record = Record {
            partition: Partition(1),
            position: Position(self.version),
            stream: StreamId::order(&order()),
            version: Version(self.version),
            kind: event.kind().name.into(),
            schema: event.kind().version,
            codec: codec::BINCODE_2,
            event_id: Uuid::from_u128(u128::from(self.version)),
            command: asked.command,
            correlation: Uuid::nil(),
            causation: None,
            principal: asked.by.clone(),
            owner: None,
            epoch: Epoch(1),
            node: NodeId::new("test"),
            at: asked.at,
            recorded_at: asked.at,
            unit_last: true,
            chain: Chain::default(),
            payload: Vec::new(),
            decoded: Decoded::default(),
        };
        let fact = Fact { record: Arc::new(record), event: Arc::new(event) };
        let (mut needed, mut rows) = (Needed::default(), Rows::default());
        orders::Orders.reads(&fact, &mut needed);
        for (table, keys) in needed.into_tables() {
            let stored = self.tables.get(table.name);
            let found = keys.iter().filter_map(|key| stored.and_then(|rows| rows.get(key)).cloned()).collect();
            rows.loaded(table, keys, found);
        }
        orders::Orders.apply(&fact, &mut rows).unwrap_or_else(|unfit| panic!("{:?}: {unfit}", fact.event));
        for change in rows.changes() {
            let stored = self.tables.entry(change.table.name).or_default();
            stored.extend(
                change.adds.into_iter().chain(change.upserts).map(|cells| (change.table.key_of(&cells), cells)),
            );
        }
    }

    fn rows<R: Row>(&self) -> Vec<R> {
        let stored = self.tables.get(R::TABLE.name).into_iter().flat_map(BTreeMap::values);
        stored.map(|cells| R::from_cells(cells).expect("a row of this table")).collect()
    }

    fn agree(&self) -> Result<(), TestCaseError> {
        let row = self.rows::<OrderRow>().remove(0);
        let view = self.view.as_ref().expect("it is placed");
        let (status, shown) = (self.state.status().as_str(), serde_json::to_value(view.status).expect("a word"));
        prop_assert_eq!((&*row.status, shown.as_str()), (status, Some(status)));
        if status == "awaiting_payment" {
            let left = self.state.attempts_left();
            prop_assert_eq!((row.attempts_left, view.attempts_left), (left, left));
        }
        let back = self.state.refunds.iter().filter(|refund| refund.done).map(|refund| refund.amount.minor());
        prop_assert_eq!((row.refunded.minor(), view.refunded), (back.sum::<u64>(), row.refunded));
        let good: Vec<TicketId> = self.state.live_tickets().map(|ticket| ticket.ticket_id.clone()).collect();
        let tickets = self.rows::<TicketRow>();
        let listed = tickets.iter().filter(|ticket| ["valid", "used"].contains(&&*ticket.status));
        prop_assert_eq!(listed.map(|ticket| ticket.ticket_id.clone()).collect::<Vec<_>>(), &good[..]);
        prop_assert_eq!(view.tickets.iter().map(|ticket| ticket.ticket_id.clone()).collect::<Vec<_>>(), good);
        Ok(())
    }

    fn act(&mut self, what: u8, which: u8) {
        let odd = which % 2 == 1;
        let key = PaymentKey::new(if odd { "pk_1" } else { "pk_2" });
        let attempt = u32::try_from(self.state.attempts.len()).expect("few");
        let one = TicketId::of(&order(), 1 + usize::from(odd));
        let refund = self.state.refunds.iter().filter(|refund| !refund.done).nth(usize::from(odd));
        let refund_id = refund.or(self.state.refunds.last()).map(|refund| refund.refund_id.clone());
        let (psp_reference, patience) = ("t".to_owned(), PATIENCE);
        let (by, command) = match (what, refund_id) {
            (0, _) => {
                let amount = self.state.placed.as_ref().map(|placed| placed.amount).unwrap_or_default();
                ("kim", Command::Pay(Pay { payment_key: Some(key), amount, patience }))
            }
            (1, _) => ("system", Command::Settle(Settle { attempt, answer: Answer::Captured { psp_reference } })),
            (2, _) => {
                ("system", Command::Settle(Settle { attempt, answer: Answer::Declined { psp_code: "NO".to_owned() } }))
            }
            (3, _) => ("system", Command::Late(Late { payment_key: key, psp_reference, patience })),
            (4, Some(refund_id)) => {
                let answer = RefundAnswer::Done { psp_reference: None };
                ("system", Command::Returned(Returned { refund_id, answer }))
            }
            (5, Some(refund_id)) => {
                let answer = RefundAnswer::Refused { psp_code: "NO".to_owned() };
                ("system", Command::Returned(Returned { refund_id, answer }))
            }
            (6, _) => ("kim", Command::Cancel(Cancel { tickets: vec![one], patience })),
            (7, _) => ("kim", Command::Cancel(Cancel { tickets: Vec::new(), patience })),
            (8, _) => ("system", Command::CallOff { patience }),
            (9, _) => ("seller", Command::CheckIn { ticket_id: one }),
            (10, _) => {
                let ruling = [Ruling::Captured, Ruling::NotCaptured, Ruling::Refunded][usize::from(which % 3)];
                ("root", Command::Rule(Rule { ruling, psp_reference: None, patience }))
            }
            _ => {
                self.now += if odd { 61_000 } else { 181_000 };
                ("system", Command::Due)
            }
        };
        self.ask(by, &command);
    }
}

#[test]
fn the_walk_comes_by_every_status() {
    let walks: [(&str, &[(u8, u8)]); 9] = [
        ("awaiting_payment", &[]),
        ("paying", &[(0, 0)]),
        ("completed", &[(0, 0), (1, 0), (6, 0), (4, 0)]),
        ("expired", &[(11, 0)]),
        ("failed", &[(0, 0), (2, 0), (0, 0), (2, 0), (0, 0), (2, 0)]),
        ("cancelled", &[(0, 0), (11, 1), (10, 2)]),
        ("refunding", &[(0, 0), (1, 0), (7, 0), (5, 0), (10, 0)]),
        ("refunded", &[(0, 0), (1, 0), (7, 0), (4, 0)]),
        ("review", &[(0, 0), (2, 0), (3, 0), (5, 0), (11, 0)]),
    ];
    for (status, acts) in walks {
        let mut both = Both::placed(100);
        acts.iter().for_each(|(what, which)| both.act(*what, *which));
        assert_eq!(both.state.status().as_str(), status);
        both.agree().unwrap_or_else(|disagree| panic!("{status}: {disagree}"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_row_says_what_its_order_says(
        price in prop_oneof![Just(0_u64), Just(100), Just(100), Just(100)],
        acts in prop::collection::vec((0_u8..12, any::<u8>()), 1..40),
    ) {
        let mut both = Both::placed(price);
        for (what, which) in acts {
            both.act(what, which);
            both.agree()?;
        }
    }
}
