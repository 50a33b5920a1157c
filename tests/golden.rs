//! Can everything that was ever written still be read? One golden file per kind and version, kept for ever.
//!
//! A file holds the bytes of a few facts and what they say as JSON. A changed file means a log that cannot be read any
//! more: add a version and an upcaster instead. This test knows nothing of rules or storage.

#[path = "golden/sale.rs"]
mod sale;

use std::path::{Path, PathBuf};
use std::{collections::BTreeSet, fs};

use onsale::events::codec::{self, BINCODE_2};
use onsale::events::coupon::{self, Discount};
use onsale::events::member;
use onsale::events::order::{self, OrderSeat, RefundReason, ReviewOf, Ruling};
use onsale::events::performance::{self, GradePrice};
use onsale::events::seat::{self, ReleaseReason};
use onsale::events::venue::{Row, RowSeats, Section};
use onsale::events::{
    CouponEvent, Event, Kind, MemberEvent, OrderEvent, PerformanceEvent, SeatEvent, ShowEvent, StoreEvent, VenueEvent,
    kinds, show, store, venue,
};
use onsale::ids::{
    AccountId, CouponId, Hash16, OrderId, Partition, PaymentId, PaymentKey, PerformanceId, RefundId, SeatId, ShowId,
    StoreId, TaskId, TicketId, VenueId,
};
use onsale::money::{Amount, Currency};
use onsale::timestamp::Timestamp;
use serde_json::{Value, json};
use serde_wincode::SerdeCompat;
use serde_wincode::wincode::config::{Configuration, Serialize as WincodeSerialize};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/events")
}

fn file_of(kind: Kind) -> PathBuf {
    folder().join(format!("{}.{}.json", kind.name, kind.version))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    assert!(text.is_ascii(), "{text}");
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).expect("hexadecimal digits")).collect()
}

/// What the golden file of a kind says, made from the samples below.
fn rendered(kind: Kind) -> Value {
    let samples: Vec<Value> = samples()
        .iter()
        .filter(|event| event.kind() == kind)
        .map(|event| {
            let bytes = codec::encode(event).expect("samples can be encoded");
            json!({ "hex": hex(&bytes), "data": codec::to_json(event).expect("samples have a JSON form") })
        })
        .collect();
    json!({ "kind": kind.name, "version": kind.version, "codec": BINCODE_2, "samples": samples })
}

#[test]
fn every_golden_file_is_read_for_ever() {
    let mut files = 0;
    for entry in fs::read_dir(folder()).expect("the folder of golden files exists") {
        let path = entry.expect("the folder can be listed").path();
        let file: Value = serde_json::from_str(&fs::read_to_string(&path).expect("readable")).expect("JSON");
        let name = file["kind"].as_str().expect("a kind");
        let version = u16::try_from(file["version"].as_u64().expect("a version")).expect("a small version");
        let codec_id = u8::try_from(file["codec"].as_u64().expect("a codec")).expect("a small codec");
        assert_eq!(path.file_name().and_then(|n| n.to_str()), Some(format!("{name}.{version}.json").as_str()));
        let samples = file["samples"].as_array().expect("samples");
        assert!(!samples.is_empty(), "{name} has samples");
        for sample in samples {
            let bytes = unhex(sample["hex"].as_str().expect("bytes"));
            let event = codec::decode(name, version, codec_id, &bytes).unwrap_or_else(|e| panic!("{name}: {e}"));
            // An older version is raised while it is read, and so is written in another way. It still says what it said.
            let says = codec::to_json(&event).expect("it was decoded");
            for (member, value) in sample["data"].as_object().expect("an object") {
                assert_eq!(&says[member], value, "{name} {version}: {member}");
            }
            if codec::known_version(name) == Some(version) && codec_id == BINCODE_2 {
                assert_eq!(hex(&codec::encode(&event).expect("it was decoded")), hex(&bytes), "{name}");
                assert_eq!(codec::to_json(&event).expect("it was decoded"), sample["data"], "{name}");
            }
        }
        files += 1;
    }
    assert!(files >= kinds().len(), "only {files} golden files");
}

#[test]
fn every_kind_has_its_golden_file() {
    let mut wrong = String::new();
    for kind in kinds() {
        let path = file_of(kind);
        let found = fs::read_to_string(&path).ok().and_then(|text| serde_json::from_str::<Value>(&text).ok());
        let wanted = rendered(kind);
        if found.as_ref() != Some(&wanted) {
            wrong.push_str(&format!("=== {}\n{wanted:#}\n", path.display()));
        }
    }
    assert!(wrong.is_empty(), "golden files never change; a new kind or version begins with this file:\n{wrong}");
}

#[test]
fn the_maintained_codec_writes_the_same_bytes() {
    let mut seen = BTreeSet::new();
    for event in samples() {
        let ours = codec::encode(&event).expect("samples can be encoded");
        assert_eq!(hex(&with_wincode(&event)), hex(&ours), "{}", event.kind().name);
        seen.insert(event.kind());
    }
    assert_eq!(seen, kinds().into_iter().collect(), "every kind has a sample");
}

/// Every variant by name, so that a new kind does not compile without a place here.
fn with_wincode(event: &Event) -> Vec<u8> {
    match event {
        Event::Seat(SeatEvent::Held(data)) => wincode(data),
        Event::Seat(SeatEvent::Released(data)) => wincode(data),
        Event::Seat(SeatEvent::Sold(data)) => wincode(data),
        Event::Seat(SeatEvent::Blocked(data)) => wincode(data),
        Event::Seat(SeatEvent::Unblocked(data)) => wincode(data),
        Event::Order(OrderEvent::Placed(data)) => wincode(data),
        Event::Order(OrderEvent::Expired(data)) => wincode(data),
        Event::Order(OrderEvent::Cancelled(data)) => wincode(data),
        Event::Order(OrderEvent::Failed(data)) => wincode(data),
        Event::Order(OrderEvent::Completed(data)) => wincode(data),
        Event::Order(OrderEvent::Refunded(data)) => wincode(data),
        Event::Order(OrderEvent::CouponSettled(data)) => wincode(data),
        Event::Order(OrderEvent::Requested(data)) => wincode(data),
        Event::Order(OrderEvent::Captured(data)) => wincode(data),
        Event::Order(OrderEvent::Declined(data)) => wincode(data),
        Event::Order(OrderEvent::RefundRequested(data)) => wincode(data),
        Event::Order(OrderEvent::RefundDone(data)) => wincode(data),
        Event::Order(OrderEvent::ReviewOpened(data)) => wincode(data),
        Event::Order(OrderEvent::ReviewSettled(data)) => wincode(data),
        Event::Order(OrderEvent::CheckedIn(data)) => wincode(data),
        Event::Member(MemberEvent::Held(data)) => wincode(data),
        Event::Member(MemberEvent::Sold(data)) => wincode(data),
        Event::Member(MemberEvent::Released(data)) => wincode(data),
        Event::Coupon(CouponEvent::Created(data)) => wincode(data),
        Event::Coupon(CouponEvent::Issued(data)) => wincode(data),
        Event::Coupon(CouponEvent::Revoked(data)) => wincode(data),
        Event::Coupon(CouponEvent::Reserved(data)) => wincode(data),
        Event::Coupon(CouponEvent::Used(data)) => wincode(data),
        Event::Coupon(CouponEvent::Returned(data)) => wincode(data),
        Event::Store(StoreEvent::Created(data)) => wincode(data),
        Event::Store(StoreEvent::PaymentRecorded(data)) => wincode(data),
        Event::Store(StoreEvent::PaymentCancelled(data)) => wincode(data),
        Event::Performance(PerformanceEvent::Scheduled(data)) => wincode(data),
        Event::Performance(PerformanceEvent::Paused(data)) => wincode(data),
        Event::Performance(PerformanceEvent::Resumed(data)) => wincode(data),
        Event::Performance(PerformanceEvent::SeatsBlocked(data)) => wincode(data),
        Event::Performance(PerformanceEvent::SeatsUnblocked(data)) => wincode(data),
        Event::Performance(PerformanceEvent::Changed(data)) => wincode(data),
        Event::Performance(PerformanceEvent::Cancelled(data)) => wincode(data),
        Event::Performance(PerformanceEvent::CalledOff(data)) => wincode(data),
        Event::Show(ShowEvent::Created(data)) => wincode(data),
        Event::Venue(VenueEvent::Created(data)) => wincode(data),
    }
}

fn wincode<T: serde::Serialize>(data: &T) -> Vec<u8> {
    let config = Configuration::default().with_varint_encoding();
    <SerdeCompat<T> as WincodeSerialize<_>>::serialize(data, config).expect("samples can be encoded")
}

/// At least one fact of each kind, with every optional member both there and missing, and numbers of every width.
fn samples() -> Vec<Event> {
    [
        seat_samples(),
        order_samples(),
        sale::member_samples(),
        payment_samples(),
        refund_samples(),
        coupon_samples(),
        store_samples(),
        sale::performance_samples(),
        sale::catalogue_samples(),
    ]
    .concat()
}

fn hash(word: &str) -> Hash16 {
    Hash16::of("golden", &[word.as_bytes()])
}

fn order_id() -> OrderId {
    OrderId::derive(Partition(12), &hash("order"))
}

fn amount(minor: u64) -> Amount {
    Amount::new(minor).expect("below 2^53")
}

fn krw() -> Currency {
    Currency::parse("KRW").expect("a code")
}

fn owner() -> AccountId {
    AccountId::new("seller-1")
}

fn at(millis: i64) -> Timestamp {
    Timestamp(1_795_000_000_000 + millis)
}

fn seat_samples() -> Vec<Event> {
    let mut samples: Vec<Event> = vec![
        SeatEvent::from(seat::Held { order_id: order_id() }).into(),
        SeatEvent::from(seat::Sold { order_id: order_id(), ticket_id: TicketId::new("t12_1"), price: amount(150_000) })
            .into(),
        SeatEvent::from(seat::Blocked {}).into(),
        SeatEvent::from(seat::Unblocked {}).into(),
    ];
    use ReleaseReason::{Cancelled, Expired, Failed, Refunded};
    for reason in [Expired, Cancelled, Failed, Refunded] {
        samples.push(SeatEvent::from(seat::Released { order_id: order_id(), reason }).into());
    }
    samples
}

fn order_samples() -> Vec<Event> {
    let seat = |id: &str, price| OrderSeat { seat_id: SeatId::new(id), price: amount(price) };
    let coupon = CouponId::derive(&hash("coupon"));
    let plain = order::Placed {
        order_id: order_id(),
        account_id: AccountId::new("member-1"),
        performance_id: PerformanceId::derive(&hash("performance")),
        seats: vec![seat("A-1-7", 150_000)],
        subtotal: amount(150_000),
        discount: Amount::ZERO,
        amount: amount(150_000),
        currency: krw(),
        coupon_task_id: None,
        reference: None,
        hold_until: at(180_000),
        owner: owner(),
        body: hash("body"),
        counted: false,
    };
    let full = order::Placed {
        seats: vec![seat("A-1-7", 150_000), seat("1루-3-왼쪽", 250)],
        subtotal: amount(150_250),
        discount: amount(251),
        amount: amount(149_999),
        coupon_task_id: Some(TaskId::derive(&coupon, &hash("issue"))),
        reference: Some("주문 1".into()),
        counted: true,
        ..plain.clone()
    };
    vec![
        OrderEvent::from(plain).into(),
        OrderEvent::from(full).into(),
        OrderEvent::from(order::Expired { order_id: order_id() }).into(),
        OrderEvent::from(order::Cancelled { order_id: order_id(), body: hash("body") }).into(),
    ]
}

fn ticket(place: usize) -> TicketId {
    TicketId::of(&order_id(), place)
}

fn payment_samples() -> Vec<Event> {
    let sold = |place, seat: &str, price, paid| order::SoldTicket {
        ticket_id: ticket(place),
        seat_id: SeatId::new(seat),
        price: amount(price),
        paid: amount(paid),
    };
    let requested = order::Requested {
        order_id: order_id(),
        attempt: 1,
        amount: amount(149_999),
        currency: krw(),
        payment_key: PaymentKey::new("pk_1"),
        psp_key: hash("attempt"),
        review_at: at(600_000),
        body: hash("body"),
    };
    let captured = order::Captured {
        order_id: order_id(),
        attempt: 3,
        amount: amount(149_999),
        payment_key: PaymentKey::new("pk_3"),
        psp_reference: "9A3F".into(),
    };
    let declined = order::Declined {
        order_id: order_id(),
        attempt: 300,
        amount: amount(149_999),
        psp_code: "REJECT_CARD_PAYMENT".into(),
    };
    let tickets = vec![sold(1, "A-1-7", 150_000, 149_750), sold(2, "1루-3-왼쪽", 250, 249)];
    let coupon = CouponId::derive(&hash("coupon"));
    let settled =
        |used| order::CouponSettled { order_id: order_id(), task_id: TaskId::derive(&coupon, &hash("issue")), used };
    vec![
        OrderEvent::from(requested).into(),
        OrderEvent::from(captured).into(),
        OrderEvent::from(declined).into(),
        OrderEvent::from(order::Completed { order_id: order_id(), tickets, body: hash("body") }).into(),
        OrderEvent::from(order::Failed { order_id: order_id() }).into(),
        OrderEvent::from(order::CheckedIn { order_id: order_id(), ticket_id: ticket(2), body: hash("body") }).into(),
        OrderEvent::from(settled(true)).into(),
    ]
}

fn refund_samples() -> Vec<Event> {
    let refund_id = RefundId::of(&order_id(), 1);
    let requested = |why, whole, tickets| order::RefundRequested {
        order_id: order_id(),
        refund_id: refund_id.clone(),
        attempt: 3,
        amount: amount(249),
        whole,
        tickets,
        why,
        psp_key: hash("refund"),
        review_at: at(600_000),
        body: hash("body"),
    };
    let done = |tickets, psp_reference| order::RefundDone {
        order_id: order_id(),
        refund_id: refund_id.clone(),
        amount: amount(249),
        tickets,
        psp_reference,
    };
    let opened = |about, psp_code| order::ReviewOpened { order_id: order_id(), about, psp_code };
    let settled = |ruling, psp_reference| order::ReviewSettled {
        order_id: order_id(),
        ruling,
        psp_reference,
        body: hash("body"),
    };
    let of_refund = ReviewOf::Refund { refund_id: refund_id.clone() };
    vec![
        OrderEvent::from(requested(RefundReason::Cancelled, false, vec![ticket(2)])).into(),
        OrderEvent::from(requested(RefundReason::PerformanceCancelled, true, vec![ticket(1), ticket(2)])).into(),
        OrderEvent::from(requested(RefundReason::TooLate, true, vec![])).into(),
        OrderEvent::from(done(vec![ticket(2)], Some("7C".into()))).into(),
        OrderEvent::from(done(vec![], None)).into(),
        OrderEvent::from(order::Refunded { order_id: order_id() }).into(),
        OrderEvent::from(opened(ReviewOf::Payment { attempt: 2 }, None)).into(),
        OrderEvent::from(opened(of_refund, Some("NOT_CANCELABLE_PAYMENT".into()))).into(),
        OrderEvent::from(settled(Ruling::Captured, Some("9A3F".into()))).into(),
        OrderEvent::from(settled(Ruling::NotCaptured, None)).into(),
        OrderEvent::from(settled(Ruling::Refunded, None)).into(),
    ]
}

fn coupon_samples() -> Vec<Event> {
    let coupon_id = CouponId::derive(&hash("coupon"));
    let task_id = TaskId::derive(&coupon_id, &hash("issue"));
    let percent =
        |value, currency, max_amount, min_amount| Discount::Percent { value, currency, max_amount, min_amount };
    let discounts = [
        Discount::Amount { value: amount(5_000), currency: krw(), min_amount: None },
        Discount::Amount { value: Amount::MAX, currency: krw(), min_amount: Some(amount(70_000)) },
        percent(100, None, None, None),
        percent(1, Some(krw()), Some(amount(250)), Some(amount(1))),
    ];
    let created = |discount| coupon::Created {
        coupon_id: coupon_id.clone(),
        owner: owner(),
        name: "오픈 기념".into(),
        stock: 10_000,
        per_member: 1,
        opens_at: at(0),
        closes_at: at(3_600_000),
        valid_until: at(86_400_000),
        shows: vec![ShowId::derive(&hash("show"))],
        body: hash("body"),
        discount,
    };
    let mut samples: Vec<Event> =
        discounts.into_iter().map(|discount| CouponEvent::from(created(discount)).into()).collect();
    let account_id = AccountId::new("member-1");
    let issued = coupon::Issued { account_id: account_id.clone(), serial: 70_000, task_id: task_id.clone() };
    samples.push(CouponEvent::from(issued).into());
    let (account, task) = (|| account_id.clone(), || task_id.clone());
    let reserved =
        coupon::Reserved { account_id: account(), serial: 1, task_id: task(), order_id: order_id(), until: at(30_000) };
    samples.push(CouponEvent::from(reserved).into());
    let used = coupon::Used { account_id: account(), serial: 300, task_id: task(), order_id: order_id() };
    samples.push(CouponEvent::from(used).into());
    let back = coupon::Returned { account_id: account(), serial: 70_000, task_id: task(), order_id: order_id() };
    samples.push(CouponEvent::from(back).into());
    samples.push(CouponEvent::from(coupon::Revoked { account_id, serial: 5_000_000_000, task_id }).into());
    samples
}

fn store_samples() -> Vec<Event> {
    let payment_id = PaymentId::new("pay-1");
    let recorded = store::PaymentRecorded {
        payment_id: payment_id.clone(),
        amount: amount(12_500),
        currency: krw(),
        method: "card".into(),
        paid_at: Timestamp(-1),
        terminal_id: None,
    };
    let at_terminal = store::PaymentRecorded { terminal_id: Some("till 2".into()), paid_at: at(1), ..recorded.clone() };
    let cancelled = store::PaymentCancelled {
        payment_id,
        amount: amount(12_499),
        currency: krw(),
        remaining: amount(1),
        body: hash("body"),
    };
    let created = store::Created {
        store_id: StoreId::derive(&hash("store")),
        owner: owner(),
        name: "굿즈샵".into(),
        body: hash("body"),
    };
    vec![
        StoreEvent::from(created).into(),
        StoreEvent::from(recorded).into(),
        StoreEvent::from(at_terminal).into(),
        StoreEvent::from(cancelled).into(),
    ]
}
