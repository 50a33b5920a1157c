//! What is on sale in a measurement? As many seats as were asked for, in performances of one large house.

use serde_json::json;

use super::target::Site;
use crate::auth::principal::Role;
use crate::cli::client::Client;
use crate::cli::failure::Failure;
use crate::cli::token::sign;
use crate::clock::{Clock, SystemClock};
use crate::limits;
use crate::timestamp::Timestamp;

const ROW: u32 = 500;
const DAY: std::time::Duration = std::time::Duration::from_secs(86_400);
/// Of every seat, in won.
pub const PRICE: u64 = 1_000;

/// Seats by number; neighbours in number are spread over `beside` performances that sell at the same time.
pub struct House {
    performances: Vec<String>,
    seats_each: u32,
    beside: u32,
}

impl House {
    pub async fn build(site: Site<'_>, seats: u32, beside: u32) -> Result<Self, Failure> {
        let client = Client::new(site.base)?;
        let seller = sign(site.keys, "bench-seller", Role::Seller, None)?;
        // Whole rows, not larger than a house may be, and enough of it beside one another.
        let rows = seats.div_ceil(beside).min(limits::BENCH_HOUSE).div_ceil(ROW);
        let seats_each = rows * ROW;
        let list: Vec<_> = (0..rows).map(|row| json!({"row": row.to_string(), "seats": ROW})).collect();
        let venue = json!({"name": "Bench Hall", "sections": [{"section": "S", "grade": "R", "rows": list}]});
        let venue = client.create("/v1/venues", &seller, &venue).await?;
        let now = SystemClock.wall();
        let day = |moment: Timestamp| moment.to_string()[..10].to_owned();
        let show = json!({
            "title": "Bench", "category": "concert", "description": "", "place": "here",
            "starts_on": day(now.plus(30 * DAY)), "ends_on": day(now.plus(31 * DAY)),
        });
        let show = client.create("/v1/shows", &seller, &show).await?;
        let performance = json!({
            "show_id": show.text("show_id"), "venue_id": venue.text("venue_id"), "starts_at": now.plus(30 * DAY),
            "sale_opens_at": Timestamp(0), "sale_closes_at": now.plus(29 * DAY), "currency": "KRW",
            "prices": {"R": PRICE}, "hold_seconds": limits::HOLD_SECONDS_MAX,
        });
        let groups = seats.div_ceil(seats_each * beside);
        let mut performances = Vec::new();
        for _ in 0..groups * beside {
            let made = client.create("/v1/performances", &seller, &performance).await?;
            performances.push(made.text("performance_id").to_owned());
        }
        Ok(Self::of(performances, seats_each, beside))
    }

    /// For performances that exist: each has so many seats, `S-0-1` to `S-0-500`, `S-1-1` and so on.
    pub fn of(performances: Vec<String>, seats_each: u32, beside: u32) -> Self {
        Self { performances, seats_each, beside }
    }

    pub fn performances(&self) -> usize {
        self.performances.len()
    }

    /// Performance and seat of the n-th buyer; `None`: everything is sold.
    pub fn seat(&self, n: u64) -> Option<(&str, String)> {
        let (performance, seat) = spread(n, self.seats_each, self.beside);
        Some((self.performance(performance)?, name(seat)))
    }

    /// Performance of the n-th party and, as JSON, the seats of all its members; `None`: everything is sold, but for what is
    /// left over in a performance whose seats are no multiple of that many.
    pub fn party(&self, n: u64, of: u32) -> Option<(&str, String)> {
        let parties_each = self.seats_each.checked_div(of).filter(|parties| *parties > 0)?;
        let (performance, party) = spread(n, parties_each, self.beside);
        let seats = (0..u64::from(of)).map(|seat| format!("\"{}\"", name(party * u64::from(of) + seat)));
        Some((self.performance(performance)?, seats.collect::<Vec<_>>().join(",")))
    }

    fn performance(&self, number: u64) -> Option<&str> {
        self.performances.get(usize::try_from(number).ok()?).map(String::as_str)
    }
}

fn name(seat: u64) -> String {
    format!("S-{}-{}", seat / u64::from(ROW), seat % u64::from(ROW) + 1)
}

/// Number of the performance and of the seat in it.
fn spread(n: u64, seats_each: u32, beside: u32) -> (u64, u64) {
    let (seats_each, beside) = (u64::from(seats_each), u64::from(beside));
    let (group, within) = (n / (seats_each * beside), n % (seats_each * beside));
    (group * beside + within % beside, within / beside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_party_sits_together_and_nobody_on_somebody() {
        for (of, parties) in [(1, 2_000), (3, 4 * 166), (10, 200)] {
            let house = House::of(["a", "b", "c", "d"].map(str::to_owned).to_vec(), 500, 2);
            let mut taken = std::collections::BTreeSet::new();
            for n in 0..parties {
                let (performance, seats) = house.party(n, of).expect("not sold");
                for seat in seats.split(',') {
                    assert!(taken.insert((performance, seat.to_owned())), "{seat} of {performance} twice");
                }
            }
            assert_eq!(taken.len() as u64, parties * u64::from(of));
            assert!(house.party(parties, of).is_none());
        }
        assert!(House::of(vec!["a".to_owned()], 3, 1).party(0, 4).is_none());
        let house = House::of(vec!["a".to_owned()], 1_000, 1);
        assert_eq!(house.party(250, 2), Some(("a", r#""S-1-1","S-1-2""#.to_owned())));
    }

    #[test]
    fn every_buyer_has_a_seat_of_their_own() {
        for (seats_each, beside) in [(500, 1), (500, 3), (1, 4), (1_000, 2)] {
            let all = u64::from(seats_each) * u64::from(beside) * 2;
            let seats: std::collections::BTreeSet<_> = (0..all).map(|n| spread(n, seats_each, beside)).collect();
            assert_eq!(seats.len() as u64, all);
            assert!(seats.iter().all(|(p, s)| *p < 2 * u64::from(beside) && *s < u64::from(seats_each)));
            assert_eq!(spread(all, seats_each, beside).0, 2 * u64::from(beside), "the next one is in the next house");
        }
    }
}
