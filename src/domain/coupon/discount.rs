//! How much less is to be paid for these seats? Pure arithmetic on what a coupon promised when it was reserved.
//!
//! Knows nothing of serials or of members: whoever holds a claim may use it, for a while. The order keeps what comes out.

use super::engagement::not_usable;
use crate::domain::Refusal;
use crate::domain::checks::require;
use crate::events::coupon::Discount;
use crate::ids::{AccountId, ShowId, TaskId};
use crate::money::{Amount, Currency};
use crate::timestamp::Timestamp;

/// What an order takes along to the partition where it is placed: the coupon itself lives in another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    pub task_id: TaskId,
    pub discount: Discount,
    /// Whose coupon it is.
    pub owner: AccountId,
    /// Empty: good for every show of its owner.
    pub shows: Vec<ShowId>,
    /// The first moment, of the order's partition, at which it is good for nothing.
    pub until: Timestamp,
}

impl Claim {
    /// What the seats cost less; never more than they cost. `seller`: nobody gives away what somebody else sells.
    pub fn discount_on(
        &self,
        subtotal: Amount,
        currency: Currency,
        (show, seller): (&ShowId, &AccountId),
        at: Timestamp,
    ) -> Result<Amount, Refusal> {
        if at >= self.until {
            return Err(not_usable("expired"));
        }
        // Shows that are named are the owner's own, or an admin named them: that was judged when the coupon was made.
        let good = if self.shows.is_empty() { self.owner == *seller } else { self.shows.contains(show) };
        if !good {
            return Err(not_usable("show"));
        }
        let (of, least) = match &self.discount {
            Discount::Amount { currency, min_amount, .. } => (Some(*currency), *min_amount),
            Discount::Percent { currency, min_amount, .. } => (*currency, *min_amount),
        };
        if of.is_some_and(|of| of != currency) {
            return Err(not_usable("currency"));
        }
        if least.is_some_and(|least| subtotal < least) {
            return Err(not_usable("min-amount"));
        }
        let off = match &self.discount {
            Discount::Amount { value, .. } => *value,
            Discount::Percent { value, max_amount, .. } => {
                let part = percent(subtotal, *value);
                max_amount.map_or(part, |most| part.min(most))
            }
        };
        Ok(off.min(subtotal))
    }
}

/// Rounded down. The product fits: an amount has 53 bits, the percentage 8.
fn percent(subtotal: Amount, value: u8) -> Amount {
    Amount::new(subtotal.minor() * u64::from(value) / 100).unwrap_or(subtotal)
}

/// Does a new coupon promise something that can be computed?
pub(super) fn check(discount: &Discount) -> Result<(), Refusal> {
    match discount {
        Discount::Amount { value, .. } => require(*value > Amount::ZERO, "/discount/value", "must be at least 1"),
        Discount::Percent { value, currency, max_amount, min_amount } => {
            require((1..=100).contains(value), "/discount/value", "must be 1 to 100")?;
            let bounded = max_amount.is_some() || min_amount.is_some();
            require(currency.is_some() || !bounded, "/discount/currency", "is needed where amounts are given")
        }
    }
}
