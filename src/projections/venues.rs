//! Which venues are there? One row per venue, found by any part of its name.

use super::select::{Listed, Order, Page, Select};
use super::store::Build;
use super::table::{Row, Table, table};
use super::{Fact, Needed, Projection, Rows, Schema, Unfit, text};
use crate::events::venue::Section;
use crate::events::{Event, VenueEvent};
use crate::fault::Fault;
use crate::ids::{AccountId, LogPosition, VenueId};
use crate::timestamp::Timestamp;

// Rows

table! {
    /// One venue.
    pub struct VenueRow in "venues" {
        key { venue_id: VenueId }
        owner: AccountId,
        name: String,
        name_folded: String,
        timezone: String,
        seats: u64,
        created_at: Timestamp,
        position: LogPosition,
    }
}

// Fold

pub struct Venues;

impl Projection for Venues {
    fn name(&self) -> &'static str {
        "venues"
    }

    fn version(&self) -> u32 {
        1
    }

    fn schema(&self) -> Schema {
        Schema {
            postgres: include_str!("../../migrations/postgres/read/venues.sql"),
            sqlite: include_str!("../../migrations/sqlite/read/venues.sql"),
        }
    }

    fn tables(&self) -> &'static [&'static Table] {
        &[VenueRow::TABLE]
    }

    fn follows(&self) -> &'static [&'static str] {
        &["venue"]
    }

    fn reads(&self, _fact: &Fact, _needed: &mut Needed) {}

    fn apply(&self, fact: &Fact, rows: &mut Rows) -> Result<(), Unfit> {
        let Event::Venue(VenueEvent::Created(venue)) = &*fact.event else { return Ok(()) };
        rows.put(VenueRow {
            venue_id: venue.venue_id.clone(),
            owner: venue.owner.clone(),
            name: venue.name.clone(),
            name_folded: text::folded(&venue.name),
            timezone: venue.timezone.clone(),
            seats: venue.sections.iter().map(Section::seats).sum::<usize>() as u64,
            created_at: fact.at(),
            position: fact.position(),
        });
        Ok(())
    }
}

// Lists

/// Venues whose name contains a text, by name.
pub async fn list(build: &dyn Build, name: Option<&str>, page: &Page) -> Result<Listed<VenueRow>, Fault> {
    const BY_NAME: Order = Order::ascending(&["name_folded", "venue_id"]);
    let name = name.map(text::folded);
    Select::new().contains("name_folded", name.as_deref()).page(build, BY_NAME, page).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::venue::{Created, Row as SeatRow, RowSeats};
    use crate::ids::{Hash16, StreamId};
    use crate::projections::testing::{Shelf, Story, order_of_partitions_does_not_matter};

    #[test]
    fn a_venue_is_a_row_with_its_seats_counted() {
        let created = |id: &str, name: &str| {
            let row = |row: &str, seats| SeatRow { row: row.to_owned(), seats };
            let rows = vec![row("1", RowSeats::Count(5)), row("2", RowSeats::Labels(vec!["가".to_owned()]))];
            let sections = vec![Section { section: "A".to_owned(), grade: "R".to_owned(), rows }];
            let (venue_id, owner) = (VenueId::new(id), AccountId::new("ann"));
            let (name, timezone) = (name.to_owned(), "Asia/Seoul".to_owned());
            let stream = StreamId::venue(&venue_id);
            let event = Created { venue_id, owner, name, timezone, sections, body: Hash16::default() };
            (stream, VenueEvent::from(event).into())
        };
        let mut story = Story::default();
        story.unit(5, [created("vn_a", "Olympic  HALL")]).unit(7, [created("vn_b", "잠실")]);
        let rows = Shelf::of(&Venues, &story.facts).rows::<VenueRow>();
        let told: Vec<_> = rows.iter().map(|row| (row.name_folded.as_str(), row.seats)).collect();
        assert_eq!(told, [("olympic hall", 6), ("잠실", 6)]);
        order_of_partitions_does_not_matter(&Venues, &story);
    }
}
