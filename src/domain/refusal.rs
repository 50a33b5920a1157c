//! In which ways does the business say no? Every refusal of every rule; their status codes are in `http/error.rs`.
//!
//! A refusal is a normal answer: it is never logged as an error, and nothing was appended for it.

use crate::ids::{SeatId, TicketId};
use crate::money::Amount;
use crate::timestamp::Timestamp;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It does not exist, or it is somebody else's.
    #[error("there is no such thing here")]
    NotFound,
    /// The idempotency key was used before for another request.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// The rule can only tell repetitions apart by a key, and none was given.
    #[error("an idempotency key is required here")]
    KeyRequired,
    /// A value that can be read but means nothing here.
    #[error("{detail}")]
    InvalidValue { pointer: String, detail: String },
    #[error("seats are not available")]
    SeatUnavailable { seats: Vec<SeatId> },
    #[error("the sale has not opened yet")]
    SaleNotOpen { opens_at: Timestamp, at: Timestamp },
    #[error("the sale is closed")]
    SaleClosed,
    #[error("the sale is paused")]
    SalePaused,
    #[error("too many seats for one order")]
    TooManySeats { limit: u32 },
    /// With the seats asked for, more than one member may hold and have.
    #[error("more seats than one member may have here")]
    MemberLimit { limit: u32, held: u32, sold: u32 },
    /// As many orders of the member as may do so hold seats that are not paid for.
    #[error("too many orders that are not paid for")]
    TooManyLiveOrders { limit: u32 },
    /// The member let too many holds go without paying for them.
    #[error("too many holds were not paid for, try again later")]
    TooManyHolds { limit: u32, until: Timestamp, at: Timestamp },
    /// Expired or failed orders cannot be cancelled.
    #[error("the order cannot be cancelled")]
    OrderNotCancellable { status: &'static str },
    /// A payment or refund of it is under way; what comes of it has to be known first.
    #[error("a payment or refund of this order is under way")]
    PaymentInFlight,
    #[error("the order cannot be paid for any more")]
    OrderNotPayable { status: &'static str },
    #[error("another amount is to be paid")]
    AmountMismatch { expected: Amount },
    #[error("it is too late for the buyer to cancel")]
    CancelClosed { cancel_until: Option<Timestamp> },
    #[error("the ticket has been used")]
    TicketUsed { tickets: Vec<TicketId> },
    /// It was given back, or is about to be.
    #[error("the ticket is not valid any more")]
    TicketVoid,
    #[error("the order is not under review")]
    NotInReview { status: &'static str },
    /// The ruling does not answer the question that is open.
    #[error("this is not what has to be found out")]
    RulingUnfit,
    #[error("the performance does not take place")]
    PerformanceCancelled,
    /// What was sold already rests on its being as it is.
    #[error("{detail}")]
    InUse { detail: &'static str },
    #[error("the coupon cannot be used for this order: {reason}")]
    CouponNotUsable { reason: &'static str },
    #[error("the coupons are sold out")]
    CouponSoldOut,
    #[error("the coupon was already issued to this member")]
    CouponAlreadyIssued { serial: u64 },
    #[error("the coupon is not open yet")]
    CouponNotOpen { opens_at: Timestamp, at: Timestamp },
    #[error("the coupon is closed")]
    CouponClosed,
    /// The same payment id with other content.
    #[error("this payment id was recorded with other content")]
    PaymentMismatch,
    #[error("the payment is older than the store remembers")]
    PaymentTooOld { oldest: Timestamp },
    #[error("the payment is already cancelled in full")]
    AlreadyCancelled,
    #[error("more than what is left of the payment")]
    AmountExceedsRemaining { remaining: Amount },
    /// Too many payments within the store's memory.
    #[error("the store has recorded as many payments as it can remember")]
    StoreFull,
}

impl Refusal {
    /// The stable name that clients and operators know it by.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "not-found",
            Self::KeyReused => "idempotency-key-reused",
            Self::KeyRequired => "idempotency-key-required",
            Self::InvalidValue { .. } => "invalid-value",
            Self::SeatUnavailable { .. } => "seat-unavailable",
            Self::SaleNotOpen { .. } => "sale-not-open",
            Self::SaleClosed => "sale-closed",
            Self::SalePaused => "sale-paused",
            Self::TooManySeats { .. } => "too-many-seats",
            Self::MemberLimit { .. } => "member-limit",
            Self::TooManyLiveOrders { .. } => "too-many-live-orders",
            Self::TooManyHolds { .. } => "too-many-holds",
            Self::OrderNotCancellable { .. } => "order-not-cancellable",
            Self::PaymentInFlight => "payment-in-flight",
            Self::OrderNotPayable { .. } => "order-not-payable",
            Self::AmountMismatch { .. } => "amount-mismatch",
            Self::CancelClosed { .. } => "cancel-closed",
            Self::TicketUsed { .. } => "ticket-used",
            Self::TicketVoid => "ticket-void",
            Self::NotInReview { .. } => "order-not-in-review",
            Self::RulingUnfit => "ruling-unfit",
            Self::PerformanceCancelled => "performance-cancelled",
            Self::InUse { .. } => "in-use",
            Self::CouponNotUsable { .. } => "coupon-not-usable",
            Self::CouponSoldOut => "coupon-sold-out",
            Self::CouponAlreadyIssued { .. } => "coupon-already-issued",
            Self::CouponNotOpen { .. } => "coupon-not-open",
            Self::CouponClosed => "coupon-closed",
            Self::PaymentMismatch => "payment-mismatch",
            Self::PaymentTooOld { .. } => "payment-too-old",
            Self::AlreadyCancelled => "already-cancelled",
            Self::AmountExceedsRemaining { .. } => "amount-exceeds-remaining",
            Self::StoreFull => "store-full",
        }
    }
}
