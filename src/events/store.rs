//! What can happen at a store's counter? Payments are recorded and cancelled, in whole or in part.

use serde::{Deserialize, Serialize};

use super::noun_events;
use crate::ids::{AccountId, Hash16, PaymentId, StoreId};
use crate::money::{Amount, Currency};
use crate::timestamp::Timestamp;

noun_events!(StoreEvent in Store {
    Created("store.created", 1),
    PaymentRecorded("store.payment_recorded", 1),
    PaymentCancelled("store.payment_cancelled", 1),
});

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Created {
    pub store_id: StoreId,
    pub owner: AccountId,
    pub name: String,
    pub body: Hash16,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentRecorded {
    pub payment_id: PaymentId,
    pub amount: Amount,
    pub currency: Currency,
    /// A word such as `card` or `cash`.
    pub method: String,
    pub paid_at: Timestamp,
    pub terminal_id: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentCancelled {
    pub payment_id: PaymentId,
    /// What was given back now.
    pub amount: Amount,
    pub currency: Currency,
    /// What is left of the payment.
    pub remaining: Amount,
    pub body: Hash16,
}
