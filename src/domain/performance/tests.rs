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
    let paused = || next().after(&Command::Pause).slept();
    check(vec![
        ("never scheduled", story(), Command::Pause, Then::Refuses(Refusal::NotFound)),
        ("another seller", next().by("bob"), Command::Pause, Then::Refuses(Refusal::NotFound)),
        ("an admin", next().by("root").for_anybody(), Command::Pause, Then::Happens(&["performance.paused"])),
        ("its seller", next(), Command::Pause, Then::Happens(&["performance.paused"])),
        ("the same pause again", paused(), Command::Pause, Then::Replays(2)),
        ("same key, other body", paused().body("other"), Command::Pause, Then::Refuses(Refusal::KeyReused)),
        ("paused already", paused().key("third"), Command::Pause, Then::Unchanged),
        ("resume", paused().key("third"), Command::Resume, Then::Happens(&["performance.resumed"])),
        ("resume what runs", next(), Command::Resume, Then::Unchanged),
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
    assert!(Performance::involves(&next().state, &many).parts.is_empty(), "a refused list wakes no seats");
    let twice = Performance::involves(&next().state, &block(&["A-1-1", "A-1-1"]));
    assert_eq!(twice.parts.len(), 1, "no stream takes part twice");
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
    let story = scheduled().key("old").at(10).after(&Command::Pause);
    let just_in_time = story.clone().key("new").at(10 + memory).after(&Command::Resume);
    assert_eq!(just_in_time.key("old").answer(&Command::Pause), Ok(Decision::Replay(crate::ids::Version(2))));
    let later = story.key("new").at(11 + memory).after(&Command::Resume);
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
    let after = before.key("second").after(&Command::Pause);
    let now = after.state.terms.expect("still scheduled");
    assert!(Arc::ptr_eq(&read.layout, &now.layout));
    assert!(!read.paused, "who read the terms keeps what was read");
}
