//! What does an answer of Toss Payments mean? Status and bytes in, what is known out.
//!
//! Pure: it does not know how the bytes came. Members that are not named here may come and go; those that are must be right.

use serde::Deserialize;
use serde_json::Number;

use super::codes;
use super::outcome::{
    Cancelled, Confirm, Confirmation, Lookup, Mismatch, Payment, Refund, Refunding, Returned, Standing, Unknown,
};
use crate::ids::{OrderId, PaymentKey};
use crate::limits;
use crate::money::{Amount, Currency};
use crate::timestamp::Timestamp;

/// A whole answer.
pub struct Raw {
    pub status: u16,
    pub body: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WirePayment {
    payment_key: String,
    order_id: String,
    status: String,
    total_amount: Number,
    balance_amount: Number,
    currency: String,
    last_transaction_key: Option<String>,
    method: Option<String>,
    approved_at: Option<String>,
    failure: Option<WireFailure>,
    cancels: Option<Vec<WireCancel>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireCancel {
    cancel_amount: Number,
    cancel_reason: Option<String>,
    transaction_key: Option<String>,
    cancel_status: Option<String>,
}

#[derive(Deserialize)]
struct WireFailure {
    code: String,
}

/// The answer to a confirmation.
pub fn confirmation(asked: &Confirm, raw: &Raw) -> Confirmation {
    match told(raw) {
        Ok(payment) => payment.settle(asked),
        Err(Unknown::Status { status, code: Some(psp_code) }) if codes::refuses(codes::CONFIRM, status, &psp_code) => {
            Confirmation::Declined { psp_code }
        }
        Err(reason) => Confirmation::Unknown { reason },
    }
}

/// The answer to a cancellation.
pub fn refunding(asked: &Refund, raw: &Raw) -> Refunding {
    match told(raw) {
        Ok(payment) => payment.settle_refund(asked),
        Err(Unknown::Status { status: 400 | 403, code: Some(code) })
            if codes::ALREADY_CANCELLED.contains(&code.as_str()) =>
        {
            Refunding::Refunded(Returned { transaction_key: None, balance: Amount::ZERO })
        }
        Err(Unknown::Status { status, code: Some(psp_code) }) if codes::refuses(codes::CANCEL, status, &psp_code) => {
            Refunding::Refused { psp_code }
        }
        Err(reason) => Refunding::Unknown { reason },
    }
}

/// The answer to a look at an order.
pub fn by_order(asked: &OrderId, raw: &Raw) -> Lookup {
    lookup(raw, |payment| (payment.order_id != *asked).then_some(Mismatch::Order))
}

/// The answer to a look at a payment.
pub fn by_payment_key(asked: &PaymentKey, raw: &Raw) -> Lookup {
    lookup(raw, |payment| (payment.payment_key != *asked).then_some(Mismatch::PaymentKey))
}

fn lookup(raw: &Raw, differs: impl Fn(&Payment) -> Option<Mismatch>) -> Lookup {
    match told(raw) {
        Ok(payment) => match differs(&payment) {
            None => Lookup::Found(payment),
            Some(what) => Lookup::Unknown { reason: Unknown::Other(what) },
        },
        Err(Unknown::Status { status: 404, code: Some(code) }) if code == codes::NOT_FOUND => Lookup::NotFound,
        Err(reason) => Lookup::Unknown { reason },
    }
}

/// The payment that a good answer tells, or what the answer says instead.
fn told(raw: &Raw) -> Result<Payment, Unknown> {
    if raw.status == 200 {
        return object(&raw.body).and_then(payment).ok_or(Unknown::Malformed);
    }
    let failure: Option<WireFailure> = object(&raw.body);
    Err(Unknown::Status { status: raw.status, code: failure.and_then(code) })
}

/// A code gets into the log and into answers: what does not look like one is none.
fn code(failure: WireFailure) -> Option<String> {
    let plain = |b: u8| b.is_ascii_uppercase() || b == b'_' || b.is_ascii_digit();
    Some(failure.code).filter(|code| code.len() <= limits::PSP_CODE_CHARS && code.bytes().all(plain))
}

/// So does the name of a movement of money.
fn name(text: String) -> Option<String> {
    PaymentKey::parse(&text).map(|_| text)
}

/// Arrays would do for serde, member by member in their order; not for us.
fn object<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    first.filter(|byte| **byte == b'{').and_then(|_| serde_json::from_slice(bytes).ok())
}

fn payment(wire: WirePayment) -> Option<Payment> {
    let currency = Currency::parse(&wire.currency)?;
    let cancels = wire.cancels.unwrap_or_default().into_iter().map(cancelled).collect::<Option<Vec<_>>>()?;
    let (amount, balance) = (whole(&wire.total_amount)?, whole(&wire.balance_amount)?);
    (balance <= amount).then_some(())?;
    Some(Payment {
        payment_key: PaymentKey::new(wire.payment_key),
        order_id: OrderId::new(wire.order_id),
        standing: standing(&wire.status)?,
        amount,
        balance,
        currency,
        transaction_key: wire.last_transaction_key.and_then(name),
        method: wire.method,
        approved_at: wire.approved_at.and_then(|at| Timestamp::parse(&at)),
        failure: wire.failure.and_then(code),
        cancels,
    })
}

fn cancelled(wire: WireCancel) -> Option<Cancelled> {
    Some(Cancelled {
        amount: whole(&wire.cancel_amount)?,
        reason: wire.cancel_reason.unwrap_or_default(),
        transaction_key: wire.transaction_key.and_then(name),
        // Older versions of the API have no status: what was listed was done.
        done: wire.cancel_status.is_none_or(|status| status == "DONE"),
    })
}

fn standing(status: &str) -> Option<Standing> {
    Some(match status {
        "READY" | "IN_PROGRESS" | "WAITING_FOR_DEPOSIT" => Standing::Pending,
        "DONE" => Standing::Captured,
        "PARTIAL_CANCELED" => Standing::PartlyCancelled,
        "CANCELED" => Standing::Cancelled,
        "ABORTED" => Standing::Aborted,
        "EXPIRED" => Standing::Expired,
        _ => return None,
    })
}

/// An amount of a currency without minor unit: `50000`, or `50000.0` as some methods write it.
fn whole(number: &Number) -> Option<Amount> {
    let exact = number.as_u64().or_else(|| {
        let float = number.as_f64().filter(|f| f.fract() == 0.0 && (0.0..9_007_199_254_740_992.0).contains(f))?;
        // Whole and below 2^53, so the text is the number.
        format!("{float:.0}").parse().ok()
    });
    exact.and_then(Amount::new)
}
