//! What can happen to an order? Its promise, its payments and refunds, its tickets, and its end.
//!
//! The order's stream is the whole process from hold to ticket to refund: whoever knows its facts knows what the payment
//! provider was asked, what it answered, and what is still open.

use serde::{Deserialize, Serialize};

use super::noun_events;
use crate::ids::{AccountId, Hash16, OrderId, PaymentKey, PerformanceId, RefundId, SeatId, TaskId, TicketId};
use crate::money::{Amount, Currency};
use crate::timestamp::Timestamp;

noun_events!(OrderEvent in Order {
    Placed("order.placed", 2),
    Expired("order.expired", 1),
    Cancelled("order.cancelled", 1),
    Failed("order.failed", 1),
    Completed("order.completed", 1),
    Refunded("order.refunded", 1),
    CouponSettled("order.coupon_settled", 1),
    Requested("payment.requested", 1),
    Captured("payment.captured", 1),
    Declined("payment.declined", 1),
    RefundRequested("refund.requested", 1),
    RefundDone("refund.done", 1),
    ReviewOpened("review.opened", 1),
    ReviewSettled("review.settled", 1),
    CheckedIn("ticket.checked_in", 1),
});

/// The order's whole promise: what, for how much, and until when. It never changes afterwards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed {
    pub order_id: OrderId,
    pub account_id: AccountId,
    pub performance_id: PerformanceId,
    pub seats: Vec<OrderSeat>,
    pub subtotal: Amount,
    pub discount: Amount,
    pub amount: Amount,
    pub currency: Currency,
    pub coupon_task_id: Option<TaskId>,
    /// The client's own order number.
    pub reference: Option<String>,
    pub hold_until: Timestamp,
    /// The seller of the performance.
    pub owner: AccountId,
    /// Hash of the request's body: the same key with another body is refused.
    pub body: Hash16,
    /// The member's own stream of this performance counts the seats, from here to their last release. Since version 2.
    pub counted: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderSeat {
    pub seat_id: SeatId,
    pub price: Amount,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expired {
    pub order_id: OrderId,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancelled {
    pub order_id: OrderId,
    pub body: Hash16,
}

/// Every payment was declined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    pub order_id: OrderId,
}

/// Paid for (or free): from here on there are tickets. It stands in one unit with the sold seats.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Completed {
    pub order_id: OrderId,
    pub tickets: Vec<SoldTicket>,
    /// Hash of the request's body where the order was free and needed no provider; else that of the payment.
    pub body: Hash16,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SoldTicket {
    pub ticket_id: TicketId,
    pub seat_id: SeatId,
    /// Face value.
    pub price: Amount,
    /// What was paid for it: the face value without its share of the discount. The shares add up to the order's amount.
    pub paid: Amount,
}

/// No ticket of it is left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refunded {
    pub order_id: OrderId,
}

/// What the order's end means to its coupon has reached the coupon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CouponSettled {
    pub order_id: OrderId,
    pub task_id: TaskId,
    /// True: used up. False: given back to the member.
    pub used: bool,
}

/// The provider is about to be asked for money.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requested {
    pub order_id: OrderId,
    /// 1, 2, 3 …
    pub attempt: u32,
    pub amount: Amount,
    pub currency: Currency,
    /// The provider's name of the payment, as the buyer's client brought it.
    pub payment_key: PaymentKey,
    /// The idempotency key of this attempt: each repetition of the call carries it.
    pub psp_key: Hash16,
    /// When nothing is known by then, people have to look.
    pub review_at: Timestamp,
    pub body: Hash16,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Captured {
    pub order_id: OrderId,
    pub attempt: u32,
    pub amount: Amount,
    pub payment_key: PaymentKey,
    /// The provider's name of this movement of money.
    pub psp_reference: String,
}

/// Nothing was taken, and nothing will be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declined {
    pub order_id: OrderId,
    pub attempt: u32,
    pub amount: Amount,
    pub psp_code: String,
}

/// The provider is about to be asked to give money back (or nobody, where the amount is 0). The tickets are void from here on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundRequested {
    pub order_id: OrderId,
    pub refund_id: RefundId,
    /// Of which attempt the money is; 0 where there was none to pay.
    pub attempt: u32,
    pub amount: Amount,
    /// True: all that is left of the attempt's money.
    pub whole: bool,
    /// None where the money came too late to become tickets.
    pub tickets: Vec<TicketId>,
    pub why: RefundReason,
    pub psp_key: Hash16,
    pub review_at: Timestamp,
    pub body: Hash16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundReason {
    /// The buyer, the seller or an admin cancelled.
    Cancelled,
    /// The performance does not take place.
    PerformanceCancelled,
    /// The money came when there was nothing to be had for it any more.
    TooLate,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundDone {
    pub order_id: OrderId,
    pub refund_id: RefundId,
    pub amount: Amount,
    pub tickets: Vec<TicketId>,
    /// The provider's name of this movement of money; `None` where none moved, or it did not say.
    pub psp_reference: Option<String>,
}

/// Neither yes nor no in time: seats and money stay as they are until somebody knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewOpened {
    pub order_id: OrderId,
    pub about: ReviewOf,
    /// Of the provider, where it said no to what cannot be left at that.
    pub psp_code: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReviewOf {
    Payment { attempt: u32 },
    Refund { refund_id: RefundId },
}

/// A person has looked. What follows from it stands in the same unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewSettled {
    pub order_id: OrderId,
    #[serde(rename = "as")]
    pub ruling: Ruling,
    pub psp_reference: Option<String>,
    pub body: Hash16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ruling {
    /// The provider has the money.
    Captured,
    /// It has none, and will not.
    NotCaptured,
    /// It had, and has given it back.
    Refunded,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckedIn {
    pub order_id: OrderId,
    pub ticket_id: TicketId,
    pub body: Hash16,
}
