//! Does an issued coupon serve one order at a time? Tables, and a reference that knows free, reserved and used.

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

// Model

const MEMBERS: u8 = 3;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Held {
    Free,
    /// By this order, with a claim until then, as of this version.
    Reserved(u8, Timestamp, Version),
    Used(u8, Version),
}

/// What a plain list of states says to a command; what it says happens has happened to the list.
fn expect(list: &mut [(Held, bool)], step: Step, at: Timestamp, next: Version) -> Then {
    let (held, revoked) = &mut list[usize::from(step.member)];
    match (step.does, *held) {
        (Does::Pass, _) => Then::Unchanged,
        (Does::Revoke, _) if *revoked => Then::Unchanged,
        (Does::Revoke, _) => {
            *revoked = true;
            Then::Happens(&["coupon.revoked"])
        }
        (Does::Reserve, Held::Reserved(order, _, version) | Held::Used(order, version)) if order == step.order => {
            Then::Replays(version.0)
        }
        (Does::Reserve, _) if *revoked => no("revoked"),
        (Does::Reserve, _) if at >= Timestamp(200_000) => no("expired"),
        (Does::Reserve, Held::Reserved(..)) => no("reserved"),
        (Does::Reserve, Held::Used(..)) => no("used"),
        (Does::Reserve, Held::Free) => {
            *held = Held::Reserved(step.order, Timestamp(at.0 + 30_000), next);
            Then::Happens(&["coupon.reserved"])
        }
        (Does::Use, Held::Reserved(order, _, version)) if order == step.order => {
            *held = Held::Used(order, version);
            Then::Happens(&["coupon.used"])
        }
        (Does::Use, Held::Used(order, _)) if order == step.order => Then::Unchanged,
        (Does::Use, Held::Used(..)) => no("used"),
        (Does::Use, Held::Reserved(..) | Held::Free) => no("reserved"),
        (Does::Return, Held::Reserved(order, ..) | Held::Used(order, _)) if order == step.order => {
            *held = Held::Free;
            Then::Happens(&["coupon.returned"])
        }
        (Does::Return, _) => Then::Unchanged,
    }
}

#[derive(Clone, Copy, Debug)]
enum Does {
    Reserve,
    Use,
    Return,
    Revoke,
    /// Only time goes by.
    Pass,
}

#[derive(Clone, Copy, Debug)]
struct Step {
    does: Does,
    member: u8,
    order: u8,
    /// How many milliseconds later.
    later: i64,
}

impl Step {
    fn command(self) -> Option<(Command, String)> {
        let (word, by) = (format!("m{}", self.member), self.order.to_string());
        let command = match self.does {
            Does::Reserve => return Some((reserve(&word, &by), word)),
            Does::Use => consume(&word, &by),
            Does::Return => give_back(&word, &by),
            Does::Revoke => revoke(&word),
            Does::Pass => return None,
        };
        Some((command, "process".into()))
    }
}

fn step() -> impl Strategy<Value = Step> {
    let does = prop_oneof![
        6 => Just(Does::Reserve),
        4 => Just(Does::Use),
        4 => Just(Does::Return),
        1 => Just(Does::Revoke),
        3 => Just(Does::Pass),
    ];
    (does, 0..MEMBERS, 0..3_u8, prop_oneof![Just(0), 0..12_000_i64]).prop_map(|(does, member, order, later)| Step {
        does,
        member,
        order,
        later,
    })
}

/// Every open reservation in the list, by the end of its claim.
fn open_ones(list: &[(Held, bool)]) -> Vec<(Timestamp, usize, u8)> {
    let open = list.iter().enumerate().filter_map(|(member, (held, _))| match held {
        Held::Reserved(order, until, _) => Some((*until, member, *order)),
        Held::Free | Held::Used(..) => None,
    });
    let mut open: Vec<_> = open.collect();
    open.sort_unstable();
    open
}

fn agree(state: &State, list: &[(Held, bool)], after: Timestamp, now: Timestamp) -> Result<(), TestCaseError> {
    let open = open_ones(list);
    prop_assert_eq!(state.has_open(), !open.is_empty());
    prop_assert_eq!(state.next_until(after), open.iter().map(|one| one.0).find(|until| *until > after));
    let ended = open.iter().filter(|one| one.0 > after && one.0 <= now);
    let ended: Vec<_> = ended
        .map(|(_, member, by)| {
            let word = format!("m{member}");
            (task(&word), order(&by.to_string()), AccountId::new(word))
        })
        .collect();
    prop_assert_eq!(state.overdue(after, now), ended);
    Ok(())
}

proptest! {
    #[test]
    fn it_serves_one_order_at_a_time(
        steps in prop::collection::vec(step(), 0..80),
        cut in 1..20_usize,
    ) {
        let mut create = create(9, 1);
        create.valid_until = Timestamp(200_000);
        let mut coupon = story::<Coupon>().by("seller").key("coupon").at(100);
        let mut log: Vec<(CouponEvent, Asked, Version)> = Vec::new();
        let mut list = vec![(Held::Free, false); usize::from(MEMBERS)];
        let issues = (0..MEMBERS).map(|member| (ISSUE, format!("m{member}"), format!("m{member}")));
        let begin = std::iter::once((Command::Create(create), "seller".into(), "coupon".into())).chain(issues);
        let told = |coupon: &mut Story<'_, Coupon>, command: &Command, log: &mut Vec<_>| {
            let answer = coupon.tell(command);
            if let Ok(Decision::Append(events)) = &answer {
                log.extend(events.iter().map(|event| (event.clone(), coupon.asked(), coupon.version)));
            }
            answer
        };
        for (command, by, word) in begin {
            coupon = coupon.by(&by).key(&word);
            prop_assert!(told(&mut coupon, &command, &mut log).is_ok());
        }
        let mut now = Timestamp(100);
        for (n, step) in steps.into_iter().enumerate() {
            let before = now;
            now = Timestamp(now.0 + step.later);
            if let Some((command, by)) = step.command() {
                coupon = own(coupon, &by).key(&format!("step {n}")).at(now.0);
                if by == "process" {
                    coupon = coupon.for_anybody();
                }
                let then = expect(&mut list, step, now, coupon.version.next());
                check(vec![("as the list says", coupon.clone(), command.clone(), then)]);
                let _ = told(&mut coupon, &command, &mut log);
            }
            agree(&coupon.state, &list, before, now)?;
            agree(&coupon.state, &list, now, before)?;
            agree(&coupon.state, &list, Timestamp(0), now)?;
        }
        prop_assert!(coupon.clone().slept().state == coupon.state, "snapshot and fold agree");

        let mut absorbed = State::default();
        for piece in log.chunks(cut) {
            let facts = piece.iter().map(|(event, asked, version)| {
                Fact { event, at: asked.at, version: *version, command: asked.command }
            });
            let facts: Vec<_> = facts.collect();
            let digest = Coupon::digest(&facts).expect("coupons have digests");
            prop_assert!(Coupon::absorb(&mut absorbed, &digest).is_some());
        }
        prop_assert!(absorbed == coupon.state, "digests and fold agree");
    }
}
