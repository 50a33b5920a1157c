//! Is each payment recorded once, and never more given back than was paid? Tables in order of precedence of refusal;
//! `model` asks in every order.

mod model;

use super::*;
use crate::domain::testing::{Story, Then, check, story};

const NOW: i64 = 5_000_000_000_000;

fn millis(time: std::time::Duration) -> i64 {
    i64::try_from(time.as_millis()).expect("some days")
}

fn amount(minor: u64) -> Amount {
    Amount::new(minor).expect("a small amount")
}

fn payment(id: &str, minor: u64) -> RecordPayment {
    RecordPayment {
        payment_id: PaymentId::new(id),
        amount: amount(minor),
        currency: Currency::parse("KRW").expect("a code"),
        method: "card".into(),
        paid_at: Timestamp(NOW),
        terminal_id: None,
    }
}

fn record(id: &str, minor: u64) -> Command {
    Command::Record(payment(id, minor))
}

fn paid_at(at: i64) -> Command {
    Command::Record(RecordPayment { paid_at: Timestamp(at), ..payment("new", 10) })
}

fn cancel(id: &str, minor: Option<u64>) -> Command {
    Command::Cancel { payment_id: PaymentId::new(id), amount: minor.map(amount), keyed: true }
}

fn store<'a>() -> Story<'a, Store> {
    let create = Command::Create { store_id: StoreId::new("st_1"), name: "Kiosk".into() };
    story().by("seller").key("create").at(NOW).after(&create).by("pos").key("record")
}

#[test]
fn what_is_recorded() {
    let one = || store().after(&record("p1", 10)).key("another").slept();
    let changed = |change: fn(&mut RecordPayment)| {
        let mut payment = payment("p1", 10);
        change(&mut payment);
        Command::Record(payment)
    };
    let memory = millis(limits::STORE_MEMORY);
    let too_old = Refusal::PaymentTooOld { oldest: Timestamp(NOW - memory) };
    let mismatch = || Then::Refuses(Refusal::PaymentMismatch);
    check(vec![
        ("no such store", story(), record("p1", 10), Then::Refuses(Refusal::NotFound)),
        ("the same again", one(), record("p1", 10), Then::Replays(2)),
        ("the same again, late", one().at(NOW + memory), record("p1", 10), Then::Replays(2)),
        ("the same again, same key", one().key("record"), record("p1", 10), Then::Replays(2)),
        ("same key, other payment", one().key("record"), record("p2", 10), Then::Refuses(Refusal::KeyReused)),
        ("same key, other amount", one().key("record"), record("p1", 11), Then::Refuses(Refusal::KeyReused)),
        ("other amount", one(), record("p1", 11), mismatch()),
        ("other method", one(), changed(|p| p.method = "cash".into()), mismatch()),
        ("other time", one(), changed(|p| p.paid_at = Timestamp(0)), mismatch()),
        ("other currency", one(), changed(|p| p.currency = Currency::parse("USD").expect("a code")), mismatch()),
        ("other terminal", one(), changed(|p| p.terminal_id = Some(String::new())), mismatch()),
        ("no id", store(), record("", 10), Then::Invalid("/payment_id")),
        ("no money", store(), record("p1", 0), Then::Invalid("/amount")),
        ("no method", store(), changed(|p| p.method.clear()), Then::Invalid("/method")),
        ("no terminal", store(), changed(|p| p.terminal_id = Some(String::new())), Then::Invalid("/terminal_id")),
        ("too old", store(), paid_at(NOW - memory - 1), Then::Refuses(too_old)),
        ("just not too old", store(), paid_at(NOW - memory), Then::Happens(&["store.payment_recorded"])),
        ("a clock ahead", store(), paid_at(NOW + 300_000), Then::Happens(&["store.payment_recorded"])),
        ("a clock too far ahead", store(), paid_at(NOW + 300_001), Then::Invalid("/paid_at")),
    ]);
}

/// Before keys were looked at, one command could record several payments.
#[test]
fn each_payment_of_a_key_that_recorded_two_is_repeated() {
    let mut two = store().after(&record("p1", 10)).key("other").after(&record("p2", 20));
    let first = two.state.payments[&PaymentId::new("p1")].command;
    two.state.payments.get_mut(&PaymentId::new("p2")).expect("it was recorded").command = first;
    two.state.recorded_by = BTreeMap::from([(first, PaymentId::new("p2"))]);
    let two = || two.clone().key("record");
    check(vec![
        ("the first one", two(), record("p1", 10), Then::Replays(2)),
        ("the second one", two(), record("p2", 20), Then::Replays(3)),
        ("a third one", two(), record("p3", 30), Then::Refuses(Refusal::KeyReused)),
        ("the first one, otherwise", two(), record("p1", 11), Then::Refuses(Refusal::KeyReused)),
    ]);
}

#[test]
fn what_is_given_back() {
    let paid = || store().after(&record("p1", 10)).key("back");
    let part = || paid().after(&cancel("p1", Some(4))).slept();
    let whole = || paid().after(&cancel("p1", None)).slept();
    let unkeyed = |minor: Option<u64>| Command::Cancel {
        payment_id: PaymentId::new("p1"),
        amount: minor.map(amount),
        keyed: false,
    };
    let exceeds = Refusal::AmountExceedsRemaining { remaining: amount(6) };
    let done = || Then::Happens(&["store.payment_cancelled"]);
    check(vec![
        ("unknown", paid(), cancel("p2", None), Then::Refuses(Refusal::NotFound)),
        ("the same again", whole(), cancel("p1", None), Then::Replays(3)),
        ("same key, other body", whole().body("x"), cancel("p1", None), Then::Refuses(Refusal::KeyReused)),
        ("a part without key", whole().key("k"), unkeyed(Some(1)), Then::Refuses(Refusal::KeyRequired)),
        ("a part of nothing", whole().key("k"), cancel("p1", Some(0)), Then::Invalid("/amount")),
        ("nothing is left", whole().key("k"), cancel("p1", Some(11)), Then::Refuses(Refusal::AlreadyCancelled)),
        ("nothing is left, no key", whole().key("k"), unkeyed(None), Then::Refuses(Refusal::AlreadyCancelled)),
        ("more than is left", part().key("k"), cancel("p1", Some(7)), Then::Refuses(exceeds)),
        ("all that is left", part().key("k"), cancel("p1", Some(6)), done()),
        ("a part", paid(), cancel("p1", Some(1)), done()),
        ("the whole without key", paid(), unkeyed(None), done()),
    ]);
    assert_eq!(part().state.remaining(&PaymentId::new("p1")), Some(amount(6)));
}

#[test]
fn a_store_has_a_name() {
    let create = |name: &str| Command::Create { store_id: StoreId::new("st_1"), name: name.into() };
    check(vec![
        ("the same again", store().key("create"), create("Kiosk"), Then::Replays(1)),
        ("same key, other body", store().body("other"), create("Kiosk"), Then::Refuses(Refusal::KeyReused)),
        ("no name", story(), create(" "), Then::Invalid("/name")),
        ("a good one", story(), create("Kiosk"), Then::Happens(&["store.created"])),
    ]);
}

#[test]
fn what_was_forgotten_cannot_be_recorded_again() {
    let (memory, ahead) = (millis(limits::STORE_MEMORY), millis(limits::PAID_AT_AHEAD));
    // The worst case: the counter's clock was as far ahead as is allowed.
    let first = RecordPayment { paid_at: Timestamp(NOW + ahead), ..payment("p1", 10) };
    let later = |at: i64| {
        let recent = RecordPayment { paid_at: Timestamp(at), ..payment("p2", 10) };
        let later = store().after(&Command::Record(first.clone())).at(at).key("later").after(&Command::Record(recent));
        later.key("record")
    };
    let again = Command::Record(first.clone());
    let remembered = later(NOW + memory + ahead);
    let forgotten = later(NOW + memory + ahead + 1);
    assert_eq!((Store::entries(&remembered.state), Store::entries(&forgotten.state)), (3, 2));
    let too_old = Refusal::PaymentTooOld { oldest: Timestamp(NOW + ahead + 1) };
    check(vec![
        ("still known", remembered, again.clone(), Then::Replays(2)),
        ("forgotten", forgotten, again, Then::Refuses(too_old)),
    ]);
}

#[test]
fn what_is_over_is_gone_although_nothing_happened_since() {
    let (memory, ahead) = (millis(limits::STORE_MEMORY), millis(limits::PAID_AT_AHEAD));
    let last = NOW + memory + ahead;
    let paid = |at: i64| store().after(&record("p1", 10)).key("back").at(at);
    let back = || paid(last).after(&cancel("p1", Some(4))).slept();
    let too_old = Refusal::PaymentTooOld { oldest: Timestamp(NOW + ahead + 1) };
    check(vec![
        ("in the last moment", paid(last), cancel("p1", Some(4)), Then::Happens(&["store.payment_cancelled"])),
        ("the same again, later", back().at(last + 1), cancel("p1", Some(4)), Then::Replays(3)),
        ("too late", paid(last + 1), cancel("p1", Some(4)), Then::Refuses(Refusal::NotFound)),
        ("recorded again in the last moment", paid(last), record("p1", 10), Then::Replays(2)),
        ("recorded again too late", paid(last + 1), record("p1", 10), Then::Refuses(too_old)),
    ]);
}

#[test]
fn the_key_of_a_late_cancellation_is_remembered() {
    let (memory, keys) = (millis(limits::STORE_MEMORY), millis(limits::KEY_MEMORY));
    let at = NOW + memory;
    let late = store().after(&record("p1", 10)).key("late").at(at).after(&cancel("p1", None));
    let next = |at: i64| {
        let other = Command::Record(RecordPayment { paid_at: Timestamp(at), ..payment("p2", 10) });
        late.clone().key("other").at(at).after(&other).key("late").slept()
    };
    check(vec![
        ("within its time", next(at + keys), cancel("p1", None), Then::Replays(3)),
        ("after it", next(at + keys + 1), cancel("p1", None), Then::Refuses(Refusal::NotFound)),
    ]);
    assert_eq!(Store::entries(&next(at + keys + 1).state), 2, "payment and cancellation are both forgotten");
}

#[test]
fn a_full_store_takes_no_more_until_it_forgets() {
    let mut full = store().after(&record("p1", 10)).key("other");
    // As if that many cancellations were remembered; making them one by one would take minutes.
    full.state.cancellations = limits::STORE_PAYMENTS as u64;
    let later = full.clone().at(NOW + 2 * millis(limits::STORE_MEMORY));
    let recent = Command::Record(RecordPayment {
        paid_at: Timestamp(NOW + 2 * millis(limits::STORE_MEMORY)),
        ..payment("p2", 1)
    });
    check(vec![
        ("another payment", full.clone(), record("p2", 10), Then::Refuses(Refusal::StoreFull)),
        ("a part given back", full.clone(), cancel("p1", Some(1)), Then::Refuses(Refusal::StoreFull)),
        ("all given back", full.clone(), cancel("p1", Some(10)), Then::Happens(&["store.payment_cancelled"])),
        ("the same again", full, record("p1", 10), Then::Replays(2)),
        ("old ones can go", later, recent, Then::Happens(&["store.payment_recorded"])),
    ]);
}
