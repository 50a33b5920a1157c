//! Does a limited stock go to those who came first? Tables in order of precedence of refusal;
//! `model` asks in every order.

mod discount;
mod engagement;
mod model;

use super::*;
use crate::domain::testing::{Story, Then, check, key, story};
use crate::money::{Amount, Currency};

fn coupon_id() -> CouponId {
    CouponId::derive(&key("coupon"))
}

fn task(word: &str) -> TaskId {
    TaskId::derive(&coupon_id(), &key(word))
}

/// Open from 100 until 200.
fn create(stock: u64, per_member: u32) -> Create {
    Create {
        coupon_id: coupon_id(),
        name: "Opening night".into(),
        stock,
        per_member,
        opens_at: Timestamp(100),
        closes_at: Timestamp(200),
        valid_until: Timestamp(900),
        discount: Discount::Percent { value: 10, currency: None, max_amount: None, min_amount: None },
        shows: Vec::new(),
    }
}

fn open<'a>(stock: u64, per_member: u32) -> Story<'a, Coupon> {
    story().by("seller").key("coupon").after(&Command::Create(create(stock, per_member))).at(100)
}

const ISSUE: Command = Command::Issue { keyed: true };

fn revoke(word: &str) -> Command {
    Command::Revoke { task_id: task(word) }
}

#[test]
fn what_can_be_created() {
    let with = |change: fn(&mut Create)| {
        let mut create = create(5, 1);
        change(&mut create);
        Command::Create(create)
    };
    let percent = |value| Discount::Percent { value, currency: None, max_amount: None, min_amount: Amount::new(1) };
    let none =
        Discount::Amount { value: Amount::ZERO, currency: Currency::parse("KRW").expect("a code"), min_amount: None };
    let discount = |discount| Command::Create(Create { discount, ..create(5, 1) });
    let new = story::<Coupon>;
    check(vec![
        ("the same again", open(5, 1), with(|_| ()), Then::Replays(1)),
        ("same key, other body", open(5, 1).body("other"), with(|_| ()), Then::Refuses(Refusal::KeyReused)),
        ("no name", new(), with(|c| c.name.clear()), Then::Invalid("/name")),
        ("nothing to give", new(), with(|c| c.stock = 0), Then::Invalid("/stock")),
        ("too much to give", new(), with(|c| c.stock = limits::COUPON_STOCK + 1), Then::Invalid("/stock")),
        ("none per member", new(), with(|c| c.per_member = 0), Then::Invalid("/per_member")),
        ("closes as it opens", new(), with(|c| c.closes_at = c.opens_at), Then::Invalid("/closes_at")),
        ("over before it opens", new(), with(|c| c.valid_until = c.opens_at), Then::Invalid("/valid_until")),
        ("0 off", new(), discount(none), Then::Invalid("/discount/value")),
        ("0 per cent", new(), discount(percent(0)), Then::Invalid("/discount/value")),
        ("101 per cent", new(), discount(percent(101)), Then::Invalid("/discount/value")),
        ("amounts of no currency", new(), discount(percent(100)), Then::Invalid("/discount/currency")),
        ("a show twice", new(), with(|c| c.shows = vec![ShowId::new("s"); 2]), Then::Invalid("/shows/1")),
        ("a good one", new(), with(|_| ()), Then::Happens(&["coupon.created"])),
    ]);
}

#[test]
fn who_gets_one() {
    let ann = || open(1, 1).by("ann").key("ann1").after(&ISSUE).slept();
    let not_open = Refusal::CouponNotOpen { opens_at: Timestamp(100), at: Timestamp(99) };
    let unkeyed = Command::Issue { keyed: false };
    check(vec![
        ("never created", story(), ISSUE, Then::Refuses(Refusal::NotFound)),
        ("the same again, closed", ann().at(999), ISSUE, Then::Replays(2)),
        ("many each, no key, too early", open(9, 2).at(0), unkeyed.clone(), Then::Refuses(Refusal::KeyRequired)),
        ("too early", open(9, 1).key("k").at(99), ISSUE, Then::Refuses(not_open)),
        ("too late, has one", ann().key("k").at(200), ISSUE, Then::Refuses(Refusal::CouponClosed)),
        ("has one, sold out", ann().key("k"), ISSUE, Then::Refuses(Refusal::CouponAlreadyIssued { serial: 1 })),
        ("sold out", ann().by("bob").key("k"), ISSUE, Then::Refuses(Refusal::CouponSoldOut)),
        ("one each, no key", open(9, 1).key("k").at(199), unkeyed, Then::Happens(&["coupon.issued"])),
    ]);
}

#[test]
fn what_is_given_back_can_be_given_again() {
    let ann = || open(1, 1).by("ann").key("ann1").after(&ISSUE).by("seller").key("back");
    let back = || ann().after(&revoke("ann1")).slept();
    check(vec![
        ("somebody else's", ann().by("bob"), revoke("ann1"), Then::Refuses(Refusal::NotFound)),
        ("no such task", ann(), revoke("zoe1"), Then::Refuses(Refusal::NotFound)),
        ("the owner", ann(), revoke("ann1"), Then::Happens(&["coupon.revoked"])),
        ("an admin", ann().by("root").for_anybody(), revoke("ann1"), Then::Happens(&["coupon.revoked"])),
        ("the same again", back(), revoke("ann1"), Then::Replays(3)),
        ("given back already", back().key("k"), revoke("ann1"), Then::Unchanged),
        ("the first request again", back().by("ann").key("ann1"), ISSUE, Then::Replays(2)),
        ("another one for her", back().by("ann").key("ann2"), ISSUE, Then::Happens(&["coupon.issued"])),
    ]);
    let again = back().by("bob").key("bob1").after(&ISSUE);
    let bobs = again.state.task(&task("bob1")).expect("it was issued");
    assert_eq!((bobs.serial, bobs.version, bobs.revoked), (2, Version(4), false), "serials are never used twice");
    assert!(again.state.task(&task("ann1")).is_some_and(|task| task.revoked));
    let other = TaskId::derive(&CouponId::derive(&key("another coupon")), &key("bob1"));
    assert_eq!(again.state.task(&other), None, "a task of another coupon is not found here");
}
