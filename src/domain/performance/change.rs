//! What may be said differently about a performance on sale, and does the whole still make sense?
//!
//! Show, venue, house and currency never change. Whether it may be changed now is not known here: `rules` decides that.

use super::Terms;
use super::schedule::Offer;
use crate::domain::Refusal;
use crate::domain::checks::require;
use crate::events::performance::{Changed, GradePrice};
use crate::ids::Hash16;
use crate::timestamp::Timestamp;

// Command

/// `None` stays as it is. Where there may be nothing, `Some(None)` takes away what there was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    pub starts_at: Option<Timestamp>,
    pub sale_opens_at: Option<Timestamp>,
    pub sale_closes_at: Option<Timestamp>,
    pub cancel_until: Option<Option<Timestamp>>,
    /// Of all grades: a part of them is refused as it would be in a schedule.
    pub prices: Option<Vec<GradePrice>>,
    pub max_seats_per_order: Option<u32>,
    pub max_seats_per_member: Option<Option<u32>>,
    pub hold_seconds: Option<u32>,
    pub max_live_orders_per_member: Option<Option<u32>>,
    pub max_unpaid_holds_per_member: Option<Option<u32>>,
}

impl Change {
    /// The fact that it comes to. `was_open`: orders may have been placed.
    pub(super) fn fact(&self, terms: &Terms, was_open: bool, body: Hash16) -> Result<Changed, Refusal> {
        require(*self != Self::default(), "", "must change something")?;
        let changed = self.merged(terms, body);
        self.check(&changed, terms)?;
        if was_open && counts_from_now_on(&changed, terms) {
            return Err(Refusal::InUse { detail: "limits per member must be set before the sale opens" });
        }
        Ok(changed)
    }

    fn merged(&self, terms: &Terms, body: Hash16) -> Changed {
        Changed {
            starts_at: self.starts_at.unwrap_or(terms.starts_at),
            sale_opens_at: self.sale_opens_at.unwrap_or(terms.sale_opens_at),
            sale_closes_at: self.sale_closes_at.unwrap_or(terms.sale_closes_at),
            cancel_until: self.cancel_until.unwrap_or(terms.cancel_until),
            prices: self.prices.as_ref().unwrap_or(&terms.prices).clone(),
            max_seats_per_order: self.max_seats_per_order.unwrap_or(terms.max_seats_per_order),
            max_seats_per_member: self.max_seats_per_member.unwrap_or(terms.max_seats_per_member),
            hold_seconds: self.hold_seconds.unwrap_or(terms.hold_seconds),
            body,
            max_live_orders_per_member: self.max_live_orders_per_member.unwrap_or(terms.max_live_orders_per_member),
            max_unpaid_holds_per_member: self.max_unpaid_holds_per_member.unwrap_or(terms.max_unpaid_holds_per_member),
        }
    }

    /// As a schedule is checked; but where two values do not go together, the one that was sent is pointed at.
    fn check(&self, changed: &Changed, terms: &Terms) -> Result<(), Refusal> {
        require(
            self.sale_closes_at.is_some() || changed.sale_opens_at < changed.sale_closes_at,
            "/sale_opens_at",
            "must be before sale_closes_at",
        )?;
        require(
            self.cancel_until.is_some() || changed.cancel_until.is_none_or(|until| until <= changed.starts_at),
            "/starts_at",
            "must not be before cancel_until",
        )?;
        let offer = Offer {
            starts_at: changed.starts_at,
            sale_opens_at: changed.sale_opens_at,
            sale_closes_at: changed.sale_closes_at,
            cancel_until: changed.cancel_until,
            prices: &changed.prices,
            max_seats_per_order: changed.max_seats_per_order,
            max_seats_per_member: changed.max_seats_per_member,
            hold_seconds: changed.hold_seconds,
            max_live_orders_per_member: changed.max_live_orders_per_member,
            max_unpaid_holds_per_member: changed.max_unpaid_holds_per_member,
            layout: terms.layout.sections(),
        };
        offer.check()
    }
}

/// Orders that were placed before would not be counted, and the limit would not hold for their members.
fn counts_from_now_on(changed: &Changed, terms: &Terms) -> bool {
    let mut then = terms.clone();
    then.change(changed);
    then.members_counted && !terms.members_counted
}

/// Prices in another order are the same prices.
pub(super) fn differs(changed: &Changed, terms: &Terms) -> bool {
    let same_prices =
        changed.prices.len() == terms.prices.len() && changed.prices.iter().all(|price| terms.prices.contains(price));
    let rest = |c: &Changed| {
        (
            (c.starts_at, c.sale_opens_at, c.sale_closes_at, c.cancel_until),
            (c.max_seats_per_order, c.max_seats_per_member, c.hold_seconds),
            (c.max_live_orders_per_member, c.max_unpaid_holds_per_member),
        )
    };
    !same_prices || rest(changed) != rest(&Change::default().merged(terms, changed.body))
}
