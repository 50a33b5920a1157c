//! Whatever is asked in whatever order: is what is left in the till what the live tickets cost, is each seat sold and
//! freed once, and does the member's account say so, too?
//!
//! The reference knows no rule. It counts money, tickets and seats from the facts alone, and every accepted command must
//! leave all three in step with each other and with the order's own state.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::domain::coupon::Claim;
use crate::domain::member::Member;
use crate::domain::seat::Seat;
use crate::domain::{Authority, Decision};
use crate::events::OrderEvent;
use crate::events::coupon::Discount;
use crate::ids::TaskId;
use crate::limits;
use crate::money::Currency;

const SEATS: [&str; 3] = ["A-1-1", "A-1-2", "B-1-7b"];

/// What the facts say, added up.
#[derive(Default)]
struct Books {
    captured: u64,
    going_back: u64,
    /// Payments whose money came.
    keys: BTreeSet<String>,
    open: Option<u32>,
    /// Attempts that were declined at first, whatever came of their money.
    declined: u32,
    live: BTreeMap<TicketId, u64>,
    /// Refunds that are not done: their money and tickets.
    refunds: BTreeMap<RefundId, (u64, Vec<TicketId>)>,
    /// What became of the seats, by the place of the ticket.
    seats: Vec<Lot>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lot {
    Held,
    Sold,
    Free,
}

impl Books {
    fn write(&mut self, event: &OrderEvent) {
        match event {
            OrderEvent::Placed(placed) => self.seats = vec![Lot::Held; placed.seats.len()],
            OrderEvent::Requested(asked) => {
                assert_eq!(self.open.replace(asked.attempt), None, "never two attempts at once");
            }
            OrderEvent::Captured(captured) => {
                self.captured += captured.amount.minor();
                assert!(self.keys.insert(captured.payment_key.to_string()), "no payment's money comes twice");
                self.open.take_if(|open| *open == captured.attempt);
            }
            OrderEvent::Declined(declined) => {
                assert_eq!(self.open.take(), Some(declined.attempt));
                self.declined += 1;
            }
            OrderEvent::Completed(completed) => {
                self.seats.fill(Lot::Sold);
                self.live = completed.tickets.iter().map(|t| (t.ticket_id.clone(), t.paid.minor())).collect();
            }
            OrderEvent::RefundRequested(refund) => {
                self.going_back += refund.amount.minor();
                for ticket in &refund.tickets {
                    assert!(self.live.remove(ticket).is_some(), "a ticket is given back once");
                }
                let known =
                    self.refunds.insert(refund.refund_id.clone(), (refund.amount.minor(), refund.tickets.clone()));
                assert_eq!(known, None, "each refund has its own name");
            }
            OrderEvent::RefundDone(done) => {
                let asked = self.refunds.remove(&done.refund_id);
                assert_eq!(asked, Some((done.amount.minor(), done.tickets.clone())), "done once, and as asked");
                for ticket in &done.tickets {
                    self.seats[place_of(ticket)] = Lot::Free;
                }
            }
            OrderEvent::Expired(_) | OrderEvent::Failed(_) | OrderEvent::Cancelled(_) => {
                assert!(self.seats.iter().all(|seat| *seat == Lot::Held), "only a hold ends like that");
                self.seats.fill(Lot::Free);
            }
            OrderEvent::Refunded(_) => assert!(self.live.is_empty()),
            OrderEvent::ReviewOpened(_)
            | OrderEvent::ReviewSettled(_)
            | OrderEvent::CheckedIn(_)
            | OrderEvent::CouponSettled(_) => {}
        }
    }
}

fn place_of(ticket: &TicketId) -> usize {
    let found = (0..SEATS.len()).find(|place| TicketId::of(&OrderId::new("o1"), place + 1) == *ticket);
    found.expect("a ticket of this order")
}

/// One order with its seats, and the books beside it.
struct World<'a> {
    order: Story<'a, Order>,
    seats: BTreeMap<String, Story<'static, Seat>>,
    /// What the member's account says; nothing where members are not counted.
    account: Story<'static, Member>,
    books: Books,
    now: i64,
    asked: u32,
}

impl<'a> World<'a> {
    fn new(terms: &'a Terms, discount: u64) -> Self {
        let order = story().beside(terms);
        let (seats, account) = (BTreeMap::new(), story());
        let mut world = Self { order, seats, account, books: Books::default(), now: 1_500, asked: 0 };
        let mut command = place(&SEATS);
        if let (Command::Place(place), Some(value)) =
            (&mut command, Amount::new(discount).filter(|d| *d > Amount::ZERO))
        {
            let discount = Discount::Amount { value, currency: Currency::KRW, min_amount: None };
            let until = Timestamp(1_000_000);
            let owner = AccountId::new("seller");
            place.coupon = Some(Claim { task_id: TaskId::new("task"), discount, owner, shows: Vec::new(), until });
        }
        world.ask("ann", Authority::Own, &command);
        assert_eq!(world.order.version.0, 1, "it was placed");
        world
    }

    fn amount(&self) -> Amount {
        self.order.state.placed.as_ref().expect("it was placed").amount
    }

    fn ask(&mut self, by: &str, authority: Authority, command: &Command) {
        self.asked += 1;
        let asker = self.order.clone().own_again().by(by).key(&self.asked.to_string()).at(self.now);
        let mut asker = if authority == Authority::Any { asker.for_anybody() } else { asker };
        let parts = Order::parts(&asker.state, command, &AccountId::new(by), asker.neighbour());
        let moved = parts.iter().any(|(_, part)| matches!(part, Part::Seat(_)));
        let accounts = parts.iter().filter(|(_, part)| matches!(part, Part::Member(_))).count();
        let counted = asker.neighbour().is_some_and(|terms| terms.members_counted);
        assert_eq!(accounts, usize::from(moved && counted), "the account moves with the seats: {command:?}");
        let (asked_by, answer) = (asker.asked(), asker.tell(command));
        self.order = asker.slept();
        let Ok(Decision::Append(events)) = answer else { return };
        for (stream, part) in parts {
            let word = match &part {
                Part::Seat(part) => {
                    let seat = self.seats.entry(stream.as_str().to_owned()).or_insert_with(story);
                    seat.tell(part).map(|word| matches!(word, Decision::Append(_)))
                }
                Part::Member(part) => {
                    self.account = self.account.clone().by(asked_by.by.as_str()).at(self.now);
                    assert_eq!(stream.as_str(), "member/pf_1/ann", "whoever asks, it is the buyer's account");
                    self.account.tell(part).map(|word| matches!(word, Decision::Append(_)))
                }
            };
            assert_eq!(word, Ok(true), "{stream} does not agree to {part:?} of {command:?}");
        }
        events.iter().for_each(|event| self.books.write(event));
        self.compare(command);
    }

    fn compare(&self, command: &Command) {
        let (books, state) = (&self.books, &self.order.state);
        let worth: u64 = books.live.values().sum();
        assert_eq!(books.captured - books.going_back, worth, "M2 after {command:?}");
        assert!(books.declined <= limits::PAYMENT_ATTEMPTS, "no more attempts than promised");
        let live: BTreeMap<TicketId, u64> =
            state.live_tickets().map(|ticket| (ticket.ticket_id.clone(), ticket.paid.minor())).collect();
        assert_eq!(live, books.live);
        for (id, expected) in SEATS.iter().zip(&books.seats) {
            let stream = StreamId::seat(&PerformanceId::new("pf_1"), &SeatId::new(*id));
            let seat = match &self.seats[stream.as_str()].state {
                seat::State::Held { .. } => Lot::Held,
                seat::State::Sold { .. } => Lot::Sold,
                seat::State::Available | seat::State::Blocked => Lot::Free,
            };
            assert_eq!(seat, *expected, "{id} after {command:?}");
        }
        if self.order.neighbour().is_some_and(|terms| terms.members_counted) {
            let lots = |lot| books.seats.iter().filter(|seat| **seat == lot).count();
            let (held, sold) = (lots(Lot::Held), lots(Lot::Sold));
            assert_eq!(self.account.state.standing(), (held, sold), "the account after {command:?}");
        }
        self.compare_steps(command);
        let again = self.order.answer(command);
        if matches!(command, Command::Pay(_) | Command::Cancel(_) | Command::CheckIn { .. } | Command::Rule(_)) {
            assert_eq!(again, Ok(Decision::Replay(self.order.version)), "{command:?} again");
        }
    }

    /// Whoever waits for the world outside says so, and has a moment at which the waiting ends.
    fn compare_steps(&self, command: &Command) {
        let (books, state) = (&self.books, &self.order.state);
        match state.step() {
            Some(Step::Pay(step)) => assert_eq!((books.open, step.amount), (Some(step.attempt), self.amount())),
            Some(Step::Refund(step)) => {
                assert_eq!(books.open, None);
                assert_eq!(books.refunds.get(&step.refund_id).map(|(amount, _)| *amount), Some(step.amount.minor()));
            }
            Some(Step::Coupon { .. }) | None => assert!(books.open.is_none() && books.refunds.is_empty()),
        }
        assert_eq!(Order::waits_since(state).is_some(), state.step().is_some(), "after {command:?}");
        let held = books.seats.contains(&Lot::Held);
        let waits = held || !books.refunds.is_empty();
        let looked_at = state.status() == Status::Review;
        assert!(!waits || looked_at || Order::deadline(state).is_some(), "nothing hangs after {command:?}");
    }

    fn process(&mut self, command: &Command) {
        self.ask("system", Authority::Any, command);
    }

    fn act(&mut self, act: &Act) {
        self.now += 1;
        match act {
            Act::Wait(millis) => self.now += millis,
            Act::Due => {
                self.now = Order::deadline(&self.order.state).map_or(self.now, |at| self.now.max(at.0));
                self.process(&Command::Due);
            }
            Act::Pay(key) => {
                let payment_key = Some(PaymentKey::new(format!("pk_{key}")));
                let pay = Pay { payment_key, amount: self.amount(), patience: PATIENCE };
                self.ask("ann", Authority::Own, &Command::Pay(pay));
            }
            Act::Settle(attempt, yes) => {
                let attempt = attempt.unwrap_or(self.books.open.unwrap_or(1));
                self.process(&if *yes { captured(attempt) } else { declined(attempt) });
            }
            Act::Late(key) => {
                let payment_key = PaymentKey::new(format!("pk_{key}"));
                self.process(&Command::Late(Late { payment_key, psp_reference: "t".into(), patience: PATIENCE }));
            }
            Act::Cancel(by, places) => self.ask(by, Authority::Own, &give_back(places)),
            Act::CallOff => self.process(&call_off()),
            Act::Returned(number, done) => {
                let first = self.books.refunds.keys().next().cloned();
                let named = number.map(|number| RefundId::of(&OrderId::new("o1"), number));
                let Some(refund_id) = named.or(first) else { return };
                let answer = if *done {
                    RefundAnswer::Done { psp_reference: None }
                } else {
                    RefundAnswer::Refused { psp_code: "NO".into() }
                };
                self.process(&Command::Returned(Returned { refund_id, answer }));
            }
            Act::Rule(ruling) => self.ask("root", Authority::Any, &rule(*ruling)),
            Act::CheckIn(place) => {
                let ticket_id = TicketId::of(&OrderId::new("o1"), *place);
                self.ask("seller", Authority::Own, &Command::CheckIn { ticket_id });
            }
            Act::Coupon(used) => self.process(&Command::CouponSettled { used: *used }),
        }
    }

    /// The world outside answers everything that is open.
    fn come_to_rest(&mut self) {
        for _ in 0..20 {
            match self.order.state.step() {
                Some(Step::Pay(step)) => self.process(&declined(step.attempt)),
                Some(Step::Refund(_)) => self.act(&Act::Returned(None, true)),
                Some(Step::Coupon { used, .. }) => self.process(&Command::CouponSettled { used }),
                None if Order::deadline(&self.order.state).is_some() => self.act(&Act::Due),
                None => return,
            }
        }
        panic!("it never comes to rest: {:?}", self.order.state);
    }
}

#[derive(Clone, Debug)]
enum Act {
    Wait(i64),
    Due,
    Pay(u8),
    /// Without a number it is about the attempt that is open.
    Settle(Option<u32>, bool),
    Late(u8),
    Cancel(&'static str, Vec<usize>),
    CallOff,
    /// Without a number it is about a refund that is open.
    Returned(Option<usize>, bool),
    Rule(Ruling),
    CheckIn(usize),
    Coupon(bool),
}

fn any_act() -> impl Strategy<Value = Act> {
    let places = prop::collection::vec(1..=SEATS.len(), 0..3);
    let rulings = prop::sample::select(vec![Ruling::Captured, Ruling::NotCaptured, Ruling::Refunded]);
    prop_oneof![
        1 => (0_i64..2_000).prop_map(Act::Wait),
        2 => Just(Act::Due),
        6 => (0_u8..4).prop_map(Act::Pay),
        4 => any::<bool>().prop_map(|yes| Act::Settle(None, yes)),
        1 => (1_u32..5, any::<bool>()).prop_map(|(attempt, yes)| Act::Settle(Some(attempt), yes)),
        3 => (0_u8..4).prop_map(Act::Late),
        3 => (prop::sample::select(vec!["ann", "seller", "bob"]), places).prop_map(|(by, places)| Act::Cancel(by, places)),
        1 => Just(Act::CallOff),
        3 => any::<bool>().prop_map(|done| Act::Returned(None, done)),
        1 => (1_usize..4, any::<bool>()).prop_map(|(number, done)| Act::Returned(Some(number), done)),
        2 => rulings.prop_map(Act::Rule),
        1 => (1..=SEATS.len()).prop_map(Act::CheckIn),
        1 => any::<bool>().prop_map(Act::Coupon),
    ]
}

/// Few prices, so that free seats, free orders and odd shares all come up.
fn any_price() -> impl Strategy<Value = u64> {
    prop_oneof![1 => Just(0_u64), 3 => 1_u64..200]
}

proptest! {
    #[test]
    fn money_tickets_and_seats_stay_in_step(
        (vip, standard) in (any_price(), any_price()),
        discount in prop_oneof![Just(0_u64), 1_u64..400],
        cap in prop::option::of(3_u32..6),
        acts in prop::collection::vec(any_act(), 0..40),
    ) {
        let mut schedule = performance::tests::schedule();
        for (price, minor) in schedule.prices.iter_mut().zip([vip, standard]) {
            price.price = won(minor);
        }
        schedule.max_seats_per_member = cap;
        let known = story::<Performance>().by("seller").after(&performance::Command::Schedule(schedule));
        let terms = known.state.terms.expect("it was scheduled");
        let mut world = World::new(&terms, discount);
        for act in &acts {
            world.act(act);
        }
        world.come_to_rest();
        prop_assert!(world.books.open.is_none() && world.books.refunds.is_empty(), "nothing is open at rest");
        prop_assert!(!world.books.seats.contains(&Lot::Held), "no seat is held for ever");
        let sold = world.books.seats.iter().filter(|seat| **seat == Lot::Sold).count();
        prop_assert_eq!(sold, world.books.live.len(), "at rest each sold seat has its ticket");
    }
}
