//! What can happen to a coupon? It is created, issued to members one serial after the other, and revoked.

use serde::{Deserialize, Serialize};

use super::noun_events;
use crate::ids::{AccountId, CouponId, Hash16, ShowId, TaskId};
use crate::money::{Amount, Currency};
use crate::timestamp::Timestamp;

noun_events!(CouponEvent in Coupon {
    Created("coupon.created", 1),
    Issued("coupon.issued", 1),
    Revoked("coupon.revoked", 1),
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
