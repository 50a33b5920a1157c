//! What sold out fastest, and what sells most? Facts of the first selling-out, and tickets sold in buckets of time that are
//! summed at reading, so that a window moves with time and not only with new facts.
//!
//! A refund takes back neither, and no more does a performance that is cancelled: what sold out did sell out, and tickets
//! sold were sold. Terms that change count from then on: the day moves with the beginning, a time that was told stays.

use super::local;
use super::performances::performance_of;
use super::store::Build;
use super::table::{Cell, Row, Table, Value, table};
use super::{Fact, Needed, Projection, Rows, Schema, Unfit};
use crate::events::seat::ReleaseReason;
use crate::events::venue::Section;
use crate::events::{Event, PerformanceEvent, SeatEvent, ShowEvent};
use crate::fault::Fault;
use crate::ids::{PerformanceId, ShowId};
use crate::timestamp::Timestamp;

// Rows

table! {
    /// A show's title; the show lives in a partition of its own, and is joined at reading.
    pub struct RankedShowRow in "ranked_shows" {
        key { show_id: ShowId }
        title: String,
    }
}

table! {
    /// What of a performance a ranking wants to know.
    pub struct RankedRow in "ranked_performances" {
        key { performance_id: PerformanceId }
        show_id: ShowId,
        timezone: String,
        /// The local date of its beginning.
        date: String,
        sale_opens_at: Timestamp,
        seats: i64,
        sold: i64,
        blocked: i64,
        /// When the last seat that is not kept from sale was sold for the first time, and how long after the opening.
        sold_out_at: Option<Timestamp>,
        sold_out_ms: Option<i64>,
    }
}

table! {
    /// Tickets sold of one performance in one bucket of time.
    pub struct SoldRow in "ranked_sales" {
        // Milliseconds: how wide the bucket is, and its first moment.
        key { performance_id: PerformanceId, width: i64, bucket: i64 }
        show_id: ShowId,
        sold: i64,
    }
}

/// A moving window and the buckets that it is summed from: at least 24 of them, so that it moves smoothly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Window {
    Hour,
    Day,
    Week,
}

impl Window {
    pub const ALL: [Self; 3] = [Self::Hour, Self::Day, Self::Week];
    /// The words of the public contract.
    pub const WORDS: [(&'static str, Self); 3] = [("1h", Self::Hour), ("24h", Self::Day), ("7d", Self::Week)];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "1h",
            Self::Day => "24h",
            Self::Week => "7d",
        }
    }

    fn span(self) -> i64 {
        match self {
            Self::Hour => 3_600_000,
            Self::Day => 24 * 3_600_000,
            Self::Week => 7 * 24 * 3_600_000,
        }
    }

    fn width(self) -> i64 {
        match self {
            Self::Hour => 60_000,
            Self::Day => 600_000,
            Self::Week => 3_600_000,
        }
    }

    fn bucket(self, at: Timestamp) -> i64 {
        at.0.div_euclid(self.width()) * self.width()
    }
}

// Fold

pub struct Rankings;

impl Projection for Rankings {
    fn name(&self) -> &'static str {
        "rankings"
    }

    fn version(&self) -> u32 {
        2
    }

    fn schema(&self) -> Schema {
        Schema {
            postgres: include_str!("../../migrations/postgres/read/rankings.sql"),
            sqlite: include_str!("../../migrations/sqlite/read/rankings.sql"),
        }
    }

    fn tables(&self) -> &'static [&'static Table] {
        &[RankedShowRow::TABLE, RankedRow::TABLE, SoldRow::TABLE]
    }

    /// Holds are not among them: a hot sale costs nothing here until something is sold.
    fn follows(&self) -> &'static [&'static str] {
        &[
            "show",
            "performance.scheduled",
            "performance.changed",
            "seat.sold",
            "seat.released",
            "seat.blocked",
            "seat.unblocked",
        ]
    }

    /// Counts of one performance belong together: they wait together.
    fn parking_key(&self, fact: &Fact) -> std::sync::Arc<str> {
        let performance = performance_of(fact);
        performance.map_or_else(|| fact.record.stream.text(), PerformanceId::into_text)
    }

    fn reads(&self, fact: &Fact, needed: &mut Needed) {
        let counts = match &*fact.event {
            Event::Seat(SeatEvent::Released(released)) => released.reason == ReleaseReason::Refunded,
            Event::Seat(_) | Event::Performance(PerformanceEvent::Changed(_)) => true,
            _ => false,
        };
        let Some(performance) = performance_of(fact).filter(|_| counts) else { return };
        if matches!(*fact.event, Event::Seat(SeatEvent::Sold(_))) {
            for window in Window::ALL {
                needed.row::<SoldRow>(SoldRow::key(performance.clone(), window.width(), window.bucket(fact.at())));
            }
        }
        needed.row::<RankedRow>(RankedRow::key(performance));
    }

    fn apply(&self, fact: &Fact, rows: &mut Rows) -> Result<(), Unfit> {
        match &*fact.event {
            Event::Show(ShowEvent::Created(show)) => {
                rows.put(RankedShowRow { show_id: show.show_id.clone(), title: show.title.clone() });
                Ok(())
            }
            Event::Performance(PerformanceEvent::Scheduled(terms)) => {
                let seats: usize = terms.layout.iter().map(Section::seats).sum();
                rows.put(RankedRow {
                    performance_id: terms.performance_id.clone(),
                    show_id: terms.show_id.clone(),
                    timezone: terms.timezone.clone(),
                    date: local::date(terms.starts_at, &terms.timezone),
                    sale_opens_at: terms.sale_opens_at,
                    seats: i64::try_from(seats).unwrap_or(i64::MAX),
                    sold: 0,
                    blocked: 0,
                    sold_out_at: None,
                    sold_out_ms: None,
                });
                Ok(())
            }
            Event::Performance(PerformanceEvent::Changed(terms)) => change(fact, rows, |row| {
                row.date = local::date(terms.starts_at, &row.timezone);
                row.sale_opens_at = terms.sale_opens_at;
            })
            .map(drop),
            Event::Seat(SeatEvent::Sold(_)) => sold(fact, rows),
            Event::Seat(SeatEvent::Released(released)) if released.reason == ReleaseReason::Refunded => {
                change(fact, rows, |row| row.sold -= 1).map(drop)
            }
            Event::Seat(SeatEvent::Blocked(_)) => change(fact, rows, |row| row.blocked += 1).map(drop),
            Event::Seat(SeatEvent::Unblocked(_)) => change(fact, rows, |row| row.blocked -= 1).map(drop),
            _ => Ok(()),
        }
    }
}

fn change(fact: &Fact, rows: &mut Rows, change: impl FnOnce(&mut RankedRow)) -> Result<RankedRow, Unfit> {
    let performance = performance_of(fact);
    let performance =
        performance.ok_or_else(|| Unfit::Impossible(format!("{} names no performance", fact.record.stream)))?;
    let mut row: RankedRow = rows.expect(&RankedRow::key(performance))?;
    change(&mut row);
    rows.put(row.clone());
    Ok(row)
}

fn sold(fact: &Fact, rows: &mut Rows) -> Result<(), Unfit> {
    let at = fact.at();
    let row = change(fact, rows, |row| {
        row.sold += 1;
        if row.sold_out_at.is_none() && row.sold + row.blocked == row.seats {
            row.sold_out_at = Some(at);
            row.sold_out_ms = Some(at.0 - row.sale_opens_at.0);
        }
    })?;
    for window in Window::ALL {
        let (width, bucket) = (window.width(), window.bucket(at));
        let known: Option<SoldRow> = rows.get(&SoldRow::key(row.performance_id.clone(), width, bucket))?;
        let sold = known.map_or(0, |known| known.sold) + 1;
        let (performance_id, show_id) = (row.performance_id.clone(), row.show_id.clone());
        rows.put(SoldRow { performance_id, width, bucket, show_id, sold });
    }
    Ok(())
}

// Readings

/// A performance that sold out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoldOut {
    pub performance_id: PerformanceId,
    /// `None` while the show's own fact is not here yet.
    pub title: Option<String>,
    pub sold_out_at: Timestamp,
    /// After the opening of the sale.
    pub ms: i64,
}

/// What sold out of a day's performances, the fastest first.
pub async fn sold_out(build: &dyn Build, date: &str, limit: usize) -> Result<Vec<SoldOut>, Fault> {
    let sql = format!(
        "SELECT p.performance_id, s.title, p.sold_out_at, p.sold_out_ms FROM @.ranked_performances AS p \
         LEFT JOIN @.ranked_shows AS s ON s.show_id = p.show_id \
         WHERE p.date = $1 AND p.sold_out_ms IS NOT NULL ORDER BY p.sold_out_ms, p.performance_id LIMIT {limit}"
    );
    let found = build.query(&sql, &[Value::Text(date.into())]).await?;
    let one = |cells: &Vec<Value>| {
        Some(SoldOut {
            performance_id: Cell::from_value(cells.first()?)?,
            title: Cell::from_value(cells.get(1)?)?,
            sold_out_at: Cell::from_value(cells.get(2)?)?,
            ms: Cell::from_value(cells.get(3)?)?,
        })
    };
    found.iter().map(one).collect::<Option<_>>().ok_or_else(|| Fault::internal("a ranking has another shape"))
}

/// How many tickets of a show were sold within a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selling {
    pub show_id: ShowId,
    pub title: Option<String>,
    pub tickets: u64,
}

/// What sold most within the window that ends now.
pub async fn selling(build: &dyn Build, window: Window, now: Timestamp, limit: usize) -> Result<Vec<Selling>, Fault> {
    let sql = format!(
        "SELECT b.show_id, MAX(s.title), CAST(SUM(b.sold) AS BIGINT) AS tickets FROM @.ranked_sales AS b \
         LEFT JOIN @.ranked_shows AS s ON s.show_id = b.show_id WHERE b.width = $1 AND b.bucket > $2 AND b.bucket <= $3 \
         GROUP BY b.show_id ORDER BY tickets DESC, b.show_id LIMIT {limit}"
    );
    // Whole buckets: one leaves the window when its first moment does.
    let binds = [Value::Int(window.width()), Value::Int(now.0 - window.span()), Value::Int(now.0)];
    let found = build.query(&sql, &binds).await?;
    let one = |cells: &Vec<Value>| {
        Some(Selling {
            show_id: Cell::from_value(cells.first()?)?,
            title: Cell::from_value(cells.get(1)?)?,
            tickets: Cell::from_value(cells.get(2)?)?,
        })
    };
    found.iter().map(one).collect::<Option<_>>().ok_or_else(|| Fault::internal("a ranking has another shape"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::projections::testing::{Shelf, Story, order_of_partitions_does_not_matter, sale};

    #[test]
    fn the_first_selling_out_is_kept_and_holds_do_not_count() {
        let mut story = Story::default();
        sale::scheduled(&mut story, "pf_a", &[("A", "R", 3)]);
        story.unit(1_500, [sale::blocked("pf_a", "A-1-3")]);
        story.unit(2_000, [sale::held("pf_a", "A-1-1", "o"), sale::held("pf_a", "A-1-2", "o")]);
        story.unit(2_500, [sale::sold("pf_a", "A-1-1", "o", 5)]);
        let row = |story: &Story| Shelf::of(&Rankings, &story.facts).rows::<RankedRow>().remove(0);
        assert_eq!((row(&story).sold, row(&story).sold_out_at), (1, None), "a hold is no sale");
        story.unit(43_217, [sale::sold("pf_a", "A-1-2", "o", 5)]);
        let expected = Some(43_217 - sale::OPENS);
        assert_eq!((row(&story).sold_out_at, row(&story).sold_out_ms), (Some(Timestamp(43_217)), expected));
        story.unit(50_000, [sale::released("pf_a", "A-1-2", "o", ReleaseReason::Refunded)]);
        story.unit(51_000, [sale::held("pf_a", "A-1-2", "p")]);
        story.unit(52_000, [sale::sold("pf_a", "A-1-2", "p", 5)]);
        assert_eq!((row(&story).sold, row(&story).sold_out_ms), (2, expected), "it is told once");
        order_of_partitions_does_not_matter(&Rankings, &story);
    }

    #[test]
    fn other_terms_count_from_then_on_and_a_cancelled_performance_keeps_what_it_sold() {
        let mut story = Story::default();
        sale::scheduled(&mut story, "pf_a", &[("A", "R", 1)]);
        let row = |story: &Story| Shelf::of(&Rankings, &story.facts).rows::<RankedRow>().remove(0);
        let day = 24 * 3_600_000;
        story.unit(1_500, [sale::changed("pf_a", 700, sale::OPENS + 500, day)]);
        assert_eq!(
            (row(&story).date.as_str(), row(&story).sale_opens_at),
            ("2026-11-23", Timestamp(sale::OPENS + 500))
        );
        story.unit(4_000, [sale::sold("pf_a", "A-1-1", "o", 5)]);
        let told = (Some(Timestamp(4_000)), Some(4_000 - sale::OPENS - 500));
        assert_eq!(
            (row(&story).sold_out_at, row(&story).sold_out_ms),
            told,
            "since it opened, not since it should have"
        );
        story.unit(5_000, [sale::changed("pf_a", 700, 3_000, 2 * day), sale::cancelled("pf_a")]);
        story.unit(6_000, [sale::released("pf_a", "A-1-1", "o", ReleaseReason::Refunded), sale::called_off("pf_a", 1)]);
        assert_eq!((row(&story).sold_out_at, row(&story).sold_out_ms), told, "what was told stays");
        assert_eq!((row(&story).date.as_str(), row(&story).sold), ("2026-11-24", 0));
        let sold: Vec<i64> = Shelf::of(&Rankings, &story.facts).rows::<SoldRow>().iter().map(|row| row.sold).collect();
        assert_eq!(sold, [1, 1, 1], "in every window");
        order_of_partitions_does_not_matter(&Rankings, &story);
    }

    #[test]
    fn tickets_are_counted_in_buckets_of_every_window() {
        let mut story = Story::default();
        sale::scheduled(&mut story, "pf_a", &[("A", "R", 9)]);
        for (n, at) in (1..).zip([59_999, 60_000, 599_999, 600_000, 3_600_000]) {
            story.unit(at, [sale::sold("pf_a", &format!("A-1-{n}"), "o", 5)]);
        }
        let rows = Shelf::of(&Rankings, &story.facts).rows::<SoldRow>();
        let of = |width: i64| -> Vec<(i64, i64)> {
            rows.iter().filter(|row| row.width == width).map(|row| (row.bucket, row.sold)).collect()
        };
        assert_eq!(of(60_000), [(0, 1), (60_000, 1), (540_000, 1), (600_000, 1), (3_600_000, 1)]);
        assert_eq!(of(600_000), [(0, 3), (600_000, 1), (3_600_000, 1)]);
        assert_eq!(of(3_600_000), [(0, 4), (3_600_000, 1)]);
        for window in Window::ALL {
            assert!(window.span() % window.width() == 0 && window.span() / window.width() >= 24);
        }
        order_of_partitions_does_not_matter(&Rankings, &story);
    }

    #[test]
    fn the_day_is_that_of_the_venue() {
        let mut story = Story::default();
        sale::scheduled(&mut story, "pf_a", &[("A", "R", 1)]);
        let row = Shelf::of(&Rankings, &story.facts).rows::<RankedRow>().remove(0);
        assert_eq!(row.date, "2026-11-22", "15:00 UTC is midnight in Seoul");
    }
}
