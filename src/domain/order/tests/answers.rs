//! Whatever is asked in whatever order: does an order answer as the sheet of paper in `sale.rs` does?
//!
//! The order, its seats and the terms of its performance are the real ones; whoever asks, it is one command after the other.
//! After each, everything that the order shows is compared with the sheet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};

use super::sale::{Act, CLAIM_UNTIL, End, Fate, Look, Paper, SEATS, Sheet, Step, Who, ticket};
use super::*;
use crate::domain::coupon::Claim;
use crate::domain::order::Step as NextStep;
use crate::domain::order::state::{Outcome, Standing};
use crate::domain::seat::Seat;
use crate::domain::testing::machine::{Machine, Said, asked};
use crate::domain::{Asked, Decision};
use crate::events::coupon::Discount;
use crate::events::order::ReviewOf;
use crate::ids::TaskId;
use crate::money::Currency;

struct Model;

/// What moves the order on from where it stands: by chance alone, few orders would ever come to a refund.
fn fitting(sheet: &Sheet) -> BoxedStrategy<Step> {
    let ask = |who, act| Just(Step::Ask(who, act)).boxed();
    let key = (0..4_u8).prop_map(|key| Step::Ask(Who::Ann, Act::Pay { key: Some(key), exact: true }));
    let some = prop::collection::vec(1..4_usize, 1..3);
    let cancel = (prop::sample::select(vec![Who::Ann, Who::Seller]), some);
    let cancel = cancel.prop_map(|(who, named)| Step::Ask(who, Act::Cancel(named)));
    let rulings = prop::sample::select(vec![Ruling::Captured, Ruling::NotCaptured, Ruling::Refunded]);
    let rule = rulings.prop_map(|ruling| Step::Ask(Who::Admin, Act::Rule(ruling)));
    let late = (0..4_u8).prop_map(|key| Step::Ask(Who::Process, Act::Late(key)));
    let number = sheet.open_back().unwrap_or(1);
    let back = any::<bool>().prop_map(move |done| Step::Ask(Who::Process, Act::Returned { number, done }));
    let attempt = sheet.open_try().unwrap_or(1);
    let settle = any::<bool>().prop_map(move |yes| Step::Ask(Who::Process, Act::Settle { attempt, yes }));
    let overdue = prop_oneof![Just(Step::Until(0)), ask(Who::Process, Act::Due)];
    match (sheet.status(), sheet.open_back()) {
        ("awaiting_payment", None) => prop_oneof![6 => key, 2 => late].boxed(),
        ("awaiting_payment", Some(_)) => prop_oneof![4 => key, 2 => late, 2 => back].boxed(),
        ("paying", _) => prop_oneof![5 => settle, 2 => overdue, 1 => late].boxed(),
        ("review", _) => prop_oneof![5 => rule, 1 => settle, 1 => back, 1 => late].boxed(),
        ("completed", None) => {
            let check_in = (1..4_usize).prop_map(|n| Step::Ask(Who::Seller, Act::CheckIn(n)));
            prop_oneof![5 => cancel, 1 => check_in, 1 => ask(Who::Process, Act::CallOff), 2 => late].boxed()
        }
        ("completed" | "refunding", Some(_)) => prop_oneof![3 => back, 2 => cancel, 2 => overdue].boxed(),
        _ => prop_oneof![late, ask(Who::Process, Act::Coupon(false)), back].boxed(),
    }
}

fn any_act(sheet: &Sheet) -> BoxedStrategy<(Who, Act)> {
    let who = prop::sample::select(vec![Who::Ann, Who::Ann, Who::Seller, Who::Admin, Who::Bob]);
    // A process asks for what is open, most of the time; others may not.
    let process = prop_oneof![12 => Just(Who::Process), 1 => Just(Who::Ann)];
    let attempt = prop_oneof![6 => Just(sheet.open_try().unwrap_or(1)), 1 => 0..5_u32];
    let number = prop_oneof![6 => Just(sheet.open_back().unwrap_or(1)), 1 => 1..5_usize];
    let rulings = prop::sample::select(vec![Ruling::Captured, Ruling::NotCaptured, Ruling::Refunded]);
    let key = prop_oneof![1 => Just(None), 20 => (0..4_u8).prop_map(Some)];
    let pay = (key, prop::bool::weighted(0.9)).prop_map(|(key, exact)| Act::Pay { key, exact });
    let cancel = prop::collection::vec(1..5_usize, 0..3).prop_map(Act::Cancel);
    let by_people = prop_oneof![
        8 => pay,
        4 => cancel,
        2 => (1..4_usize).prop_map(Act::CheckIn),
        4 => rulings.prop_map(Act::Rule),
        4 => Just(Act::Due),
    ];
    let by_process = prop_oneof![
        5 => (attempt, any::<bool>()).prop_map(|(attempt, yes)| Act::Settle { attempt, yes }),
        3 => (0..4_u8).prop_map(Act::Late),
        5 => (number, prop::bool::weighted(0.6)).prop_map(|(number, done)| Act::Returned { number, done }),
        1 => Just(Act::CallOff),
        2 => any::<bool>().prop_map(Act::Coupon),
    ];
    prop_oneof![3 => (who, by_people), 3 => (process, by_process)].boxed()
}

fn any_place() -> BoxedStrategy<Step> {
    let [one, two, three] = SEATS;
    let seats = prop_oneof![
        4 => Just(vec![one, two, three]),
        4 => Just(vec![three, one]),
        2 => Just(vec![two]),
        1 => Just(vec![]),
        1 => Just(vec![one, two, one]),
        1 => Just(vec![one, "Z-9-9"]),
        1 => Just(vec![one, two, three, "A-1-3", "A-2-1"]),
    ];
    let same = prop::bool::weighted(0.7);
    (seats, same).prop_map(|(seats, same)| Step::Ask(Who::Ann, Act::Place { seats, same })).boxed()
}

impl ReferenceStateMachine for Model {
    type State = Sheet;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Sheet> {
        let price = || prop_oneof![1 => Just(0_u64), 3 => 1..200_u64];
        let discount = prop_oneof![2 => Just(0_u64), 2 => 1..400_u64];
        let from =
            prop_oneof![5 => Just(1_500), 5 => prop::sample::select(vec![999, 1_000, 1_799, 1_800, 1_999, 2_000])];
        let sheet = |(first, second, discount, now)| Sheet { now, ..Sheet::new([first, second], discount) };
        (price(), price(), discount, from).prop_map(sheet).boxed()
    }

    fn transitions(sheet: &Sheet) -> BoxedStrategy<Step> {
        let stranger = || (0..3_usize).prop_map(Step::Stranger);
        let wait = || prop_oneof![0..400_i64, 0..400_i64, 0..9_000_i64].prop_map(Step::Wait);
        let ask = any_act(sheet).prop_map(|(who, act)| Step::Ask(who, act));
        if sheet.promise.is_none() {
            let pause = any::<bool>().prop_map(Step::Pause);
            return prop_oneof![12 => any_place(), 2 => stranger(), 1 => wait(), 1 => pause, 1 => ask].boxed();
        }
        prop_oneof![
            2 => wait(),
            2 => prop::sample::select(vec![-1_i64, 0, 1]).prop_map(Step::Until),
            1 => prop_oneof![3 => any::<bool>().prop_map(Step::Pause), 1 => Just(Step::Off)],
            1 => any_place(),
            1 => stranger(),
            12 => fitting(sheet),
            10 => ask,
            3 => (0..8_usize, prop::bool::weighted(0.7)).prop_map(|(place, same)| Step::Again(place, same)),
        ]
        .boxed()
    }

    fn apply(mut sheet: Sheet, step: &Step) -> Sheet {
        let said = sheet.says(step);
        Sheet { said, ..sheet }
    }
}

/// The order with everything around it.
struct Shop {
    order: Machine<Order>,
    seats: BTreeMap<StreamId, Machine<Seat>>,
    terms: Terms,
    asked: u32,
    /// What was asked when the sheet said that it was accepted, to be asked again.
    accepted: Vec<(Command, Asked)>,
}

impl Shop {
    fn stream(seat: &str) -> StreamId {
        StreamId::seat(&PerformanceId::new("pf_1"), &SeatId::new(seat))
    }

    /// As the shell does it: the order decides, its seats agree, and all of it happens or nothing.
    fn tell(&mut self, command: &Command, asked: &Asked) -> Said {
        let answer = self.order.decide(command, Some(&self.terms), asked);
        let Ok(Decision::Append(events)) = &answer else { return Said::of(&answer) };
        let mut parts = Order::parts(&self.order.state, command, &asked.by, Some(&self.terms));
        parts.sort_by(|a, b| a.0.cmp(&b.0));
        let mut moved = Vec::new();
        let mut refused = Vec::new();
        for (stream, part) in parts {
            let Part::Seat(part) = part else { panic!("nobody counts members here") };
            match self.seats.entry(stream.clone()).or_default().decide(&part, None, asked) {
                Ok(Decision::Append(events)) => moved.push((stream, events)),
                Err(refusal) => refused.push((stream, refusal)),
                other => panic!("a seat agrees or does not: {other:?}"),
            }
        }
        if !refused.is_empty() {
            return Said::of::<crate::events::OrderEvent>(&Err(Order::parts_refused(command, refused)));
        }
        self.order.commit(events, asked);
        for (stream, events) in moved {
            self.seats.entry(stream).or_default().commit(&events, asked);
        }
        Said::of(&answer)
    }

    fn standing(&self, seat: &str) -> seat::State {
        self.seats.get(&Self::stream(seat)).map(|seat| seat.state.clone()).unwrap_or_default()
    }
}

fn command(sheet: &Sheet, act: &Act) -> Command {
    match act {
        Act::Place { seats, .. } => {
            let mut command = place(seats);
            if let (Command::Place(place), true) = (&mut command, sheet.discount > 0) {
                let discount =
                    Discount::Amount { value: won(sheet.discount), currency: Currency::KRW, min_amount: None };
                let (task_id, owner) = (TaskId::new("task"), AccountId::new("seller"));
                let until = Timestamp(CLAIM_UNTIL);
                place.coupon = Some(Claim { task_id, discount, owner, shows: Vec::new(), until });
            }
            command
        }
        Act::Pay { key, exact } => {
            let amount = won(sheet.minor() + u64::from(!exact));
            let payment_key = key.map(|key| PaymentKey::new(format!("pk_{key}")));
            Command::Pay(Pay { payment_key, amount, patience: PATIENCE })
        }
        Act::Cancel(named) => {
            let tickets = named.iter().map(|number| ticket(*number)).collect();
            Command::Cancel(Cancel { tickets, patience: PATIENCE })
        }
        Act::CheckIn(number) => Command::CheckIn { ticket_id: ticket(*number) },
        Act::Rule(ruling) => rule(*ruling),
        Act::Due => Command::Due,
        Act::Settle { attempt, yes: true } => captured(*attempt),
        Act::Settle { attempt, yes: false } => declined(*attempt),
        Act::Late(key) => {
            let payment_key = PaymentKey::new(format!("pk_{key}"));
            Command::Late(Late { payment_key, psp_reference: "t".into(), patience: PATIENCE })
        }
        Act::Returned { number, done } => {
            let answer = match done {
                true => RefundAnswer::Done { psp_reference: None },
                false => RefundAnswer::Refused { psp_code: "NO".into() },
            };
            Command::Returned(Returned { refund_id: RefundId::of(&OrderId::new("o1"), *number), answer })
        }
        Act::CallOff => call_off(),
        Act::Coupon(used) => Command::CouponSettled { used: *used },
    }
}

impl StateMachineTest for Model {
    type SystemUnderTest = Shop;
    type Reference = Self;

    fn init_test(sheet: &Sheet) -> Shop {
        let mut schedule = performance::tests::schedule();
        for (price, minor) in schedule.prices.iter_mut().zip(sheet.prices) {
            price.price = won(minor);
        }
        let known = story::<Performance>().by("seller").after(&performance::Command::Schedule(schedule));
        let terms = Terms::clone(known.state.terms.as_ref().expect("it was scheduled"));
        Shop { order: Machine::default(), seats: BTreeMap::new(), terms, asked: 0, accepted: Vec::new() }
    }

    fn apply(mut shop: Shop, sheet: &Sheet, step: Step) -> Shop {
        shop.asked += 1;
        match &step {
            Step::Wait(_) | Step::Until(_) => {}
            Step::Pause(paused) => shop.terms.paused = *paused,
            Step::Off => shop.terms.cancelled = true,
            Step::Stranger(place) => stranger(&mut shop, sheet, SEATS[*place]),
            Step::Ask(who, act) => {
                let body = if matches!(act, Act::Place { same: false, .. }) { "other" } else { "same" };
                // An order is placed under one key only: its id is made of it.
                let key = if matches!(act, Act::Place { .. }) { 0 } else { shop.asked };
                let asked = asked(who.name(), who.authority(), &key.to_string(), body, sheet.now);
                let command = command(sheet, act);
                // The first body is the one that is remembered, whichever it was.
                let first = matches!(act, Act::Place { .. }) && shop.order.state.placed.is_none();
                let asked = if first { Asked { body: crate::domain::testing::body("same"), ..asked } } else { asked };
                let said = shop.tell(&command, &asked);
                reached(&said);
                assert_eq!(said, sheet.said, "{step:?}");
                if said.appends() && act.is_keyed() {
                    shop.accepted.push((command, asked));
                }
            }
            Step::Again(place, same) => {
                let Some((command, before)) = shop.accepted.get(*place).cloned() else { return shop };
                let body = if *same { before.body } else { crate::domain::testing::body("another") };
                let again = Asked { at: Timestamp(sheet.now), body, ..before };
                let said = shop.tell(&command, &again);
                assert_eq!(said, sheet.said, "{step:?} of {command:?}");
                reached(&said);
            }
        }
        shop
    }

    fn check_invariants(shop: &Shop, sheet: &Sheet) {
        shop.order.check();
        shop.seats.values().for_each(Machine::check);
        assert_eq!(shop.order.version.0, sheet.written);
        if sheet.promise.is_some() {
            as_the_sheet_says(shop, sheet);
        }
        seats_are_where_they_belong(shop, sheet);
        money_adds_up(sheet);
    }
}

fn stranger(shop: &mut Shop, sheet: &Sheet, seat: &str) {
    if sheet.promise.is_some() {
        return;
    }
    let at = sheet.strangers[SEATS.iter().position(|known| *known == seat).expect("a seat of the sale")];
    let order_id = OrderId::new("o2");
    let command = match at {
        true => seat::Command::Hold { order_id },
        false => seat::Command::Release { order_id, reason: ReleaseReason::Cancelled },
    };
    let asked = asked("bob", Who::Bob.authority(), "stranger", "same", sheet.now);
    assert!(shop.seats.entry(Shop::stream(seat)).or_default().tell(&command, &asked).appends());
}

fn as_the_sheet_says(shop: &Shop, sheet: &Sheet) {
    let state = &shop.order.state;
    assert_eq!(state.status().as_str(), sheet.status());
    assert_eq!(Order::deadline(state), sheet.deadline().map(Timestamp));
    assert_eq!(Order::due(state), sheet.deadline().map(|_| Command::Due));
    assert_eq!(Order::waits_since(state), sheet.waits().map(Timestamp));
    assert_eq!(state.placed.as_ref().map(|placed| placed.amount.minor()), Some(sheet.minor()));
    let fates: Vec<Fate> = sheet.tries.iter().map(|one| one.fate).collect();
    let outcomes = state.attempts.iter().map(|attempt| match attempt.outcome {
        Outcome::Open => Fate::Unknown,
        Outcome::Captured => Fate::Taken,
        Outcome::Declined => Fate::Declined,
    });
    assert_eq!(outcomes.collect::<Vec<_>>(), fates);
    let papers = state.tickets.iter().map(|ticket| match ticket.standing {
        Standing::Valid => Paper::Good,
        Standing::Used => Paper::Used,
        Standing::Void => Paper::Void,
    });
    assert_eq!(papers.collect::<Vec<_>>(), sheet.tickets);
    let backs: Vec<_> = sheet.backs.iter().map(|back| (back.minor, back.tickets.len(), back.done)).collect();
    let refunds = state.refunds.iter().map(|refund| (refund.amount.minor(), refund.tickets.len(), refund.done));
    assert_eq!(refunds.collect::<Vec<_>>(), backs);
    let look = state.review.as_ref().map(|review| match review {
        ReviewOf::Payment { attempt } => Look::Payment(*attempt),
        ReviewOf::Refund { refund_id } => {
            let numbers = 1..=sheet.backs.len();
            let found = numbers.into_iter().find(|n| RefundId::of(&OrderId::new("o1"), *n) == *refund_id);
            Look::Refund(found.expect("a refund of this order"))
        }
    });
    assert_eq!(look, sheet.look);
    next_step(state, sheet);
}

/// One thing at a time is asked for outside: money first, then its way back, then the coupon.
fn next_step(state: &State, sheet: &Sheet) {
    match state.step() {
        Some(NextStep::Pay(step)) => {
            let key = sheet.open_try().map(|number| sheet.tries[number as usize - 1].key);
            assert_eq!(
                (Some(step.attempt), Some(step.payment_key.to_string())),
                (sheet.open_try(), key.map(|key| format!("pk_{key}")))
            );
        }
        Some(NextStep::Refund(step)) => {
            let number = sheet.open_back().expect("the sheet knows of it");
            assert_eq!(sheet.open_try(), None);
            assert_eq!(step.refund_id, RefundId::of(&OrderId::new("o1"), number));
            assert_eq!(step.amount.minor(), sheet.backs[number - 1].minor);
        }
        Some(NextStep::Coupon { used, .. }) => assert_eq!(Some(used), sheet.coupon_hears()),
        None => assert_eq!((sheet.open_try(), sheet.open_back(), sheet.coupon_hears()), (None, None, None)),
    }
}

/// All seats of the order or none: held while it may come to tickets, sold with each ticket, free when it is over.
fn seats_are_where_they_belong(shop: &Shop, sheet: &Sheet) {
    let order_id = OrderId::new("o1");
    let Some(placed) = &shop.order.state.placed else {
        for (seat, taken) in SEATS.iter().zip(sheet.strangers) {
            assert_eq!(shop.standing(seat) != seat::State::Available, taken, "{seat}");
        }
        return;
    };
    for (number, seat) in (1..).zip(&placed.seats) {
        let back = sheet.backs.iter().any(|back| back.done && back.tickets.contains(&number));
        let expected = match sheet.end {
            End::Open => seat::State::Held { order_id: order_id.clone() },
            End::Sold if !back => seat::State::Sold { order_id: order_id.clone() },
            End::Sold | End::RanOut | End::Failed | End::Cancelled => seat::State::Available,
        };
        assert_eq!(shop.standing(seat.seat_id.as_str()), expected, "{number}");
    }
}

/// M1 and M2: what was taken and has not been asked back is what the good tickets cost.
fn money_adds_up(sheet: &Sheet) {
    let taken = sheet.tries.iter().filter(|one| one.fate == Fate::Taken).count() as u64 * sheet.minor();
    let back: u64 = sheet.backs.iter().map(|back| back.minor).sum();
    let paid = sheet.promise.iter().flat_map(|promise| &promise.paid).zip(&sheet.tickets);
    let worth: u64 = paid.filter(|(_, paper)| **paper != Paper::Void).map(|(minor, _)| minor).sum();
    assert_eq!(taken - back, worth);
}

/// What was ever answered: facts, and words of refusal.
static REACHED: Mutex<BTreeSet<&str>> = Mutex::new(BTreeSet::new());

fn reached(said: &Said) {
    let mut reached = REACHED.lock().expect("nobody breaks off here");
    match said {
        Said::Happens(kinds) => reached.extend(kinds),
        Said::Refuses(refusal) => drop(reached.insert(refusal.code())),
        Said::Replays(_) => drop(reached.insert("again")),
        Said::Unchanged | Said::Invalid(_) => {}
    }
}

prop_state_machine! {
    fn asked_in_every_order(sequential 1..60 => Model);
}

/// Rounds at most: the rarest word is missed by one round in some ten.
const ROUNDS: usize = 12;

/// A run in which no order ever came to a refund would have shown nothing.
#[test]
fn an_order_answers_as_the_sheet_does() {
    let kinds = crate::events::order::KINDS.iter().map(|kind| kind.name);
    let refusals = [
        "again",
        "not-found",
        "idempotency-key-reused",
        "seat-unavailable",
        "sale-not-open",
        "sale-closed",
        "sale-paused",
        "too-many-seats",
        "coupon-not-usable",
        "payment-in-flight",
        "order-not-payable",
        "amount-mismatch",
        "order-not-cancellable",
        "cancel-closed",
        "ticket-used",
        "ticket-void",
        "order-not-in-review",
        "ruling-unfit",
    ];
    let mut missing: Vec<&str> = kinds.chain(refusals).collect();
    for _ in 0..ROUNDS {
        asked_in_every_order();
        let reached = REACHED.lock().expect("nobody breaks off here");
        missing.retain(|word| !reached.contains(word));
        if missing.is_empty() {
            return;
        }
    }
    panic!("never reached: {missing:?}");
}
