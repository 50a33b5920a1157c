//! What can happen to a performance? It is put on sale with its layout and prices, paused, resumed, changed and
//! called off, and seats are kept from sale.
//!
//! The first event carries the whole house row by row, so that 50,000 seats cost one event; a seat's own stream begins
//! when it is first held or blocked.

use serde::{Deserialize, Serialize};

use super::noun_events;
use super::venue::Section;
use crate::ids::{AccountId, Hash16, PerformanceId, SeatId, ShowId, VenueId};
use crate::money::{Amount, Currency};
use crate::timestamp::Timestamp;

noun_events!(PerformanceEvent in Performance {
    Scheduled("performance.scheduled", 2),
    Paused("performance.paused", 1),
    Resumed("performance.resumed", 1),
    SeatsBlocked("performance.seats_blocked", 1),
    SeatsUnblocked("performance.seats_unblocked", 1),
    Changed("performance.changed", 2),
    Cancelled("performance.cancelled", 1),
    CalledOff("performance.called_off", 1),
});

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scheduled {
    pub performance_id: PerformanceId,
    pub owner: AccountId,
    pub show_id: ShowId,
    pub venue_id: VenueId,
    pub timezone: String,
    pub starts_at: Timestamp,
    pub sale_opens_at: Timestamp,
    pub sale_closes_at: Timestamp,
    pub cancel_until: Option<Timestamp>,
    pub currency: Currency,
    pub prices: Vec<GradePrice>,
    pub max_seats_per_order: u32,
    pub max_seats_per_member: Option<u32>,
    pub hold_seconds: u32,
    pub layout: Vec<Section>,
    pub body: Hash16,
    /// Since version 2, as the next one.
    pub max_live_orders_per_member: Option<u32>,
    pub max_unpaid_holds_per_member: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GradePrice {
    pub grade: String,
    pub price: Amount,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {
    pub body: Hash16,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resumed {
    pub body: Hash16,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeatsBlocked {
    pub seats: Vec<SeatId>,
    pub body: Hash16,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeatsUnblocked {
    pub seats: Vec<SeatId>,
    pub body: Hash16,
}

/// Other terms from now on; what was ordered before keeps its price. Everything that can change, as it is after the change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    pub starts_at: Timestamp,
    pub sale_opens_at: Timestamp,
    pub sale_closes_at: Timestamp,
    pub cancel_until: Option<Timestamp>,
    pub prices: Vec<GradePrice>,
    pub max_seats_per_order: u32,
    pub max_seats_per_member: Option<u32>,
    pub hold_seconds: u32,
    pub body: Hash16,
    /// Since version 2, as the next one.
    pub max_live_orders_per_member: Option<u32>,
    pub max_unpaid_holds_per_member: Option<u32>,
}

/// It does not take place: nothing is sold any more, and every order is being ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancelled {
    pub body: Hash16,
}

/// Every order has been told: holds ended, refunds asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CalledOff {
    /// Orders that held seats or tickets.
    pub orders: u64,
}
