//! What can happen to a seat? Its facts, and nothing of when they are allowed.

use serde::{Deserialize, Serialize};

use super::noun_events;
use crate::ids::{OrderId, TicketId};
use crate::money::Amount;

noun_events!(SeatEvent in Seat {
    Held("seat.held", 1),
    Released("seat.released", 1),
    Sold("seat.sold", 1),
    Blocked("seat.blocked", 1),
    Unblocked("seat.unblocked", 1),
});

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    pub order_id: OrderId,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Released {
    pub order_id: OrderId,
    pub reason: ReleaseReason,
}

/// Why a seat became free again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReleaseReason {
    Expired,
    Cancelled,
    Failed,
    Refunded,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sold {
    pub order_id: OrderId,
    pub ticket_id: TicketId,
    pub price: Amount,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocked {}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unblocked {}
