//! Is an order placed, cancelled and expired only as it should be? Tables in order of precedence of refusal.

use super::*;
use crate::domain::performance;
use crate::domain::performance::tests::scheduled;
use crate::domain::testing::{Story, Then, check, story};

fn terms() -> Terms {
    Terms::clone(scheduled().state.terms.as_ref().expect("it was scheduled"))
}

fn place(seats: &[&str]) -> Command {
    Command::Place(Place {
        order_id: OrderId::new("o1"),
        performance_id: PerformanceId::new("pf_1"),
        seats: seats.iter().map(|id| SeatId::new(*id)).collect(),
        reference: None,
    })
}

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
    assert_eq!(Order::due(&story.state), Some(Command::Expire));
}

#[test]
fn who_may_cancel_and_when() {
    let terms = terms();
    let placed = || placed(&terms).key("second");
    let cancelled = || placed().after(&Command::Cancel).slept();
    let expired = || placed().at(181_500).after(&Command::Expire).slept();
    let too_late = Refusal::OrderNotCancellable { status: "expired" };
    check(vec![
        ("never placed", story(), Command::Cancel, Then::Refuses(Refusal::NotFound)),
        ("a stranger", placed().by("bob"), Command::Cancel, Then::Refuses(Refusal::NotFound)),
        ("the same again, by a stranger", cancelled().by("bob"), Command::Cancel, Then::Refuses(Refusal::NotFound)),
        ("the same again", cancelled(), Command::Cancel, Then::Replays(2)),
        ("same key, other body", cancelled().body("other"), Command::Cancel, Then::Refuses(Refusal::KeyReused)),
        ("cancelled already", cancelled().key("third"), Command::Cancel, Then::Unchanged),
        ("expired", expired().key("third"), Command::Cancel, Then::Refuses(too_late)),
        ("the buyer", placed(), Command::Cancel, Then::Happens(&["order.cancelled"])),
        ("the seller", placed().by("seller"), Command::Cancel, Then::Happens(&["order.cancelled"])),
        ("an admin", placed().by("root").for_anybody(), Command::Cancel, Then::Happens(&["order.cancelled"])),
        ("expire too early", placed().at(181_499), Command::Expire, Then::Unchanged),
        ("expire in time", placed().at(181_500), Command::Expire, Then::Happens(&["order.expired"])),
        ("expire twice", expired(), Command::Expire, Then::Unchanged),
        ("expire what is cancelled", cancelled().at(999_999), Command::Expire, Then::Unchanged),
    ]);
    for ended in [cancelled(), expired()] {
        assert_eq!(Order::deadline(&ended.state), None, "an ended order waits for nothing");
        assert!(Order::involves(&ended.state, &Command::Cancel).parts.is_empty(), "seats are given back once");
    }
}

#[test]
fn seats_take_part_in_every_step() {
    let terms = terms();
    let nothing: Story<'_, Order> = story();
    let placing = Order::involves(&nothing.state, &place(&["A-1-1", "B-1-7b", "A-1-1"]));
    assert_eq!(placing.context, Some(StreamId::performance(&PerformanceId::new("pf_1"))));
    let names: Vec<&str> = placing.parts.iter().map(|(stream, _)| stream.as_str()).collect();
    assert_eq!(names, ["seat/pf_1/A-1-1", "seat/pf_1/B-1-7b"], "no stream twice");
    let placed = placed(&terms);
    for (command, reason) in [(Command::Cancel, ReleaseReason::Cancelled), (Command::Expire, ReleaseReason::Expired)] {
        let parts = Order::involves(&placed.state, &command).parts;
        let release = seat::Command::Release { order_id: OrderId::new("o1"), reason };
        assert_eq!(parts.len(), 2);
        assert!(parts.iter().all(|(_, part)| *part == release));
    }
    assert!(Order::involves(&placed.state, &place(&["A-1-1"])).parts.is_empty(), "a repetition wakes no seats");
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
