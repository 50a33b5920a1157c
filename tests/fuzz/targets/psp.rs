//! What comes from the payment provider, or from whoever says so: webhooks that anybody can send, and answers that may be wrong.
//!
//! A webhook gives names to look up and nothing else. An answer is yes only about exactly this payment, order, amount and
//! currency; no only with a word that may stand in the log; and else unknown.

use onsale::gateways::payments::answer::{self, Raw};
use onsale::gateways::payments::{Confirm, Confirmation, Hint, Lookup, Refund, Refunding, Share};
use onsale::ids::{Hash16, OrderId, PaymentKey, RefundId};
use onsale::limits;
use onsale::money::{Amount, Currency};
use serde_json::{Value, json};

use super::{Target, deep};

pub const WEBHOOK: Target = Target { name: "webhook", seeds: hooks, run: hook };
pub const ANSWER: Target = Target { name: "psp", seeds: answers, run: read };

const ORDER: &str = "o1_0123456789abcdef0123456789abcdef";
const KEY: &str = "pk_1";
const MINOR: u64 = 50_000;

fn hook(data: &[u8]) {
    let Some(hint) = Hint::parse(data) else { return };
    assert!(data.len() <= limits::PSP_ANSWER_BYTES);
    // Both become parts of addresses.
    assert!(PaymentKey::parse(hint.order_id.as_str()).is_some(), "{:?}", hint.order_id);
    assert!(hint.payment_key.is_none_or(|key| PaymentKey::parse(key.as_str()).is_some()));
}

fn hooks() -> Vec<Vec<u8>> {
    let texts = [
        format!(
            r#"{{"eventType":"PAYMENT_STATUS_CHANGED","data":{{"paymentKey":"{KEY}","orderId":"{ORDER}","status":"DONE"}}}}"#
        ),
        format!(r#"{{"eventType":"DEPOSIT_CALLBACK","orderId":"{ORDER}","secret":"x","status":"DONE"}}"#),
        r#"{"data":null,"orderId":"a","paymentKey":"../x"}"#.to_owned(),
        r#"["PAYMENT_STATUS_CHANGED",{"orderId":"a"}]"#.to_owned(),
    ];
    texts.into_iter().map(String::into_bytes).chain(deep()).collect()
}

fn amount(minor: u64) -> Amount {
    Amount::new(minor).expect("a small amount")
}

/// Does a word of theirs look like one? It is kept in the log.
fn is_plain(code: &str) -> bool {
    code.len() <= 64 && code.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

/// Is this what they call a movement of money, and no text of any kind and length?
fn is_name(name: &str) -> bool {
    PaymentKey::parse(name).is_some()
}

/// The status in hundreds and what is beyond, and the body.
fn read(data: &[u8]) {
    let [status, body @ ..] = data else { return };
    let raw = Raw { status: STATUSES[usize::from(*status) % STATUSES.len()], body: body.to_vec() };
    let (payment_key, order_id) = (PaymentKey::new(KEY), OrderId::new(ORDER));
    let idempotency_key = Hash16::of("fuzz", &[b"key"]);
    let confirm = Confirm {
        payment_key: payment_key.clone(),
        order_id: order_id.clone(),
        amount: amount(MINOR),
        currency: Currency::KRW,
        idempotency_key,
    };
    match answer::confirmation(&confirm, &raw) {
        Confirmation::Confirmed(captured) => {
            assert_eq!(captured.payment_key, payment_key);
            assert!(captured.transaction_key.is_none_or(|name| is_name(&name)), "it goes into the log");
            about_this(&told(&raw));
        }
        Confirmation::Declined { psp_code } => assert!(is_plain(&psp_code), "{psp_code:?} goes into the log"),
        Confirmation::Unknown { reason } => assert!(!reason.label().is_empty()),
    }
    let refund = Refund {
        payment_key: payment_key.clone(),
        order_id: order_id.clone(),
        refund_id: RefundId::of(&order_id, 1),
        share: if raw.status.is_multiple_of(2) { Share::Whole } else { Share::Part },
        amount: amount(MINOR),
        currency: Currency::KRW,
        reason: "changed my mind".into(),
        idempotency_key,
    };
    match answer::refunding(&refund, &raw) {
        Refunding::Refunded(back) => {
            assert!(back.transaction_key.is_none_or(|name| is_name(&name)), "it goes into the log");
        }
        Refunding::Refused { psp_code } => assert!(is_plain(&psp_code), "{psp_code:?} goes into the log"),
        Refunding::Unknown { reason } => assert!(!reason.label().is_empty()),
    }
    for lookup in [answer::by_order(&order_id, &raw), answer::by_payment_key(&payment_key, &raw)] {
        match lookup {
            Lookup::Found(payment) => assert!(payment.balance <= payment.amount, "no more left than there was"),
            Lookup::NotFound => assert_eq!(raw.status, 404),
            Lookup::Unknown { reason } => assert!(!reason.label().is_empty()),
        }
    }
}

/// A yes says so itself. What is wrong in a member that nobody reads makes no difference, and the whole cannot be read here.
fn about_this(said: &Value) {
    if said.is_null() {
        return;
    }
    assert_eq!((said["status"].as_str(), said["orderId"].as_str()), (Some("DONE"), Some(ORDER)), "{said}");
    assert_eq!((said["totalAmount"].as_f64(), said["currency"].as_str()), (Some(MINOR as f64), Some("KRW")), "{said}");
}

const STATUSES: [u16; 12] = [200, 400, 401, 403, 404, 409, 429, 500, 503, 302, 201, 204];

fn told(raw: &Raw) -> Value {
    serde_json::from_slice(&raw.body).unwrap_or(Value::Null)
}

fn answers() -> Vec<Vec<u8>> {
    let payment = |status: &str| {
        json!({"paymentKey": KEY, "orderId": ORDER, "status": status, "totalAmount": MINOR, "balanceAmount": MINOR,
            "currency": "KRW", "lastTransactionKey": "tx_1", "method": "카드", "approvedAt": "2026-11-21T10:00:00+09:00",
            "failure": null, "cancels": null})
    };
    let mut aborted = payment("ABORTED");
    aborted["failure"] = json!({"code": "REJECT_CARD_PAYMENT", "message": "한도초과"});
    let mut back = payment("CANCELED");
    let reason = format!("changed my mind [{}]", RefundId::of(&OrderId::new(ORDER), 1));
    back["balanceAmount"] = json!(0.0);
    back["cancels"] =
        json!([{"cancelAmount": MINOR, "cancelReason": reason, "transactionKey": "tx_2", "cancelStatus": "DONE"}]);
    let refusals =
        ["REJECT_CARD_PAYMENT", "ALREADY_PROCESSED_PAYMENT", "NOT_FOUND_PAYMENT", "ALREADY_CANCELED_PAYMENT"];
    let refusals = refusals.map(|code| json!({"code": code, "message": "안 됩니다"}));
    let good =
        [payment("DONE"), payment("IN_PROGRESS"), payment("EXPIRED"), payment("PARTIAL_CANCELED"), aborted, back];
    let told = good.iter().map(|body| (0, body)).chain(refusals.iter().flat_map(|body| (1..5).map(move |n| (n, body))));
    let told = told.map(|(status, body): (u8, &Value)| [vec![status], body.to_string().into_bytes()].concat());
    told.chain(deep().into_iter().map(|body| [vec![0], body].concat())).collect()
}
