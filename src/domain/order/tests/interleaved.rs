//! What if two things about one order's money are open at the same time? Money that comes late makes that possible.
//!
//! What each command means on its own stands in the tables beside this file.

use super::*;
use crate::domain::Decision;
use crate::domain::order::Status;
use crate::events::order::ReviewOf;

fn pay_with(key: &str) -> Command {
    Command::Pay(Pay { payment_key: Some(PaymentKey::new(key)), amount: won(250), patience: PATIENCE })
}

fn late(key: &str) -> Command {
    Command::Late(Late { payment_key: PaymentKey::new(key), psp_reference: "t".into(), patience: PATIENCE })
}

fn refused(number: usize) -> Command {
    let answer = RefundAnswer::Refused { psp_code: "NOT_NOW".into() };
    Command::Returned(Returned { refund_id: RefundId::of(&OrderId::new("o1"), number), answer })
}

/// The first payment was declined, and then its money came: refund 1 is open while the hold goes on.
fn came_late(terms: &Terms) -> Story<'_, Order> {
    let declined = process(paying(terms).key("no")).after(&declined(1));
    declined.key("late").at(3_000).after(&late("pk_1")).slept()
}

/// Meanwhile the buyer pays in another way.
fn paying_again(terms: &Terms) -> Story<'_, Order> {
    let asked = came_late(terms).own_again().key("pay 2").at(4_000).after(&pay_with("pk_2"));
    process(asked.slept().key("x"))
}

#[test]
fn money_that_goes_back_pays_for_nothing() {
    let terms = terms();
    let next = || came_late(&terms).own_again().key("pay 2").at(4_000);
    check(vec![
        ("the payment that goes back", next(), pay_with("pk_1"), Then::Invalid("/payment_key")),
        ("another one", next(), pay_with("pk_2"), Then::Happens(&["payment.requested"])),
        ("the same money late again", process(next()), late("pk_1"), Then::Unchanged),
    ]);
    let declined = process(paying(&terms).key("no")).after(&declined(1)).own_again().key("pay 2");
    check(vec![("one that was only declined", declined, pay_with("pk_1"), Then::Happens(&["payment.requested"]))]);
}

#[test]
fn late_money_gives_no_further_attempt() {
    let terms = terms();
    let second = paying_again(&terms).after(&declined(2)).own_again().key("pay 3");
    let third = || process(second.clone().after(&pay_with("pk_3")).slept().key("y"));
    check(vec![
        ("the third no", third(), declined(3), Then::Happens(&["payment.declined", "order.failed"])),
        ("yes", third(), captured(3), Then::Happens(&["payment.captured", "order.completed"])),
    ]);
    let freed = parts(&third().state, &declined(3));
    assert_eq!(freed.len(), 2, "a failed order frees its seats");
}

#[test]
fn an_answer_ends_only_the_review_that_is_about_it() {
    let terms = terms();
    let payment = || paying_again(&terms).at(99_000).after(&Command::Due).slept().key("y");
    assert_eq!(payment().state.review, Some(ReviewOf::Payment { attempt: 2 }));
    let after = payment().after(&returned(1));
    assert_eq!(after.state.status(), Status::Review, "the refund says nothing of the payment");
    assert_eq!(after.after(&captured(2)).state.status(), Status::Completed);

    let refund = || paying_again(&terms).after(&refused(1)).slept().key("y");
    assert_eq!(refund().state.status(), Status::Review);
    for answer in [captured(2), declined(2)] {
        let after = refund().after(&answer).slept();
        assert_eq!(after.state.status(), Status::Review, "the payment says nothing of the refund");
        assert_eq!(admin(after).after(&rule(Ruling::Refunded)).state.open_refund(), None);
    }
}

#[test]
fn a_refund_that_is_ruled_on_is_the_one_asked_for_again() {
    let terms = terms();
    let bought = process(paying(&terms).key("no")).after(&declined(1)).own_again().key("pay 2");
    let bought = process(bought.after(&pay_with("pk_2")).key("yes")).after(&captured(2));
    let both = bought.own_again().key("back").at(5_000).after(&cancel());
    let both = process(both.key("late")).at(6_000).after(&late("pk_1")).slept();
    let reviewed = both.key("no 2").after(&refused(2)).at(99_000);
    let again = admin(reviewed).after(&rule(Ruling::Captured)).state;
    let due: Vec<i64> = again.refunds.iter().map(|refund| refund.review_at.0).collect();
    assert_eq!(due, [65_000, 159_000], "only the second refund waits anew");
}

#[test]
fn a_repetition_is_told_of_all_that_followed() {
    let terms = terms();
    let open = || process(paying(&terms).key("due")).at(99_000).after(&Command::Due);
    for ruling in [Ruling::Captured, Ruling::NotCaptured, Ruling::Refunded] {
        let ruled = admin(open()).after(&rule(ruling)).slept();
        assert_eq!(ruled.answer(&rule(ruling)), Ok(Decision::Replay(ruled.version)), "{ruling:?}");
    }
    let mut schedule = performance::tests::schedule();
    schedule.prices.iter_mut().for_each(|price| price.price = Amount::ZERO);
    let free = story::<Performance>().after(&performance::Command::Schedule(schedule)).state.terms.expect("scheduled");
    let nothing = Command::Pay(Pay { payment_key: None, amount: Amount::ZERO, patience: PATIENCE });
    let back = placed(&free).key("pay").after(&nothing).key("back").at(5_000).after(&cancel()).slept();
    assert_eq!(back.answer(&cancel()), Ok(Decision::Replay(back.version)));
}

#[test]
fn seats_and_money_do_not_mix_up_two_refunds() {
    let terms = terms();
    let bought = || paying_again(&terms).after(&captured(2)).slept();
    check(vec![
        ("cancel meanwhile", bought().own_again().key("y"), cancel(), Then::Refuses(Refusal::PaymentInFlight)),
        ("called off meanwhile", bought().key("y"), call_off(), Then::Unchanged),
        ("the late money is back", bought().key("y"), returned(1), Then::Happens(&["refund.done"])),
        ("refused", bought().key("y"), refused(1), Then::Happens(&["review.opened"])),
    ]);
    assert!(parts(&bought().state, &returned(1)).is_empty(), "it bought no seat");
    let Some(Step::Refund(step)) = bought().state.step() else { panic!("money is to go back") };
    assert_eq!((step.payment_key.as_str(), step.amount, step.whole), ("pk_1", won(250), true));
}
