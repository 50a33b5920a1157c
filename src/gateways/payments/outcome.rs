//! What was asked, and what is known of it? Values without a vendor, and how a payment that was looked up answers the question.
//!
//! Nothing here is sent or received. `Unknown` carries the reason for people and metrics only: whatever the reason, the
//! caller keeps what it holds and looks.

use std::fmt;

use crate::ids::{Hash16, OrderId, PaymentKey, RefundId};
use crate::limits;
use crate::money::{Amount, Currency};
use crate::timestamp::Timestamp;

/// "Take this buyer's money."
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirm {
    pub payment_key: PaymentKey,
    pub order_id: OrderId,
    pub amount: Amount,
    pub currency: Currency,
    /// New for each attempt, the same on every repetition of that attempt.
    pub idempotency_key: Hash16,
}

/// What is known after asking for money.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Confirmation {
    Confirmed(Captured),
    /// Nothing was taken, and nothing will be.
    Declined {
        psp_code: String,
    },
    Unknown {
        reason: Unknown,
    },
}

/// The money is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    pub payment_key: PaymentKey,
    /// The provider's name of this movement of money.
    pub transaction_key: Option<String>,
    pub method: Option<String>,
    pub approved_at: Option<Timestamp>,
}

/// "Give this buyer money back."
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund {
    pub payment_key: PaymentKey,
    pub order_id: OrderId,
    /// Travels with the reason, so that this refund can be recognised when the payment is looked up.
    pub refund_id: RefundId,
    pub share: Share,
    /// What is to come back: for `Whole` all that is still there.
    pub amount: Amount,
    pub currency: Currency,
    /// For the provider's books and the buyer's statement.
    pub reason: String,
    pub idempotency_key: Hash16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    Whole,
    Part,
}

/// What is known after asking to give money back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refunding {
    Refunded(Returned),
    /// Nothing was given back, and it will not be by asking again: somebody has to decide.
    Refused {
        psp_code: String,
    },
    Unknown {
        reason: Unknown,
    },
}

/// The money is back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Returned {
    /// `None` when all of it was back already, by whatever way.
    pub transaction_key: Option<String>,
    /// What the provider still holds of this payment.
    pub balance: Amount,
}

/// What is known after looking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    Found(Payment),
    /// The provider knows no such payment *now*; a confirmation that is still on its way may create it.
    NotFound,
    Unknown {
        reason: Unknown,
    },
}

/// A payment as the provider tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    pub payment_key: PaymentKey,
    pub order_id: OrderId,
    pub standing: Standing,
    pub amount: Amount,
    /// What has not been given back.
    pub balance: Amount,
    pub currency: Currency,
    pub transaction_key: Option<String>,
    pub method: Option<String>,
    pub approved_at: Option<Timestamp>,
    /// Why it failed, for `Aborted`.
    pub failure: Option<String>,
    pub cancels: Vec<Cancelled>,
}

/// One giving back, as the provider tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cancelled {
    pub amount: Amount,
    pub reason: String,
    pub transaction_key: Option<String>,
    /// False while the card network is still at it.
    pub done: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Not captured yet, and may still be.
    Pending,
    Captured,
    PartlyCancelled,
    Cancelled,
    Aborted,
    Expired,
}

/// Why it is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// Certainly nothing was asked.
    #[error("the payment provider was not asked: {detail}")]
    NotSent { detail: &'static str },
    #[error("the payment provider did not answer in time")]
    TimedOut,
    #[error("the connection to the payment provider broke")]
    Broken,
    /// An error of theirs, too many requests, a code that is not documented as a refusal, or one that says we are set up wrongly.
    #[error("the payment provider answered {status} {}", code.as_deref().unwrap_or("without a code"))]
    Status { status: u16, code: Option<String> },
    #[error("the payment provider's answer was longer than {} bytes", limits::PSP_ANSWER_BYTES)]
    Oversized,
    #[error("the payment provider's answer could not be understood")]
    Malformed,
    #[error("the payment provider answered about {0}")]
    Other(Mismatch),
    /// What was asked for has neither happened nor been refused.
    #[error("the payment is still {0:?} at the payment provider")]
    Unsettled(Standing),
}

impl Unknown {
    /// A word for metrics; few, and none of the provider's own.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::NotSent { .. } => "not-sent",
            Self::TimedOut => "timed-out",
            Self::Broken => "broken",
            Self::Status { .. } => "status",
            Self::Oversized => "oversized",
            Self::Malformed => "malformed",
            Self::Other(_) => "other-payment",
            Self::Unsettled(_) => "unsettled",
        }
    }
}

/// In what an answer differs from the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mismatch {
    Order,
    PaymentKey,
    Amount,
    Currency,
    Refund,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Order => "another order",
            Self::PaymentKey => "another payment",
            Self::Amount => "another amount",
            Self::Currency => "another currency",
            Self::Refund => "another refund",
        })
    }
}

impl Payment {
    /// Was this the money that was asked for? The answer to [`Confirm`] by looking.
    #[must_use]
    pub fn settle(&self, asked: &Confirm) -> Confirmation {
        if let Some(what) = self.differs(&asked.payment_key, &asked.order_id, asked.currency) {
            return Confirmation::Unknown { reason: Unknown::Other(what) };
        }
        let refused = |otherwise: &str| {
            let psp_code = self.failure.clone().unwrap_or_else(|| otherwise.to_owned());
            Confirmation::Declined { psp_code }
        };
        match self.standing {
            _ if self.amount != asked.amount => Confirmation::Unknown { reason: Unknown::Other(Mismatch::Amount) },
            Standing::Captured if self.balance == self.amount => Confirmation::Confirmed(self.captured()),
            Standing::Aborted => refused("ABORTED"),
            Standing::Expired => refused("EXPIRED"),
            // Somebody gave money back before we knew that we had it: a person has to look.
            other => Confirmation::Unknown { reason: Unknown::Unsettled(other) },
        }
    }

    /// Is this refund done? The answer to [`Refund`] by looking.
    #[must_use]
    pub fn settle_refund(&self, asked: &Refund) -> Refunding {
        let unknown = |reason| Refunding::Unknown { reason };
        if let Some(what) = self.differs(&asked.payment_key, &asked.order_id, asked.currency) {
            return unknown(Unknown::Other(what));
        }
        match self.cancels.iter().find(|cancel| cancel.is_of(&asked.refund_id)) {
            Some(ours) if ours.amount != asked.amount => unknown(Unknown::Other(Mismatch::Amount)),
            Some(ours) if !ours.done => unknown(Unknown::Unsettled(self.standing)),
            Some(_) if asked.share == Share::Whole && self.balance != Amount::ZERO => {
                unknown(Unknown::Other(Mismatch::Amount))
            }
            Some(ours) => {
                Refunding::Refunded(Returned { transaction_key: ours.transaction_key.clone(), balance: self.balance })
            }
            // All of the money is back, so this part of it is.
            None if self.is_all_back() => {
                Refunding::Refunded(Returned { transaction_key: None, balance: Amount::ZERO })
            }
            None => unknown(Unknown::Unsettled(self.standing)),
        }
    }

    /// Judged by the money: the status has been seen to stay "partly" after the last part.
    fn is_all_back(&self) -> bool {
        matches!(self.standing, Standing::Cancelled | Standing::PartlyCancelled) && self.balance == Amount::ZERO
    }

    fn captured(&self) -> Captured {
        Captured {
            payment_key: self.payment_key.clone(),
            transaction_key: self.transaction_key.clone(),
            method: self.method.clone(),
            approved_at: self.approved_at,
        }
    }

    fn differs(&self, key: &PaymentKey, order: &OrderId, currency: Currency) -> Option<Mismatch> {
        [
            (self.payment_key != *key, Mismatch::PaymentKey),
            (self.order_id != *order, Mismatch::Order),
            (self.currency != currency, Mismatch::Currency),
        ]
        .into_iter()
        .find_map(|(differs, what)| differs.then_some(what))
    }
}

impl Refund {
    /// The reason as it is sent: short enough, with the refund's id at its end.
    #[must_use]
    pub fn marked_reason(&self) -> String {
        let mark = mark(&self.refund_id);
        let room = limits::PSP_REASON_CHARS - mark.chars().count();
        let clean = self.reason.chars().map(|c| if c.is_control() { ' ' } else { c });
        clean.take(room).chain(mark.chars()).collect()
    }
}

impl Cancelled {
    /// Was this the giving back of that id?
    #[must_use]
    pub fn is_of(&self, refund: &RefundId) -> bool {
        self.reason.ends_with(&mark(refund))
    }
}

fn mark(refund: &RefundId) -> String {
    let id: String = refund.as_str().chars().take(limits::REFUND_ID_CHARS).collect();
    format!(" [{id}]")
}
