//! What can happen to a performance? It is put on sale with its layout and prices, paused, resumed, and seats are kept
//! from sale.
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
    Scheduled("performance.scheduled", 1),
    Paused("performance.paused", 1),
    Resumed("performance.resumed", 1),
    SeatsBlocked("performance.seats_blocked", 1),
    SeatsUnblocked("performance.seats_unblocked", 1),
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
