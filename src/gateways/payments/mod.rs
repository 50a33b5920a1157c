//! How is a buyer's money taken and given back? The need, and what can be known after asking for it.
//!
//! An answer is *yes*, *no* or *unknown*, and there is no fourth. "No" is only what the provider documents as a refusal of
//! this very payment (`codes.rs`); whatever else comes back, or does not, is unknown and has to be found out by looking.
//! When to ask, to look and to ask again is the order's process, which is not known here. `toss.rs` speaks to the real
//! provider, `simulator/` stands in for it.

#[doc(hidden)] // The fuzz targets read answers as well.
pub mod answer;
mod codes;
mod hint;
mod keys;
mod outcome;
pub mod simulator;
mod toss;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::ids::{OrderId, PaymentKey};
use crate::money::Currency;

pub use hint::Hint;
pub use keys::{Mode, SetupError};
pub use outcome::{
    Cancelled, Captured, Confirm, Confirmation, Lookup, Mismatch, Payment, Refund, Refunding, Returned, Share,
    Standing, Unknown,
};
pub use toss::{Toss, TossOptions};

/// What the process of an order gets.
pub type SharedPayments = Arc<dyn Payments>;

/// A payment provider.
///
/// - Every call MUST end within the time that it was built with, whatever the other side does.
/// - A call MUST NOT be repeated by the implementation: the caller decides, with the same idempotency key.
/// - `Confirmed` and `Refunded` MUST mean that an answer named this payment, this order, this amount and this currency.
/// - `Declined` and `Refused` MUST mean that the provider documents the answer as "nothing was moved".
#[async_trait]
pub trait Payments: fmt::Debug + Send + Sync + 'static {
    /// Takes the money. The same `idempotency_key` gives the same answer for at least 15 days.
    async fn confirm(&self, asked: &Confirm) -> Confirmation;

    /// Looks for the payment of an order. Of several attempts it is the one that went furthest, so the caller compares
    /// it with what it asked for: [`Payment::settle`].
    async fn find_by_order(&self, order: &OrderId) -> Lookup;

    /// Looks at one payment.
    async fn find_by_payment_key(&self, key: &PaymentKey) -> Lookup;

    /// Gives money back, whole or in part. The same `idempotency_key` gives the same answer for at least 15 days.
    async fn cancel(&self, asked: &Refund) -> Refunding;

    /// Can it take this currency? Asked when prices are set, not when a buyer pays.
    fn takes(&self, currency: Currency) -> bool;

    /// The public key with which a shop's page opens the provider's payment window; empty if there is none.
    fn client_key(&self) -> &str;
}
