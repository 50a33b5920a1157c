//! Is a performance put on sale, stopped and blocked only as it should be? Tables in order of precedence of refusal.

use std::sync::Arc;

use super::*;
use crate::domain::testing::{Story, Then, check, story};
use crate::domain::{Aggregate, Decision, Refusal};
use crate::events::performance::GradePrice;
use crate::events::venue::{Row, RowSeats, Section};
use crate::ids::{PerformanceId, SeatId, ShowId, StreamId, VenueId};
use crate::limits;
use crate::money::{Amount, Currency};
use crate::timestamp::Timestamp;

const PAUSE: Command = Command::Pause { keyed: true };
const RESUME: Command = Command::Resume { keyed: true };

fn keyed(change: Change) -> Command {
    Command::Change { change, keyed: true }
}

fn house() -> Vec<Section> {
    let row = |row: &str, seats| Row { row: row.into(), seats };
    let section = |section: &str, grade: &str, rows| Section { section: section.into(), grade: grade.into(), rows };
    vec![
        section("A", "VIP", vec![row("1", RowSeats::Count(3)), row("2", RowSeats::Count(2))]),
        section("B", "R", vec![row("1", RowSeats::Labels(vec!["왼쪽".into(), "7b".into()]))]),
    ]
}

fn price(grade: &str, minor: u64) -> GradePrice {
    GradePrice { grade: grade.into(), price: Amount::new(minor).expect("a small price") }
}

/// On sale from 1000 until 2000, four seats an order, held for 180 s. Others' tests sell it too.
pub(in crate::domain) fn schedule() -> Schedule {
    Schedule {
        performance_id: PerformanceId::new("pf_1"),
        show_id: ShowId::new("sh_1"),
        venue_id: VenueId::new("vn_1"),
        timezone: "Asia/Seoul".into(),
        starts_at: Timestamp(9000),
        sale_opens_at: Timestamp(1000),
        sale_closes_at: Timestamp(2000),
        cancel_until: Some(Timestamp(8000)),
        currency: Currency::parse("KRW").expect("a code"),
        prices: vec![price("VIP", 150), price("R", 100)],
        max_seats_per_order: 4,
        max_seats_per_member: None,
        max_live_orders_per_member: None,
        max_unpaid_holds_per_member: None,
        hold_seconds: 180,
        layout: house(),
    }
}

pub(in crate::domain) fn scheduled<'a>() -> Story<'a, Performance> {
    story::<Performance>().by("seller").key("schedule").after(&Command::Schedule(schedule()))
}

fn seats(ids: &[&str]) -> Vec<SeatId> {
    ids.iter().map(|id| SeatId::new(*id)).collect()
}

fn block(ids: &[&str]) -> Command {
    Command::Block { seats: seats(ids) }
}

#[test]
fn what_is_put_on_sale() {
    let with = |change: fn(&mut Schedule)| {
        let mut schedule = schedule();
        change(&mut schedule);
        Command::Schedule(schedule)
    };
    let nothing = || story::<Performance>();
    let fine = with(|_| ());
    check(vec![
        ("a good one", nothing(), fine.clone(), Then::Happens(&["performance.scheduled"])),
        ("the same again", scheduled(), fine.clone(), Then::Replays(1)),
        ("same key, other body", scheduled().body("other"), fine, Then::Refuses(Refusal::KeyReused)),
        ("an empty house", nothing(), with(|s| s.layout.clear()), Then::Invalid("/venue_id")),
        (
            "closes as it opens",
            nothing(),
            with(|s| s.sale_closes_at = s.sale_opens_at),
            Then::Invalid("/sale_closes_at"),
        ),
        (
            "cancel after start",
            nothing(),
            with(|s| s.cancel_until = Some(Timestamp(9001))),
            Then::Invalid("/cancel_until"),
        ),
        ("a grade nobody has", nothing(), with(|s| s.prices.push(price("S/1", 1))), Then::Invalid("/prices/S~11")),
        ("a grade priced twice", nothing(), with(|s| s.prices.push(price("R", 1))), Then::Invalid("/prices/R")),
        ("a grade without price", nothing(), with(|s| s.prices.truncate(1)), Then::Invalid("/prices")),
        ("no seat per order", nothing(), with(|s| s.max_seats_per_order = 0), Then::Invalid("/max_seats_per_order")),
        (
            "101 seats per order",
            nothing(),
            with(|s| s.max_seats_per_order = 101),
            Then::Invalid("/max_seats_per_order"),
        ),
        (
            "no seat per member",
            nothing(),
            with(|s| s.max_seats_per_member = Some(0)),
            Then::Invalid("/max_seats_per_member"),
        ),
        ("too short a hold", nothing(), with(|s| s.hold_seconds = 4), Then::Invalid("/hold_seconds")),
        ("too long a hold", nothing(), with(|s| s.hold_seconds = 3601), Then::Invalid("/hold_seconds")),
    ]);
}

#[test]
fn who_may_stop_the_sale() {
    let next = || scheduled().key("second").at(10);
    let paused = || next().after(&PAUSE).slept();
    let resumed = || paused().key("third").after(&PAUSE).key("fourth").after(&RESUME).slept();
    check(vec![
        ("never scheduled", story(), PAUSE, Then::Refuses(Refusal::NotFound)),
        ("another seller", next().by("bob"), PAUSE, Then::Refuses(Refusal::NotFound)),
        ("an admin", next().by("root").for_anybody(), PAUSE, Then::Happens(&["performance.paused"])),
        ("its seller", next(), PAUSE, Then::Happens(&["performance.paused"])),
        ("the same pause again", paused(), PAUSE, Then::Replays(2)),
        ("same key, other body", paused().body("other"), PAUSE, Then::Refuses(Refusal::KeyReused)),
        ("paused already", paused().key("third"), PAUSE, Then::Happens(&["performance.paused"])),
        ("paused in vain, again after a resumption", resumed().key("third"), PAUSE, Then::Replays(3)),
        ("resume", paused().key("third"), RESUME, Then::Happens(&["performance.resumed"])),
        ("paused already, nameless", paused().key("third"), Command::Pause { keyed: false }, Then::Unchanged),
        ("resume what runs, nameless", next(), Command::Resume { keyed: false }, Then::Unchanged),
        ("resume what runs", next(), RESUME, Then::Happens(&["performance.resumed"])),
    ]);
    assert!(paused().state.terms.is_some_and(|terms| terms.paused));
}

#[test]
fn which_seats_are_kept_from_sale() {
    let next = || scheduled().key("second").at(10);
    let blocked = || next().after(&block(&["A-1-1"])).slept();
    let many = Command::Block { seats: vec![SeatId::new("A-1-1"); limits::BLOCK_SEATS + 1] };
    let unblock = Command::Unblock { seats: seats(&["A-1-1"]) };
    check(vec![
        ("another seller", next().by("bob"), block(&["A-1-1"]), Then::Refuses(Refusal::NotFound)),
        ("the same again", blocked(), block(&["A-1-1"]), Then::Replays(2)),
        ("same key, other body", blocked().body("x"), block(&["A-1-1"]), Then::Refuses(Refusal::KeyReused)),
        ("none", next(), block(&[]), Then::Invalid("/seats")),
        ("too many", next(), many.clone(), Then::Invalid("/seats")),
        ("twice the same", next(), block(&["A-1-1", "A-1-2", "A-1-1"]), Then::Invalid("/seats/2")),
        ("not in the house", next(), block(&["A-1-1", "A-1-4"]), Then::Invalid("/seats/1")),
        ("two good ones", next(), block(&["A-1-1", "B-1-7b"]), Then::Happens(&["performance.seats_blocked"])),
        ("back on sale", blocked().key("third"), unblock, Then::Happens(&["performance.seats_unblocked"])),
    ]);
    let parts = |command| Performance::parts(&next().state, &command, &crate::ids::AccountId::new("seller"), None);
    assert!(parts(many).is_empty(), "a refused list wakes no seats");
    assert_eq!(parts(block(&["A-1-1", "A-1-1"])).len(), 1, "no stream takes part twice");
}

#[test]
fn which_terms_may_be_changed() {
    let next = || scheduled().key("second").at(10);
    let with = keyed;
    let prices = || Change { prices: Some(vec![price("R", 120), price("VIP", 150)]), ..Change::default() };
    let dearer = || with(prices());
    let nameless = || Command::Change { change: prices(), keyed: false };
    let changed = || next().after(&dearer()).slept();
    let time = |at| Some(Timestamp(at));
    let happens = Then::Happens(&["performance.changed"]);
    let none = Change::default;
    check(vec![
        ("never scheduled", story(), dearer(), Then::Refuses(Refusal::NotFound)),
        ("another seller", next().by("bob"), dearer(), Then::Refuses(Refusal::NotFound)),
        ("an admin", next().by("root").for_anybody(), dearer(), happens.clone()),
        ("other prices", next(), dearer(), happens.clone()),
        ("the same again", changed(), dearer(), Then::Replays(2)),
        ("same key, other body", changed().body("other"), dearer(), Then::Refuses(Refusal::KeyReused)),
        ("as it is already", changed().key("third"), dearer(), happens.clone()),
        ("as it is already, nameless", changed().key("third"), nameless(), Then::Unchanged),
        ("other prices, nameless", next(), nameless(), happens.clone()),
        ("nothing", next(), with(none()), Then::Invalid("")),
        (
            "the prices in another order",
            next(),
            with(Change { prices: Some(vec![price("R", 100), price("VIP", 150)]), ..none() }),
            happens.clone(),
        ),
        (
            "opens as it closes",
            next(),
            with(Change { sale_opens_at: time(2000), ..none() }),
            Then::Invalid("/sale_opens_at"),
        ),
        (
            "closes as it opens",
            next(),
            with(Change { sale_closes_at: time(1000), ..none() }),
            Then::Invalid("/sale_closes_at"),
        ),
        (
            "both the wrong way round",
            next(),
            with(Change { sale_opens_at: time(3000), sale_closes_at: time(2500), ..none() }),
            Then::Invalid("/sale_closes_at"),
        ),
        (
            "both later",
            next(),
            with(Change { sale_opens_at: time(3000), sale_closes_at: time(4000), ..none() }),
            happens.clone(),
        ),
        (
            "starts before buyers may cancel",
            next(),
            with(Change { starts_at: time(7999), ..none() }),
            Then::Invalid("/starts_at"),
        ),
        (
            "starts earlier, and no cancelling",
            next(),
            with(Change { starts_at: time(7999), cancel_until: Some(None), ..none() }),
            happens.clone(),
        ),
        (
            "cancelling after the start",
            next(),
            with(Change { cancel_until: Some(time(9001)), ..none() }),
            Then::Invalid("/cancel_until"),
        ),
        (
            "not all prices",
            next(),
            with(Change { prices: Some(vec![price("R", 1)]), ..none() }),
            Then::Invalid("/prices"),
        ),
        (
            "a grade nobody has",
            next(),
            with(Change { prices: Some(vec![price("S", 1)]), ..none() }),
            Then::Invalid("/prices/S"),
        ),
        (
            "no seat per order",
            next(),
            with(Change { max_seats_per_order: Some(0), ..none() }),
            Then::Invalid("/max_seats_per_order"),
        ),
        (
            "no seat per member",
            next(),
            with(Change { max_seats_per_member: Some(Some(0)), ..none() }),
            Then::Invalid("/max_seats_per_member"),
        ),
        ("no limit, as before", next(), with(Change { max_seats_per_member: Some(None), ..none() }), happens.clone()),
        ("a limit", next(), with(Change { max_seats_per_member: Some(Some(2)), ..none() }), happens),
        (
            "no unpaid order at all",
            next(),
            with(Change { max_live_orders_per_member: Some(Some(0)), ..none() }),
            Then::Invalid("/max_live_orders_per_member"),
        ),
        (
            "more holds than are remembered",
            next(),
            with(Change { max_unpaid_holds_per_member: Some(Some(limits::UNPAID_HOLDS + 1)), ..none() }),
            Then::Invalid("/max_unpaid_holds_per_member"),
        ),
        ("too short a hold", next(), with(Change { hold_seconds: Some(4), ..none() }), Then::Invalid("/hold_seconds")),
    ]);
}

/// Who was not counted from the first order on would have more than the limit.
#[test]
fn members_are_counted_from_the_first_order_on_or_never() {
    let set = |limit| keyed(Change { max_seats_per_member: Some(limit), ..Change::default() });
    let holds = keyed(Change { max_unpaid_holds_per_member: Some(Some(3)), ..Change::default() });
    let live = keyed(Change { max_live_orders_per_member: Some(Some(1)), ..Change::default() });
    let dear = keyed(Change { max_seats_per_order: Some(2), ..Change::default() });
    let later = keyed(Change {
        sale_opens_at: Some(Timestamp(1_800)),
        sale_closes_at: Some(Timestamp(3_000)),
        ..Change::default()
    });
    let plain = || scheduled().key("second");
    let counted = || plain().at(10).after(&set(Some(4))).slept().key("third");
    let happens = Then::Happens(&["performance.changed"]);
    let no = Then::Refuses(Refusal::InUse { detail: "limits per member must be set before the sale opens" });
    check(vec![
        ("the last moment before", plain().at(999), set(Some(4)), happens.clone()),
        ("on sale", plain().at(1_000), set(Some(4)), no.clone()),
        ("on sale, without sense", plain().at(1_000), set(Some(0)), Then::Invalid("/max_seats_per_member")),
        ("on sale, unpaid holds", plain().at(1_000), holds.clone(), no.clone()),
        ("on sale, live orders", plain().at(1_000), live, no.clone()),
        ("another change on sale", plain().at(1_000), dear, happens.clone()),
        ("it was on sale", plain().at(1_500).after(&later).slept().key("third").at(1_600), set(Some(4)), no),
        (
            "it was to be, but was not",
            plain().at(900).after(&later).key("third").at(1_600),
            set(Some(4)),
            happens.clone(),
        ),
        ("counted: more", counted().at(1_500), set(Some(6)), happens.clone()),
        ("counted: fewer", counted().at(1_500), set(Some(1)), happens.clone()),
        ("counted: as many as they like", counted().at(1_500), set(None), happens.clone()),
        ("counted: another limit", counted().at(1_500), holds, happens.clone()),
        ("free, but still counted", counted().at(1_500).after(&set(None)).slept().key("fourth"), set(Some(2)), happens),
    ]);
    let free = counted().after(&set(None)).state.terms.expect("scheduled");
    assert_eq!(free.member_limits(), Some(crate::domain::member::Limits::default()), "counted without limit");
    assert_eq!(plain().state.terms.expect("scheduled").member_limits(), None);
}

#[test]
fn a_change_leaves_everything_else_and_the_house_alone() {
    let before = scheduled();
    let read = Performance::notice(&before.state).expect("it was scheduled");
    let change = Change {
        prices: Some(vec![price("VIP", 200), price("R", 100)]),
        cancel_until: Some(None),
        max_seats_per_member: Some(Some(6)),
        ..Change::default()
    };
    let after = before.key("second").after(&keyed(change));
    let now = after.state.terms.expect("still scheduled");
    assert!(Arc::ptr_eq(&read.layout, &now.layout));
    let expected = Terms {
        prices: vec![price("VIP", 200), price("R", 100)],
        cancel_until: None,
        max_seats_per_member: Some(6),
        members_counted: true,
        ..Terms::clone(&read)
    };
    assert_eq!(*now, expected);
}

#[test]
fn what_is_cancelled_stays_so() {
    let next = || scheduled().key("second").at(10);
    let cancelled = || next().after(&Command::Cancel).slept().key("third");
    let paused = || next().after(&PAUSE).key("third").after(&Command::Cancel).key("fourth");
    let change = keyed(Change { hold_seconds: Some(60), ..Change::default() });
    let no = Then::Refuses(Refusal::PerformanceCancelled);
    let unblock = Command::Unblock { seats: seats(&["A-1-1"]) };
    check(vec![
        ("never scheduled", story(), Command::Cancel, Then::Refuses(Refusal::NotFound)),
        ("another seller", next().by("bob"), Command::Cancel, Then::Refuses(Refusal::NotFound)),
        ("its seller", next(), Command::Cancel, Then::Happens(&["performance.cancelled"])),
        ("an admin", next().by("root").for_anybody(), Command::Cancel, Then::Happens(&["performance.cancelled"])),
        ("the same again", cancelled().key("second"), Command::Cancel, Then::Replays(2)),
        (
            "same key, other body",
            cancelled().key("second").body("x"),
            Command::Cancel,
            Then::Refuses(Refusal::KeyReused),
        ),
        ("cancelled already", cancelled(), Command::Cancel, Then::Unchanged),
        ("another seller later", cancelled().by("bob"), change.clone(), Then::Refuses(Refusal::NotFound)),
        ("change", cancelled(), change, no.clone()),
        ("pause", cancelled(), PAUSE, no.clone()),
        ("resume", paused(), RESUME, no.clone()),
        ("block", cancelled(), block(&["A-1-1"]), no.clone()),
        ("unblock", cancelled(), unblock, no),
    ]);
    let state = cancelled().state;
    assert_eq!(state.cancelled_at, Some(Timestamp(10)));
    assert!(state.terms.is_some_and(|terms| terms.cancelled));
}

#[test]
fn it_is_called_off_once_and_by_the_system_alone() {
    let off = || Command::CallOff { orders: 3 };
    let next = || scheduled().key("second").at(10);
    let cancelled = || next().after(&Command::Cancel).by("system").for_anybody().key("third");
    let done = || cancelled().after(&off()).slept();
    check(vec![
        ("its seller", next().after(&Command::Cancel).key("third"), off(), Then::Refuses(Refusal::NotFound)),
        ("not cancelled", next().by("system").for_anybody(), off(), Then::Unchanged),
        ("cancelled", cancelled(), off(), Then::Happens(&["performance.called_off"])),
        ("the same again", done(), off(), Then::Unchanged),
        ("once more", done().key("fourth"), off(), Then::Unchanged),
    ]);
    let stages = [next(), cancelled(), done()].map(|story| story.state.calling_off());
    assert_eq!(stages, [false, true, false]);
}

#[test]
fn refused_seats_are_named_in_the_order_asked() {
    let performance = PerformanceId::new("pf_1");
    let no =
        |seat: &str| (StreamId::seat(&performance, &SeatId::new(seat)), Refusal::SeatUnavailable { seats: Vec::new() });
    let refusal = Performance::parts_refused(&block(&["B-1-7b", "A-1-2", "A-1-1"]), vec![no("A-1-1"), no("B-1-7b")]);
    assert_eq!(refusal, Refusal::SeatUnavailable { seats: seats(&["B-1-7b", "A-1-1"]) });
}

#[test]
fn keys_are_remembered_for_their_time_and_no_longer() {
    let memory = i64::try_from(limits::KEY_MEMORY.as_millis()).expect("some days");
    let story = scheduled().key("old").at(10).after(&PAUSE);
    let just_in_time = story.clone().key("new").at(10 + memory).after(&RESUME);
    assert_eq!(just_in_time.key("old").answer(&PAUSE), Ok(Decision::Replay(crate::ids::Version(2))));
    let later = story.key("new").at(11 + memory).after(&RESUME);
    assert_eq!(Performance::entries(&later.state), 2, "the old act is forgotten");
}

#[test]
fn every_seat_is_found_under_its_own_id_and_no_other() {
    let terms = scheduled().slept().state.terms.expect("it was scheduled");
    let all: Vec<_> = terms.seats().collect();
    let ids: Vec<&str> = all.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(ids, ["A-1-1", "A-1-2", "A-1-3", "A-2-1", "A-2-2", "B-1-왼쪽", "B-1-7b"]);
    assert_eq!(terms.seat_count(), all.len());
    for (id, seat) in &all {
        assert_eq!(terms.seat(id).as_ref(), Some(seat));
    }
    assert_eq!(all[6].1.price, Amount::new(100).expect("a small price"));
    for junk in ["", "A", "A-1", "A-1-0", "A-1-4", "A-1-01", "A-1-+1", "A-1-1-1", "a-1-1", "C-1-1", "B-1-1", "A-3-1"] {
        assert_eq!(terms.seat(&SeatId::new(junk)), None, "{junk}");
    }
}

#[test]
fn pausing_does_not_copy_the_house() {
    let before = scheduled();
    let read = Performance::notice(&before.state).expect("it was scheduled");
    let after = before.key("second").after(&PAUSE);
    let now = after.state.terms.expect("still scheduled");
    assert!(Arc::ptr_eq(&read.layout, &now.layout));
    assert!(!read.paused, "who read the terms keeps what was read");
}
