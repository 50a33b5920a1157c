//! Is an order placed, cancelled and expired only as it should be? Tables in order of precedence of refusal.

mod answers;
mod gate;
mod interleaved;
mod model;
mod sale;

use std::time::Duration;

use super::*;
use crate::domain::performance;
use crate::domain::performance::tests::scheduled;
use crate::domain::performance::{Performance, Terms};
use crate::domain::testing::{Story, Then, check, story};
use crate::domain::{Aggregate, Refusal, member, seat};
use crate::events::order::Ruling;
use crate::events::seat::ReleaseReason;
use crate::ids::PaymentKey;
use crate::ids::{AccountId, OrderId, PerformanceId, RefundId, SeatId, StreamId, TicketId};
use crate::money::Amount;
use crate::timestamp::Timestamp;

fn terms() -> Terms {
    Terms::clone(scheduled().state.terms.as_ref().expect("it was scheduled"))
}

fn place(seats: &[&str]) -> Command {
    Command::Place(Place {
        order_id: OrderId::new("o1"),
        performance_id: PerformanceId::new("pf_1"),
        seats: seats.iter().map(|id| SeatId::new(*id)).collect(),
        reference: None,
        coupon: None,
    })
}

fn parts(state: &State, command: &Command) -> Vec<(StreamId, Part)> {
    Order::parts(state, command, &AccountId::new("ann"), None)
}

fn cancel() -> Command {
    Command::Cancel(Cancel { tickets: Vec::new(), patience: PATIENCE })
}

const PATIENCE: Duration = Duration::from_secs(60);

fn placed(terms: &Terms) -> Story<'_, Order> {
    story().beside(terms).at(1500).after(&place(&["A-1-1", "B-1-7b"])).slept()
}

#[test]
fn when_an_order_is_placed() {
    let open = terms();
    let paused = Terms { paused: true, ..terms() };
    let buyer = || story().beside(&open).at(1500);
    let two = || place(&["A-1-1", "B-1-7b"]);
    let five = ["A-1-1", "A-1-2", "A-1-3", "A-2-1", "A-2-2"];
    let many: Vec<String> = (0..101).map(|n| format!("A-1-{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let mut blank = two();
    if let Command::Place(place) = &mut blank {
        place.reference = Some(" ".into());
    }
    let not_open = Refusal::SaleNotOpen { opens_at: Timestamp(1000), at: Timestamp(999) };
    check(vec![
        ("the same again", placed(&open), two(), Then::Replays(1)),
        ("the same again, after the sale", placed(&open).at(9999), two(), Then::Replays(1)),
        ("same key, other body", placed(&open).body("other"), two(), Then::Refuses(Refusal::KeyReused)),
        ("no such performance", story().at(1500), place(&[]), Then::Refuses(Refusal::NotFound)),
        ("no seat", buyer().at(0), place(&[]), Then::Invalid("/seats")),
        ("one seat twice, too early", buyer().at(0), place(&["A-1-1", "A-1-1"]), Then::Invalid("/seats/1")),
        ("a blank reference", buyer(), blank, Then::Invalid("/reference")),
        ("five seats, too early", buyer().at(0), place(&five), Then::Refuses(Refusal::TooManySeats { limit: 4 })),
        ("more than any order", buyer(), place(&many), Then::Refuses(Refusal::TooManySeats { limit: 4 })),
        ("unknown seat, too early", buyer().at(0), place(&["A-1-1", "Z-9-9"]), Then::Invalid("/seats/1")),
        ("too early, and paused", story().beside(&paused).at(999), two(), Then::Refuses(not_open)),
        ("too late, and paused", story().beside(&paused).at(2000), two(), Then::Refuses(Refusal::SaleClosed)),
        ("paused", story().beside(&paused).at(1999), two(), Then::Refuses(Refusal::SalePaused)),
        ("the first moment", buyer().at(1000), two(), Then::Happens(&["order.placed"])),
        ("the last moment", buyer().at(1999), two(), Then::Happens(&["order.placed"])),
    ]);
}

#[test]
fn the_promise_has_price_owner_and_deadline() {
    let terms = terms();
    let story = placed(&terms);
    let promise = story.state.placed.clone().expect("it was placed");
    assert_eq!(promise.seats.iter().map(|seat| seat.price.minor()).collect::<Vec<_>>(), [150, 100]);
    assert_eq!((promise.subtotal.minor(), promise.discount.minor(), promise.amount.minor()), (250, 0, 250));
    assert_eq!((promise.owner.as_str(), promise.account_id.as_str()), ("seller", "ann"));
    assert_eq!(Order::deadline(&story.state), Some(Timestamp(1500 + 180_000)));
    assert_eq!(Order::due(&story.state), Some(Command::Due));
}

#[test]
fn who_may_cancel_and_when() {
    let terms = terms();
    let placed = || placed(&terms).key("second");
    let cancelled = || placed().after(&cancel()).slept();
    let expired = || placed().at(181_500).after(&Command::Due).slept();
    let too_late = Refusal::OrderNotCancellable { status: "expired" };
    check(vec![
        ("never placed", story(), cancel(), Then::Refuses(Refusal::NotFound)),
        ("a stranger", placed().by("bob"), cancel(), Then::Refuses(Refusal::NotFound)),
        ("the same again, by a stranger", cancelled().by("bob"), cancel(), Then::Refuses(Refusal::NotFound)),
        ("the same again", cancelled(), cancel(), Then::Replays(2)),
        ("same key, other body", cancelled().body("other"), cancel(), Then::Refuses(Refusal::KeyReused)),
        ("cancelled already", cancelled().key("third"), cancel(), Then::Unchanged),
        ("expired", expired().key("third"), cancel(), Then::Refuses(too_late)),
        ("the buyer", placed(), cancel(), Then::Happens(&["order.cancelled"])),
        ("the seller", placed().by("seller"), cancel(), Then::Happens(&["order.cancelled"])),
        ("an admin", placed().by("root").for_anybody(), cancel(), Then::Happens(&["order.cancelled"])),
        ("expire too early", placed().at(181_499), Command::Due, Then::Unchanged),
        ("expire in time", placed().at(181_500), Command::Due, Then::Happens(&["order.expired"])),
        ("expire twice", expired(), Command::Due, Then::Unchanged),
        ("expire what is cancelled", cancelled().at(999_999), Command::Due, Then::Unchanged),
    ]);
    for ended in [cancelled(), expired()] {
        assert_eq!(Order::deadline(&ended.state), None, "an ended order waits for nothing");
        assert!(parts(&ended.state, &cancel()).is_empty(), "seats are given back once");
    }
}

#[test]
fn seats_take_part_in_every_step() {
    let terms = terms();
    let nothing: Story<'_, Order> = story();
    let placing = place(&["A-1-1", "B-1-7b", "A-1-1"]);
    assert_eq!(Order::context(&nothing.state, &placing), Some(StreamId::performance(&PerformanceId::new("pf_1"))));
    let asked = parts(&nothing.state, &placing);
    let names: Vec<&str> = asked.iter().map(|(stream, _)| stream.as_str()).collect();
    assert_eq!(names, ["seat/pf_1/A-1-1", "seat/pf_1/B-1-7b"], "no stream twice");
    let placed = placed(&terms);
    for (command, reason) in [(cancel(), ReleaseReason::Cancelled), (Command::Due, ReleaseReason::Expired)] {
        let asked = parts(&placed.state, &command);
        let release = Part::Seat(seat::Command::Release { order_id: OrderId::new("o1"), reason });
        assert_eq!(asked.len(), 2);
        assert!(asked.iter().all(|(_, part)| *part == release));
    }
    assert!(parts(&placed.state, &place(&["A-1-1"])).is_empty(), "a repetition wakes no seats");
}

#[test]
fn all_taken_seats_are_named_in_the_order_asked() {
    let no = |id: &str| {
        let stream = StreamId::seat(&PerformanceId::new("pf_1"), &SeatId::new(id));
        (stream, Refusal::SeatUnavailable { seats: Vec::new() })
    };
    let refusal = Order::parts_refused(&place(&["B-1-7b", "A-1-2", "A-1-1"]), vec![no("A-1-1"), no("B-1-7b")]);
    let seats = vec![SeatId::new("B-1-7b"), SeatId::new("A-1-1")];
    assert_eq!(refusal, Refusal::SeatUnavailable { seats });
}

#[test]
fn prices_that_cannot_be_counted_are_refused() {
    let mut schedule = performance::tests::schedule();
    schedule.prices[0].price = Amount::MAX;
    let dear = story::<Performance>().after(&performance::Command::Schedule(schedule)).state.terms.expect("scheduled");
    check(vec![(
        "two of the dearest",
        story::<Order>().beside(&dear).at(1500),
        place(&["A-1-1", "A-1-2"]),
        Then::Invalid("/seats"),
    )]);
}

// Money

/// The process, which acts for nobody in particular.
fn process(story: Story<'_, Order>) -> Story<'_, Order> {
    story.by("system").for_anybody()
}

fn pay(amount: u64) -> Command {
    Command::Pay(Pay { payment_key: Some(PaymentKey::new("pk_1")), amount: won(amount), patience: PATIENCE })
}

fn won(amount: u64) -> Amount {
    Amount::new(amount).expect("a small amount")
}

fn captured(attempt: u32) -> Command {
    Command::Settle(Settle { attempt, answer: Answer::Captured { psp_reference: "t1".into() } })
}

fn declined(attempt: u32) -> Command {
    Command::Settle(Settle { attempt, answer: Answer::Declined { psp_code: "NO".into() } })
}

fn returned(number: usize) -> Command {
    let answer = RefundAnswer::Done { psp_reference: None };
    Command::Returned(Returned { refund_id: RefundId::of(&OrderId::new("o1"), number), answer })
}

fn rule(ruling: Ruling) -> Command {
    Command::Rule(Rule { ruling, psp_reference: None, patience: PATIENCE })
}

fn give_back(places: &[usize]) -> Command {
    let tickets = places.iter().map(|place| TicketId::of(&OrderId::new("o1"), *place)).collect();
    Command::Cancel(Cancel { tickets, patience: PATIENCE })
}

fn paying(terms: &Terms) -> Story<'_, Order> {
    placed(terms).key("pay").at(2_000).after(&pay(250)).slept()
}

fn completed(terms: &Terms) -> Story<'_, Order> {
    let story = process(paying(terms).key("settled")).after(&captured(1)).slept();
    story.own_again()
}

#[test]
fn who_may_pay_and_when() {
    let terms = terms();
    let off = Terms { cancelled: true, ..terms.clone() };
    let next = || placed(&terms).key("pay").at(2_000);
    let nothing = Command::Pay(Pay { payment_key: None, amount: won(250), patience: PATIENCE });
    let payable = |status| Then::Refuses(Refusal::OrderNotPayable { status });
    check(vec![
        ("never placed", story(), pay(250), Then::Refuses(Refusal::NotFound)),
        ("a stranger", next().by("bob"), pay(250), Then::Refuses(Refusal::NotFound)),
        ("the seller", next().by("seller"), pay(250), Then::Refuses(Refusal::NotFound)),
        ("the same again", paying(&terms), pay(250), Then::Replays(2)),
        ("same key, other body", paying(&terms).body("other"), pay(250), Then::Refuses(Refusal::KeyReused)),
        ("another one meanwhile", paying(&terms).key("third"), pay(1), Then::Refuses(Refusal::PaymentInFlight)),
        ("cancelled", next().after(&cancel()).key("third"), pay(250), payable("cancelled")),
        ("expired", next().at(181_500).after(&Command::Due).key("third"), pay(250), payable("expired")),
        ("its time is up, which nobody has noted yet", next().at(181_500), pay(250), payable("expired")),
        ("in the last moment", next().at(181_499), pay(250), Then::Happens(&["payment.requested"])),
        ("paid", completed(&terms).key("third"), pay(250), payable("completed")),
        ("the performance is off", placed(&terms).beside(&off).key("pay"), pay(250), payable("cancelled")),
        ("another amount", next(), pay(249), Then::Refuses(Refusal::AmountMismatch { expected: won(250) })),
        ("no payment named", next(), nothing, Then::Invalid("/payment_key")),
        ("fine", next(), pay(250), Then::Happens(&["payment.requested"])),
    ]);
}

#[test]
fn answers_settle_the_attempt_they_are_about() {
    let terms = terms();
    let waiting = || process(paying(&terms).key("answer")).at(3_000);
    let again = || waiting().after(&declined(1)).slept().own_again().key("pay 2").after(&pay(250)).slept();
    let third = || {
        let second = process(again().key("answer 2")).after(&declined(2)).own_again();
        process(second.key("pay 3").after(&pay(250)).slept().key("answer 3"))
    };
    let late =
        Command::Late(Late { payment_key: PaymentKey::new("pk_1"), psp_reference: "t".into(), patience: PATIENCE });
    check(vec![
        ("somebody else answers", paying(&terms).key("x"), captured(1), Then::Refuses(Refusal::NotFound)),
        ("yes", waiting(), captured(1), Then::Happens(&["payment.captured", "order.completed"])),
        ("no", waiting(), declined(1), Then::Happens(&["payment.declined"])),
        ("an attempt that never was", waiting(), captured(2), Then::Unchanged),
        ("late, about an earlier one", process(again().key("x")), captured(1), Then::Unchanged),
        ("yes twice", process(completed(&terms).key("x")), captured(1), Then::Unchanged),
        ("the third no", third(), declined(3), Then::Happens(&["payment.declined", "order.failed"])),
        ("late money while it waits", waiting(), late.clone(), Then::Unchanged),
        (
            "late money after a no",
            waiting().after(&declined(1)).key("x"),
            late.clone(),
            Then::Happens(&["payment.captured", "refund.requested"]),
        ),
        ("late money of what is paid", process(completed(&terms).key("x")), late, Then::Unchanged),
        ("the hold runs out meanwhile", waiting().at(999_000), Command::Due, Then::Happens(&["review.opened"])),
        ("not yet", waiting().at(61_999), Command::Due, Then::Unchanged),
    ]);
    let story = waiting().after(&declined(1));
    assert_eq!(Order::deadline(&story.state), Some(Timestamp(181_500)), "after a no the hold runs out as promised");
    assert_eq!(Order::deadline(&waiting().state), Some(Timestamp(62_000)), "while it waits, patience does");
    let sold = parts(&waiting().state, &captured(1));
    assert!(sold.len() == 2 && sold.iter().all(|(_, part)| matches!(part, Part::Seat(seat::Command::Sell { .. }))));
    assert!(parts(&completed(&terms).state, &captured(1)).is_empty(), "a seat is sold once");
    assert_eq!(parts(&third().state, &declined(3)).len(), 2, "a failed order frees its seats");
}

#[test]
fn who_gets_money_back() {
    let terms = terms();
    let bought = || completed(&terms).key("back").at(5_000);
    let one = || bought().after(&give_back(&[1])).slept().key("more");
    let all = || bought().after(&cancel()).slept().key("more");
    let used = || {
        let gate = bought().by("seller").key("gate");
        gate.after(&Command::CheckIn { ticket_id: TicketId::of(&OrderId::new("o1"), 2) }).by("ann").key("more")
    };
    let closed = Refusal::CancelClosed { cancel_until: Some(Timestamp(8_000)) };
    let ticket = TicketId::of(&OrderId::new("o1"), 2);
    check(vec![
        ("while it is paid for", paying(&terms).key("x"), cancel(), Then::Refuses(Refusal::PaymentInFlight)),
        ("a stranger", bought().by("bob"), cancel(), Then::Refuses(Refusal::NotFound)),
        ("the whole", bought(), cancel(), Then::Happens(&["refund.requested"])),
        ("the same again", all().key("back"), cancel(), Then::Replays(5)),
        ("already", all(), cancel(), Then::Unchanged),
        ("one ticket", bought(), give_back(&[1]), Then::Happens(&["refund.requested"])),
        ("the other while it waits", one(), give_back(&[2]), Then::Refuses(Refusal::PaymentInFlight)),
        ("that one again", one(), give_back(&[1]), Then::Unchanged),
        ("a ticket of nobody", bought(), give_back(&[3]), Then::Invalid("/tickets/0")),
        ("one ticket twice", bought(), give_back(&[1, 1]), Then::Invalid("/tickets/1")),
        ("the last moment", bought().at(8_000), cancel(), Then::Happens(&["refund.requested"])),
        ("too late", bought().at(8_001), cancel(), Then::Refuses(closed)),
        ("too late, the seller", bought().by("seller").at(8_001), cancel(), Then::Happens(&["refund.requested"])),
        ("a used one", used(), cancel(), Then::Refuses(Refusal::TicketUsed { tickets: vec![ticket] })),
        ("the unused one", used(), give_back(&[1]), Then::Happens(&["refund.requested"])),
        ("it is back", process(all()), returned(1), Then::Happens(&["refund.done", "order.refunded"])),
        ("one is back", process(one()), returned(1), Then::Happens(&["refund.done"])),
        ("another refund", process(all()), returned(2), Then::Unchanged),
        ("called off", process(used()), call_off(), Then::Happens(&["refund.requested"])),
        ("called off while paying", process(paying(&terms).key("x")), call_off(), Then::Unchanged),
        ("called off before", process(placed(&terms).key("x")), call_off(), Then::Happens(&["order.cancelled"])),
    ]);
    let freed = parts(&one().state, &returned(1));
    assert_eq!(freed.len(), 1, "only its seat is free");
    assert!(parts(&bought().state, &cancel()).is_empty(), "no seat is free before the money is back");
    let back = process(one()).after(&returned(1));
    assert_eq!(back.state.status(), Status::Completed);
    assert_eq!(process(all()).after(&returned(1)).state.status(), Status::Refunded);
}

fn admin(story: Story<'_, Order>) -> Story<'_, Order> {
    story.by("root").for_anybody().key("rule")
}

fn call_off() -> Command {
    Command::CallOff { patience: PATIENCE }
}

#[test]
fn people_rule_on_what_is_not_known() {
    let terms = terms();
    let open = || process(paying(&terms).key("due")).at(99_000).after(&Command::Due).slept();
    let refund = || {
        let asked = completed(&terms).key("back").at(5_000).after(&cancel());
        process(asked.key("due")).at(99_000).after(&Command::Due).slept()
    };
    let unfit = || Then::Refuses(Refusal::RulingUnfit);
    let not_now = Refusal::NotInReview { status: "completed" };
    check(vec![
        ("the buyer", open().own_again().key("rule"), rule(Ruling::Captured), Then::Refuses(Refusal::NotFound)),
        ("nothing is open", admin(completed(&terms)), rule(Ruling::Captured), Then::Refuses(not_now)),
        (
            "they have it",
            admin(open()),
            rule(Ruling::Captured),
            Then::Happens(&["review.settled", "payment.captured", "order.completed"]),
        ),
        (
            "they have not",
            admin(open()),
            rule(Ruling::NotCaptured),
            Then::Happens(&["review.settled", "payment.declined"]),
        ),
        (
            "they had it",
            admin(open()),
            rule(Ruling::Refunded),
            Then::Happens(&[
                "review.settled",
                "payment.captured",
                "refund.requested",
                "refund.done",
                "order.cancelled",
            ]),
        ),
        (
            "it is back",
            admin(refund()),
            rule(Ruling::Refunded),
            Then::Happens(&["review.settled", "refund.done", "order.refunded"]),
        ),
        ("it is still there", admin(refund()), rule(Ruling::Captured), Then::Happens(&["review.settled"])),
        ("no answer to that", admin(refund()), rule(Ruling::NotCaptured), unfit()),
        ("cancel meanwhile", open().own_again().key("x"), cancel(), Then::Refuses(Refusal::PaymentInFlight)),
        (
            "the answer comes after all",
            open().key("x"),
            captured(1),
            Then::Happens(&["payment.captured", "order.completed"]),
        ),
    ]);
    assert_eq!((open().state.status(), Order::deadline(&open().state)), (Status::Review, None));
    assert!(Order::waits_since(&open().state).is_some(), "the process goes on looking");
    let again = admin(refund()).after(&rule(Ruling::Captured));
    assert_eq!(again.state.status(), Status::Refunding, "the refund is asked for again");
    assert_eq!(Order::deadline(&again.state), Some(Timestamp(159_000)));
}

#[test]
fn a_free_order_needs_no_provider() {
    let mut schedule = performance::tests::schedule();
    schedule.prices.iter_mut().for_each(|price| price.price = Amount::ZERO);
    let free = story::<Performance>().after(&performance::Command::Schedule(schedule)).state.terms.expect("scheduled");
    let free = Terms::clone(&free);
    let nothing = Command::Pay(Pay { payment_key: None, amount: Amount::ZERO, patience: PATIENCE });
    let bought = || placed(&free).key("pay").after(&nothing).slept();
    check(vec![
        ("no payment", placed(&free).key("pay"), nothing.clone(), Then::Happens(&["order.completed"])),
        ("the same again", bought(), nothing.clone(), Then::Replays(2)),
        (
            "back at once",
            bought().key("back").at(5_000),
            cancel(),
            Then::Happens(&["refund.requested", "refund.done", "order.refunded"]),
        ),
    ]);
    assert_eq!(parts(&placed(&free).state, &nothing).len(), 2);
    assert_eq!(parts(&bought().state, &cancel()).len(), 2, "seats are free at once");
}

#[test]
fn what_is_asked_for_outside_is_asked_under_one_key() {
    let terms = terms();
    let Some(Step::Pay(first)) = paying(&terms).state.step() else { panic!("it waits for money") };
    assert_eq!((first.attempt, first.amount, first.in_review), (1, won(250), false));
    let second = process(paying(&terms).key("no")).after(&declined(1)).own_again().key("pay 2").after(&pay(250));
    let Some(Step::Pay(second)) = second.state.step() else { panic!("it waits for money") };
    assert_ne!(first.psp_key, second.psp_key, "another attempt, another key");
    let refund = completed(&terms).key("back").at(5_000).after(&give_back(&[2])).state.step();
    let Some(Step::Refund(refund)) = refund else { panic!("it waits for the way back") };
    assert_eq!((refund.amount, refund.whole), (won(100), false));
    assert_eq!(completed(&terms).state.step(), None);
    assert_eq!(Order::waits_since(&completed(&terms).state), None);
}

// The member's account

fn capped() -> Terms {
    let mut schedule = performance::tests::schedule();
    schedule.max_seats_per_member = Some(3);
    let known = story::<Performance>().by("seller").after(&performance::Command::Schedule(schedule));
    Terms::clone(known.state.terms.as_ref().expect("it was scheduled"))
}

/// The whole way of two seats, with what the account is asked at each step.
#[test]
fn the_members_account_moves_with_the_seats() {
    let (free, capped) = (terms(), capped());
    let account = |story: &Story<'_, Order>, command: &Command, by: &str| {
        let asked = Order::parts(&story.state, command, &AccountId::new(by), story.neighbour());
        let of_member = |(stream, part): &(StreamId, Part)| match part {
            Part::Member(ask) => Some((stream.as_str().to_owned(), ask.clone())),
            Part::Seat(_) => None,
        };
        asked.iter().find_map(of_member)
    };
    let two = || place(&["A-1-1", "B-1-7b"]);
    let order_id = OrderId::new("o1");
    let anns = |ask| Some(("member/pf_1/ann".to_owned(), ask));
    let limits = member::Limits { seats: Some(3), ..member::Limits::default() };
    let hold = member::Command::Hold { order_id: order_id.clone(), seats: 2, limits };
    let sell = member::Command::Sell { order_id: order_id.clone() };
    let release = |seats, reason| member::Command::Release { order_id: order_id.clone(), seats, reason };
    let own = || placed(&capped).key("next").at(2_000);
    let bought = || completed(&capped).key("back").at(5_000);
    let one_back = process(bought().after(&give_back(&[1])).slept());
    for (name, story, command, by, expected) in [
        ("placed", story().beside(&capped), two(), "ann", anns(hold)),
        ("placed, not counted", story().beside(&free), two(), "ann", None),
        ("placed, of nothing", story(), two(), "ann", None),
        ("placed again", own(), two(), "ann", None),
        ("cancelled by the buyer", own(), cancel(), "ann", anns(release(2, ReleaseReason::Cancelled))),
        ("cancelled by the seller", own(), cancel(), "seller", anns(release(2, ReleaseReason::Cancelled))),
        ("called off", own(), call_off(), "system", anns(release(2, ReleaseReason::Cancelled))),
        ("run out", own(), Command::Due, "system", anns(release(2, ReleaseReason::Expired))),
        ("paid", process(paying(&capped)), captured(1), "system", anns(sell)),
        ("declined", process(paying(&capped)), declined(1), "system", None),
        ("one ticket is asked back", bought(), give_back(&[1]), "ann", None),
        ("and is back", one_back, returned(1), "system", anns(release(1, ReleaseReason::Refunded))),
        ("not counted, run out", placed(&free), Command::Due, "system", None),
        ("not counted, paid", process(paying(&free)), captured(1), "system", None),
    ] {
        assert_eq!(account(&story, &command, by), expected, "{name}");
    }
    // A limit that comes or goes later changes nothing for an order that was placed.
    let later = placed(&free).beside(&capped).key("next");
    assert_eq!(account(&later, &cancel(), "ann"), None);
    let later = placed(&capped).beside(&free).key("next");
    assert!(account(&later, &cancel(), "ann").is_some());
}

#[test]
fn a_member_at_the_limit_is_told_so_first() {
    let taken = |id: &str| {
        let stream = StreamId::seat(&PerformanceId::new("pf_1"), &SeatId::new(id));
        (stream, Refusal::SeatUnavailable { seats: Vec::new() })
    };
    let limit = Refusal::MemberLimit { limit: 3, held: 2, sold: 0 };
    let account = (StreamId::member(&PerformanceId::new("pf_1"), &AccountId::new("ann")), limit.clone());
    assert!(account.0 < taken("A-1-1").0, "accounts are asked before seats");
    assert_eq!(Order::parts_refused(&place(&["A-1-1", "A-1-2"]), vec![account, taken("A-1-1")]), limit);
}
