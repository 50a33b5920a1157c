//! Which performances are there, and how many of their seats are left? One row per performance, and one per section of its
//! house with counts, which are summed by grade at reading.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use super::select::{Listed, Order, Page, Select, rows as as_rows};
use super::store::Build;
use super::table::{Cell, Row, Table, Value, table};
use super::{Fact, Needed, Projection, Rows, Schema, Unfit};
use crate::events::performance::{Changed, GradePrice, Scheduled};
use crate::events::seat::ReleaseReason;
use crate::events::venue::Section;
use crate::events::{Event, PerformanceEvent, SeatEvent};
use crate::fault::Fault;
use crate::ids::{AccountId, LogPosition, PerformanceId, ShowId, VenueId};
use crate::money::Currency;
use crate::timestamp::Timestamp;

// Rows

table! {
    /// One performance with its terms.
    pub struct PerformanceRow in "performances" {
        key { performance_id: PerformanceId }
        owner: AccountId,
        show_id: ShowId,
        venue_id: VenueId,
        timezone: String,
        starts_at: Timestamp,
        sale_opens_at: Timestamp,
        sale_closes_at: Timestamp,
        cancel_until: Option<Timestamp>,
        currency: Currency,
        /// JSON: `{grade: amount}`.
        prices: Arc<str>,
        max_seats_per_order: u32,
        max_seats_per_member: Option<u32>,
        hold_seconds: u32,
        max_live_orders_per_member: Option<u32>,
        max_unpaid_holds_per_member: Option<u32>,
        seats: u64,
        /// Seats that can be ordered.
        available: i64,
        paused: bool,
        cancelled: bool,
        /// Of the performance's own last fact.
        position: LogPosition,
    }
}

table! {
    /// One section of a performance's house.
    pub struct SectionRow in "sections" {
        key { performance_id: PerformanceId, section: Arc<str> }
        grade: Arc<str>,
        seats: i64,
        held: i64,
        sold: i64,
        blocked: i64,
    }
}

// Fold

pub struct Performances;

impl Projection for Performances {
    fn name(&self) -> &'static str {
        "performances"
    }

    fn version(&self) -> u32 {
        3
    }

    fn schema(&self) -> Schema {
        Schema {
            postgres: include_str!("../../migrations/postgres/read/performances.sql"),
            sqlite: include_str!("../../migrations/sqlite/read/performances.sql"),
        }
    }

    fn tables(&self) -> &'static [&'static Table] {
        &[PerformanceRow::TABLE, SectionRow::TABLE]
    }

    fn follows(&self) -> &'static [&'static str] {
        &["performance", "seat"]
    }

    /// Counts of one performance belong together: they wait together.
    fn parking_key(&self, fact: &Fact) -> Arc<str> {
        performance_of(fact).map_or_else(|| fact.record.stream.text(), PerformanceId::into_text)
    }

    fn reads(&self, fact: &Fact, needed: &mut Needed) {
        if matches!(*fact.event, Event::Performance(PerformanceEvent::Scheduled(_))) {
            return;
        }
        let Some(performance) = performance_of(fact) else { return };
        if let Some(section) = section_of(fact) {
            needed.row::<SectionRow>(SectionRow::key(performance.clone(), section));
        }
        needed.row::<PerformanceRow>(PerformanceRow::key(performance));
    }

    fn apply(&self, fact: &Fact, rows: &mut Rows) -> Result<(), Unfit> {
        match &*fact.event {
            Event::Performance(PerformanceEvent::Scheduled(terms)) => scheduled(fact, terms, rows),
            Event::Performance(PerformanceEvent::Paused(_)) => own(fact, rows, |row| row.paused = true),
            Event::Performance(PerformanceEvent::Resumed(_)) => own(fact, rows, |row| row.paused = false),
            Event::Performance(PerformanceEvent::Changed(terms)) => changed(fact, terms, rows),
            Event::Performance(PerformanceEvent::Cancelled(_)) => own(fact, rows, |row| row.cancelled = true),
            Event::Performance(PerformanceEvent::CalledOff(_)) => own(fact, rows, |_| {}),
            // The seats themselves say so too, and are counted by that.
            Event::Performance(PerformanceEvent::SeatsBlocked(_) | PerformanceEvent::SeatsUnblocked(_)) => {
                own(fact, rows, |_| {})
            }
            Event::Seat(SeatEvent::Held(_)) => count(fact, rows, |row| row.held += 1),
            Event::Seat(SeatEvent::Released(released)) => match released.reason {
                ReleaseReason::Refunded => count(fact, rows, |row| row.sold -= 1),
                ReleaseReason::Expired | ReleaseReason::Cancelled | ReleaseReason::Failed => {
                    count(fact, rows, |row| row.held -= 1)
                }
            },
            Event::Seat(SeatEvent::Sold(_)) => count(fact, rows, |row| {
                row.held -= 1;
                row.sold += 1;
            }),
            Event::Seat(SeatEvent::Blocked(_)) => count(fact, rows, |row| row.blocked += 1),
            Event::Seat(SeatEvent::Unblocked(_)) => count(fact, rows, |row| row.blocked -= 1),
            Event::Order(_)
            | Event::Member(_)
            | Event::Coupon(_)
            | Event::Store(_)
            | Event::Show(_)
            | Event::Venue(_) => Ok(()),
        }
    }
}

/// The performance of a seat's fact, or of its own.
pub(super) fn performance_of(fact: &Fact) -> Option<PerformanceId> {
    let stream = &fact.record.stream;
    match stream.noun() {
        "seat" => stream.id().split_once('/').map(|(performance, _)| PerformanceId::new(performance)),
        "performance" => Some(PerformanceId::new(stream.id())),
        _ => None,
    }
}

/// A seat's id begins with its section, which has no dash.
fn section_of(fact: &Fact) -> Option<Arc<str>> {
    let seat = fact.record.stream.seat_id()?;
    seat.as_str().split_once('-').map(|(section, _)| section.into())
}

fn scheduled(fact: &Fact, terms: &Scheduled, rows: &mut Rows) -> Result<(), Unfit> {
    let prices = prices(&terms.prices)?;
    let seats = terms.layout.iter().map(Section::seats).sum::<usize>();
    for section in &terms.layout {
        rows.put(SectionRow {
            performance_id: terms.performance_id.clone(),
            section: section.section.as_str().into(),
            grade: section.grade.as_str().into(),
            seats: signed(section.seats()),
            held: 0,
            sold: 0,
            blocked: 0,
        });
    }
    rows.put(PerformanceRow {
        performance_id: terms.performance_id.clone(),
        owner: terms.owner.clone(),
        show_id: terms.show_id.clone(),
        venue_id: terms.venue_id.clone(),
        timezone: terms.timezone.clone(),
        starts_at: terms.starts_at,
        sale_opens_at: terms.sale_opens_at,
        sale_closes_at: terms.sale_closes_at,
        cancel_until: terms.cancel_until,
        currency: terms.currency,
        prices,
        max_seats_per_order: terms.max_seats_per_order,
        max_seats_per_member: terms.max_seats_per_member,
        hold_seconds: terms.hold_seconds,
        max_live_orders_per_member: terms.max_live_orders_per_member,
        max_unpaid_holds_per_member: terms.max_unpaid_holds_per_member,
        seats: seats as u64,
        available: signed(seats),
        paused: false,
        cancelled: false,
        position: fact.position(),
    });
    Ok(())
}

fn prices(of: &[GradePrice]) -> Result<Arc<str>, Unfit> {
    let prices: BTreeMap<&str, u64> = of.iter().map(|p| (p.grade.as_str(), p.price.minor())).collect();
    let json = serde_json::to_string(&prices).map_err(|error| Unfit::Impossible(error.to_string()))?;
    Ok(json.into())
}

fn changed(fact: &Fact, terms: &Changed, rows: &mut Rows) -> Result<(), Unfit> {
    let prices = prices(&terms.prices)?;
    own(fact, rows, |row| {
        row.starts_at = terms.starts_at;
        row.sale_opens_at = terms.sale_opens_at;
        row.sale_closes_at = terms.sale_closes_at;
        row.cancel_until = terms.cancel_until;
        row.prices = prices;
        row.max_seats_per_order = terms.max_seats_per_order;
        row.max_seats_per_member = terms.max_seats_per_member;
        row.hold_seconds = terms.hold_seconds;
        row.max_live_orders_per_member = terms.max_live_orders_per_member;
        row.max_unpaid_holds_per_member = terms.max_unpaid_holds_per_member;
    })
}

fn signed(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A fact of the performance itself.
fn own(fact: &Fact, rows: &mut Rows, change: impl FnOnce(&mut PerformanceRow)) -> Result<(), Unfit> {
    let Some(performance) = performance_of(fact) else { return Ok(()) };
    let mut row: PerformanceRow = rows.expect(&PerformanceRow::key(performance))?;
    change(&mut row);
    row.position = fact.position();
    rows.put(row);
    Ok(())
}

fn count(fact: &Fact, rows: &mut Rows, change: impl FnOnce(&mut SectionRow)) -> Result<(), Unfit> {
    let (Some(performance), Some(section)) = (performance_of(fact), section_of(fact)) else {
        return Err(Unfit::Impossible(format!("{} names no seat", fact.record.stream)));
    };
    let mut row: SectionRow = rows.expect(&SectionRow::key(performance.clone(), section))?;
    let before = row.available();
    change(&mut row);
    let by = row.available() - before;
    rows.put(row);
    if by != 0 {
        let mut row: PerformanceRow = rows.expect(&PerformanceRow::key(performance))?;
        row.available += by;
        rows.put(row);
    }
    Ok(())
}

impl SectionRow {
    /// Seats that can be ordered.
    #[must_use]
    pub fn available(&self) -> i64 {
        self.seats - self.held - self.sold - self.blocked
    }
}

// Lists

/// The words of the public contract, as functions of time, pause and seats left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Scheduled,
    OnSale,
    Paused,
    SoldOut,
    Closed,
    Cancelled,
}

/// What a list of performances is limited to.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub show: Option<ShowId>,
    pub venue: Option<VenueId>,
    /// Judged at the moment that goes with it.
    pub status: Option<(Status, Timestamp)>,
    /// By their beginning: from this moment on, and before that one.
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
}

/// Performances by their beginning.
pub async fn list(build: &dyn Build, filter: Filter, page: &Page) -> Result<Listed<PerformanceRow>, Fault> {
    const BY_START: Order = Order::ascending(&["starts_at", "performance_id"]);
    let select = Select::new()
        .maybe_equal("show_id", filter.show)
        .maybe_equal("venue_id", filter.venue)
        .at_least("starts_at", filter.from)
        .below("starts_at", filter.to);
    let select = match filter.status {
        None | Some((Status::Cancelled, _)) => select,
        Some(_) => select.equal("cancelled", false),
    };
    let select = match filter.status {
        None => select,
        Some((Status::Cancelled, _)) => select.equal("cancelled", true),
        Some((Status::Closed, now)) => select.at_most("sale_closes_at", Some(now)),
        Some((Status::Paused, now)) => select.above("sale_closes_at", Some(now)).equal("paused", true),
        Some((Status::Scheduled, now)) => {
            select.above("sale_closes_at", Some(now)).equal("paused", false).above("sale_opens_at", Some(now))
        }
        Some((selling, now)) => {
            let open =
                select.above("sale_closes_at", Some(now)).equal("paused", false).at_most("sale_opens_at", Some(now));
            if selling == Status::SoldOut {
                open.at_most("available", Some(0_i64))
            } else {
                open.above("available", Some(0_i64))
            }
        }
    };
    select.page(build, BY_START, page).await
}

/// The sections of performances, by performance.
pub async fn sections(
    build: &dyn Build,
    of: &[PerformanceId],
) -> Result<BTreeMap<PerformanceId, Vec<SectionRow>>, Fault> {
    let mut found: BTreeMap<PerformanceId, Vec<SectionRow>> = BTreeMap::new();
    if of.is_empty() {
        return Ok(found);
    }
    let mut sql = String::from(
        "SELECT performance_id, section, grade, seats, held, sold, blocked FROM @.sections WHERE performance_id IN (",
    );
    for number in 1..=of.len() {
        let _ = write!(sql, "{}${number}", if number == 1 { "" } else { ", " });
    }
    sql.push_str(") ORDER BY performance_id, section");
    let binds: Vec<Value> = of.iter().cloned().map(Cell::into_value).collect();
    for row in as_rows::<SectionRow>(&build.query(&sql, &binds).await?)? {
        found.entry(row.performance_id.clone()).or_default().push(row);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::projections::testing::{Shelf, Story, order_of_partitions_does_not_matter, sale};

    #[test]
    fn seats_are_counted_by_section_through_all_their_states() {
        let mut story = Story::default();
        sale::scheduled(&mut story, "pf_a", &[("A", "VIP", 3), ("B", "R", 2)]);
        sale::scheduled(&mut story, "pf_b", &[("A", "R", 5)]);
        story.unit(20, [sale::held("pf_a", "A-1-1", "o"), sale::held("pf_a", "B-1-1", "o")]);
        story.unit(21, [sale::held("pf_b", "A-1-1", "p"), sale::blocked("pf_b", "A-1-2")]);
        story.unit(
            22,
            [sale::sold("pf_a", "A-1-1", "o", 10), sale::released("pf_a", "B-1-1", "o", ReleaseReason::Expired)],
        );
        story.unit(23, [sale::held("pf_a", "A-1-2", "q"), sale::blocked("pf_a", "A-1-3")]);
        story.unit(
            24,
            [sale::unblocked("pf_b", "A-1-2"), sale::released("pf_b", "A-1-1", "p", ReleaseReason::Cancelled)],
        );
        let shelf = Shelf::of(&Performances, &story.facts);
        let told = |shelf: &Shelf| {
            let counts =
                |row: SectionRow| (row.performance_id.to_string() + &row.section, row.held, row.sold, row.blocked);
            shelf.rows::<SectionRow>().into_iter().map(counts).collect::<Vec<_>>()
        };
        let row = |name: &str, held, sold, blocked| (name.to_owned(), held, sold, blocked);
        assert_eq!(told(&shelf), [row("pf_aA", 1, 1, 1), row("pf_aB", 0, 0, 0), row("pf_bA", 0, 0, 0)]);
        let left: Vec<i64> = shelf.rows::<PerformanceRow>().iter().map(|row| row.available).collect();
        assert_eq!(left, [2, 5]);
        story.unit(30, [sale::released("pf_a", "A-1-1", "o", ReleaseReason::Refunded)]);
        let shelf = Shelf::of(&Performances, &story.facts);
        assert_eq!(told(&shelf)[0], row("pf_aA", 1, 0, 1));
        assert_eq!(shelf.rows::<PerformanceRow>()[0].available, 3);
        order_of_partitions_does_not_matter(&Performances, &story);
    }

    #[test]
    fn a_pause_is_kept_and_a_seat_that_is_not_in_the_house_is_refused() {
        let mut story = Story::default();
        sale::scheduled(&mut story, "pf_a", &[("A", "VIP", 3)]);
        story.unit(20, [sale::paused("pf_a")]);
        assert!(Shelf::of(&Performances, &story.facts).rows::<PerformanceRow>()[0].paused);
        story.unit(21, [sale::resumed("pf_a"), sale::held("pf_a", "C-1-1", "o")]);
        let mut shelf = Shelf::of(&Performances, &story.facts[..3]);
        assert!(!shelf.rows::<PerformanceRow>()[0].paused);
        assert!(shelf.apply(&Performances, &story.facts[3]).is_err());
    }
    #[test]
    fn other_terms_replace_those_before_and_a_cancellation_is_kept() {
        let mut story = Story::default();
        sale::scheduled(&mut story, "pf_a", &[("A", "VIP", 3)]);
        story.unit(15, [sale::held("pf_a", "A-1-1", "o")]);
        let row = |story: &Story| Shelf::of(&Performances, &story.facts).rows::<PerformanceRow>().remove(0);
        let before = row(&story);
        story.unit(20, [sale::changed("pf_a", 700, 1_500, 60_000)]);
        let changed = PerformanceRow {
            starts_at: Timestamp(before.starts_at.0 + 60_000),
            sale_opens_at: Timestamp(1_500),
            sale_closes_at: Timestamp(8_000_000),
            cancel_until: Some(Timestamp(7_000_000)),
            prices: r#"{"VIP":700}"#.into(),
            max_seats_per_order: 2,
            max_seats_per_member: Some(6),
            max_live_orders_per_member: Some(3),
            max_unpaid_holds_per_member: Some(5),
            hold_seconds: 90,
            position: story.facts[2].position(),
            ..before
        };
        assert_eq!(row(&story).into_cells(), changed.clone().into_cells(), "and nothing else");
        story.unit(30, [sale::cancelled("pf_a")]).unit(40, [sale::called_off("pf_a", 1)]);
        let position = story.facts[4].position();
        let cancelled = PerformanceRow { cancelled: true, position, ..changed };
        assert_eq!(row(&story).into_cells(), cancelled.into_cells());
        order_of_partitions_does_not_matter(&Performances, &story);
    }
}
