//! What could have happened at a sale? Facts without end, of the kinds and in the proportions that a log is full of: about
//! half of them are coupons that are issued, the others one-seat orders that are paid for or, each fourth, cancelled.
//!
//! All of it follows the rules, so a log that is written from it holds before `onsale audit`. Who writes it down is not
//! known here.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::Entropy;
use crate::events::coupon::{self, Discount, Issued};
use crate::events::order::{Cancelled, Captured, Completed, OrderSeat, Placed, Requested, SoldTicket};
use crate::events::performance::{GradePrice, Scheduled};
use crate::events::seat::{Held, ReleaseReason, Released, Sold};
use crate::events::venue::{self, Row, RowSeats, Section};
use crate::events::{CouponEvent, Event, OrderEvent, PerformanceEvent, SeatEvent, ShowEvent, VenueEvent, show};
use crate::ids::{
    AccountId, CommandId, CouponId, OrderId, Partition, PaymentKey, PerformanceId, SeatId, ShowId, StreamId, TaskId,
    TicketId, VenueId, Version,
};
use crate::journal::TimerChange;
use crate::limits;
use crate::money::{Amount, Currency};
use crate::timestamp::Timestamp;

/// Coupons that are issued, and performances that sell, at the same time.
const COUPONS: usize = 4;
const BESIDE: usize = 8;
/// Seats of a performance.
const ROWS: u32 = 20;
const ROW: u32 = 500;
/// After each order, so many coupons: then they are about half of all events.
const COUPONS_FOR_AN_ORDER: u32 = 5;
/// Of so many orders one is cancelled.
const CANCELLED: u64 = 4;
const PRICE: u64 = 50_000;
const STEP: Duration = Duration::from_millis(1);
const HOLD: Duration = Duration::from_secs(180);
const DAY: Duration = Duration::from_secs(86_400);

/// The facts of one command, for one partition.
pub struct Draft {
    pub partition: Partition,
    pub at: Timestamp,
    pub command: CommandId,
    pub by: AccountId,
    pub owner: AccountId,
    pub facts: Vec<(StreamId, Version, Event)>,
    pub timer: Option<TimerChange>,
}

struct Stock {
    id: CouponId,
    issued: u64,
}

/// How often what has happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    pub issued: u64,
    pub orders: u64,
    pub completed: u64,
}

pub struct History {
    entropy: Entropy,
    partitions: u16,
    seller: AccountId,
    now: Timestamp,
    /// Up to and with which everything was drafted; what `next` has not given out yet is counted too.
    pub told: Told,
    show: ShowId,
    venue: VenueId,
    coupons: Vec<Stock>,
    performances: Vec<PerformanceId>,
    ready: VecDeque<Draft>,
}

impl History {
    /// Begins at `begun`, in a log with so many partitions. Another seed gives other names of everything.
    pub fn new(entropy: Entropy, partitions: u16, begun: Timestamp) -> Self {
        let (show, venue) = (ShowId::derive(&entropy.hash16()), VenueId::derive(&entropy.hash16()));
        let seller = AccountId::new("bench-seller");
        let mut history = Self {
            entropy,
            partitions,
            seller,
            now: begun,
            told: Told::default(),
            show,
            venue,
            coupons: Vec::new(),
            performances: Vec::new(),
            ready: VecDeque::new(),
        };
        history.open();
        history
    }

    /// The next unit; there always is one.
    pub fn next(&mut self) -> Draft {
        loop {
            if let Some(draft) = self.ready.pop_front() {
                return draft;
            }
            self.order();
            for _ in 0..COUPONS_FOR_AN_ORDER {
                self.issue();
            }
        }
    }

    /// Units of at least so many events together.
    pub fn take(&mut self, events: usize) -> Vec<Draft> {
        let (mut drafts, mut taken) = (Vec::new(), 0);
        while taken < events {
            let draft = self.next();
            taken += draft.facts.len();
            drafts.push(draft);
        }
        drafts
    }

    /// What is begun and not given out yet: with it, everything that was told has happened.
    pub fn rest(&mut self) -> Vec<Draft> {
        self.ready.drain(..).collect()
    }

    fn draft(&mut self, by: &AccountId, command: CommandId, facts: Vec<(StreamId, Version, Event)>) -> &mut Draft {
        let home = facts.first().and_then(|(stream, _, _)| stream.partition(self.partitions));
        let partition = home.expect("every unit drafted here begins with a stream that has a home");
        self.now = self.now.plus(STEP);
        let (by, owner) = (by.clone(), self.seller.clone());
        self.ready.push_back(Draft { partition, at: self.now, command, by, owner, facts, timer: None });
        self.ready.back_mut().expect("it was just put there")
    }

    /// The seller's own facts, once.
    fn open(&mut self) {
        let seller = self.seller.clone();
        let (show, venue, body) = (self.show.clone(), self.venue.clone(), self.entropy.hash16());
        let day = |moment: Timestamp| moment.to_string()[..10].to_owned();
        let created = show::Created {
            show_id: show.clone(),
            owner: seller.clone(),
            title: "Bench".to_owned(),
            category: "concert".to_owned(),
            description: String::new(),
            place: "here".to_owned(),
            starts_on: day(self.now.plus(30 * DAY)),
            ends_on: day(self.now.plus(31 * DAY)),
            body,
        };
        let command = self.entropy.hash16();
        self.draft(&seller, command, vec![(StreamId::show(&show), Version(1), ShowEvent::from(created).into())]);
        let created = venue::Created {
            venue_id: venue.clone(),
            owner: seller.clone(),
            name: "Bench Hall".to_owned(),
            timezone: "Asia/Seoul".to_owned(),
            sections: house(),
            body,
        };
        let command = self.entropy.hash16();
        self.draft(&seller, command, vec![(StreamId::venue(&venue), Version(1), VenueEvent::from(created).into())]);
        for number in 1..=COUPONS {
            let command = self.entropy.hash16();
            let id = CouponId::derive(&command);
            let created = coupon::Created {
                coupon_id: id.clone(),
                owner: seller.clone(),
                name: format!("Bench {number}"),
                stock: limits::COUPON_STOCK,
                per_member: 1,
                opens_at: Timestamp(0),
                closes_at: self.now.plus(30 * DAY),
                valid_until: self.now.plus(60 * DAY),
                discount: Discount::Percent { value: 10, currency: None, max_amount: None, min_amount: None },
                shows: Vec::new(),
                body,
            };
            let fact = CouponEvent::from(created).into();
            self.draft(&seller, command, vec![(StreamId::coupon(&id), Version(1), fact)]);
            self.coupons.push(Stock { id, issued: 0 });
        }
    }

    fn performance(&mut self) {
        let (seller, command) = (self.seller.clone(), self.entropy.hash16());
        let id = PerformanceId::derive(&command);
        let scheduled = Scheduled {
            performance_id: id.clone(),
            owner: seller.clone(),
            show_id: self.show.clone(),
            venue_id: self.venue.clone(),
            timezone: "Asia/Seoul".to_owned(),
            starts_at: self.now.plus(30 * DAY),
            sale_opens_at: Timestamp(0),
            sale_closes_at: self.now.plus(29 * DAY),
            cancel_until: None,
            currency: Currency::KRW,
            prices: vec![GradePrice { grade: "R".to_owned(), price: price() }],
            max_seats_per_order: 4,
            max_seats_per_member: None,
            hold_seconds: 180,
            layout: house(),
            body: self.entropy.hash16(),
            max_live_orders_per_member: None,
            max_unpaid_holds_per_member: None,
        };
        let fact = PerformanceEvent::from(scheduled).into();
        self.draft(&seller, command, vec![(StreamId::performance(&id), Version(1), fact)]);
        self.performances.push(id);
    }

    fn issue(&mut self) {
        let number = self.told.issued % COUPONS as u64;
        let command = self.entropy.hash16();
        let stock = &mut self.coupons[usize::try_from(number).unwrap_or(0)];
        stock.issued += 1;
        let (id, serial) = (stock.id.clone(), stock.issued);
        let member = AccountId::new(format!("bench-member-{serial}"));
        let issued = Issued { account_id: member.clone(), serial, task_id: TaskId::derive(&id, &command) };
        self.told.issued += 1;
        let fact = (StreamId::coupon(&id), Version(serial + 1), CouponEvent::from(issued).into());
        self.draft(&member, command, vec![fact]);
    }

    /// Places one, and pays for it or cancels it.
    fn order(&mut self) {
        let number = usize::try_from(self.told.orders).unwrap_or(usize::MAX);
        let (house, place) = (ROWS as usize * ROW as usize, number / BESIDE);
        if number.is_multiple_of(BESIDE * house) {
            (0..BESIDE).for_each(|_| self.performance());
        }
        // Of the house that is being sold, the seats one after the other.
        let performance = self.performances[place / house * BESIDE + number % BESIDE].clone();
        let seat = u32::try_from(place % house).unwrap_or(0);
        let seat = SeatId::new(format!("S-{}-{}", seat / ROW, seat % ROW + 1));
        let member = AccountId::new(format!("bench-member-{number}"));
        let order = Order::new(self, performance, seat, member);
        self.told.orders += 1;
        order.place(self);
        if self.told.orders.is_multiple_of(CANCELLED) {
            order.cancel(self);
        } else {
            self.told.completed += 1;
            order.pay(self);
        }
    }
}

fn price() -> Amount {
    Amount::new(PRICE).expect("a small amount is one")
}

fn house() -> Vec<Section> {
    let rows = (0..ROWS).map(|row| Row { row: row.to_string(), seats: RowSeats::Count(ROW) }).collect();
    vec![Section { section: "S".to_owned(), grade: "R".to_owned(), rows }]
}

/// One order in the making.
struct Order {
    id: OrderId,
    stream: StreamId,
    command: CommandId,
    performance: PerformanceId,
    seat: SeatId,
    member: AccountId,
}

impl Order {
    fn new(history: &History, performance: PerformanceId, seat: SeatId, member: AccountId) -> Self {
        let command = history.entropy.hash16();
        let home = Partition::of_key(performance.as_str(), history.partitions);
        let id = OrderId::derive(home, &command);
        Self { stream: StreamId::order(&id), id, command, performance, seat, member }
    }

    fn of_order(&self, version: u64, fact: impl Into<OrderEvent>) -> (StreamId, Version, Event) {
        (self.stream.clone(), Version(version), fact.into().into())
    }

    fn of_seat(&self, version: u64, fact: impl Into<SeatEvent>) -> (StreamId, Version, Event) {
        (StreamId::seat(&self.performance, &self.seat), Version(version), fact.into().into())
    }

    fn deadline(&self, due: Option<Timestamp>) -> Option<TimerChange> {
        Some(TimerChange { stream: self.stream.clone(), due })
    }

    fn place(&self, history: &mut History) {
        let hold_until = history.now.plus(HOLD);
        let placed = Placed {
            order_id: self.id.clone(),
            account_id: self.member.clone(),
            performance_id: self.performance.clone(),
            seats: vec![OrderSeat { seat_id: self.seat.clone(), price: price() }],
            subtotal: price(),
            discount: Amount::ZERO,
            amount: price(),
            currency: Currency::KRW,
            coupon_task_id: None,
            reference: None,
            hold_until,
            owner: history.seller.clone(),
            body: history.entropy.hash16(),
            counted: false,
        };
        let held = Held { order_id: self.id.clone() };
        let facts = vec![self.of_order(1, placed), self.of_seat(1, held)];
        history.draft(&self.member, self.command, facts).timer = self.deadline(Some(hold_until));
    }

    fn cancel(&self, history: &mut History) {
        let cancelled = Cancelled { order_id: self.id.clone(), body: history.entropy.hash16() };
        let released = Released { order_id: self.id.clone(), reason: ReleaseReason::Cancelled };
        let facts = vec![self.of_order(2, cancelled), self.of_seat(2, released)];
        let command = history.entropy.hash16();
        history.draft(&self.member, command, facts).timer = self.deadline(None);
    }

    fn pay(&self, history: &mut History) {
        let (command, body) = (history.entropy.hash16(), history.entropy.hash16());
        let payment_key = PaymentKey::new(format!("tgen_{}", history.entropy.hash16()));
        let requested = Requested {
            order_id: self.id.clone(),
            attempt: 1,
            amount: price(),
            currency: Currency::KRW,
            payment_key: payment_key.clone(),
            psp_key: history.entropy.hash16(),
            review_at: history.now.plus(HOLD),
            body,
        };
        let facts = vec![self.of_order(2, requested)];
        history.draft(&self.member, command, facts);
        let captured = Captured {
            order_id: self.id.clone(),
            attempt: 1,
            amount: price(),
            payment_key,
            psp_reference: history.entropy.hash16().to_string(),
        };
        let ticket_id = TicketId::of(&self.id, 1);
        let ticket =
            SoldTicket { ticket_id: ticket_id.clone(), seat_id: self.seat.clone(), price: price(), paid: price() };
        let completed = Completed { order_id: self.id.clone(), tickets: vec![ticket], body };
        let sold = Sold { order_id: self.id.clone(), ticket_id, price: price() };
        let facts = vec![self.of_order(3, captured), self.of_order(4, completed), self.of_seat(2, sold)];
        let command = history.entropy.hash16();
        history.draft(&self.member, command, facts).timer = self.deadline(None);
    }
}
