//! What can happen to a coupon? It is created, issued to members one serial after the other, revoked, and
//! used in orders.

use serde::{Deserialize, Serialize};

use super::noun_events;
use crate::ids::{AccountId, CouponId, Hash16, OrderId, ShowId, TaskId};
use crate::money::{Amount, Currency};
use crate::timestamp::Timestamp;

noun_events!(CouponEvent in Coupon {
    Created("coupon.created", 1),
    Issued("coupon.issued", 1),
    Revoked("coupon.revoked", 1),
    Reserved("coupon.reserved", 1),
    Used("coupon.used", 1),
    Returned("coupon.returned", 1),
});

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Created {
    pub coupon_id: CouponId,
    pub owner: AccountId,
    pub name: String,
    pub stock: u64,
    pub per_member: u32,
    pub opens_at: Timestamp,
    pub closes_at: Timestamp,
    pub valid_until: Timestamp,
    pub discount: Discount,
    /// Empty: good for every show.
    pub shows: Vec<ShowId>,
    pub body: Hash16,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Discount {
    Amount {
        value: Amount,
        currency: Currency,
        min_amount: Option<Amount>,
    },
    /// 1–100, rounded down.
    Percent {
        value: u8,
        currency: Option<Currency>,
        max_amount: Option<Amount>,
        min_amount: Option<Amount>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issued {
    pub account_id: AccountId,
    /// 1, 2, 3 … in the order in which the requests were accepted.
    pub serial: u64,
    pub task_id: TaskId,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    pub account_id: AccountId,
    pub serial: u64,
    pub task_id: TaskId,
}

/// Kept for one order, which is about to be placed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reserved {
    pub account_id: AccountId,
    pub serial: u64,
    pub task_id: TaskId,
    pub order_id: OrderId,
    /// The order is placed before this moment of its own partition's time, or not with this coupon.
    pub until: Timestamp,
}

/// The order was completed with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    pub account_id: AccountId,
    pub serial: u64,
    pub task_id: TaskId,
    pub order_id: OrderId,
}

/// The order came to nothing: the member can use it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Returned {
    pub account_id: AccountId,
    pub serial: u64,
    pub task_id: TaskId,
    pub order_id: OrderId,
}
