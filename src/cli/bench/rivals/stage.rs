//! What is on sale at a rival? Kept in the memory of its process, as its users would: it hardly ever changes. Who has what is
//! the store's business.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use serde::Deserialize;

use crate::events::order::OrderSeat;
use crate::http::extract::Input;
use crate::ids::{AccountId, CouponId, PerformanceId, SeatId};
use crate::limits;
use crate::money::{Amount, Currency};
use crate::timestamp::Timestamp;

#[derive(Deserialize)]
pub struct NewVenue {
    sections: Vec<Section>,
}

impl Input for NewVenue {
    const LIMIT: usize = limits::VENUE_BODY_BYTES;
}

#[derive(Deserialize)]
struct Section {
    section: String,
    grade: String,
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    row: String,
    seats: u32,
}

#[derive(Deserialize)]
pub struct NewShow {}

impl Input for NewShow {}

#[derive(Deserialize)]
pub struct NewPerformance {
    venue_id: String,
    sale_opens_at: Timestamp,
    sale_closes_at: Timestamp,
    currency: String,
    prices: HashMap<String, u64>,
    #[serde(default = "hold_seconds")]
    hold_seconds: u64,
}

impl Input for NewPerformance {}

fn hold_seconds() -> u64 {
    420
}

#[derive(Deserialize)]
pub struct NewCoupon {
    pub stock: u64,
    opens_at: Timestamp,
    closes_at: Timestamp,
}

impl Input for NewCoupon {}

/// A performance on sale.
pub struct Hall {
    pub owner: AccountId,
    pub currency: Currency,
    pub hold: Duration,
    pub opens: Timestamp,
    pub closes: Timestamp,
    /// By "section-row": how many seats, and the price of each.
    rows: HashMap<String, (u32, Amount)>,
}

impl Hall {
    /// `None`: there is no such seat.
    pub fn seat(&self, name: &str) -> Option<OrderSeat> {
        let (row, number) = name.rsplit_once('-')?;
        let (seats, price) = *self.rows.get(row)?;
        let parsed: u32 = number.parse().ok()?;
        let there = (1..=seats).contains(&parsed) && !number.starts_with(['0', '+']);
        there.then(|| OrderSeat { seat_id: SeatId::new(name), price })
    }

    pub fn seats(&self) -> Vec<String> {
        let row = |(row, (seats, _)): (&String, &(u32, Amount))| {
            let row = row.clone();
            (1..=*seats).map(move |n| format!("{row}-{n}"))
        };
        self.rows.iter().flat_map(row).collect()
    }
}

pub struct Coupon {
    pub stock: u64,
    pub opens: Timestamp,
    pub closes: Timestamp,
}

#[derive(Default)]
pub struct Stage {
    venues: RwLock<HashMap<String, Arc<NewVenue>>>,
    halls: RwLock<HashMap<PerformanceId, Arc<Hall>>>,
    coupons: RwLock<HashMap<CouponId, Arc<Coupon>>>,
}

impl Stage {
    pub fn venue(&self, id: &str, venue: NewVenue) {
        self.venues.write().insert(id.to_owned(), Arc::new(venue));
    }

    /// `None`: no such venue, or values without meaning.
    pub fn build(&self, new: &NewPerformance, owner: AccountId) -> Option<Arc<Hall>> {
        let venue = self.venues.read().get(&new.venue_id)?.clone();
        let mut rows = HashMap::new();
        for section in &venue.sections {
            let price = Amount::new(*new.prices.get(&section.grade)?)?;
            let row = |row: &Row| (format!("{}-{}", section.section, row.row), (row.seats, price));
            rows.extend(section.rows.iter().map(row));
        }
        Some(Arc::new(Hall {
            owner,
            currency: Currency::parse(&new.currency)?,
            hold: Duration::from_secs(new.hold_seconds),
            opens: new.sale_opens_at,
            closes: new.sale_closes_at,
            rows,
        }))
    }

    pub fn open(&self, id: PerformanceId, hall: Arc<Hall>) {
        self.halls.write().insert(id, hall);
    }

    pub fn hall(&self, id: &PerformanceId) -> Option<Arc<Hall>> {
        self.halls.read().get(id).cloned()
    }

    pub fn offer(&self, id: CouponId, new: &NewCoupon) {
        let coupon = Coupon { stock: new.stock, opens: new.opens_at, closes: new.closes_at };
        self.coupons.write().insert(id, Arc::new(coupon));
    }

    pub fn coupon(&self, id: &CouponId) -> Option<Arc<Coupon>> {
        self.coupons.read().get(id).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn seats_have_one_spelling() {
        let stage = Stage::default();
        let venue =
            json!({"name": "v", "sections": [{"section": "S", "grade": "R", "rows": [{"row": "0", "seats": 12}]}]});
        stage.venue("vn_1", serde_json::from_value(venue).expect("a venue"));
        let new = json!({"venue_id": "vn_1", "sale_opens_at": Timestamp(0), "sale_closes_at": Timestamp(9), "currency": "KRW",
            "prices": {"R": 1_000}, "hold_seconds": 60});
        let new = serde_json::from_value(new).expect("a performance");
        let hall = stage.build(&new, AccountId::new("seller")).expect("it can be built");
        assert!(hall.seats().iter().all(|seat| hall.seat(seat).is_some_and(|seat| seat.price.minor() == 1_000)));
        assert_eq!(hall.seats().len(), 12);
        for wrong in ["S-0-0", "S-0-13", "S-0-01", "S-0-+1", "S-1-1", "T-0-1", "S-0", "S-0-", ""] {
            assert!(hall.seat(wrong).is_none(), "{wrong}");
        }
    }
}
