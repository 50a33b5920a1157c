//! Does an issued coupon serve one order at a time? Tables in order of precedence of refusal.

use super::*;

fn order(word: &str) -> OrderId {
    OrderId::new(format!("o0_{word}"))
}

fn reserve(word: &str, by: &str) -> Command {
    Command::Reserve { task_id: task(word), order_id: order(by) }
}

fn consume(word: &str, by: &str) -> Command {
    Command::Use { task_id: task(word), order_id: order(by) }
}

fn give_back(word: &str, by: &str) -> Command {
    Command::Return { task_id: task(word), order_id: order(by) }
}

fn no(reason: &'static str) -> Then {
    Then::Refuses(Refusal::CouponNotUsable { reason })
}

/// Ann has the first of two, at 100; it is good until 900.
fn ann<'a>() -> Story<'a, Coupon> {
    open(2, 1).by("ann").key("ann1").after(&ISSUE).key("k")
}

fn reserved<'a>() -> Story<'a, Coupon> {
    ann().after(&reserve("ann1", "a")).key("k2").slept()
}

fn used<'a>() -> Story<'a, Coupon> {
    reserved().by("process").for_anybody().after(&consume("ann1", "a")).slept()
}

fn returned<'a>() -> Story<'a, Coupon> {
    used().after(&give_back("ann1", "a")).slept()
}

/// The same coupon, and somebody asks who may only act for themselves.
fn own(before: Story<'_, Coupon>, by: &str) -> Story<'static, Coupon> {
    let mut own = story().by(by).key("k9").at(100);
    (own.state, own.version) = (before.state, before.version);
    own
}

fn anns(before: Story<'_, Coupon>) -> Story<'static, Coupon> {
    own(before, "ann")
}

/// The seller takes it back.
fn revoked(before: Story<'_, Coupon>) -> Story<'static, Coupon> {
    anns(before.by("seller").key("back").after(&revoke("ann1")))
}

#[test]
fn who_can_reserve_one() {
    let (this, other) = (reserve("ann1", "a"), reserve("ann1", "b"));
    let late = |story: Story<'static, Coupon>| story.at(900);
    check(vec![
        ("no such coupon", story(), this.clone(), no("unknown")),
        ("no such task", ann(), reserve("zoe1", "a"), no("unknown")),
        ("somebody else", ann().by("bob"), this.clone(), no("unknown")),
        ("an admin, for her", ann().by("root").for_anybody(), this.clone(), no("unknown")),
        ("somebody else, the same order", reserved().by("bob"), this.clone(), no("unknown")),
        ("the same order", reserved(), this.clone(), Then::Replays(3)),
        ("the same order, taken back and over", late(revoked(reserved())), this.clone(), Then::Replays(3)),
        ("the same order, used by now", anns(used()), this.clone(), Then::Replays(3)),
        ("taken back, over, used", late(revoked(used())), other.clone(), no("revoked")),
        ("taken back", revoked(ann()), this.clone(), no("revoked")),
        ("over, used", late(anns(used())), other.clone(), no("expired")),
        ("over", late(ann()), this.clone(), no("expired")),
        ("used", anns(used()), other.clone(), no("used")),
        ("reserved", reserved(), other.clone(), no("reserved")),
        ("reserved, the claim is over", reserved().at(899), other.clone(), no("reserved")),
        ("returned, the same order", anns(returned()), this.clone(), Then::Happens(&["coupon.reserved"])),
        ("returned, another order", anns(returned()), other, Then::Happens(&["coupon.reserved"])),
        ("in the last moment", ann().at(899), this, Then::Happens(&["coupon.reserved"])),
    ]);
}

#[test]
fn what_comes_of_the_order() {
    let process = |story: Story<'static, Coupon>| story.by("process").for_anybody();
    let (this, other) = (consume("ann1", "a"), consume("ann1", "b"));
    check(vec![
        ("she says so herself", reserved(), this.clone(), Then::Refuses(Refusal::NotFound)),
        ("the seller says so", reserved().by("seller"), this.clone(), Then::Refuses(Refusal::NotFound)),
        ("no such task", process(ann()), consume("zoe1", "a"), Then::Refuses(Refusal::NotFound)),
        ("it is free", process(ann()), this.clone(), no("reserved")),
        ("it was returned", returned(), this.clone(), no("reserved")),
        ("another order reserved it", process(reserved()), other.clone(), no("reserved")),
        ("another order used it", used(), other, no("used")),
        ("used already", used(), this.clone(), Then::Unchanged),
        ("taken back meanwhile", process(revoked(reserved())), this.clone(), Then::Happens(&["coupon.used"])),
        ("long after", process(reserved()).at(99_999), this.clone(), Then::Happens(&["coupon.used"])),
        ("reserved", process(reserved()), this, Then::Happens(&["coupon.used"])),
    ]);
    let (this, other) = (give_back("ann1", "a"), give_back("ann1", "b"));
    check(vec![
        ("she says so herself", reserved(), this.clone(), Then::Refuses(Refusal::NotFound)),
        ("no such task", process(ann()), give_back("zoe1", "a"), Then::Unchanged),
        ("it is free", process(ann()), this.clone(), Then::Unchanged),
        ("returned already", returned(), this.clone(), Then::Unchanged),
        ("another order reserved it", process(reserved()), other.clone(), Then::Unchanged),
        ("another order used it", used(), other, Then::Unchanged),
        ("used", used(), this.clone(), Then::Happens(&["coupon.returned"])),
        ("taken back meanwhile", process(revoked(reserved())), this.clone(), Then::Happens(&["coupon.returned"])),
        ("reserved", process(reserved()), this, Then::Happens(&["coupon.returned"])),
    ]);
    check(vec![
        ("reserved", reserved().by("seller"), revoke("ann1"), Then::Happens(&["coupon.revoked"])),
        ("used", used().by("seller"), revoke("ann1"), Then::Happens(&["coupon.revoked"])),
    ]);
}

#[test]
fn only_its_order_has_a_claim() {
    let claim = |story: Story<'_, Coupon>, by: &str| story.state.claim(&task("ann1"), &order(by));
    let until = Timestamp(100).plus(limits::COUPON_CLAIM);
    let discount = create(2, 1).discount;
    let expected = Claim { task_id: task("ann1"), discount, owner: AccountId::new("seller"), shows: Vec::new(), until };
    assert_eq!(claim(ann(), "a"), None);
    assert_eq!(claim(reserved(), "a"), Some(expected.clone()));
    assert_eq!(claim(reserved(), "b"), None);
    assert_eq!(claim(revoked(reserved()), "a"), Some(expected.clone()), "a promise");
    assert_eq!(claim(used(), "a"), Some(expected));
    assert_eq!(claim(returned(), "a"), None);
    let entries = [ann(), reserved(), used(), returned()].map(|story| Coupon::entries(&story.state));
    assert_eq!(entries, [2, 3, 3, 2]);
}
