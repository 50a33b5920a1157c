//! How does a sale go? Counts of each minute, summed over wider pieces at reading so that any sale fits on a screen.

use super::performances::performance_of;
use super::store::Build;
use super::table::{Cell, Row, Table, Value, table};
use super::{Fact, Needed, Projection, Rows, Schema, Unfit};
use crate::events::seat::ReleaseReason;
use crate::events::{Event, OrderEvent, SeatEvent};
use crate::fault::Fault;
use crate::ids::PerformanceId;
use crate::limits;
use crate::timestamp::Timestamp;

const MINUTE: i64 = 60_000;

// Rows

table! {
    /// One minute of one performance's sale.
    pub struct MinuteRow in "sales_minutes" {
        // The minute by its first moment.
        key { performance_id: PerformanceId, minute: i64 }
        orders: i64,
        seats_held: i64,
        seats_released: i64,
        seats_sold: i64,
        seats_refunded: i64,
        amount_sold: i64,
    }
}

// Fold

pub struct Sales;

impl Projection for Sales {
    fn name(&self) -> &'static str {
        "sales"
    }

    fn version(&self) -> u32 {
        1
    }

    fn schema(&self) -> Schema {
        Schema {
            postgres: include_str!("../../migrations/postgres/read/sales.sql"),
            sqlite: include_str!("../../migrations/sqlite/read/sales.sql"),
        }
    }

    fn tables(&self) -> &'static [&'static Table] {
        &[MinuteRow::TABLE]
    }

    fn follows(&self) -> &'static [&'static str] {
        &["order.placed", "seat.held", "seat.released", "seat.sold"]
    }

    fn reads(&self, fact: &Fact, needed: &mut Needed) {
        if let Some(key) = key(fact) {
            needed.row::<MinuteRow>(key);
        }
    }

    fn apply(&self, fact: &Fact, rows: &mut Rows) -> Result<(), Unfit> {
        match &*fact.event {
            Event::Order(OrderEvent::Placed(_)) => count(fact, rows, |row| row.orders += 1),
            Event::Seat(SeatEvent::Held(_)) => count(fact, rows, |row| row.seats_held += 1),
            Event::Seat(SeatEvent::Released(released)) => match released.reason {
                ReleaseReason::Refunded => count(fact, rows, |row| row.seats_refunded += 1),
                ReleaseReason::Expired | ReleaseReason::Cancelled | ReleaseReason::Failed => {
                    count(fact, rows, |row| row.seats_released += 1)
                }
            },
            Event::Seat(SeatEvent::Sold(sold)) => count(fact, rows, |row| {
                row.seats_sold += 1;
                row.amount_sold += i64::try_from(sold.price.minor()).unwrap_or(i64::MAX);
            }),
            _ => Ok(()),
        }
    }
}

fn key(fact: &Fact) -> Option<super::table::Key> {
    let performance = match &*fact.event {
        Event::Order(OrderEvent::Placed(placed)) => placed.performance_id.clone(),
        _ => performance_of(fact)?,
    };
    Some(MinuteRow::key(performance, fact.at().0.div_euclid(MINUTE) * MINUTE))
}

fn count(fact: &Fact, rows: &mut Rows, change: impl FnOnce(&mut MinuteRow)) -> Result<(), Unfit> {
    let key = key(fact).ok_or_else(|| Unfit::Impossible(format!("{} has no performance", fact.record.stream)))?;
    let fresh = || {
        let mut cells = key.clone();
        cells.resize(MinuteRow::TABLE.columns.len(), Value::Int(0));
        MinuteRow::from_cells(&cells).map_err(|misfit| Unfit::Impossible(misfit.to_string()))
    };
    let mut row = rows.get::<MinuteRow>(&key)?.map_or_else(fresh, Ok)?;
    change(&mut row);
    rows.put(row);
    Ok(())
}

// Readings

/// Counts over a piece of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Point {
    pub at: Timestamp,
    pub orders: i64,
    pub seats_held: i64,
    pub seats_released: i64,
    pub seats_sold: i64,
    pub seats_refunded: i64,
    pub amount_sold: i64,
}

/// A sale over time: pieces of equal width, those without anything left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    pub width_seconds: i64,
    pub points: Vec<Point>,
}

/// The whole sale of a performance, in as many pieces as a screen can show.
pub async fn series(build: &dyn Build, performance: &PerformanceId) -> Result<Series, Fault> {
    let whose = [performance.clone().into_value()];
    let sql = "SELECT MIN(minute), MAX(minute) FROM @.sales_minutes WHERE performance_id = $1";
    let found = build.query(sql, &whose).await?;
    let Some([Value::Int(first), Value::Int(last)]) = found.first().map(Vec::as_slice) else {
        return Ok(Series { width_seconds: MINUTE / 1_000, points: Vec::new() });
    };
    let width = width(last - first);
    let sums: Vec<String> = ["orders", "seats_held", "seats_released", "seats_sold", "seats_refunded", "amount_sold"]
        .iter()
        .map(|column| format!("CAST(SUM({column}) AS BIGINT)"))
        .collect();
    let sql = format!(
        "SELECT minute - (minute % {width}), {} FROM @.sales_minutes WHERE performance_id = $1 GROUP BY 1 ORDER BY 1",
        sums.join(", ")
    );
    let points = build.query(&sql, &whose).await?.iter().map(|cells| point(cells)).collect::<Option<Vec<_>>>();
    let points = points.ok_or_else(|| Fault::internal("a sale's counts are not numbers"))?;
    Ok(Series { width_seconds: width / 1_000, points })
}

/// A whole number of minutes, so wide that all pieces fit, also where the first one begins before the sale.
fn width(span: i64) -> i64 {
    let pieces = i64::try_from(limits::SERIES_POINTS - 1).unwrap_or(i64::MAX);
    let minutes = span / MINUTE + 1;
    (minutes + pieces - 1).div_euclid(pieces) * MINUTE
}

fn point(cells: &[Value]) -> Option<Point> {
    let number = |place: usize| cells.get(place).and_then(i64::from_value);
    Some(Point {
        at: Timestamp(number(0)?),
        orders: number(1)?,
        seats_held: number(2)?,
        seats_released: number(3)?,
        seats_sold: number(4)?,
        seats_refunded: number(5)?,
        amount_sold: number(6)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::projections::testing::{Shelf, Story, order_of_partitions_does_not_matter, sale};

    #[test]
    fn every_minute_is_counted() {
        let mut story = Story::default();
        story.unit(59_999, [sale::placed("pf_a", "o", &["A-1-1", "A-1-2"])]);
        story.unit(59_999, [sale::held("pf_a", "A-1-1", "o"), sale::held("pf_a", "A-1-2", "o")]);
        story.unit(
            60_000,
            [sale::sold("pf_a", "A-1-1", "o", 700), sale::released("pf_a", "A-1-2", "o", ReleaseReason::Expired)],
        );
        story.unit(
            61_000,
            [sale::held("pf_b", "A-1-1", "p"), sale::released("pf_a", "A-1-1", "o", ReleaseReason::Refunded)],
        );
        let told: Vec<_> = Shelf::of(&Sales, &story.facts)
            .rows::<MinuteRow>()
            .into_iter()
            .map(|row| {
                (
                    row.performance_id.to_string(),
                    row.minute,
                    row.orders,
                    row.seats_held,
                    row.seats_sold,
                    row.amount_sold,
                )
            })
            .collect();
        let row = |of: &str, minute, orders, held, sold, amount| (of.to_owned(), minute, orders, held, sold, amount);
        assert_eq!(
            told,
            [row("pf_a", 0, 1, 2, 0, 0), row("pf_a", 60_000, 0, 0, 1, 700), row("pf_b", 60_000, 0, 1, 0, 0)]
        );
        order_of_partitions_does_not_matter(&Sales, &story);
    }

    #[test]
    fn any_sale_fits_on_a_screen() {
        for minutes in [1, 2, 599, 600, 601, 6_000, 525_600] {
            let width = width((minutes - 1) * MINUTE);
            assert_eq!(width % MINUTE, 0);
            for first in [0, MINUTE, width - MINUTE] {
                let pieces = (first + (minutes - 1) * MINUTE) / width - first / width + 1;
                let fits = u64::try_from(pieces).is_ok_and(|pieces| pieces <= limits::SERIES_POINTS);
                assert!(fits, "{minutes} minutes in {pieces} pieces of {width}");
            }
        }
        assert_eq!(width(0), MINUTE);
    }
}
