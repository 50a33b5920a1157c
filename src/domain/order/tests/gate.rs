//! What may be done with tickets, what were they worth, and what does the coupon hear? Tables like those beside this file.

use super::*;
use crate::domain::coupon::Claim;
use crate::events::coupon::Discount;
use crate::ids::TaskId;
use crate::money::Currency;

fn ticket(place: usize) -> TicketId {
    TicketId::of(&OrderId::new("o1"), place)
}

fn enter(place: usize) -> Command {
    Command::CheckIn { ticket_id: ticket(place) }
}

fn told(used: bool) -> Command {
    Command::CouponSettled { used }
}

fn refused(number: usize) -> Command {
    let answer = RefundAnswer::Refused { psp_code: "NOT_NOW".into() };
    Command::Returned(Returned { refund_id: RefundId::of(&OrderId::new("o1"), number), answer })
}

/// 250 less 33: the parts of 33 are 19.8 and 13.2.
fn with_coupon(terms: &Terms) -> Story<'_, Order> {
    let mut command = place(&["A-1-1", "B-1-7b"]);
    if let Command::Place(place) = &mut command {
        let discount = Discount::Amount { value: won(33), currency: Currency::KRW, min_amount: None };
        let until = Timestamp(9_000);
        let owner = AccountId::new("seller");
        place.coupon = Some(Claim { task_id: TaskId::new("task"), discount, owner, shows: Vec::new(), until });
    }
    story().beside(terms).at(1500).after(&command).slept()
}

fn bought_with_coupon(terms: &Terms) -> Story<'_, Order> {
    let paid = with_coupon(terms).key("pay").at(2_000).after(&pay(217));
    process(paid.slept().key("yes")).after(&captured(1)).slept()
}

#[test]
fn who_gets_in() {
    let terms = terms();
    let gate = || completed(&terms).by("seller").key("gate").at(8_900);
    let inside = || gate().after(&enter(1)).slept();
    let back = || completed(&terms).key("back").at(5_000).after(&give_back(&[1])).by("seller").key("gate");
    let used = || Then::Refuses(Refusal::TicketUsed { tickets: vec![ticket(1)] });
    check(vec![
        ("never placed", story(), enter(1), Then::Refuses(Refusal::NotFound)),
        ("the buyer alone", gate().by("ann"), enter(1), Then::Refuses(Refusal::NotFound)),
        ("another seller", gate().by("bob"), enter(1), Then::Refuses(Refusal::NotFound)),
        ("not paid for", placed(&terms).by("seller").key("gate"), enter(1), Then::Refuses(Refusal::NotFound)),
        ("a ticket of nobody", gate(), enter(3), Then::Refuses(Refusal::NotFound)),
        ("the same again", inside(), enter(1), Then::Replays(5)),
        ("same key, other body", inside().body("other"), enter(1), Then::Refuses(Refusal::KeyReused)),
        ("twice", inside().key("gate 2"), enter(1), used()),
        ("the other ticket", inside().key("gate 2"), enter(2), Then::Happens(&["ticket.checked_in"])),
        ("being given back", back(), enter(1), Then::Refuses(Refusal::TicketVoid)),
        ("the one that was kept", back(), enter(2), Then::Happens(&["ticket.checked_in"])),
        ("the seller", gate(), enter(1), Then::Happens(&["ticket.checked_in"])),
        ("an admin", gate().by("root").for_anybody(), enter(1), Then::Happens(&["ticket.checked_in"])),
    ]);
    assert!(parts(&gate().state, &enter(1)).is_empty(), "the seat stays sold");
}

#[test]
fn a_refund_that_is_refused_is_for_people() {
    let terms = terms();
    let asked = || process(completed(&terms).key("back").at(5_000).after(&cancel()).slept()).key("x");
    let review = || asked().after(&refused(1)).slept().key("y");
    let mixed = || {
        let one = process(completed(&terms).key("back").at(5_000).after(&give_back(&[1]))).key("x").after(&returned(1));
        one.slept().own_again().key("y")
    };
    check(vec![
        ("somebody else answers", asked().own_again(), returned(1), Then::Refuses(Refusal::NotFound)),
        ("refused", asked(), refused(1), Then::Happens(&["review.opened"])),
        ("refused twice", review(), refused(1), Then::Unchanged),
        ("an unknown one", asked(), refused(2), Then::Unchanged),
        ("too late, in review already", review().at(99_000), Command::Due, Then::Unchanged),
        ("not yet too late", asked().at(64_999), Command::Due, Then::Unchanged),
        ("too late", asked().at(65_000), Command::Due, Then::Happens(&["review.opened"])),
        ("done after all", review(), returned(1), Then::Happens(&["refund.done", "order.refunded"])),
        ("done twice", review().after(&returned(1)).key("z"), returned(1), Then::Unchanged),
        ("one that is back and one that is not", mixed(), give_back(&[1, 2]), Then::Refuses(Refusal::TicketVoid)),
        ("one that is back", mixed(), give_back(&[1]), Then::Unchanged),
        ("the rest", mixed(), cancel(), Then::Happens(&["refund.requested"])),
    ]);
    assert!(parts(&review().state, &refused(1)).is_empty(), "a refused refund frees nothing");
    assert_eq!(parts(&review().state, &returned(1)).len(), 2);
    let Some(Step::Refund(rest)) = mixed().after(&cancel()).state.step() else { panic!("the rest goes back") };
    assert_eq!((rest.amount, rest.whole), (won(100), true), "it is all that is left");
}

#[test]
fn each_ticket_bears_its_share_of_the_discount() {
    let terms = terms();
    let bought = || bought_with_coupon(&terms).own_again().key("back").at(5_000);
    let paid: Vec<u64> = bought().state.tickets.iter().map(|ticket| ticket.paid.minor()).collect();
    assert_eq!(paid, [130, 87], "150 less 20, and 100 less 13");
    for (place, amount, whole) in [(1, 130, false), (2, 87, false)] {
        let Some(Step::Refund(step)) = bought().after(&give_back(&[place])).state.step() else {
            panic!("money goes back")
        };
        assert_eq!((step.amount, step.whole), (won(amount), whole));
    }
    let Some(Step::Refund(step)) = bought().after(&cancel()).state.step() else { panic!("money goes back") };
    assert_eq!((step.amount, step.whole), (won(217), true));
    let full = Then::Refuses(Refusal::AmountMismatch { expected: won(217) });
    check(vec![("the price without discount", with_coupon(&terms).key("pay"), pay(250), full)]);
}

#[test]
fn the_coupon_hears_how_it_ended() {
    let terms = terms();
    let bought = || bought_with_coupon(&terms).key("x");
    let gone = || process(with_coupon(&terms).key("no").after(&cancel()).slept()).key("x");
    check(vec![
        ("never placed", process(story()), told(true), Then::Refuses(Refusal::NotFound)),
        ("somebody else says so", bought().own_again(), told(true), Then::Refuses(Refusal::NotFound)),
        ("an order without coupon", process(completed(&terms).key("x")), told(true), Then::Unchanged),
        ("used", bought(), told(true), Then::Happens(&["order.coupon_settled"])),
        ("used twice", bought().after(&told(true)).key("y"), told(true), Then::Unchanged),
        ("given back", gone(), told(false), Then::Happens(&["order.coupon_settled"])),
    ]);
    let heard = |story: &Story<'_, Order>| match story.state.step() {
        Some(Step::Coupon { used, .. }) => Some(used),
        _ => None,
    };
    assert_eq!(heard(&with_coupon(&terms)), None, "nobody knows yet");
    assert_eq!((heard(&bought()), heard(&gone())), (Some(true), Some(false)));
    assert_eq!(heard(&with_coupon(&terms).at(999_999).after(&Command::Due)), Some(false), "nobody paid in time");
    let undone = bought().after(&told(true)).own_again().key("back").at(5_000).after(&cancel());
    assert_eq!(heard(&undone), None, "money first");
    let undone = process(undone.key("y")).after(&returned(1));
    assert_eq!(heard(&undone), Some(false), "with the last ticket the coupon is good again");
    assert_eq!(heard(&undone.key("z").after(&told(false))), None);
    assert_eq!(Order::waits_since(&bought().state), Some(Timestamp(1500)));
}
