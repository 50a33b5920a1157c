//! Does a coupon do what a plain list of slips does, whoever asks for what and whenever?
//!
//! The model has one slip for each coupon that was issued, searched from end to end: whose it is, whether it was taken back,
//! and which order has it. It knows the rules as the contract words them, and no index.

use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};

use super::*;
use crate::domain::Authority;
use crate::domain::testing::machine::{Machine, Said, asked};

const OPENS: i64 = 100_000;
const CLOSES: i64 = 200_000;
const OVER: i64 = 300_000;
const CLAIM: i64 = 30_000;
const MEMBERS: u32 = 4;

#[derive(Clone, Debug)]
struct Slip {
    member: u32,
    request: u64,
    version: u64,
    /// The command that took it back, and the version of that.
    back: Option<(u8, u64)>,
    has: Has,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Has {
    Nobody,
    Reserved { order: u8, until: i64, version: u64 },
    Used { order: u8, version: u64 },
}

#[derive(Clone, Debug)]
struct Slips {
    stock: u64,
    per_member: u32,
    now: i64,
    written: u64,
    /// With which body, once it is.
    created: Option<bool>,
    slips: Vec<Slip>,
    said: Said,
}

#[derive(Clone, Copy, Debug)]
enum Who {
    Member(u32),
    Seller,
    Admin,
}

/// Which slip is meant: whose, and by which of their requests.
type Of = (u32, u64);

#[derive(Clone, Debug)]
enum Step {
    Wait(i64),
    Create {
        same: bool,
    },
    /// Without a request: nobody can repeat it.
    Issue {
        member: u32,
        request: Option<u64>,
    },
    Revoke {
        who: Who,
        of: Of,
        key: u8,
    },
    Reserve {
        who: Who,
        of: Of,
        order: u8,
    },
    Use {
        who: Who,
        of: Of,
        order: u8,
    },
    Return {
        who: Who,
        of: Of,
        order: u8,
    },
}

impl Who {
    fn name(self) -> String {
        match self {
            Self::Member(member) => format!("m{member}"),
            Self::Seller => "seller".into(),
            Self::Admin => "process".into(),
        }
    }

    fn authority(self) -> Authority {
        if matches!(self, Self::Admin) { Authority::Any } else { Authority::Own }
    }
}

fn word((member, request): Of) -> String {
    format!("m{member}-{request}")
}

fn order(order: u8) -> OrderId {
    OrderId::new(format!("o0_{order}"))
}

impl Slips {
    /// Requests without a key get a name that nobody can repeat.
    fn request(&self, request: Option<u64>) -> u64 {
        request.unwrap_or(1_000 + self.written)
    }

    fn live(&self) -> impl Iterator<Item = (u64, &Slip)> {
        (1..).zip(&self.slips).filter(|(_, slip)| slip.back.is_none())
    }

    fn slip(&mut self, (member, request): Of) -> Option<&mut Slip> {
        self.slips.iter_mut().find(|slip| (slip.member, slip.request) == (member, request))
    }

    fn writes(&mut self, kind: &'static str) -> Said {
        self.written += 1;
        Said::happens(kind)
    }

    fn says(&mut self, step: &Step) -> Said {
        match *step {
            Step::Wait(millis) => {
                self.now += millis;
                Said::Unchanged
            }
            Step::Create { same } => self.create(same),
            Step::Issue { member, request } => self.issue(member, request),
            Step::Revoke { who, of, key } => self.revoke(who, of, key),
            Step::Reserve { who, of, order } => self.reserve(who, of, order),
            Step::Use { who, of, order } => self.consume(who, of, order),
            Step::Return { who, of, order } => self.give_back(who, of, order),
        }
    }

    fn create(&mut self, same: bool) -> Said {
        match (self.created, same) {
            (Some(first), same) if first == same => Said::Replays(1),
            (Some(_), _) => Said::Refuses(Refusal::KeyReused),
            (None, same) => {
                self.created = Some(same);
                self.writes("coupon.created")
            }
        }
    }

    fn issue(&mut self, member: u32, request: Option<u64>) -> Said {
        let (now, named) = (self.now, self.request(request));
        if self.created.is_none() {
            return Said::Refuses(Refusal::NotFound);
        }
        if let Some(slip) = self.slip((member, named)) {
            return Said::Replays(slip.version);
        }
        if self.per_member > 1 && request.is_none() {
            return Said::Refuses(Refusal::KeyRequired);
        }
        if now < OPENS {
            return Said::Refuses(Refusal::CouponNotOpen { opens_at: Timestamp(OPENS), at: Timestamp(now) });
        }
        if now >= CLOSES {
            return Said::Refuses(Refusal::CouponClosed);
        }
        let mine: Vec<u64> = self.live().filter(|(_, slip)| slip.member == member).map(|(serial, _)| serial).collect();
        if mine.len() >= self.per_member as usize {
            return Said::Refuses(Refusal::CouponAlreadyIssued { serial: mine[mine.len() - 1] });
        }
        if self.live().count() as u64 >= self.stock {
            return Said::Refuses(Refusal::CouponSoldOut);
        }
        let version = self.written + 1;
        self.slips.push(Slip { member, request: named, version, back: None, has: Has::Nobody });
        self.writes("coupon.issued")
    }

    fn revoke(&mut self, who: Who, of: Of, key: u8) -> Said {
        let (mine, next) = (matches!(who, Who::Seller | Who::Admin), self.written + 1);
        match self.slip(of).filter(|_| mine) {
            None => Said::Refuses(Refusal::NotFound),
            Some(Slip { back: Some((by, version)), .. }) if *by == key => Said::Replays(*version),
            Some(Slip { back: Some(_), .. }) => Said::Unchanged,
            Some(slip) => {
                slip.back = Some((key, next));
                self.writes("coupon.revoked")
            }
        }
    }

    fn reserve(&mut self, who: Who, of: Of, by: u8) -> Said {
        let (now, next) = (self.now, self.written + 1);
        let no = |reason| Said::Refuses(Refusal::CouponNotUsable { reason });
        let Some(slip) = self.slip(of).filter(|slip| who.name() == Who::Member(slip.member).name()) else {
            return no("unknown");
        };
        match slip.has {
            Has::Reserved { order, version, .. } | Has::Used { order, version } if order == by => {
                Said::Replays(version)
            }
            _ if slip.back.is_some() => no("revoked"),
            _ if now >= OVER => no("expired"),
            Has::Reserved { .. } => no("reserved"),
            Has::Used { .. } => no("used"),
            Has::Nobody => {
                slip.has = Has::Reserved { order: by, until: now + CLAIM, version: next };
                self.writes("coupon.reserved")
            }
        }
    }

    fn consume(&mut self, who: Who, of: Of, by: u8) -> Said {
        let no = |reason| Said::Refuses(Refusal::CouponNotUsable { reason });
        let Some(slip) = self.slip(of).filter(|_| matches!(who, Who::Admin)) else {
            return Said::Refuses(Refusal::NotFound);
        };
        match slip.has {
            Has::Reserved { order, version, .. } if order == by => {
                slip.has = Has::Used { order, version };
                self.writes("coupon.used")
            }
            Has::Used { order, .. } if order == by => Said::Unchanged,
            Has::Used { .. } => no("used"),
            Has::Reserved { .. } | Has::Nobody => no("reserved"),
        }
    }

    fn give_back(&mut self, who: Who, of: Of, by: u8) -> Said {
        if !matches!(who, Who::Admin) {
            return Said::Refuses(Refusal::NotFound);
        }
        match self.slip(of) {
            Some(slip) if matches!(slip.has, Has::Reserved { order, .. } | Has::Used { order, .. } if order == by) => {
                slip.has = Has::Nobody;
                self.writes("coupon.returned")
            }
            _ => Said::Unchanged,
        }
    }
}

fn any_step(slips: &Slips) -> BoxedStrategy<Step> {
    let member = || 0..MEMBERS;
    let who = || {
        prop_oneof![
            2 => member().prop_map(Who::Member),
            2 => Just(Who::Seller),
            4 => Just(Who::Admin),
        ]
    };
    let known: Vec<Of> = slips.slips.iter().map(|slip| (slip.member, slip.request)).collect();
    let any_of = || (member(), 0..3_u64).boxed();
    let of = || match known.is_empty() {
        true => any_of(),
        false => prop_oneof![5 => prop::sample::select(known.clone()), 1 => any_of()].boxed(),
    };
    let reserve = (of(), who(), any::<u8>(), 0..3_u8).prop_map(|(of, other, dice, order)| {
        let who = if dice < 40 { other } else { Who::Member(of.0) };
        Step::Reserve { who, of, order }
    });
    // The moments around each bound that is still to come.
    let bounds: Vec<i64> = [OPENS, CLOSES, OVER].iter().flat_map(|at| [at - 1, *at]).collect();
    let ahead: Vec<i64> = bounds.into_iter().map(|at| at - slips.now).filter(|wait| *wait > 0).take(2).collect();
    let wait = prop_oneof![0..3_000_i64, prop::sample::select(vec![CLAIM - 1, CLAIM, 1])];
    let wait = match ahead.is_empty() {
        true => wait.boxed(),
        false => prop_oneof![8 => wait, 1 => prop::sample::select(ahead)].boxed(),
    };
    prop_oneof![
        3 => wait.prop_map(Step::Wait),
        1 => prop::bool::weighted(0.8).prop_map(|same| Step::Create { same }),
        8 => (member(), prop::option::weighted(0.8, 0..4_u64))
            .prop_map(|(member, request)| Step::Issue { member, request }),
        3 => (who(), of(), 0..2_u8).prop_map(|(who, of, key)| Step::Revoke { who, of, key }),
        6 => reserve,
        4 => (who(), of(), 0..3_u8).prop_map(|(who, of, order)| Step::Use { who, of, order }),
        4 => (who(), of(), 0..3_u8).prop_map(|(who, of, order)| Step::Return { who, of, order }),
    ]
    .boxed()
}

struct Model;

impl ReferenceStateMachine for Model {
    type State = Slips;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Slips> {
        let from = prop::sample::select(vec![OPENS - 1, OPENS, OPENS + 5_000]);
        let slips = |(stock, per_member, now)| Slips {
            stock,
            per_member,
            now,
            written: 0,
            created: None,
            slips: Vec::new(),
            said: Said::Unchanged,
        };
        (1..6_u64, 1..4_u32, from).prop_map(slips).boxed()
    }

    fn transitions(slips: &Slips) -> BoxedStrategy<Step> {
        // Once in a while somebody asks for what does not exist yet.
        if slips.created.is_some() {
            any_step(slips)
        } else {
            prop_oneof![9 => Just(Step::Create { same: true }), 1 => any_step(slips)].boxed()
        }
    }

    fn apply(mut slips: Slips, step: &Step) -> Slips {
        let said = slips.says(step);
        Slips { said, ..slips }
    }
}

/// What the step is to the rules: the command, who asks, and the words of key and body.
fn ask(before: &Slips, step: &Step) -> Option<(Command, Who, String, &'static str)> {
    let task_id = |of: &Of| task(&word(*of));
    Some(match step {
        Step::Wait(_) => return None,
        Step::Create { same } => {
            let create = Create {
                opens_at: Timestamp(OPENS),
                closes_at: Timestamp(CLOSES),
                valid_until: Timestamp(OVER),
                ..create(before.stock, before.per_member)
            };
            (Command::Create(create), Who::Seller, "coupon".into(), if *same { "same" } else { "other" })
        }
        Step::Issue { member, request } => {
            let key = word((*member, before.request(*request)));
            (Command::Issue { keyed: request.is_some() }, Who::Member(*member), key, "none")
        }
        Step::Revoke { who, of, key } => {
            (Command::Revoke { task_id: task_id(of) }, *who, format!("back {} {key}", word(*of)), "none")
        }
        Step::Reserve { who, of, order: by } => {
            (Command::Reserve { task_id: task_id(of), order_id: order(*by) }, *who, format!("order {by}"), "none")
        }
        Step::Use { who, of, order: by } => {
            (Command::Use { task_id: task_id(of), order_id: order(*by) }, *who, format!("order {by}"), "none")
        }
        Step::Return { who, of, order: by } => {
            (Command::Return { task_id: task_id(of), order_id: order(*by) }, *who, format!("order {by}"), "none")
        }
    })
}

impl StateMachineTest for Model {
    type SystemUnderTest = (Machine<Coupon>, Slips);
    type Reference = Self;

    fn init_test(slips: &Slips) -> (Machine<Coupon>, Slips) {
        (Machine::default(), slips.clone())
    }

    fn apply((mut coupon, before): Self::SystemUnderTest, after: &Slips, step: Step) -> Self::SystemUnderTest {
        if let Some((command, who, key, body)) = ask(&before, &step) {
            let asked = asked(&who.name(), who.authority(), &key, body, after.now);
            assert_eq!(coupon.tell(&command, &asked), after.said, "{step:?}");
        }
        (coupon, after.clone())
    }

    fn check_invariants((coupon, _): &Self::SystemUnderTest, slips: &Slips) {
        coupon.check();
        let state = &coupon.state;
        let live = slips.live().count() as u64;
        assert!(live <= slips.stock, "never more than there are");
        assert_eq!(state.issued(), slips.slips.len() as u64);
        assert_eq!(state.remaining(), if slips.created.is_some() { slips.stock - live } else { 0 });
        for member in 0..MEMBERS {
            let mine = slips.live().filter(|(_, slip)| slip.member == member).count();
            assert!(mine <= slips.per_member as usize, "nobody gets more than allowed");
        }
        let serials = coupon.log.iter().filter_map(|row| match &row.event {
            CouponEvent::Issued(issued) => Some(issued.serial),
            _ => None,
        });
        assert!(serials.eq(1..=slips.slips.len() as u64), "serials follow the log");
        let engaged = slips.slips.iter().filter(|slip| slip.has != Has::Nobody).count();
        let back = slips.slips.iter().filter(|slip| slip.back.is_some()).count();
        assert_eq!(Coupon::entries(state), 1 + slips.slips.len() + back + engaged);
        slips_agree(state, slips);
        claims_agree(state, slips);
        assert_eq!(Coupon::deadline(state), None);
    }
}

fn slips_agree(state: &State, slips: &Slips) {
    for (serial, slip) in (1..).zip(&slips.slips) {
        let expected = Task {
            account_id: AccountId::new(Who::Member(slip.member).name()),
            serial,
            version: Version(slip.version),
            revoked: slip.back.is_some(),
        };
        assert_eq!(state.task(&task(&word((slip.member, slip.request)))), Some(expected));
    }
}

/// Which orders have a claim, until when, and what is to be looked after.
fn claims_agree(state: &State, slips: &Slips) {
    let mut open = Vec::new();
    for (serial, slip) in (1_u64..).zip(&slips.slips) {
        let named = task(&word((slip.member, slip.request)));
        let (has, ends) = match slip.has {
            Has::Nobody => (None, None),
            Has::Reserved { order, until, .. } => (Some(order), Some(until)),
            Has::Used { order, .. } => (Some(order), None),
        };
        for by in 0..3 {
            assert_eq!(state.claim(&named, &order(by)).is_some(), has == Some(by), "a claim of its order only");
        }
        let account = AccountId::new(Who::Member(slip.member).name());
        open.extend(ends.zip(has).map(|(until, by)| (Timestamp(until), serial, (named, order(by), account))));
    }
    open.sort_unstable_by_key(|(until, serial, _)| (*until, *serial));
    assert_eq!(state.has_open(), !open.is_empty());
    assert_eq!(Coupon::waits_since(state).is_some(), !open.is_empty(), "somebody looks after what is open");
    let now = Timestamp(slips.now);
    for after in [Timestamp(0), Timestamp(slips.now - CLAIM), Timestamp(slips.now - 1), now] {
        let next = open.iter().map(|(until, ..)| *until).find(|until| *until > after);
        assert_eq!(state.next_until(after), next);
        let ended = open.iter().filter(|(until, ..)| *until > after && *until <= now);
        let ended: Vec<_> = ended.map(|(.., what)| what.clone()).collect();
        assert_eq!(state.overdue(after, now), ended);
        assert!(after == now || state.overdue(now, after).is_empty(), "time does not run backwards");
    }
}

prop_state_machine! {
    #[test]
    fn it_does_what_a_plain_list_does(sequential 1..60 => Model);
}
