//! What does the provider do with a request? The rules of confirming, cancelling and looking, as the real one documents them.
//!
//! Decides and writes under one lock, so that two requests for one payment come one after the other. What goes wrong on
//! purpose was decided before (`mischief.rs`); what the caller gets to hear of it is decided after (`reply.rs`).

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::{Value, json};

use super::books::{Record, Remembered, State, What};
use super::ledger::Ledger;
use super::mischief::{Act, Count};
use super::script::{Fault, On};
use crate::clock::Clock;
use crate::gateways::payments::codes;
use crate::ids::{Hash16, OrderId, PaymentKey};
use crate::money::{Amount, Currency};

/// The least that a card can pay, in won.
const LEAST: u64 = 100;

#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfirmBody {
    pub payment_key: PaymentKey,
    pub order_id: OrderId,
    pub amount: Amount,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CancelBody {
    pub cancel_reason: String,
    pub cancel_amount: Option<Amount>,
}

/// What was decided, and whether that is news.
pub struct Done {
    pub answer: Answer,
    pub news: bool,
}

impl Done {
    fn old(answer: Answer) -> io::Result<Self> {
        Ok(Self { answer, news: false })
    }

    fn new(answer: Answer) -> io::Result<Self> {
        Ok(Self { answer, news: true })
    }
}

/// An error object with the status that goes with its code.
#[must_use]
pub fn problem(code: &str) -> Answer {
    let documented = codes::CONFIRM.iter().chain(codes::CANCEL).find(|refusal| refusal.code == code);
    let status = match code {
        "UNAUTHORIZED_KEY" => 401,
        "NOT_CANCELABLE_PAYMENT" | "INCORRECT_BASIC_AUTH_FORMAT" => 403,
        "IDEMPOTENT_REQUEST_PROCESSING" => 409,
        _ if code.starts_with("FAILED_") || code.starts_with("UNKNOWN_") => 500,
        _ => documented.map_or(400, |refusal| refusal.status),
    };
    problem_with(status, code)
}

#[must_use]
pub fn problem_with(status: u16, code: &str) -> Answer {
    Answer { status, body: json!({ "code": code, "message": format!("simulated: {code}") }) }
}

/// The books and who may write them.
pub struct Desk {
    ledger: Mutex<Ledger>,
    clock: Arc<dyn Clock>,
}

impl Desk {
    #[must_use]
    pub fn new(ledger: Ledger, clock: Arc<dyn Clock>) -> Self {
        Self { ledger: Mutex::new(ledger), clock }
    }

    /// Counts a call of a payment, and notes what goes wrong with it.
    pub fn count(&self, key: &PaymentKey, on: On) -> Count {
        self.ledger.lock().books.count(key, on)
    }

    pub fn note_fault(&self, key: &PaymentKey, on: On, fault: Fault) -> io::Result<()> {
        self.write(&mut self.ledger.lock(), key, What::Fault { on, fault }, None)
    }

    #[must_use]
    pub fn payment(&self, key: &PaymentKey) -> Option<Record> {
        self.ledger.lock().books.payment(key).cloned()
    }

    #[must_use]
    pub fn key_of_order(&self, order: &OrderId) -> Option<PaymentKey> {
        self.ledger.lock().books.of_order(order).map(|record| record.payment_key.clone())
    }

    #[must_use]
    pub fn ledger(&self) -> Value {
        self.ledger.lock().books.ledger()
    }

    pub fn confirm(&self, asked: &ConfirmBody, exists: bool, scope: Option<Hash16>, act: &Act) -> io::Result<Done> {
        let ledger = &mut *self.ledger.lock();
        if let Some(answer) = self.before(ledger, scope) {
            return Done::old(answer);
        }
        match ledger.books.payment(&asked.payment_key) {
            None if !exists => return Done::old(problem(codes::NOT_FOUND)),
            None => {}
            Some(record) if record.order_id != asked.order_id || record.amount != asked.amount => {
                return Done::old(problem("INVALID_REQUEST"));
            }
            Some(record) => match &record.state {
                State::Done => return Done::old(problem("ALREADY_PROCESSED_PAYMENT")),
                State::Aborted { code } => return Done::old(problem(code)),
                State::InProgress => {}
            },
        }
        match act {
            Act::Skip => Done::old(problem("FAILED_INTERNAL_SYSTEM_PROCESSING")),
            Act::Late(looks) => {
                if ledger.books.payment(&asked.payment_key).is_none() {
                    let what = What::Opened {
                        order_id: asked.order_id.clone(),
                        amount: asked.amount,
                        currency: Currency::KRW,
                        looks: *looks,
                    };
                    self.write(ledger, &asked.payment_key, what, None)?;
                }
                Done::old(problem("FAILED_INTERNAL_SYSTEM_PROCESSING"))
            }
            Act::Refuse(code) => self.decline(ledger, asked, scope, code),
            Act::Do if asked.amount.minor() < LEAST => self.decline(ledger, asked, scope, "BELOW_MINIMUM_AMOUNT"),
            Act::Do => self.capture(ledger, &asked.payment_key, (&asked.order_id, asked.amount), scope),
        }
    }

    pub fn cancel(&self, key: &PaymentKey, asked: &CancelBody, scope: Option<Hash16>, act: &Act) -> io::Result<Done> {
        let ledger = &mut *self.ledger.lock();
        if let Some(answer) = self.before(ledger, scope) {
            return Done::old(answer);
        }
        let Some(record) = ledger.books.payment(key) else { return Done::old(problem(codes::NOT_FOUND)) };
        let balance = record.balance();
        let amount = asked.cancel_amount.unwrap_or(balance);
        let no = match record.state {
            State::InProgress | State::Aborted { .. } => Some("NOT_CANCELABLE_PAYMENT"),
            State::Done if balance == Amount::ZERO => Some("ALREADY_CANCELED_PAYMENT"),
            State::Done if amount == Amount::ZERO || asked.cancel_reason.is_empty() => Some("INVALID_REQUEST"),
            State::Done if amount > balance => Some("NOT_CANCELABLE_AMOUNT"),
            State::Done => None,
        };
        match (no, act) {
            (Some(code), _) => Done::old(problem(code)),
            (None, Act::Skip | Act::Late(_)) => Done::old(problem("FAILED_REFUND_PROCESS")),
            (None, Act::Refuse(code)) => {
                let answer = problem(code);
                self.write(ledger, key, What::Refused { code: code.clone() }, remembered(scope, &answer))?;
                Done::old(answer)
            }
            (None, Act::Do) => {
                let mut after = record.clone();
                let at = self.clock.wall();
                let transaction_key = transaction_key(key, ledger.books.entries() + 1);
                let reason = asked.cancel_reason.clone();
                let cancel = super::books::Cancel { amount, reason: reason.clone(), transaction_key, at };
                let what = What::Cancelled { amount, reason, transaction_key: cancel.transaction_key.clone() };
                after.cancels.push(cancel);
                let answer = Answer { status: 200, body: after.object() };
                self.write(ledger, key, what, remembered(scope, &answer))?;
                Done::new(answer)
            }
        }
    }

    /// Somebody looks; a late payment may be captured by that.
    pub fn query(&self, key: &PaymentKey) -> io::Result<Done> {
        let ledger = &mut *self.ledger.lock();
        if ledger.books.look(key) {
            let late = ledger.books.payment(key).map(|record| (record.order_id.clone(), record.amount));
            if let Some((order, amount)) = late {
                return self.capture(ledger, key, (&order, amount), None);
            }
        }
        match ledger.books.payment(key) {
            Some(record) => Done::old(Answer { status: 200, body: record.object() }),
            None => Done::old(problem(codes::NOT_FOUND)),
        }
    }

    fn before(&self, ledger: &Ledger, scope: Option<Hash16>) -> Option<Answer> {
        let remembered = ledger.books.remembered(&scope?, self.clock.wall())?;
        Some(Answer { status: remembered.status, body: remembered.body.clone() })
    }

    fn decline(&self, ledger: &mut Ledger, asked: &ConfirmBody, scope: Option<Hash16>, code: &str) -> io::Result<Done> {
        let answer = problem(code);
        let what = What::Declined {
            order_id: asked.order_id.clone(),
            amount: asked.amount,
            currency: Currency::KRW,
            code: code.to_owned(),
        };
        self.write(ledger, &asked.payment_key, what, remembered(scope, &answer))?;
        Done::new(answer)
    }

    fn capture(
        &self,
        ledger: &mut Ledger,
        key: &PaymentKey,
        (order, amount): (&OrderId, Amount),
        scope: Option<Hash16>,
    ) -> io::Result<Done> {
        let at = self.clock.wall();
        let transaction_key = transaction_key(key, ledger.books.entries() + 1);
        let before = ledger.books.payment(key).map(|record| record.requested_at);
        let after = Record {
            payment_key: key.clone(),
            order_id: order.clone(),
            amount,
            currency: Currency::KRW,
            state: State::Done,
            cancels: Vec::new(),
            requested_at: before.unwrap_or(at),
            approved_at: Some(at),
            transaction_key: transaction_key.clone(),
            looks: 0,
        };
        let what = What::Captured { order_id: order.clone(), amount, currency: Currency::KRW, transaction_key };
        let answer = Answer { status: 200, body: after.object() };
        self.write(ledger, key, what, remembered(scope, &answer))?;
        Done::new(answer)
    }

    fn write(&self, ledger: &mut Ledger, key: &PaymentKey, what: What, answer: Option<Remembered>) -> io::Result<()> {
        ledger.append(self.clock.wall(), key, what, answer)
    }
}

fn remembered(scope: Option<Hash16>, answer: &Answer) -> Option<Remembered> {
    scope.map(|scope| Remembered { scope, status: answer.status, body: answer.body.clone() })
}

fn transaction_key(key: &PaymentKey, n: u64) -> String {
    Hash16::of("psp simulator transaction", &[key.as_str().as_bytes(), &n.to_le_bytes()]).to_string().to_uppercase()
}
