//! What can happen to a member's account of one performance? Seats are held, sold and let go: how many, and for which order.
//!
//! Which seats they are, the seats and the order say. Only performances that count their members have these facts.

use serde::{Deserialize, Serialize};

use super::noun_events;
use super::seat::ReleaseReason;
use crate::ids::{AccountId, OrderId};

noun_events!(MemberEvent in Member {
    Held("member.held", 1),
    Sold("member.sold", 1),
    Released("member.released", 1),
});

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    pub order_id: OrderId,
    pub account_id: AccountId,
    pub seats: u32,
}

/// All that the order held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sold {
    pub order_id: OrderId,
    pub seats: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Released {
    pub order_id: OrderId,
    pub seats: u32,
    pub reason: ReleaseReason,
    /// The member let a hold go without paying: too many of these, and no order is taken for a while.
    pub unpaid: bool,
}
