//! Names, positions, moments, amounts of text: the small words that stand in paths, queries, headers and bodies.
//!
//! Each has one spelling: what can be read is written as it came.

use onsale::auth::Email;
use onsale::auth::email::{nickname, phone};
use onsale::ids::{Hash16, LogPosition, OrderId, PaymentKey, SeatId, StreamId, TaskId, TicketId};
use onsale::money::Currency;
use onsale::timestamp::Timestamp;

use super::Target;

pub const IDS: Target = Target { name: "ids", seeds, run };

fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(position) = LogPosition::parse(text) {
        assert_eq!(position.to_string(), text);
    }
    if let Some(hash) = Hash16::parse(text) {
        assert_eq!(hash.to_string(), text);
    }
    if let Some(currency) = Currency::parse(text) {
        assert_eq!(currency.to_string(), text);
    }
    if let Some(key) = PaymentKey::parse(text) {
        assert_eq!(key.as_str(), text);
        assert!(text.bytes().all(|byte| byte.is_ascii_graphic()) && !text.contains('/'), "safe in a path: {text}");
    }
    if let Some(at) = Timestamp::parse(text) {
        assert_eq!(Timestamp::parse(&at.to_string()), Some(at), "{text}");
    }
    if let Some(partition) = OrderId::new(text).partition() {
        let hash = text.split_once('_').and_then(|(_, hash)| Hash16::parse(hash)).expect("it has a hash");
        assert_eq!(text, format!("o{}_{hash}", partition.0));
    }
    if let Some(order) = TicketId::new(text).order() {
        assert!(order.partition().is_some(), "{text}");
    }
    if let Some(coupon) = TaskId::new(text).coupon() {
        assert!(text.contains(coupon.as_str().trim_start_matches("cp_")), "{text}");
    }
    let stream = StreamId::from_log(text);
    assert!(stream.partition(64).is_none_or(|partition| partition.0 < 64), "{text}");
    let _ = (stream.seat_id(), SeatId::new(text));
    if let Some(email) = Email::parse(text) {
        assert_eq!(Email::parse(email.as_str()).as_ref().map(Email::key), Some(email.key()), "{text}");
    }
    // What people are called is kept in one form.
    for tidy in [nickname, phone] {
        if let Some(kept) = tidy(text) {
            assert_eq!(tidy(&kept).as_deref(), Some(kept.as_str()), "{text}");
            assert!(!kept.chars().any(char::is_control), "{text}");
        }
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let hash = "0123456789abcdef0123456789abcdef";
    let texts = [
        "0:0",
        "63:18446744073709551615",
        "65535:1",
        "+1:007",
        hash,
        "KRW",
        "2026-11-21T10:00:00+09:00",
        "2026-11-21T01:00:00.123456789Z",
        "9999-12-31T23:59:59-00:01",
        "0000-01-01T00:00:00+00:01",
        "tgen_20270301200001AbCd",
        "minji@example.com",
        "\"odd one\"@example.com",
        "+82 10-1234-5678",
        "  민지  ",
        "o7_",
        "process/order/o1_x",
        "seat/pf_1/A-1-1",
    ];
    let made = [
        format!("o7_{hash}"),
        format!("tk_7_{hash}_1"),
        format!("ct_{hash}_{hash}"),
        format!("seat/pf_{hash}/A-1-1"),
        format!("member/pf_{hash}/ac/1"),
        format!("process/order/o63_{hash}"),
        TicketId::of(&OrderId::new(format!("o7_{hash}")), 3).to_string(),
    ];
    texts.iter().map(|text| text.as_bytes().to_vec()).chain(made.map(String::into_bytes)).collect()
}
