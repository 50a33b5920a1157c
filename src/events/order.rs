//! What can happen to an order? Its facts up to the payment, which comes later and adds kinds of its own.

use serde::{Deserialize, Serialize};

use super::noun_events;
use crate::ids::{AccountId, Hash16, OrderId, PerformanceId, SeatId, TaskId};
use crate::money::{Amount, Currency};
use crate::timestamp::Timestamp;

noun_events!(OrderEvent in Order {
    Placed("order.placed", 1),
    Expired("order.expired", 1),
    Cancelled("order.cancelled", 1),
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
