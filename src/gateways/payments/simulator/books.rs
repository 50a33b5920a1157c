//! What has the simulated provider taken and given back? Its own books: facts, one after another, and what they add up to.
//!
//! Pure: every change is an [`Entry`], and the state is a fold of entries, so that a ledger that was read back is the same
//! books. It does not know of files, HTTP or faults, only that there were some.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::mischief::Count;
use super::script::{Fault, On};
use crate::ids::{Hash16, OrderId, PaymentKey};
use crate::limits;
use crate::money::{Amount, Currency};
use crate::timestamp::Timestamp;

/// One line of the ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub n: u64,
    pub at: Timestamp,
    pub payment_key: PaymentKey,
    pub what: What,
    /// What was answered, for who asks again with the same idempotency key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Remembered>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum What {
    /// Asked for, and not decided yet.
    Opened {
        order_id: OrderId,
        amount: Amount,
        currency: Currency,
        looks: u32,
    },
    Captured {
        order_id: OrderId,
        amount: Amount,
        currency: Currency,
        transaction_key: String,
    },
    Declined {
        order_id: OrderId,
        amount: Amount,
        currency: Currency,
        code: String,
    },
    Cancelled {
        amount: Amount,
        reason: String,
        transaction_key: String,
    },
    /// A refund that was refused: only its answer is kept.
    Refused {
        code: String,
    },
    /// Something went wrong on purpose.
    Fault {
        on: On,
        fault: Fault,
    },
}

/// An answer that was given under an idempotency key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Remembered {
    /// Hash of secret key, method, path and idempotency key, as the provider scopes it. The body is not part of it.
    pub scope: Hash16,
    pub status: u16,
    pub body: Value,
}

/// One payment.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub payment_key: PaymentKey,
    pub order_id: OrderId,
    pub amount: Amount,
    pub currency: Currency,
    pub state: State,
    pub cancels: Vec<Cancel>,
    pub requested_at: Timestamp,
    pub approved_at: Option<Timestamp>,
    pub transaction_key: String,
    /// How often it must still be looked at.
    pub looks: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    InProgress,
    Done,
    Aborted { code: String },
}

#[derive(Clone, Debug, PartialEq)]
pub struct Cancel {
    pub amount: Amount,
    pub reason: String,
    pub transaction_key: String,
    pub at: Timestamp,
}

/// All of it.
#[derive(Debug, Default)]
pub struct Books {
    payments: HashMap<PaymentKey, Record>,
    by_order: HashMap<OrderId, Vec<PaymentKey>>,
    remembered: HashMap<Hash16, (Timestamp, Remembered)>,
    counts: HashMap<(PaymentKey, On), Count>,
    entries: u64,
}

impl Record {
    /// What is still there of the money.
    #[must_use]
    pub fn balance(&self) -> Amount {
        match self.state {
            // The real one shows the full amount for payments that never were.
            State::InProgress | State::Aborted { .. } => self.amount,
            State::Done => self
                .cancels
                .iter()
                .fold(self.amount, |left, cancel| left.checked_sub(cancel.amount).unwrap_or_default()),
        }
    }

    #[must_use]
    pub fn status(&self) -> &'static str {
        match self.state {
            State::InProgress => "IN_PROGRESS",
            State::Aborted { .. } => "ABORTED",
            State::Done if self.cancels.is_empty() => "DONE",
            State::Done if self.balance() == Amount::ZERO => "CANCELED",
            State::Done => "PARTIAL_CANCELED",
        }
    }

    /// The payment as the real API tells it, with the members that a shop may meet.
    #[must_use]
    pub fn object(&self) -> Value {
        let mut left = self.amount;
        let cancels: Vec<Value> = self
            .cancels
            .iter()
            .map(|cancel| {
                left = left.checked_sub(cancel.amount).unwrap_or_default();
                json!({
                    "cancelAmount": cancel.amount, "cancelReason": cancel.reason, "taxFreeAmount": 0,
                    "refundableAmount": left, "canceledAt": cancel.at, "cancelStatus": "DONE",
                    "transactionKey": cancel.transaction_key, "receiptKey": null, "cancelRequestId": null,
                })
            })
            .collect();
        let failure = match &self.state {
            State::Aborted { code } => json!({ "code": code, "message": "the payment was refused" }),
            State::InProgress | State::Done => Value::Null,
        };
        json!({
            "mId": "simulator", "version": "2022-11-16", "type": "NORMAL", "country": "KR",
            "paymentKey": self.payment_key, "orderId": self.order_id, "orderName": "", "method": "카드",
            "status": self.status(), "currency": self.currency,
            "totalAmount": self.amount, "balanceAmount": self.balance(), "suppliedAmount": self.amount,
            "vat": 0, "taxFreeAmount": 0, "requestedAt": self.requested_at, "approvedAt": self.approved_at,
            "lastTransactionKey": self.cancels.last().map_or(&self.transaction_key, |cancel| &cancel.transaction_key),
            "isPartialCancelable": true,
            "cancels": if cancels.is_empty() { Value::Null } else { Value::Array(cancels) },
            "failure": failure,
        })
    }
}

impl Books {
    /// Adds one fact. `Err`: it does not follow from what was there.
    pub fn apply(&mut self, entry: &Entry) -> Result<(), &'static str> {
        if entry.n != self.entries + 1 {
            return Err("the number does not follow the one before");
        }
        match &entry.what {
            What::Opened { order_id, amount, currency, looks } => {
                self.open(entry, order_id, *amount, *currency, State::InProgress)?.looks = *looks;
            }
            What::Captured { order_id, amount, currency, transaction_key } => {
                let record = self.open(entry, order_id, *amount, *currency, State::Done)?;
                record.approved_at = Some(entry.at);
                record.transaction_key.clone_from(transaction_key);
            }
            What::Declined { order_id, amount, currency, code } => {
                self.open(entry, order_id, *amount, *currency, State::Aborted { code: code.clone() })?;
            }
            What::Cancelled { amount, reason, transaction_key } => {
                let record = self.payments.get_mut(&entry.payment_key).ok_or("it gives back what was not taken")?;
                if record.state != State::Done || *amount > record.balance() || *amount == Amount::ZERO {
                    return Err("it gives back more than there is");
                }
                record.cancels.push(Cancel {
                    amount: *amount,
                    reason: reason.clone(),
                    transaction_key: transaction_key.clone(),
                    at: entry.at,
                });
            }
            What::Refused { .. } => {}
            What::Fault { on, .. } => {
                self.counts.entry((entry.payment_key.clone(), *on)).or_default().faults += 1;
            }
        }
        if let Some(answer) = &entry.answer {
            self.remembered.insert(answer.scope, (entry.at, answer.clone()));
        }
        self.entries = entry.n;
        Ok(())
    }

    fn open(
        &mut self,
        entry: &Entry,
        order: &OrderId,
        amount: Amount,
        currency: Currency,
        state: State,
    ) -> Result<&mut Record, &'static str> {
        let fresh = || Record {
            payment_key: entry.payment_key.clone(),
            order_id: order.clone(),
            amount,
            currency,
            state: State::InProgress,
            cancels: Vec::new(),
            requested_at: entry.at,
            approved_at: None,
            transaction_key: String::new(),
            looks: 0,
        };
        if !self.payments.contains_key(&entry.payment_key) {
            self.by_order.entry(order.clone()).or_default().push(entry.payment_key.clone());
        }
        let record = self.payments.entry(entry.payment_key.clone()).or_insert_with(fresh);
        if record.state != State::InProgress || record.order_id != *order || record.amount != amount {
            return Err("it decides a payment for the second time");
        }
        record.state = state;
        Ok(record)
    }

    #[must_use]
    pub fn payment(&self, key: &PaymentKey) -> Option<&Record> {
        self.payments.get(key)
    }

    /// Of several payments of one order the one that went furthest, the newest of those.
    #[must_use]
    pub fn of_order(&self, order: &OrderId) -> Option<&Record> {
        let rank = |record: &&Record| match record.state {
            State::Done => 2,
            State::InProgress => 1,
            State::Aborted { .. } => 0,
        };
        // `max_by_key` takes the last of equals.
        self.by_order.get(order)?.iter().filter_map(|key| self.payments.get(key)).max_by_key(rank)
    }

    /// Counts one look at a payment that is still open. `true`: this was the last one needed.
    pub fn look(&mut self, key: &PaymentKey) -> bool {
        match self.payments.get_mut(key) {
            Some(record) if record.state == State::InProgress => {
                record.looks = record.looks.saturating_sub(1);
                record.looks == 0
            }
            _ => false,
        }
    }

    /// What was answered under this key, while it is good.
    #[must_use]
    pub fn remembered(&self, scope: &Hash16, now: Timestamp) -> Option<&Remembered> {
        let (at, answer) = self.remembered.get(scope)?;
        (now.since(*at) < limits::SIMULATOR_KEY_MEMORY).then_some(answer)
    }

    /// Counts a call, and says how many came before it.
    pub fn count(&mut self, key: &PaymentKey, on: On) -> Count {
        let count = self.counts.entry((key.clone(), on)).or_default();
        let before = *count;
        count.calls += 1;
        before
    }

    #[must_use]
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// Everything, for comparison with another log: payments in the order of their keys, and the sums.
    #[must_use]
    pub fn ledger(&self) -> Value {
        let mut records: Vec<&Record> = self.payments.values().collect();
        records.sort_by(|a, b| a.payment_key.cmp(&b.payment_key));
        let (mut captured, mut cancelled) = (0_u64, 0_u64);
        let payments: Vec<Value> = records
            .into_iter()
            .map(|record| {
                let taken = if record.state == State::Done { record.amount.minor() } else { 0 };
                let back: u64 = record.cancels.iter().map(|cancel| cancel.amount.minor()).sum();
                captured += taken;
                cancelled += back;
                let cancels: Vec<Value> = record
                    .cancels
                    .iter()
                    .map(|c| json!({ "amount": c.amount, "reason": c.reason, "transaction_key": c.transaction_key, "at": c.at }))
                    .collect();
                json!({
                    "payment_key": record.payment_key, "order_id": record.order_id, "status": record.status(),
                    "amount": record.amount, "currency": record.currency, "captured": taken, "cancelled": back,
                    "net": taken - back, "transaction_key": record.transaction_key, "approved_at": record.approved_at,
                    "cancels": cancels,
                })
            })
            .collect();
        json!({
            "entries": self.entries, "captured": captured, "cancelled": cancelled, "net": captured - cancelled,
            "payments": payments,
        })
    }
}
