//! What must be said to put a performance on sale, and does it make sense?
//!
//! Whether this performance may be put on sale now is not known here: `rules` decides that.

use std::collections::HashSet;

use crate::domain::checks::{invalid, pointer_part, require};
use crate::domain::{Asked, Refusal};
use crate::events::performance::{GradePrice, Scheduled};
use crate::events::venue::Section;
use crate::ids::{PerformanceId, ShowId, VenueId};
use crate::limits;
use crate::money::Currency;
use crate::timestamp::Timestamp;

// Command

/// The caller copies timezone and layout from the venue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    pub performance_id: PerformanceId,
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
    pub max_live_orders_per_member: Option<u32>,
    pub max_unpaid_holds_per_member: Option<u32>,
    pub layout: Vec<Section>,
}

// Refusal

impl Schedule {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        require(self.layout.iter().any(|section| section.seats() > 0), "/venue_id", "has no seats")?;
        let offer = Offer {
            starts_at: self.starts_at,
            sale_opens_at: self.sale_opens_at,
            sale_closes_at: self.sale_closes_at,
            cancel_until: self.cancel_until,
            prices: &self.prices,
            max_seats_per_order: self.max_seats_per_order,
            max_seats_per_member: self.max_seats_per_member,
            hold_seconds: self.hold_seconds,
            max_live_orders_per_member: self.max_live_orders_per_member,
            max_unpaid_holds_per_member: self.max_unpaid_holds_per_member,
            layout: &self.layout,
        };
        offer.check()
    }

    pub(super) fn fact(&self, asked: &Asked) -> Scheduled {
        Scheduled {
            performance_id: self.performance_id.clone(),
            owner: asked.by.clone(),
            show_id: self.show_id.clone(),
            venue_id: self.venue_id.clone(),
            timezone: self.timezone.clone(),
            starts_at: self.starts_at,
            sale_opens_at: self.sale_opens_at,
            sale_closes_at: self.sale_closes_at,
            cancel_until: self.cancel_until,
            currency: self.currency,
            prices: self.prices.clone(),
            max_seats_per_order: self.max_seats_per_order,
            max_seats_per_member: self.max_seats_per_member,
            hold_seconds: self.hold_seconds,
            layout: self.layout.clone(),
            body: asked.body,
            max_live_orders_per_member: self.max_live_orders_per_member,
            max_unpaid_holds_per_member: self.max_unpaid_holds_per_member,
        }
    }
}

/// What a schedule and a change of it say alike, for the same house.
pub(super) struct Offer<'a> {
    pub starts_at: Timestamp,
    pub sale_opens_at: Timestamp,
    pub sale_closes_at: Timestamp,
    pub cancel_until: Option<Timestamp>,
    pub prices: &'a [GradePrice],
    pub max_seats_per_order: u32,
    pub max_seats_per_member: Option<u32>,
    pub hold_seconds: u32,
    pub max_live_orders_per_member: Option<u32>,
    pub max_unpaid_holds_per_member: Option<u32>,
    pub layout: &'a [Section],
}

impl Offer<'_> {
    pub fn check(&self) -> Result<(), Refusal> {
        require(self.sale_opens_at < self.sale_closes_at, "/sale_closes_at", "must be after sale_opens_at")?;
        require(
            self.cancel_until.is_none_or(|until| until <= self.starts_at),
            "/cancel_until",
            "must not be after starts_at",
        )?;
        self.check_prices()?;
        require(
            (1..=limits::ORDER_SEATS).contains(&(self.max_seats_per_order as usize)),
            "/max_seats_per_order",
            &format!("must be 1 to {}", limits::ORDER_SEATS),
        )?;
        require(self.max_seats_per_member != Some(0), "/max_seats_per_member", "must be at least 1")?;
        require(self.max_live_orders_per_member != Some(0), "/max_live_orders_per_member", "must be at least 1")?;
        require(
            self.max_unpaid_holds_per_member.is_none_or(|most| (1..=limits::UNPAID_HOLDS).contains(&most)),
            "/max_unpaid_holds_per_member",
            &format!("must be 1 to {}", limits::UNPAID_HOLDS),
        )?;
        require(
            (limits::HOLD_SECONDS_MIN..=limits::HOLD_SECONDS_MAX).contains(&self.hold_seconds),
            "/hold_seconds",
            &format!("must be {} to {}", limits::HOLD_SECONDS_MIN, limits::HOLD_SECONDS_MAX),
        )
    }

    fn check_prices(&self) -> Result<(), Refusal> {
        let grades: HashSet<&str> = self.layout.iter().map(|section| section.grade.as_str()).collect();
        let mut priced = HashSet::new();
        for GradePrice { grade, .. } in self.prices {
            let pointer = || format!("/prices/{}", pointer_part(grade));
            if !grades.contains(grade.as_str()) {
                return Err(invalid(pointer(), "is not a grade of the venue"));
            }
            if !priced.insert(grade.as_str()) {
                return Err(invalid(pointer(), "has a price already"));
            }
        }
        // In the order of the house, so that the same request is always told of the same grade.
        match self.layout.iter().find(|section| !priced.contains(section.grade.as_str())) {
            Some(section) => Err(invalid("/prices", format!("has no price for grade {}", section.grade))),
            None => Ok(()),
        }
    }
}
