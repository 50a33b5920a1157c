//! What do facts make of rows? A log and a store in memory, for the tests of projections.
//!
//! It applies one fact after the other as the runner does, so a projection that looks at a row it did not ask for fails
//! here too.

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

use super::table::{Cells, Key, Row};
use super::{Fact, Needed, Projection, Rows, Unfit};
use crate::events::{Chain, Decoded, Event, Record, codec};
use crate::ids::{AccountId, Epoch, Hash16, NodeId, Partition, Position, StreamId, Version};
use crate::timestamp::Timestamp;

/// A log in the making: facts in the order in which they happened, over any partitions.
#[derive(Default)]
pub struct Story {
    pub facts: Vec<Fact>,
}

impl Story {
    /// One unit: facts of one moment that were written together.
    pub fn unit(&mut self, at: i64, facts: impl IntoIterator<Item = (StreamId, Event)>) -> &mut Self {
        let first = self.facts.len();
        for (stream, event) in facts {
            let fact = self.fact(at, stream, event);
            self.facts.push(fact);
        }
        let last = self.facts.len();
        for (number, fact) in self.facts.iter_mut().enumerate().skip(first) {
            Arc::make_mut(&mut fact.record).unit_last = number + 1 == last;
        }
        self
    }

    fn fact(&self, at: i64, stream: StreamId, event: Event) -> Fact {
        let partition = stream.partition(64).expect("a stream that lives somewhere");
        let behind =
            |same: &dyn Fn(&Record) -> bool| self.facts.iter().filter(|fact| same(&fact.record)).count() as u64;
        let record = Record {
            partition,
            position: Position(behind(&|record| record.partition == partition) + 1),
            version: Version(behind(&|record| record.stream == stream) + 1),
            kind: event.kind().name.into(),
            schema: event.kind().version,
            codec: codec::BINCODE_2,
            event_id: Uuid::from_u128(self.facts.len() as u128 + 1),
            command: Hash16::default(),
            correlation: Uuid::nil(),
            causation: None,
            principal: AccountId::new("somebody"),
            owner: None,
            epoch: Epoch(1),
            node: NodeId::new("test"),
            at: Timestamp(at),
            recorded_at: Timestamp(at),
            unit_last: true,
            chain: Chain::default(),
            payload: codec::encode(&event).expect("a fact"),
            decoded: Decoded::default(),
            stream,
        };
        Fact { record: Arc::new(record), event: Arc::new(event) }
    }

    /// The same facts with the partitions interleaved in another way; the order within each stays.
    #[must_use]
    pub fn shuffled(&self, mut dice: impl FnMut(usize) -> usize) -> Vec<Fact> {
        let mut partitions: BTreeMap<Partition, Vec<Fact>> = BTreeMap::new();
        for fact in self.facts.iter().rev() {
            partitions.entry(fact.record.partition).or_default().push(fact.clone());
        }
        let mut mixed = Vec::new();
        while !partitions.is_empty() {
            let which = *partitions.keys().nth(dice(partitions.len()) % partitions.len()).expect("one is left");
            let queue = partitions.get_mut(&which).expect("it is there");
            mixed.extend(queue.pop());
            if queue.is_empty() {
                partitions.remove(&which);
            }
        }
        mixed
    }
}

/// The tables of one projection in memory.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Shelf {
    tables: BTreeMap<&'static str, BTreeMap<Key, Cells>>,
}

impl Shelf {
    /// Applies what the projection follows of `facts`.
    pub fn of(projection: &dyn Projection, facts: &[Fact]) -> Self {
        let mut shelf = Self::default();
        for fact in facts {
            shelf.apply(projection, fact).unwrap_or_else(|e| panic!("{} of {:?}: {e}", fact.record.kind, fact.record));
        }
        shelf
    }

    pub fn apply(&mut self, projection: &dyn Projection, fact: &Fact) -> Result<(), Unfit> {
        if !super::concerns(projection.follows(), &fact.record.kind) {
            return Ok(());
        }
        let (mut needed, mut rows) = (Needed::default(), Rows::default());
        projection.reads(fact, &mut needed);
        for (table, keys) in needed.into_tables() {
            assert!(projection.tables().contains(&table), "{} is not among its tables", table.name);
            let stored = self.tables.get(table.name);
            let found = keys.iter().filter_map(|key| stored.and_then(|rows| rows.get(key)).cloned()).collect();
            rows.loaded(table, keys, found);
        }
        projection.apply(fact, &mut rows)?;
        for change in rows.changes() {
            assert!(projection.tables().contains(&change.table), "{} is not among its tables", change.table.name);
            let stored = self.tables.entry(change.table.name).or_default();
            for cells in &change.adds {
                let key = change.table.key_of(cells);
                assert!(!stored.contains_key(&key), "{} has {key:?} already", change.table.name);
            }
            for cells in change.adds.into_iter().chain(change.upserts) {
                stored.insert(change.table.key_of(&cells), cells);
            }
            for key in change.deletes {
                stored.remove(&key);
            }
        }
        Ok(())
    }

    /// All rows of a table in the order of their keys.
    #[must_use]
    pub fn rows<R: Row>(&self) -> Vec<R> {
        let stored = self.tables.get(R::TABLE.name).into_iter().flat_map(BTreeMap::values);
        stored.map(|cells| R::from_cells(cells).expect("a row of this table")).collect()
    }
}

/// Applies a story in several interleavings and says that all give the same rows.
pub fn order_of_partitions_does_not_matter(projection: &dyn Projection, story: &Story) {
    let straight = Shelf::of(projection, &story.facts);
    for seed in 1_usize..20 {
        let mut state = seed;
        let dice = |sides: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % sides
        };
        assert_eq!(Shelf::of(projection, &story.shuffled(dice)), straight, "seed {seed}");
    }
}

/// Facts of a sale, as tests of several projections tell them.
pub mod sale {
    use super::Story;
    use crate::events::seat::{Blocked, Held, ReleaseReason, Released, Sold, Unblocked};
    use crate::events::venue::{Row, RowSeats, Section};
    use crate::events::{Event, OrderEvent, PerformanceEvent, SeatEvent, order, performance};
    use crate::ids::{
        AccountId, Hash16, OrderId, Partition, PerformanceId, SeatId, ShowId, StreamId, TicketId, VenueId,
    };
    use crate::money::{Amount, Currency};
    use crate::timestamp::Timestamp;

    type Told = (StreamId, Event);

    /// When the sales of these performances open, in milliseconds.
    pub const OPENS: i64 = 1_000;

    /// When they were to begin at first.
    const STARTS: &str = "2026-11-21T15:00:00Z";

    fn id(performance: &str) -> PerformanceId {
        PerformanceId::new(performance)
    }

    fn seat(performance: &str, seat: &str, event: impl Into<SeatEvent>) -> Told {
        (StreamId::seat(&id(performance), &SeatId::new(seat)), Event::Seat(event.into()))
    }

    fn own(performance: &str, event: impl Into<PerformanceEvent>) -> Told {
        (StreamId::performance(&id(performance)), Event::Performance(event.into()))
    }

    /// A house of one row per section, each with a grade and so many seats.
    pub fn scheduled(story: &mut Story, performance: &str, sections: &[(&str, &str, u32)]) {
        let section = |(section, grade, seats): &(&str, &str, u32)| Section {
            section: (*section).to_owned(),
            grade: (*grade).to_owned(),
            rows: vec![Row { row: "1".to_owned(), seats: RowSeats::Count(*seats) }],
        };
        let price = |(_, grade, _): &(&str, &str, u32)| performance::GradePrice {
            grade: (*grade).to_owned(),
            price: Amount::new(1_000).expect("a small amount"),
        };
        let event = performance::Scheduled {
            performance_id: id(performance),
            owner: AccountId::new("ann"),
            show_id: ShowId::new("sh_1"),
            venue_id: VenueId::new("vn_1"),
            timezone: "Asia/Seoul".to_owned(),
            starts_at: Timestamp::parse(STARTS).expect("a time"),
            sale_opens_at: Timestamp(OPENS),
            sale_closes_at: Timestamp(9_000_000),
            cancel_until: None,
            currency: Currency::KRW,
            prices: sections.iter().map(price).collect(),
            max_seats_per_order: 4,
            max_seats_per_member: None,
            max_live_orders_per_member: None,
            max_unpaid_holds_per_member: None,
            hold_seconds: 180,
            layout: sections.iter().map(section).collect(),
            body: Hash16::default(),
        };
        story.unit(10, [own(performance, event)]);
    }

    pub fn paused(performance: &str) -> Told {
        own(performance, performance::Paused { body: Hash16::default() })
    }

    pub fn resumed(performance: &str) -> Told {
        own(performance, performance::Resumed { body: Hash16::default() })
    }

    /// Other terms: what a seat costs, when the sale opens, and how much later it all begins.
    pub fn changed(performance: &str, price: u64, opens: i64, later: i64) -> Told {
        let price = Amount::new(price).expect("a small amount");
        let event = performance::Changed {
            starts_at: Timestamp(Timestamp::parse(STARTS).expect("a time").0 + later),
            sale_opens_at: Timestamp(opens),
            sale_closes_at: Timestamp(8_000_000),
            cancel_until: Some(Timestamp(7_000_000)),
            prices: vec![performance::GradePrice { grade: "VIP".to_owned(), price }],
            max_seats_per_order: 2,
            max_seats_per_member: Some(6),
            max_live_orders_per_member: Some(3),
            max_unpaid_holds_per_member: Some(5),
            hold_seconds: 90,
            body: Hash16::default(),
        };
        own(performance, event)
    }

    pub fn cancelled(performance: &str) -> Told {
        own(performance, performance::Cancelled { body: Hash16::default() })
    }

    pub fn called_off(performance: &str, orders: u64) -> Told {
        own(performance, performance::CalledOff { orders })
    }

    fn order_id(performance: &str, name: &str) -> OrderId {
        OrderId::derive(Partition::of_key(performance, 64), &Hash16::of("test order", &[name.as_bytes()]))
    }

    pub fn placed(performance: &str, order: &str, seats: &[&str]) -> Told {
        let seat = |seat: &&str| order::OrderSeat { seat_id: SeatId::new(*seat), price: Amount::ZERO };
        let event = order::Placed {
            order_id: order_id(performance, order),
            account_id: AccountId::new("kim"),
            performance_id: id(performance),
            seats: seats.iter().map(seat).collect(),
            subtotal: Amount::ZERO,
            discount: Amount::ZERO,
            amount: Amount::ZERO,
            currency: Currency::KRW,
            coupon_task_id: None,
            reference: None,
            hold_until: Timestamp(200_000),
            owner: AccountId::new("ann"),
            body: Hash16::default(),
            counted: false,
        };
        (StreamId::order(&event.order_id), OrderEvent::from(event).into())
    }

    pub fn held(performance: &str, at: &str, order: &str) -> Told {
        seat(performance, at, Held { order_id: order_id(performance, order) })
    }

    pub fn released(performance: &str, at: &str, order: &str, reason: ReleaseReason) -> Told {
        seat(performance, at, Released { order_id: order_id(performance, order), reason })
    }

    pub fn sold(performance: &str, at: &str, order: &str, price: u64) -> Told {
        let (order_id, ticket_id) = (order_id(performance, order), TicketId::new(at));
        seat(performance, at, Sold { order_id, ticket_id, price: Amount::new(price).expect("a small amount") })
    }

    pub fn blocked(performance: &str, at: &str) -> Told {
        seat(performance, at, Blocked {})
    }

    pub fn unblocked(performance: &str, at: &str) -> Told {
        seat(performance, at, Unblocked {})
    }
}
